"""The persistence style: sandbox in a header, entity in the path, plain field names (contract section 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import quote

import msgspec

from migrator.core.compare import instant
from migrator.core.model import CREATES, EntityType, Json, Kind, Page, Receipt, Request, Response, Seen, Step
from migrator.core.styles.base import (
    METHODS,
    PAGE_LIMIT,
    PatchRules,
    Query,
    TextNames,
    can_be_asked,
    decode_object,
    decoded,
    etag_in,
    etag_of,
    segment,
    segment_problem,
    text_of,
)

BASE = "/data/core/dps"
JSON = "application/json"

RESOURCES: Mapping[EntityType, tuple[str, str]] = {
    EntityType.PERSONALIZED_OFFER: ("/offers", "?offer-type=personalized"),
    EntityType.FALLBACK_OFFER: ("/offers", "?offer-type=fallback"),
    EntityType.PLACEMENT: ("/placements", ""),
    EntityType.DECISION_RULE: ("/offer-rules", ""),
    EntityType.TAG: ("/tags", ""),
    EntityType.COLLECTION: ("/offer-collections", ""),
    EntityType.DECISION: ("/offer-decisions", ""),
}
"""Path under the base and query of each type (contract 4.1)."""

SERVICE_OWNED = frozenset(
    {
        *("id", "etag", "schemas", "sandboxId", "sandboxName", "_links"),
        *("created", "createdDate", "createdBy", "createdByClientId"),
        *("modified", "lastModifiedDate", "lastModifiedBy", "lastModifiedByClientId"),
    }
)
"""What reads show beside an object's own members (contract 4.4, 4.5), and receipts in their place (4.3)."""


class _Receipt(msgspec.Struct):
    """The receipt as it stands on the wire (contract 4.3)."""

    id: str
    etag: msgspec.Raw = msgspec.Raw()


_decode_receipt = msgspec.json.Decoder(_Receipt).decode


class _Link(msgspec.Struct):
    href: str = ""


class _Links(msgspec.Struct):
    next: _Link = msgspec.field(default_factory=_Link)


class _List(msgspec.Struct):
    """A page of a list as it stands on the wire (contract 4.6)."""

    results: list[dict[str, Json]]
    total: int | None = None
    links: _Links = msgspec.field(name="_links", default_factory=_Links)


_decode_list = msgspec.json.Decoder(_List).decode


class Dps:
    """The style called dps."""

    name = "dps"
    root = ""
    rules = PatchRules(name, frozenset({"add", "remove", "replace", "copy", "test"}), root)
    needs_container = False
    guards_by_etag = False
    replaceable = (EntityType.DECISION_RULE,)
    service_owned = SERVICE_OWNED
    texts = TextNames(
        representations=f"{root}/representations",
        placement="placement",
        channel="channel",
        component_type="componentType",
        components="components",
        kind="type",
        format="format",
        language="language",
        content="content",
        kinds={"text": "component-text"},
    )

    def is_reference(self, object_id: str) -> bool:
        """Never: there is one id for both (contract 4.2)."""
        del object_id
        return False

    def field_path(self, path: str) -> str:
        """Paths begin at the object, where the service's members are, too (contract 4.6)."""
        return path

    def object_problem(self, object_id: str) -> str:
        """Accept nearly any id: they are opaque, and some begin with `xcore:` (contract 4.2)."""
        return segment_problem(object_id)

    def document_problem(self, document: Mapping[str, Json]) -> str:
        """Require a name; a document without `name` is most likely one of the other style."""
        if document.get("name"):
            return ""
        if "xdm:name" in document:
            return "has `xdm:name` but no `name`: it is written for xcore, and the style is dps"
        return "has no `name`, which every type requires"

    def render(self, step: Step, *, sandbox: str, request_id: str) -> Request:
        """Spell `step` as a request (contract 4.1, 4.3, 4.4, 4.7). The sandbox is the step's container."""
        del sandbox
        path, query = RESOURCES[step.type]
        # D2: the fallback create page prints an id in the POST; a create has none.
        tail = "" if step.kind in CREATES else "/" + segment(step.object)
        return Request(
            method=METHODS[step.kind],
            target=f"{BASE}{path}{tail}{query}",
            headers={"Content-Type": JSON, "x-sandbox-name": step.container, "x-request-id": request_id},
            body=None if step.kind is Kind.DELETE else step.body,
            request_id=request_id,
        )

    def probe(self, container: str, *, sandbox: str, request_id: str) -> Request:
        """Ask for the first personalized offer of the sandbox (contract 4.6)."""
        del sandbox
        return _get(f"{BASE}/offers?offer-type=personalized&limit=1", container, request_id)

    def home(self, *, sandbox: str, request_id: str) -> Request:
        """Ask for the same: the sandbox is the container."""
        return self.probe(sandbox, sandbox=sandbox, request_id=request_id)

    def containers(self, response: Response, *, sandbox: str) -> Sequence[str] | None:
        """Name the sandbox, if what answers is a list."""
        return None if self.page(response) is None else (sandbox,)

    def look(self, container: str, type_: EntityType, object_id: str, *, sandbox: str, request_id: str) -> Request:
        """Spell the read of one object (contract 4.5)."""
        del sandbox
        path, query = RESOURCES[type_]
        return _get(f"{BASE}{path}/{segment(object_id)}{query}", container, request_id)

    def seen(self, response: Response) -> Seen | None:
        """Read an object; who created it is told by receipts only (contract 4.5)."""
        document = decoded(decode_object, response.body)
        return None if document is None or not text_of(document, "id") else _seen(document)

    def list(self, container: str, type_: EntityType, query: Query, *, sandbox: str, request_id: str) -> Request:
        """Spell the read of a page (contract 4.6).

        In the order of ids, since the cursor of the default order, a time, can get stuck. A name that holds what means
        something in a condition, such as a comma between two, is looked for in all objects.
        """
        del sandbox
        if query.after:
            return _get(BASE + query.after, container, request_id)
        path, parameters = RESOURCES[type_]
        parameters = f"{parameters or '?'}&orderby=id&limit={PAGE_LIMIT}".replace("?&", "?")
        by_name = [f"name=={query.name}"] if query.name and can_be_asked(query.name) else []
        for condition in (*by_name, *query.where):
            parameters += "&property=" + quote(condition, safe="")
        return _get(f"{BASE}{path}{parameters}", container, request_id)

    def page(self, response: Response) -> Page | None:
        """Read a page; a link is relative to the base path, not to the host (contract 4.6)."""
        found = decoded(_decode_list, response.body)
        if found is None:
            return None
        return Page(tuple(map(_seen, found.results)), found.links.next.href, found.total)

    def receipt(self, response: Response) -> Receipt | None:
        """Read `id` and `etag`; other members are free (D22)."""
        found = decoded(_decode_receipt, response.body)
        return None if found is None else Receipt(object=found.id, etag=etag_of(found.etag), reference=found.id)


def _get(target: str, sandbox: str, request_id: str) -> Request:
    headers = {"Accept": "*,application/json", "x-sandbox-name": sandbox, "x-request-id": request_id}
    return Request(method="GET", target=target, headers=headers, body=None, request_id=request_id)


def _seen(document: dict[str, Json]) -> Seen:
    object_id = text_of(document, "id")
    return Seen(
        object=object_id,
        reference=object_id,
        etag=etag_in(document, "etag"),
        document=document,
        created_at=instant(text_of(document, "created", "createdDate")),
        created_by_client=text_of(document, "createdByClientId"),
        changed_at=text_of(document, "modified", "lastModifiedDate"),
        changed_by=text_of(document, "lastModifiedBy"),
        changed_by_client=text_of(document, "lastModifiedByClientId"),
    )
