"""The dps style: objects in sandboxes, plain JSON, flat lists (contract 4)."""

from __future__ import annotations

import uuid
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec
from aiohttp import web

from migrator.emulator import documents, instants, paging, patching
from migrator.emulator.answers import extended, json_answer
from migrator.emulator.bodies import media_type_of, read_json
from migrator.emulator.entities import EMULATED, FALLBACK_OFFER, PERSONALIZED_OFFER, Entity
from migrator.emulator.errors import ProblemError, not_emulated
from migrator.emulator.gateway import caller_of, sandbox_of
from migrator.emulator.store import BY_NAME

if TYPE_CHECKING:
    from collections.abc import Callable

    from multidict import MultiMapping

    from migrator.emulator.library import Library
    from migrator.emulator.observation import Counters
    from migrator.emulator.paging import Page, Rank, Term
    from migrator.emulator.store import Record, Shelf

_OFFER_TYPES = {"personalized": PERSONALIZED_OFFER, "fallback": FALLBACK_OFFER}
_OTHER_RESOURCES = ("placements", "offer-rules", "tags", "offer-collections", "offer-decisions")
_JSON = "application/json"
_JSON_PATCH = "application/json-patch+json"
_PATCH_OPERATIONS = frozenset({"add", "replace", "remove", "copy", "test"})
_DEFAULT_ORDER = "-modified"

_MEMBERS: dict[str, Callable[[Record], Any]] = {
    "id": lambda record: record.key,
    "etag": lambda record: record.etag,
    "name": lambda record: record.name,
    "created": lambda record: record.created_us // 1000,
    "modified": lambda record: record.modified_us // 1000,
}
"""What can be read of a record without decoding its document. Dates are in milliseconds, as exact as dps shows them."""

_DATES = frozenset({"created", "modified"})


class Dps:
    """The handlers of the dps style.

    Args:
        library: the objects.
        counters: where tolerated oddities are counted.
    """

    def __init__(self, library: Library, counters: Counters) -> None:
        self._library = library
        self._warnings = counters.warnings

    def routes(self) -> list[web.RouteDef]:
        """All routes, below ``/data/core``."""
        get = partial(web.get, allow_head=False)
        others = (f"/dps/{resource}{{rest:(/.*)?}}" for resource in _OTHER_RESOURCES)
        return [
            web.post("/dps/offers", self.create),
            get("/dps/offers", self.search),
            get("/dps/offers/{key}", self.read),
            web.patch("/dps/offers/{key}", self.patch),
            web.delete("/dps/offers/{key}", self.delete),
            *(web.route("*", path, self.refuse) for path in others),
        ]

    async def create(self, request: web.Request) -> web.Response:
        """``POST /offers?offer-type=`` (contract 4.3): the object itself."""
        entity = _entity(request)
        media_type_of(request.headers.get("Content-Type", ""), frozenset({_JSON}))
        name, encoded = documents.accept(await read_json(request), documents.DPS)
        sandbox = sandbox_of(request)
        record = self._library.create("dps", sandbox, entity, name, encoded, caller_of(request))
        return json_answer(HTTPStatus.CREATED, _receipt(record))

    async def read(self, request: web.Request) -> web.Response:
        """``GET /offers/{id}?offer-type=`` (contract 4.5)."""
        return json_answer(HTTPStatus.OK, _object(self._record(request)))

    async def patch(self, request: web.Request) -> web.Response:
        """``PATCH /offers/{id}?offer-type=`` (contract 4.4)."""
        _entity(request)
        self._check_patch_type(request)
        patch = patching.check(await read_json(request), _PATCH_OPERATIONS)
        documents.check_pointers(patching.pointers(patch), documents.DPS)
        record = self._record(request)
        if patch:
            result = patching.apply(msgspec.json.decode(record.document), patch)
            name, encoded = documents.accept(result, documents.DPS)
            record = self._library.update(record, name, encoded, caller_of(request))
        return json_answer(HTTPStatus.OK, _receipt(record))

    async def delete(self, request: web.Request) -> web.Response:
        """``DELETE /offers/{id}?offer-type=`` (contract 4.7)."""
        self._library.delete(self._record(request), caller_of(request))
        return web.Response(status=HTTPStatus.OK)

    async def search(self, request: web.Request) -> web.Response:
        """``GET /offers?offer-type=`` (contract 4.6)."""
        shelf = self._shelf(request)
        query = request.query
        terms = paging.parse_terms(query.get("orderBy") or query.get("orderby") or _DEFAULT_ORDER)
        order = paging.order_by(terms, _member)
        matches = _matches(shelf, query.getall("property", []))
        keys = shelf.ordered(order) if matches is None else sorted(map(order.key, matches))
        limit = paging.parse_limit(query)
        page = paging.cut(shelf, keys, limit, since=_since(query.get("start"), terms))
        body = {
            "results": [_object(record) for record in page.records],
            "count": len(page.records),
            "total": page.total,
            "_links": _links(request, page, terms, limit),
        }
        return json_answer(HTTPStatus.OK, body)

    async def refuse(self, request: web.Request) -> web.Response:
        """Everything about the entities that are not emulated."""
        raise not_emulated(request.path)

    def _shelf(self, request: web.Request) -> Shelf:
        return self._library.store.shelf("dps", sandbox_of(request), _entity(request).word)

    def _record(self, request: web.Request) -> Record:
        key = request.match_info["key"]
        record = self._shelf(request).get(key)
        if record is None:
            raise ProblemError(HTTPStatus.NOT_FOUND, "unknown-offer", f"there is no such offer as {key}")
        return record

    def _check_patch_type(self, request: web.Request) -> None:
        accepted = frozenset({_JSON, _JSON_PATCH})
        media_type = media_type_of(request.headers.get("Content-Type", ""), accepted)
        if media_type.essence == _JSON_PATCH:
            self._warnings["dps PATCH as application/json-patch+json"] += 1


def _entity(request: web.Request) -> Entity:
    """The entity that ``offer-type`` names, in whatever case (contract 4.1, C-13)."""
    entity = _OFFER_TYPES.get(request.query.get("offer-type", "").lower())
    if entity is None:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "bad-offer-type", "offer-type is personalized or fallback")
    return entity


def _receipt(record: Record) -> dict[str, Any]:
    return {
        "etag": record.etag,
        "id": record.key,
        "sandboxId": str(uuid.uuid5(uuid.NAMESPACE_URL, f"urn:offer-emulator:sandbox:{record.scope}")),
        "createdBy": record.created_by,
        "lastModifiedBy": record.modified_by,
        "createdDate": instants.millis_z(record.created_us),
        "lastModifiedDate": instants.millis_z(record.modified_us),
        "createdByClientId": record.created_by,
        "lastModifiedByClientId": record.modified_by,
    }


def _object(record: Record) -> msgspec.Raw:
    """An object as it is read (contract 4.5): its own members and those of the service, side by side."""
    members = {
        "created": instants.millis_offset(record.created_us),
        "modified": instants.millis_offset(record.modified_us),
        "etag": record.etag,
        "schemas": [EMULATED[record.word].dps_schema],
        "createdBy": record.created_by,
        "lastModifiedBy": record.modified_by,
        "id": record.key,
    }
    return extended(record.document, members)


def _member(record: Record, path: str) -> Any:
    """The value at a dotted path of an object, such as ``rank.priority``."""
    known = _MEMBERS.get(path)
    return known(record) if known else paging.dotted(msgspec.json.decode(record.document), path)


def _matches(shelf: Shelf, properties: list[str]) -> list[Record] | None:
    """The records that meet all conditions; None when there are none to meet."""
    conditions = paging.parse_conditions([text for joined in properties for text in joined.split(",")])
    if not conditions:
        return None
    names = [value for path, value in conditions if path == "name"]
    candidates = shelf.matching(BY_NAME, names[0]) if names else list(shelf)
    return [record for record in candidates if all(paging.holds(record, one, _member) for one in conditions)]


def _since(cursor: str | None, terms: list[Term]) -> tuple[Rank] | None:
    """Where a page begins: the first sort value of its first entry, without a tie breaker (C-20)."""
    if cursor is None:
        return None
    try:
        return (terms[0].rank(_parse_cursor(cursor, terms[0].path)),)
    except ValueError as failure:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "bad-cursor", "start does not fit orderby") from failure


def _parse_cursor(cursor: str, path: str) -> Any:
    if path in _DATES:
        return instants.parse(cursor) // 1000
    return cursor if path == "id" else msgspec.json.decode(cursor)


def _cursor(record: Record, path: str) -> str:
    value = _member(record, path)
    if path in _DATES:
        return instants.millis_z(value * 1000)
    return record.key if path == "id" else msgspec.json.encode(value).decode()


def _links(request: web.Request, page: Page, terms: list[Term], limit: int) -> dict[str, dict[str, str]]:
    orderby = ",".join(map(str, terms))
    around = {"next": page.after, "prev": page.before}
    starts = {"self": request.query.get("start")} | {
        rel: _cursor(record, terms[0].path) for rel, record in around.items() if record is not None
    }
    return {rel: _link(request.query, orderby, limit, start) for rel, start in starts.items()}


def _link(query: MultiMapping[str], orderby: str, limit: int, start: str | None) -> dict[str, str]:
    """A link relative to the base of dps, with the parameters in the order of Adobe's samples (contract 4.6)."""
    parameters = [("orderby", orderby), ("limit", str(limit))]
    parameters += [("start", start)] if start is not None else []
    parameters += [("property", text) for text in query.getall("property", [])]
    parameters += [("offer-type", query["offer-type"].upper())]
    encoded = "&".join(f"{name}={quote(value, safe=':,')}" for name, value in parameters)
    return {"href": f"/offers?{encoded}", "type": _JSON}
