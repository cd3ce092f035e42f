"""The xcore style: objects in containers, media types that name a schema, HAL lists (contract 3)."""

from __future__ import annotations

import re
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec
from aiohttp import web

from migrator.emulator import documents, instants, media_types, paging, patching
from migrator.emulator.answers import extended, json_answer
from migrator.emulator.bodies import media_type_of, read_json, unsupported
from migrator.emulator.entities import EMULATED, NOT_EMULATED, Entity, schema_word
from migrator.emulator.errors import ProblemError, not_emulated
from migrator.emulator.gateway import caller_of
from migrator.emulator.store import BY_NAME, BY_REFERENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from collections.abc import Set as AbstractSet

    from migrator.emulator.library import Library
    from migrator.emulator.observation import Counters
    from migrator.emulator.paging import Page
    from migrator.emulator.store import Record, Shelf, SortKey

BASE = "/data/core/xcore"
"""What the links of a list are relative to (contract 3.9)."""

_HAL = "application/vnd.adobe.platform.xcore.hal+json"
_RECEIPT = "application/vnd.adobe.platform.xcore.xdm.receipt+json"
_CREATE_TYPES = frozenset({"application/schema-instance+json", _HAL})
_PATCH_TYPES = frozenset({"application/vnd.adobe.platform.xcore.patch.hal+json"})
_PATCH_OPERATIONS = frozenset({"add", "replace", "remove"})
_RESULTS_TYPE = "https://ns.adobe.com/experience/xcore/hal/results"
_SEARCH_WORDS = frozenset({"q", "qop", "field"})

_MEMBERS: dict[str, Callable[[Record], Any]] = {
    "instanceId": lambda record: record.key,
    "repo:etag": lambda record: record.etag,
    "repo:createdDate": lambda record: record.created_us // 1000,
    "repo:lastModifiedDate": lambda record: record.modified_us // 1000,
    "_instance.@id": lambda record: record.reference,
    "_instance.xdm:name": lambda record: record.name,
}
"""What can be read of a record without decoding its document. Dates are in milliseconds, as cursors show them."""


class Xcore:
    """The handlers of the xcore style.

    Args:
        library: the objects.
        containers: ids of the containers that exist.
        counters: where tolerated oddities are counted.
        strict: refuse the doubled ``Content-Type`` (C-05).
    """

    def __init__(self, library: Library, containers: AbstractSet[str], counters: Counters, *, strict: bool) -> None:
        self._library = library
        self._containers = containers
        self._warnings = counters.warnings
        self._strict = strict

    def routes(self) -> list[web.RouteDef]:
        """All routes, below ``/data/core``."""
        get = partial(web.get, allow_head=False)
        return [
            web.post("/xcore/{container}/instances", self.create),
            get("/xcore/{container}/instances", self.search),
            get("/xcore/{container}/queries/core/search", self.search),
            get("/xcore/{container}/instances/{key}", self.read),
            web.patch("/xcore/{container}/instances/{key}", self.patch),
            web.delete("/xcore/{container}/instances/{key}", self.delete),
        ]

    async def create(self, request: web.Request) -> web.Response:
        """``POST /{container}/instances`` (contract 3.3): the object itself, or wrapped in ``_instance``."""
        container = self._container(request)
        entity = self._entity_of_body(request, _CREATE_TYPES)
        body = await read_json(request)
        document = body["_instance"] if isinstance(body, dict) and "_instance" in body else body
        name, encoded = documents.accept(document, documents.XCORE)
        record = self._library.create("xcore", container, entity, name, encoded, caller_of(request))
        return json_answer(HTTPStatus.CREATED, _receipt(record), _RECEIPT)

    async def read(self, request: web.Request) -> web.Response:
        """``GET /{container}/instances/{instanceId}`` (contract 3.7)."""
        return json_answer(HTTPStatus.OK, _envelope(self._record(request)), _HAL)

    async def patch(self, request: web.Request) -> web.Response:
        """``PATCH /{container}/instances/{instanceId}`` (contract 3.4)."""
        self._container(request)
        entity = self._entity_of_body(request, _PATCH_TYPES)
        patch = patching.check(await read_json(request), _PATCH_OPERATIONS)
        documents.check_pointers(patching.pointers(patch), documents.XCORE)
        record = self._record(request)
        if record.word != entity.word:
            raise unsupported(f"the object is a {record.word}, the schema names a {entity.word}")
        _check_etag(request, record)
        return json_answer(HTTPStatus.OK, _receipt(self._patched(record, patch, request)), _RECEIPT)

    async def delete(self, request: web.Request) -> web.Response:
        """``DELETE /{container}/instances/{instanceId}`` (contract 3.10)."""
        record = self._record(request)
        _check_etag(request, record)
        self._library.delete(record, caller_of(request))
        return web.Response(status=HTTPStatus.ACCEPTED)

    async def search(self, request: web.Request) -> web.Response:
        """``GET /{container}/queries/core/search`` and ``GET /{container}/instances`` (contract 3.8, 3.9)."""
        container = self._container(request)
        query = request.query
        entity = _entity(_required_schema(query))
        shelf = self._library.store.shelf("xcore", container, entity.word)
        terms = _terms(query)
        order = paging.order_by(terms, _member)
        matches = _matches(shelf, request)
        keys = shelf.ordered(order) if matches is None else sorted(map(order.key, matches))
        page = paging.cut(shelf, keys, paging.parse_limit(query), after=_after(query.get("start"), terms))
        return json_answer(HTTPStatus.OK, self._results(request, entity, page, terms), _HAL)

    def _container(self, request: web.Request) -> str:
        container = request.match_info["container"]
        if container not in self._containers:
            raise ProblemError(HTTPStatus.NOT_FOUND, "unknown-container", f"there is no container {container}")
        return container

    def _record(self, request: web.Request) -> Record:
        key = request.match_info["key"]
        record = self._library.store.find("xcore", self._container(request), key)
        if record is None:
            raise ProblemError(HTTPStatus.NOT_FOUND, "unknown-instance", f"there is no instance {key}")
        return record

    def _entity_of_body(self, request: web.Request, accepted: frozenset[str]) -> Entity:
        content_type = self._content_type(request)
        schema = media_type_of(content_type, accepted).parameters.get("schema")
        if schema is None:
            raise unsupported("the Content-Type has no schema parameter")
        word = schema_word(schema)
        if word not in EMULATED and word not in NOT_EMULATED:
            raise unsupported(f"schema {schema} is not one of the Offer Library's")
        return _entity(schema)

    def _content_type(self, request: web.Request) -> str:
        text = request.headers.get("Content-Type", "")
        undoubled = media_types.undouble(text)
        if self._strict or undoubled == text:
            return text
        self._warnings["doubled Content-Type"] += 1
        return undoubled

    def _patched(self, record: Record, patch: list[dict[str, Any]], request: web.Request) -> Record:
        if not patch:
            return record
        envelope = {"_instance": msgspec.json.decode(record.document)}
        result = patching.apply(envelope, patch)
        name, encoded = documents.accept(result.get("_instance"), documents.XCORE)
        return self._library.update(record, name, encoded, caller_of(request))

    def _results(self, request: web.Request, entity: Entity, page: Page, terms: list[paging.Term]) -> dict[str, Any]:
        path = request.path.removeprefix(BASE)
        score = {"_score": 0} if request.query.keys() & {"id", "name"} else {}
        links = {"self": _link(path, list(request.query.items()))}
        if page.after is not None:
            links["next"] = _link(path, _next_query(request.query.items(), page.records[-1], terms))
        return {
            "containerId": request.match_info["container"],
            "schemaNs": entity.xcore_schema,
            "requestTime": instants.micros_z(self._library.now_us()),
            "_embedded": {
                "results": [_envelope(record) | score for record in page.records],
                "total": page.total,
                "count": len(page.records),
            },
            "_links": links,
        }


def _entity(schema: str) -> Entity:
    word = schema_word(schema)
    if word in NOT_EMULATED:
        raise not_emulated(f"{word} in xcore")
    entity = EMULATED.get(word or "")
    if entity is None:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "unknown-schema", f"there is no schema {schema}")
    return entity


def _required_schema(query: Mapping[str, str]) -> str:
    if "schema" not in query:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "missing-schema", "the schema parameter is required")
    return query["schema"]


def _check_etag(request: web.Request, record: Record) -> None:
    """Hold ``If-Match`` against the stored etag; a mismatch is 409 and not 412 (contract 3.6, C-08)."""
    wanted = request.headers.get("If-Match", "*").split(",")
    if not {"*", str(record.etag)} & {tag.strip().removeprefix("W/").strip('"') for tag in wanted}:
        raise ProblemError(HTTPStatus.CONFLICT, "etag-mismatch", f"the stored etag is {record.etag}")


def _audit(record: Record) -> dict[str, Any]:
    return {
        "repo:etag": record.etag,
        "repo:createdDate": instants.micros_z(record.created_us),
        "repo:lastModifiedDate": instants.micros_z(record.modified_us),
        "repo:createdBy": record.created_by,
        "repo:lastModifiedBy": record.modified_by,
        "repo:createdByClientId": record.created_by,
        "repo:lastModifiedByClientId": record.modified_by,
    }


def _receipt(record: Record) -> dict[str, Any]:
    return {"instanceId": record.key, "@id": record.reference, **_audit(record)}


def _envelope(record: Record) -> dict[str, Any]:
    """An object as it is read (contract 3.7)."""
    schema = EMULATED[record.word].xcore_schema
    link = {
        "name": f"{schema}#{record.key}",
        "href": f"/{record.scope}/instances/{record.key}",
        "@type": schema,
    }
    return {
        "instanceId": record.key,
        "schemas": [schema],
        "productContexts": ["acp"],
        **_audit(record),
        "_instance": extended(record.document, {"@id": record.reference}),
        "_links": {"self": link},
    }


def _member(record: Record, path: str) -> Any:
    """The value at a dotted path of an envelope, such as ``_instance.xdm:status``."""
    known = _MEMBERS.get(path)
    if known is not None:
        return known(record)
    return paging.dotted({"_instance": msgspec.json.decode(record.document)}, path)


def _matches(shelf: Shelf, request: web.Request) -> list[Record] | None:
    """The records that the query names; None when it does not narrow anything down."""
    query = request.query
    if "id" in query and "name" in query:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "id-and-name", "id and name exclude each other")
    if unknown := query.keys() & _SEARCH_WORDS:
        raise not_emulated(f"search by {', '.join(sorted(unknown))}")
    conditions = paging.parse_conditions(query.getall("property", []))
    found = _looked_up(shelf, query.getall("id", []), query.get("name"))
    if found is None and not conditions:
        return None
    candidates = list(shelf) if found is None else found
    return [record for record in candidates if all(paging.holds(record, one, _member) for one in conditions)]


def _looked_up(shelf: Shelf, references: list[str], name: str | None) -> list[Record] | None:
    if references:
        return [record for reference in set(references) for record in shelf.matching(BY_REFERENCE, reference)]
    if name is None:
        return None
    if not set(name) & {"*", "?"}:
        return shelf.matching(BY_NAME, name)
    pattern = re.compile(re.escape(name).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)
    return [record for record in shelf if pattern.fullmatch(record.name)]


def _terms(query: Mapping[str, str]) -> list[paging.Term]:
    """What to sort by, without the tie breaker that the service adds itself (contract 3.9)."""
    terms = paging.parse_terms(query.get("orderBy") or query.get("orderby") or "")
    return terms[:-1] if terms and str(terms[-1]) == "instanceId" else terms


def _after(cursor: str | None, terms: list[paging.Term]) -> SortKey | None:
    """The sort key of the last record of the page before: ``<value>,…,<instanceId>``, values in JSON."""
    if cursor is None:
        return None
    values_text, _, key = cursor.rpartition(",")
    try:
        values = msgspec.json.decode(f"[{values_text}]", type=list[Any])
        return *(term.rank(value) for term, value in zip(terms, values, strict=True)), key
    except (msgspec.DecodeError, ValueError) as failure:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "bad-cursor", "start does not fit orderby") from failure


def _next_query(query: Iterable[tuple[str, str]], last: Record, terms: list[paging.Term]) -> list[tuple[str, str]]:
    values = (msgspec.json.encode(_member(last, term.path)).decode() for term in terms)
    orderby = ",".join([*map(str, terms), "instanceId"])
    kept = [(name, value) for name, value in query if name.lower() not in ("start", "orderby")]
    return [("start", ",".join([*values, last.key])), ("orderby", orderby), *kept]


def _link(path: str, query: list[tuple[str, str]]) -> dict[str, str]:
    encoded = "&".join(f"{quote(name)}={quote(value, safe=';:/=')}" for name, value in query)
    return {"href": f"{path}?{encoded}", "@type": _RESULTS_TYPE}
