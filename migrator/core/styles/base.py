"""What an endpoint style is: the one interface between the engine and the two (later three) doors of the service.

A style answers four questions and does nothing else: what may a change say here, how is a step spelled as a request,
what does the receipt of a write say, and which read proves that a container is there. Adding a style is adding a
module beside `xcore` and `dps` and a line in `styles.STYLES`; no other module knows a style by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Protocol, TypeVar
from urllib.parse import quote

import msgspec
from msgspec import Struct

from migrator.core.model import Json, Kind, Receipt, Request, Response, Step

METHODS: Mapping[Kind, str] = {Kind.PATCH: "PATCH", Kind.CREATE: "POST", Kind.DELETE: "DELETE"}


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

    def object_problem(self, object_id: str) -> str:
        """Say why `object_id` cannot stand in a URL of this style, or "" when it can."""

    def document_problem(self, document: Mapping[str, Json]) -> str:
        """Say why `document` cannot be created in this style, or "" when nothing speaks against it."""

    def render(self, step: Step, *, sandbox: str, request_id: str) -> Request:
        """Spell `step` as a request.

        Args:
            step: what to send.
            sandbox: the sandbox of the profile; a style whose container is the sandbox uses the step's own.
            request_id: a fresh UUID.
        """

    def probe(self, container: str, *, sandbox: str, request_id: str) -> Request:
        """Spell the cheapest read that succeeds only where `container` exists and the credentials may see it."""

    def receipt(self, response: Response) -> Receipt | None:
        """Read the receipt of a write, or `None` if the body is not one."""
