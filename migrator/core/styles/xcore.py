"""The repository style: container in the path, entity in the media type, prefixed field names (contract section 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
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
    decode_object,
    decoded,
    etag_in,
    etag_of,
    segment,
    segment_problem,
    text_of,
)

BASE = "/data/core/xcore"
SCHEMA_ROOT = "https://ns.adobe.com/experience/offer-management/"

# The version is a hint (contract 3.2: the service stores newer ones than it is sent), so we send the documented one.
SCHEMAS: Mapping[EntityType, str] = {
    EntityType.PERSONALIZED_OFFER: SCHEMA_ROOT + "personalized-offer;version=0.5",
    EntityType.FALLBACK_OFFER: SCHEMA_ROOT + "fallback-offer;version=0.1",
    EntityType.PLACEMENT: SCHEMA_ROOT + "offer-placement;version=0.4",
    EntityType.DECISION_RULE: SCHEMA_ROOT + "eligibility-rule;version=0.3",
    EntityType.TAG: SCHEMA_ROOT + "tag;version=0.1",
    EntityType.COLLECTION: SCHEMA_ROOT + "offer-filter;version=0.1",
    EntityType.DECISION: SCHEMA_ROOT + "offer-activity;version=0.5",
}

RECEIPT = "application/vnd.adobe.platform.xcore.xdm.receipt+json; version=1"
HOME = "application/vnd.adobe.platform.xcore.home.hal+json"
RESULTS = '*,application/vnd.adobe.platform.xcore.hal+json; schema="https://ns.adobe.com/experience/xcore/hal/results"'


class _Receipt(msgspec.Struct):
    """The receipt as it stands on the wire (contract 3.3)."""

    object: str = msgspec.field(name="instanceId")
    reference: str = msgspec.field(name="@id", default="")
    etag: msgspec.Raw = msgspec.field(name="repo:etag", default=msgspec.Raw())


_decode_receipt = msgspec.json.Decoder(_Receipt).decode


class _Parent(msgspec.Struct):
    sandbox: str = msgspec.field(name="parentName", default="")


class _Container(msgspec.Struct):
    id: str = msgspec.field(name="instanceId")
    instance: _Parent = msgspec.field(name="_instance", default_factory=_Parent)


class _Containers(msgspec.Struct):
    containers: list[_Container] = msgspec.field(
        name="https://ns.adobe.com/experience/xcore/container", default_factory=list
    )


class _Home(msgspec.Struct):
    """The home document as it stands on the wire (contract 3.1)."""

    embedded: _Containers = msgspec.field(name="_embedded")


_decode_home = msgspec.json.Decoder(_Home).decode


class _Embedded(msgspec.Struct):
    results: list[dict[str, Json]]
    total: int | None = None


class _Link(msgspec.Struct):
    href: str = ""


class _Links(msgspec.Struct):
    next: _Link = msgspec.field(default_factory=_Link)


class _List(msgspec.Struct):
    """A page of a list as it stands on the wire (contract 3.9)."""

    embedded: _Embedded = msgspec.field(name="_embedded")
    links: _Links = msgspec.field(name="_links", default_factory=_Links)


_decode_list = msgspec.json.Decoder(_List).decode


@cache
def _headers(type_: EntityType, kind: Kind, sandbox: str) -> Mapping[str, str]:
    """Headers of a write but for its id. The create type has two blanks before `schema`, as in every page (D18)."""
    schema = SCHEMAS[type_]
    if kind is Kind.DELETE:
        return {"Accept": RECEIPT, "x-sandbox-name": sandbox}
    if kind in CREATES:
        content = f'application/schema-instance+json; version=1;  schema="{schema}"'
    elif kind is Kind.REPLACE:
        content = f'application/vnd.adobe.platform.xcore.hal+json; schema="{schema.partition(";")[0]}"'
    else:
        # D1: the pages print this value with "Content-Type: " in front of it; the clean value is the media type.
        content = f'application/vnd.adobe.platform.xcore.patch.hal+json; version=1; schema="{schema}"'
    return {"Accept": RECEIPT, "Content-Type": content, "x-sandbox-name": sandbox}


class Xcore:
    """The style called xcore."""

    name = "xcore"
    root = "/_instance"
    rules = PatchRules(name, frozenset({"add", "remove", "replace"}), root)
    needs_container = True
    guards_by_etag = True
    replaceable = tuple(EntityType)
    service_owned = frozenset({"@id", "_links"})
    texts = TextNames(
        representations=f"{root}/xdm:representations",
        placement="xdm:placement",
        channel="xdm:channel",
        component_type="xdm:componentType",
        components="xdm:components",
        kind="@type",
        format="dc:format",
        language="dc:language",
        content="xdm:content",
    )

    def is_reference(self, object_id: str) -> bool:
        """Whether it is an `@id`: it names the object in references, but URLs take the instance id (contract 3.2)."""
        return object_id.startswith("xcore:")

    def field_path(self, path: str) -> str:
        """Paths begin at the envelope, of which the service's members are named as they are (contract 3.7, 3.9)."""
        return path if path.startswith(("_instance.", "repo:", "instanceId")) else f"_instance.{path}"

    def object_problem(self, object_id: str) -> str:
        """Accept nearly any id (contract 3.2)."""
        return segment_problem(object_id)

    def document_problem(self, document: Mapping[str, Json]) -> str:
        """Require a name; a document without `xdm:name` is most likely one of the other style."""
        if document.get("xdm:name"):
            return ""
        if "_instance" in document:
            return "is wrapped: write what is in its `_instance`"
        if "name" in document:
            return "has `name` but no `xdm:name`: it is written for dps, and the style is xcore"
        return "has no `xdm:name`, which every type requires"

    def render(self, step: Step, *, sandbox: str, request_id: str) -> Request:
        """Spell `step` as a request (contract 3.3, 3.4, 3.5, 3.10), guarded by the etag of its base (3.6)."""
        target = f"{BASE}/{segment(step.container)}/instances"
        if step.kind not in CREATES:
            target += "/" + segment(step.object)
        headers = {**_headers(step.type, step.kind, sandbox), "x-request-id": request_id}
        if step.guarded:
            headers["If-Match"] = f'"{step.etag}"'
        return Request(
            method=METHODS[step.kind],
            target=target,
            headers=headers,
            body=_body(step),
            request_id=request_id,
        )

    def probe(self, container: str, *, sandbox: str, request_id: str) -> Request:
        """Ask for the first personalized offer of the container (contract 3.9)."""
        schema = _schema(EntityType.PERSONALIZED_OFFER)
        return _get(f"/{segment(container)}/queries/core/search?schema={schema}&limit=1", RESULTS, sandbox, request_id)

    def home(self, *, sandbox: str, request_id: str) -> Request:
        """Ask for the home document (contract 3.1)."""
        return _get("/?product=acp&property=_instance.containerType==decisioning", HOME, sandbox, request_id)

    def containers(self, response: Response, *, sandbox: str) -> Sequence[str] | None:
        """Read those whose parent is the sandbox (contract 3.1)."""
        found = decoded(_decode_home, response.body)
        if found is None:
            return None
        return [one.id for one in found.embedded.containers if one.instance.sandbox == sandbox]

    def receipt(self, response: Response) -> Receipt | None:
        """Read `instanceId`, `@id` and `repo:etag`; other members are free (D22)."""
        found = decoded(_decode_receipt, response.body)
        return (
            None if found is None else Receipt(object=found.object, etag=etag_of(found.etag), reference=found.reference)
        )

    def look(self, container: str, type_: EntityType, object_id: str, *, sandbox: str, request_id: str) -> Request:
        """Spell the read of one object (contract 3.7)."""
        accept = f'*, application/vnd.adobe.platform.xcore.hal+json; schema="{SCHEMAS[type_]}"'
        return _get(f"/{segment(container)}/instances/{segment(object_id)}", accept, sandbox, request_id)

    def seen(self, response: Response) -> Seen | None:
        """Read an envelope (contract 3.7)."""
        document = decoded(decode_object, response.body)
        return None if document is None or not text_of(document, "instanceId") else _seen(document)

    def list(self, container: str, type_: EntityType, query: Query, *, sandbox: str, request_id: str) -> Request:
        """Spell the read of a page: by name or `@id` (contract 3.8), or of the search without words (3.9).

        A name with a wild card in it would find others, too, and nothing says how to escape it: such a name is looked
        for in the whole list.
        """
        if query.after:
            return _get(query.after, RESULTS, sandbox, request_id)
        place, parameters = "queries/core/search", f"schema={_schema(type_)}&limit={PAGE_LIMIT}"
        if query.reference:
            place, parameters = "instances", f"{parameters}&id={quote(query.reference, safe='')}"
        elif query.name and not set(query.name) & set("*?"):
            place, parameters = "instances", f"{parameters}&name={quote(query.name, safe='')}"
        for condition in query.where:
            parameters += "&property=" + quote(condition, safe="")
        return _get(f"/{segment(container)}/{place}?{parameters}", RESULTS, sandbox, request_id)

    def page(self, response: Response) -> Page | None:
        """Read a page; a link is relative to the base path, not to the host (contract 3.9)."""
        found = decoded(_decode_list, response.body)
        if found is None:
            return None
        return Page(tuple(map(_seen, found.embedded.results)), found.links.next.href, found.embedded.total)


def _body(step: Step) -> bytes | None:
    """Return what is sent: only a replacement has to be wrapped (contract 3.3, 3.5)."""
    if step.kind is Kind.DELETE:
        return None
    return b'{"_instance":%b,"_links":{}}' % step.body if step.kind is Kind.REPLACE else step.body


@cache
def _schema(type_: EntityType) -> str:
    return quote(SCHEMAS[type_], safe="")


def _get(target: str, accept: str, sandbox: str, request_id: str) -> Request:
    headers = {"Accept": accept, "x-sandbox-name": sandbox, "x-request-id": request_id}
    return Request(method="GET", target=BASE + target, headers=headers, body=None, request_id=request_id)


def _seen(document: dict[str, Json]) -> Seen:
    instance = document.get("_instance")
    return Seen(
        object=text_of(document, "instanceId"),
        reference=text_of(instance, "@id") if isinstance(instance, dict) else "",
        etag=etag_in(document, "repo:etag"),
        document=document,
        created_at=instant(text_of(document, "repo:createdDate")),
        created_by_client=text_of(document, "repo:createdByClientId"),
        changed_at=text_of(document, "repo:lastModifiedDate"),
        changed_by=text_of(document, "repo:lastModifiedBy"),
        changed_by_client=text_of(document, "repo:lastModifiedByClientId"),
    )
