"""The dps style: objects in sandboxes, plain JSON, flat lists (contract 4)."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

from migrator.emulator import documents, etags, filters, paging
from migrator.emulator.answers import json_answer
from migrator.emulator.bodies import check_accept, decode, decode_patch, media_type_of
from migrator.emulator.dps_cursors import CURSORS
from migrator.emulator.dps_views import FIXED, JSON, link, member, reader, receipt, shown, spell_date
from migrator.emulator.editing import Editor
from migrator.emulator.entities import OFFER_TYPES, PERSONALIZED_OFFER, RESOURCES, RULE, Entity
from migrator.emulator.errors import ProblemError
from migrator.emulator.gateway import caller_of, lag_of, sandbox_of
from migrator.emulator.http import Response, Route

if TYPE_CHECKING:
    from collections.abc import Iterator

    from multidict import MultiMapping

    from migrator.emulator.http import Request
    from migrator.emulator.library import Library
    from migrator.emulator.observation import Counters
    from migrator.emulator.paging import Page, Term
    from migrator.emulator.settings import EmulatorSettings
    from migrator.emulator.store import Record, Shelf

_JSON_PATCH = "application/json-patch+json"
_DEFAULT_ORDER = paging.parse_terms("-modified")
_ANSWERS = frozenset({JSON})


class Dps:
    """The handlers of one resource of the dps style.

    Args:
        resource: its path, such as ``placements``.
        library: the objects.
        settings: how it behaves.
        counters: where tolerated oddities are counted.
    """

    def __init__(self, resource: str, library: Library, settings: EmulatorSettings, counters: Counters) -> None:
        self._resource = resource
        self._library = library
        self._choices = choices = settings.choices
        self._warnings = counters.warnings
        rules = documents.Rules(documents.DPS, library.store, choices, counters.warnings, guarded=settings.guardrails)
        self._editor = Editor(library, rules, documents.DPS, choices)
        self._patch_types = frozenset({JSON, _JSON_PATCH} if choices.json_patch_type == "accept" else {JSON})
        self._cursors = CURSORS[choices.dps_cursor]
        self._spell = spell_date(choices.date_spelling)

    def routes(self) -> list[Route]:
        """All routes."""
        path = f"/data/core/dps/{self._resource}"
        routes = [
            Route("GET", f"{path}/{{key}}", self.read),
            Route("PATCH", f"{path}/{{key}}", self.patch),
            Route("DELETE", f"{path}/{{key}}", self.delete),
        ]
        if self._resource == RULE.resource:
            routes.append(Route("PUT", f"{path}/{{key}}", self.replace))
        return [*routes, Route("GET", path, self.search), Route("POST", path, self.create)]

    def create(self, request: Request) -> Response:
        """``POST /{resource}`` (contract 4.3): the object itself."""
        entity = self._entity(request)
        media_type_of(request.headers.get("content-type", ""), frozenset({JSON}))
        record = self._editor.create(entity, sandbox_of(request), decode(request.body), caller_of(request))
        return json_answer(int(self._choices.create_status), receipt(record))

    def read(self, request: Request) -> Response:
        """``GET /{resource}/{id}`` (contract 4.5)."""
        return json_answer(HTTPStatus.OK, shown(self._record(request, self._entity(request)), self._spell))

    def replace(self, request: Request) -> Response:
        """``PUT /offer-rules/{id}`` with a whole object, which one page speaks of (contract 4.1)."""
        entity = self._entity(request)
        media_type_of(request.headers.get("content-type", ""), frozenset({JSON}))
        document = decode(request.body)
        record = self._guarded(request, entity)
        return json_answer(HTTPStatus.OK, receipt(self._editor.replace(record, document, caller_of(request))))

    def patch(self, request: Request) -> Response:
        """``PATCH /{resource}/{id}`` (contract 4.4)."""
        entity = self._entity(request)
        self._check_patch_type(request)
        reach = self._editor.check(decode_patch(request.body))
        record = self._guarded(request, entity)
        return json_answer(HTTPStatus.OK, receipt(self._editor.patch(record, reach, caller_of(request))))

    def delete(self, request: Request) -> Response:
        """``DELETE /{resource}/{id}`` (contract 4.7)."""
        self._editor.delete(self._guarded(request, self._entity(request)), caller_of(request))
        return Response(HTTPStatus.OK)

    def search(self, request: Request) -> Response:
        """``GET /{resource}`` (contract 4.6)."""
        entity = self._entity(request)
        query = request.query
        shelf = self._library.searched(lag_of(request)).shelf("dps", sandbox_of(request), entity.word)
        terms = paging.parse_terms(query.get("orderBy") or query.get("orderby") or "") or _DEFAULT_ORDER
        order = paging.order_by(terms, member, FIXED)
        matches = _matches(shelf, query)
        keys = shelf.ordered(order) if matches is None else sorted(map(order.key, matches))
        limit = paging.parse_limit(query, self._choices.largest_page)
        page = paging.cut(shelf, keys, limit, **self._cursors.begin(query.get("start"), terms))
        body = {
            "results": [shown(record, self._spell) for record in page.records],
            "count": len(page.records),
            "total": page.total,
            "_links": self._links(entity, query, page, terms, limit),
        }
        return json_answer(HTTPStatus.OK, body)

    def _entity(self, request: Request) -> Entity:
        """The entity that the resource and ``offer-type``, in whatever case, name (contract 4.1, C-13)."""
        if self._choices.odd_accept == "strict":
            check_accept(request, _ANSWERS)
        entity = RESOURCES.get(self._resource) or OFFER_TYPES.get(_offer_type(request))
        if entity is None and self._choices.offer_type == "default-personalized":
            return PERSONALIZED_OFFER
        if entity is None:
            raise ProblemError(HTTPStatus.BAD_REQUEST, "bad-offer-type", "offer-type is personalized or fallback")
        return entity

    def _record(self, request: Request, entity: Entity) -> Record:
        key = request.params["key"]
        record = self._library.store.shelf("dps", sandbox_of(request), entity.word).get(key)
        if record is None:
            detail = f"there is no such {entity.noun} as {key}"
            raise ProblemError(HTTPStatus.NOT_FOUND, "unknown-object", detail)
        return record

    def _guarded(self, request: Request, entity: Entity) -> Record:
        """The record of a write, held against ``If-Match`` where dps looks at it (C-08)."""
        record = self._record(request, entity)
        if self._choices.if_match.startswith("dps"):
            etags.check_match(request, record, int(self._choices.if_match.removeprefix("dps-")))
        return record

    def _check_patch_type(self, request: Request) -> None:
        media_type = media_type_of(request.headers.get("content-type", ""), self._patch_types)
        if media_type.essence == _JSON_PATCH:
            self._warnings["dps PATCH as application/json-patch+json"] += 1

    def _links(
        self, entity: Entity, query: MultiMapping[str], page: Page, terms: list[Term], limit: int
    ) -> dict[str, dict[str, str]]:
        """Links with their parameters in the order of Adobe's samples (contract 4.6)."""
        starts = {"self": query.get("start")} | self._cursors.around(page, terms)
        head = [("orderby", ",".join(map(str, terms))), ("limit", str(limit))]
        tail = [("property", text) for text in query.getall("property", [])]
        tail += [("offer-type", entity.offer_type.upper())] if entity.offer_type else []
        return {
            rel: link(entity.resource, [*head, *([] if start is None else [("start", start)]), *tail])
            for rel, start in starts.items()
        }


def _offer_type(request: Request) -> str:
    """The ``offer-type`` of a request, in lower case."""
    return request.query.get("offer-type", "").lower()


def _matches(shelf: Shelf, query: MultiMapping[str]) -> list[Record] | None:
    """The records that meet all conditions; None when there are none to meet."""
    conditions = list(_conditions(query))
    if not conditions:
        return None
    names = (one.exact for one in conditions if one.path == "name")
    candidates = next((shelf.named(name) for name in names if name is not None), shelf)
    return [record for record in candidates if all(map(partial(_meets, record), conditions))]


def _conditions(query: MultiMapping[str]) -> Iterator[filters.Condition]:
    for joined in query.getall("property", []):
        for text in joined.split(","):
            yield filters.parse_condition(text, may_negate=True)


def _meets(record: Record, condition: filters.Condition) -> bool:
    return condition.holds(reader(record))
