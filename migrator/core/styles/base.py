"""What an endpoint style is: the one interface between the engine and the two (later three) doors of the service.

A style answers these questions and does nothing else: what may a change say here, how is a step spelled as a request,
guarded, what does the receipt of a write say, which read proves that a container is there, and how is an object or a
list of them read. Adding a style is adding a module beside `xcore` and `dps` and a line in `styles.STYLES`; no other
module knows a style by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Annotated, Protocol, TypeVar
from urllib.parse import quote

import msgspec
from msgspec import Struct

from migrator.core.model import EntityType, Json, Kind, Page, Receipt, Request, Response, Seen, Step

METHODS: Mapping[Kind, str] = {
    Kind.PATCH: "PATCH",
    Kind.EDIT: "PATCH",
    Kind.CREATE: "POST",
    Kind.COPY: "POST",
    Kind.REPLACE: "PUT",
    Kind.DELETE: "DELETE",
}


T = TypeVar("T")


def decoded(decode: Callable[[bytes], T], body: bytes) -> T | None:
    """Read a body that a stranger wrote, or return `None`: it may be cut, no JSON, no UTF-8, or nested without end."""
    try:
        return decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


_decode_etag = msgspec.json.Decoder(Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]).decode


def etag_of(member: msgspec.Raw) -> int | None:
    """Read an etag, or `None` if it is absent or none that the ledger can hold: the receipt counts without it."""
    return decoded(_decode_etag, bytes(member))


PAGE_LIMIT = 100
"""Objects asked for at once; the service may give fewer (C-10)."""


def text_of(document: Mapping[str, Json], *names: str) -> str:
    """Return the first member of these names that is a text, "" if none is."""
    return next((value for name in names if isinstance(value := document.get(name), str)), "")


def etag_in(document: Mapping[str, Json], name: str) -> int | None:
    """Return the etag in a member, or `None`."""
    value = document.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


decode_object = msgspec.json.Decoder(dict[str, Json]).decode

_is_plain = re.compile(r"[\w.~-]+", re.ASCII).fullmatch


def segment(text: str) -> str:
    """Spell an id as one segment of a path. Most consist of what needs no escape, and that is quickly seen."""
    return text if _is_plain(text) else quote(text, safe="")


def segment_problem(object_id: str) -> str:
    """Say why an id cannot be a segment of a path: `.` and `..` lead elsewhere however they are encoded."""
    return "is a step in a path, not an id" if object_id in (".", "..") else ""


class PatchRules(Struct, frozen=True):
    """Which patches a style accepts.

    Attributes:
        style: the style's name, for messages.
        operations: the operations its documents list.
        root: the pointer under which every field of an object lives: `/_instance` in xcore, "" in dps.
    """

    style: str
    operations: frozenset[str]
    root: str


_SEPARATORS = frozenset(",=<>!~")
"""What a service might take for the end of a value (contract 4.6: a comma cannot be told from the next condition)."""


def can_be_asked(value: str) -> bool:
    """Whether a value can stand in a condition of a list. One that cannot is looked for in all objects."""
    return not _SEPARATORS & set(value)


class Query(Struct, frozen=True):
    """Which objects of a type a page of a list is to have.

    Attributes:
        name: only those of this name, where the style can be asked so: the list may have others, too.
        reference: only the one that others refer to by this id, where that is not the id of its URL.
        where: only those that meet these conditions, each of a field's path, an operator and a value, as the service
            spells them.
        after: what the page before said comes next; "" for the first page. It stands for all else.
    """

    name: str = ""
    reference: str = ""
    where: tuple[str, ...] = ()
    after: str = ""


class TextNames(Struct, frozen=True):
    """What a style calls the members that lead to a text of an offer (contract section 5.1).

    Attributes:
        representations: the pointer to the list of representations.
        placement: of a representation: the placement it is for.
        channel: of a representation and of a placement.
        component_type: of a placement: what its components are.
        components: of a representation: the list of its components.
        kind: of a component: what it is.
        format: of a component: its media type.
        language: of a component: the list of its language tags.
        content: of a component: the text.
        kinds: what components are, by what their placement calls it, where that is another word (mapping, section 5.1).
    """

    representations: str
    placement: str
    channel: str
    component_type: str
    components: str
    kind: str
    format: str
    language: str
    content: str
    kinds: Mapping[str, str] = {}


class Style(Protocol):
    """One endpoint style of the Offer Library."""

    @property
    def name(self) -> str:
        """The style's name as settings spell it: `xcore` or `dps`."""

    @property
    def rules(self) -> PatchRules:
        """Which patches it accepts."""

    @property
    def needs_container(self) -> bool:
        """Whether every row has to name its container; otherwise the container is the sandbox."""

    @property
    def guards_by_etag(self) -> bool:
        """Whether a write can be made to fail by `If-Match`; otherwise only a patch can, by `test` operations in it."""

    @property
    def replaceable(self) -> Collection[EntityType]:
        """The types of which an object can be replaced as a whole."""

    @property
    def root(self) -> str:
        """The pointer to an object's own members in the document of a `Seen`."""

    @property
    def service_owned(self) -> Collection[str]:
        """The members beside them that only the service writes."""

    @property
    def texts(self) -> TextNames:
        """What the members that lead to a text are called."""

    def is_reference(self, object_id: str) -> bool:
        """Whether `object_id` is what other objects refer to an object by and the URL takes another id."""

    def field_path(self, path: str) -> str:
        """Spell the dotted path of an object's own member as the conditions of a `Query` do."""

    def object_problem(self, object_id: str) -> str:
        """Say why `object_id` cannot stand in a URL of this style, or "" when it can."""

    def document_problem(self, document: Mapping[str, Json]) -> str:
        """Say why `document` cannot be an object of this style, or "" when nothing speaks against it."""

    def render(self, step: Step, *, sandbox: str, request_id: str) -> Request:
        """Spell `step` as a request.

        Args:
            step: what to send.
            sandbox: the sandbox of the profile; a style whose container is the sandbox uses the step's own.
            request_id: a fresh UUID.
        """

    def probe(self, container: str, *, sandbox: str, request_id: str) -> Request:
        """Spell the cheapest read that succeeds only where `container` exists and the credentials may see it."""

    def home(self, *, sandbox: str, request_id: str) -> Request:
        """Spell the read that shows whether the service answers at all, and which containers `sandbox` has."""

    def containers(self, response: Response, *, sandbox: str) -> Sequence[str] | None:
        """Read the containers of `sandbox` from the answer to `home`, or `None` if the body does not tell."""

    def receipt(self, response: Response) -> Receipt | None:
        """Read the receipt of a write, or `None` if the body is not one."""

    def look(self, container: str, type_: EntityType, object_id: str, *, sandbox: str, request_id: str) -> Request:
        """Spell the read of one object."""

    def seen(self, response: Response) -> Seen | None:
        """Read one object, or `None` if the body is not one."""

    def list(self, container: str, type_: EntityType, query: Query, *, sandbox: str, request_id: str) -> Request:
        """Spell the read of one page of a list.

        Args:
            container: where.
            type_: of what.
            query: which objects.
            sandbox: as in `render`.
            request_id: a fresh UUID.
        """

    def page(self, response: Response) -> Page | None:
        """Read one page of a list, or `None` if the body is not one."""
