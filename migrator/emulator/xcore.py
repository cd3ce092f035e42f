"""The xcore style: objects in containers, media types that name a schema, HAL lists (contract 3)."""

from __future__ import annotations

import re
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from migrator.emulator import documents, etags, filters, instants, media_types, paging
from migrator.emulator.answers import json_answer
from migrator.emulator.bodies import check_accept, decode, decode_patch, media_type_of, unsupported
from migrator.emulator.containers import HOME, home_document
from migrator.emulator.deletions import Deletions
from migrator.emulator.editing import Editor
from migrator.emulator.entities import ENTITIES, Entity, schema_word
from migrator.emulator.errors import ProblemError, bad_query
from migrator.emulator.gateway import caller_of, lag_of
from migrator.emulator.http import Response, Route
from migrator.emulator.xcore_views import FIXED, HAL, INSTANCE, PATCH, RECEIPT, envelope, link, member, reader, receipt

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from multidict import MultiMapping

    from migrator.emulator.containers import Containers
    from migrator.emulator.http import Request
    from migrator.emulator.library import Library
    from migrator.emulator.observation import Counters
    from migrator.emulator.paging import Page, Term
    from migrator.emulator.settings import EmulatorSettings
    from migrator.emulator.store import Record, Shelf, SortKey

BASE = "/data/core/xcore"
"""What the links of a list are relative to (contract 3.9)."""

_JSON = "application/json"
_READS = frozenset({HAL, _JSON})
_WRITES = frozenset({RECEIPT})
_CREATE_TYPES = frozenset({INSTANCE, HAL})
_REPLACE_TYPES = frozenset({HAL})
_PATCH_TYPES = frozenset({PATCH})
_BY_NAME = "_instance.xdm:name"


class Xcore:
    """The handlers of the xcore style.

    Args:
        library: the objects.
        containers: those that exist.
        settings: how it behaves.
        counters: where tolerated oddities are counted.
    """

    def __init__(
        self, library: Library, containers: Containers, settings: EmulatorSettings, counters: Counters
    ) -> None:
        self._library = library
        self._containers = containers
        self._choices = choices = settings.choices
        self._warnings = counters.warnings
        rules = documents.Rules(documents.XCORE, library.store, choices, counters.warnings, guarded=settings.guardrails)
        self._editor = Editor(library, rules, documents.XCORE, choices)
        self._delete_async = settings.delete_async
        self._deletions = Deletions(library, self._editor)

    def routes(self) -> list[Route]:
        """All routes."""
        return [
            Route("GET", f"{BASE}/", self.home),
            Route("GET", f"{BASE}/{{container}}/instances/{{key}}", self.read),
            Route("PUT", f"{BASE}/{{container}}/instances/{{key}}", self.replace),
            Route("PATCH", f"{BASE}/{{container}}/instances/{{key}}", self.patch),
            Route("DELETE", f"{BASE}/{{container}}/instances/{{key}}", self.delete),
            Route("GET", f"{BASE}/{{container}}/instances", self.search),
            Route("POST", f"{BASE}/{{container}}/instances", self.create),
            Route("GET", f"{BASE}/{{container}}/queries/core/search", self.search),
            Route("GET", f"{BASE}/{{container}}/deletions/{{token}}", self.deletion),
        ]

    def clear(self) -> None:
        """Forget the deletes that wait."""
        self._deletions.clear()

    def home(self, request: Request) -> Response:
        """``GET /``: the containers (contract 3.1)."""
        self._check_accept(request, frozenset({HOME, _JSON}))
        query = request.query
        body = home_document(self._containers, query.getall("product", []), query.getall("property", []))
        return json_answer(HTTPStatus.OK, body, HOME)

    def create(self, request: Request) -> Response:
        """``POST /{container}/instances`` (contract 3.3): the object itself, or wrapped in ``_instance``."""
        container = self._container(request)
        self._check_accept(request, _WRITES)
        entity = self._entity_of_body(request, _CREATE_TYPES)
        document = _unwrapped(decode(request.body))
        record = self._editor.create(entity, container, document, caller_of(request))
        location = {
            "Location": f"{container}/instances/{record.key}",
            "Content-Base": f"http://{request.headers.get('host', '')}{BASE}/",
        }
        return json_answer(int(self._choices.create_status), receipt(record), RECEIPT, location)

    def read(self, request: Request) -> Response:
        """``GET /{container}/instances/{instanceId}`` (contract 3.7). Only here is the sandbox named."""
        record = self._record(request)
        self._check_accept(request, _READS)
        tag = {"ETag": f'"{record.etag}"'}
        if etags.is_known(request, record):
            return Response(HTTPStatus.NOT_MODIFIED, headers=tag)
        shown = envelope(record) | {"sandboxName": self._containers.sandbox_of(record.scope)}
        return json_answer(HTTPStatus.OK, shown, HAL, tag)

    def replace(self, request: Request) -> Response:
        """``PUT /{container}/instances/{instanceId}`` (contract 3.5): the whole object, wrapped."""
        self._container(request)
        self._check_accept(request, _WRITES)
        entity = self._entity_of_body(request, _REPLACE_TYPES)
        document = _unwrapped(decode(request.body))
        record = self._of_entity(request, entity)
        etags.check_match(request, record)
        return json_answer(HTTPStatus.OK, receipt(self._editor.replace(record, document, caller_of(request))), RECEIPT)

    def patch(self, request: Request) -> Response:
        """``PATCH /{container}/instances/{instanceId}`` (contract 3.4)."""
        self._container(request)
        self._check_accept(request, _WRITES)
        entity = self._entity_of_body(request, _PATCH_TYPES)
        reach = self._editor.check(decode_patch(request.body))
        record = self._of_entity(request, entity)
        etags.check_match(request, record)
        return json_answer(HTTPStatus.OK, receipt(self._editor.patch(record, reach, caller_of(request))), RECEIPT)

    def delete(self, request: Request) -> Response:
        """``DELETE /{container}/instances/{instanceId}`` (contract 3.10)."""
        record = self._record(request)
        self._check_accept(request, _WRITES)
        etags.check_match(request, record)
        if not self._delete_async:
            self._editor.delete(record, caller_of(request))
            return Response(HTTPStatus.ACCEPTED)
        token = self._deletions.accept(record, caller_of(request))
        location = {"Location": f"{BASE}/{record.scope}/deletions/{token}"}
        return Response(HTTPStatus.ACCEPTED, headers=location)

    def deletion(self, request: Request) -> Response:
        """What became of a delete: 202 while it waits, then 200 with the outcome (contract 3.10)."""
        self._container(request)
        try:
            outcome = self._deletions.outcome(request.params["token"])
        except KeyError as failure:
            raise ProblemError(HTTPStatus.NOT_FOUND, "unknown-deletion", "there is no such delete") from failure
        if outcome is None:
            return Response(HTTPStatus.ACCEPTED, headers={"Location": request.path})
        return json_answer(HTTPStatus.OK, outcome)

    def search(self, request: Request) -> Response:
        """``GET /{container}/queries/core/search`` and ``GET /{container}/instances`` (contract 3.8, 3.9)."""
        container = self._container(request)
        self._check_accept(request, _READS)
        query = request.query
        entity = _entity(_required_schema(query))
        shelf = self._library.searched(lag_of(request)).shelf("xcore", container, entity.word)
        terms = _terms(query)
        order = paging.order_by(terms, member, FIXED)
        matches = _matches(shelf, query)
        keys = shelf.ordered(order) if matches is None else sorted(map(order.key, matches))
        limit = paging.parse_limit(query, self._choices.largest_page)
        page = paging.cut(shelf, keys, limit, after=_after(query.get("start"), terms))
        return json_answer(HTTPStatus.OK, self._results(request, entity, page, terms), HAL)

    def _check_accept(self, request: Request, offered: frozenset[str]) -> None:
        if self._choices.odd_accept == "strict":
            check_accept(request, offered)

    def _container(self, request: Request) -> str:
        container = request.params["container"]
        if container not in self._containers:
            raise ProblemError(HTTPStatus.NOT_FOUND, "unknown-container", f"there is no container {container}")
        if self._delete_async:
            self._deletions.settle()
        return container

    def _record(self, request: Request) -> Record:
        key = request.params["key"]
        record = self._library.store.find("xcore", self._container(request), key)
        if record is None:
            raise ProblemError(HTTPStatus.NOT_FOUND, "unknown-instance", f"there is no instance {key}")
        return record

    def _of_entity(self, request: Request, entity: Entity) -> Record:
        match = request.params
        record = self._library.store.shelf("xcore", match["container"], entity.word).get(match["key"])
        if record is None:
            record = self._record(request)
            raise unsupported(f"the object is a {record.word}, the schema names a {entity.word}")
        return record

    def _entity_of_body(self, request: Request, accepted: frozenset[str]) -> Entity:
        return _entity_of_type(self._content_type(request), accepted)

    def _content_type(self, request: Request) -> str:
        text = request.headers.get("content-type", "")
        undoubled = media_types.undouble(text)
        if self._choices.doubled_content_type == "strict" or undoubled == text:
            return text
        self._warnings["doubled Content-Type"] += 1
        return undoubled

    def _results(self, request: Request, entity: Entity, page: Page, terms: list[Term]) -> dict[str, Any]:
        path = request.path.removeprefix(BASE)
        score = {"_score": 0} if request.query.keys() & {"id", "name"} else {}
        links = {"self": link(path, request.query.items())}
        if page.after is not None:
            links["next"] = link(path, _next_query(request.query.items(), page.records[-1], terms))
        return {
            "containerId": request.params["container"],
            "schemaNs": entity.xcore_schema,
            "requestTime": instants.micros_z(self._library.now_us()),
            "_embedded": {
                "results": [envelope(record) | score for record in page.records],
                "total": page.total,
                "count": len(page.records),
            },
            "_links": links,
        }


def _unwrapped(body: Any) -> Any:
    """The object in a body: itself, or what ``_instance`` holds (contract 3.3)."""
    return body["_instance"] if isinstance(body, dict) and "_instance" in body else body


def _entity(schema: str) -> Entity:
    entity = ENTITIES.get(schema_word(schema) or "")
    if entity is None:
        raise bad_query(f"there is no schema {schema}")
    return entity


@lru_cache(maxsize=256)
def _entity_of_type(content_type: str, accepted: frozenset[str]) -> Entity:
    """The entity that a content type names by its schema. Clients send the same few over and over."""
    schema = media_type_of(content_type, accepted).parameters.get("schema")
    if schema is None:
        raise unsupported("the Content-Type has no schema parameter")
    entity = ENTITIES.get(schema_word(schema) or "")
    if entity is None:
        raise unsupported(f"schema {schema} is not one of the Offer Library's")
    return entity


def _required_schema(query: Mapping[str, str]) -> str:
    if "schema" not in query:
        raise bad_query("the schema parameter is required")
    return query["schema"]


def _matches(shelf: Shelf, query: MultiMapping[str]) -> list[Record] | None:
    """The records that a query names; None when it does not narrow anything down."""
    conditions = [filters.parse_condition(text, may_negate=False) for text in query.getall("property", [])]
    search = _search(query)
    found = _looked_up(shelf, query, conditions)
    if found is None and not conditions and search is None:
        return None
    candidates = shelf if found is None else found
    return [
        record
        for record, read in ((record, reader(record)) for record in candidates)
        if all(one.holds(read) for one in conditions) and (search is None or search.finds(read, "_instance"))
    ]


def _search(query: MultiMapping[str]) -> filters.Search | None:
    if "q" not in query:
        return None
    return filters.parse_search(query["q"], query.get("qop", "OR"), query.getall("field", []))


def _looked_up(shelf: Shelf, query: MultiMapping[str], conditions: list[filters.Condition]) -> list[Record] | None:
    """What ``id``, ``name`` or a condition on the name finds in an index; None when there is none of these."""
    references, name = query.getall("id", []), query.get("name")
    if references and name is not None:
        raise bad_query("id and name exclude each other")
    if references:
        found = map(shelf.referenced, dict.fromkeys(references))
        return [record for record in found if record is not None]
    if name is not None and set(name) & {"*", "?"}:
        pattern = re.compile(re.escape(name).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)
        return [record for record in shelf if pattern.fullmatch(record.name)]
    names = [name, *(one.exact for one in conditions if one.path == _BY_NAME)]
    return next((shelf.named(exact) for exact in names if exact is not None), None)


def _terms(query: Mapping[str, str]) -> list[Term]:
    """What to sort by, without the tie breaker that the service adds itself (contract 3.9)."""
    terms = paging.parse_terms(query.get("orderBy") or query.get("orderby") or "")
    return terms[:-1] if terms and str(terms[-1]) == "instanceId" else terms


def _after(cursor: str | None, terms: list[Term]) -> SortKey | None:
    """The sort key of the last record of the page before: ``<value>,…,<instanceId>``, values in JSON."""
    if cursor is None:
        return None
    values_text, _, key = cursor.rpartition(",")
    try:
        values = msgspec.json.decode(f"[{values_text}]", type=list[Any])
        return *(term.rank(value) for term, value in zip(terms, values, strict=True)), key
    except (msgspec.DecodeError, ValueError) as failure:
        raise bad_query("start does not fit orderby") from failure


def _next_query(query: Iterable[tuple[str, str]], last: Record, terms: list[Term]) -> list[tuple[str, str]]:
    values = (msgspec.json.encode(member(last, term.path)).decode() for term in terms)
    orderby = ",".join([*map(str, terms), "instanceId"])
    kept = [(name, value) for name, value in query if name.lower() not in ("start", "orderby")]
    return [("start", ",".join([*values, last.key])), ("orderby", orderby), *kept]
