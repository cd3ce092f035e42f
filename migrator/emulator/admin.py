"""``/_emulator/…``: what a rehearsal reads to learn what really happened here, and how it meddles while it runs.

Nothing of this exists at Adobe, and no fault strikes it.

=======  ========================  ===================================================================================
GET      /_emulator/state          counts of objects, requests, writes, tokens, warnings, violations, faults
GET      /_emulator/requests       the requests that are over, one a line; ``last=N`` for the newest N
GET      /_emulator/effects        the writes, one a line, in order
GET      /_emulator/repeats        request ids that had more than one effect, and how many
GET      /_emulator/objects        the objects, one a line; ``style``, ``type``, ``container`` narrow them down
GET      /_emulator/faults         the rules of misbehaviour in force, with what they struck
POST     /_emulator/faults         add rules: a text, a table (``{"kind": …}``) or a list of either
DELETE   /_emulator/faults         remove all rules; ``/_emulator/faults/{id}`` removes one
POST     /_emulator/edit           change an object as somebody else would: ``style``, ``container``, ``id``, ``patch``
GET      /_emulator/snapshot       all objects, in the format of `migrator.emulator.snapshot`
PUT      /_emulator/snapshot       begin a new story with the objects of a snapshot
GET      /_emulator/openapi.json   what the server offers, as an OpenAPI 3.1 document
POST     /_emulator/reset          begin a new story with the seeds
=======  ========================  ===================================================================================
"""

from __future__ import annotations

import itertools
import math
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from migrator.emulator import instants
from migrator.emulator.answers import json_answer
from migrator.emulator.entities import Style
from migrator.emulator.errors import RefusalError
from migrator.emulator.faults import FaultRule
from migrator.emulator.http import Response, Route
from migrator.emulator.observation import repeats

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from migrator.emulator.app import Emulator
    from migrator.emulator.http import Request
    from migrator.emulator.observation import Effect, Exchange
    from migrator.emulator.store import Record

_LINES_AT_ONCE = 1000
"""Lines written before other requests get their turn."""

_LINES = msgspec.json.Encoder()


class _Edit(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a foreign edit."""

    style: Style
    container: str
    id: str
    patch: list[dict[str, Any]]


class Admin:
    """The handlers of the admin pages.

    Args:
        server: what they are about.
    """

    def __init__(self, server: Emulator) -> None:
        self._server = server

    def routes(self) -> list[Route]:
        """All routes."""
        return [
            Route("GET", "/_emulator/state", self.state),
            Route("GET", "/_emulator/requests", self.requests),
            Route("GET", "/_emulator/effects", self.effects),
            Route("GET", "/_emulator/repeats", self.repeats),
            Route("GET", "/_emulator/objects", self.objects),
            Route("GET", "/_emulator/faults", self.faults),
            Route("POST", "/_emulator/faults", self.add_faults),
            Route("DELETE", "/_emulator/faults", self.clear_faults),
            Route("DELETE", "/_emulator/faults/{id}", self.remove_fault),
            Route("POST", "/_emulator/edit", self.edit),
            Route("GET", "/_emulator/snapshot", self.snapshot),
            Route("PUT", "/_emulator/snapshot", self.load, largest_body=math.inf),
            Route("GET", "/_emulator/openapi.json", self.openapi),
            Route("POST", "/_emulator/reset", self.reset),
        ]

    def state(self, _: Request) -> Response:
        """Counts of objects and requests, as one JSON object."""
        return json_answer(HTTPStatus.OK, self._server.state())

    def requests(self, request: Request) -> Response:
        """The requests that are over, one JSON object a line; ``last`` says how many of the newest."""
        so_far = self._server.requests
        last = request.query.get("last", "")
        chosen = so_far[-int(last) or len(so_far) :] if last.isdecimal() else so_far
        return _lines(map(_exchange_line, chosen))

    def effects(self, _: Request) -> Response:
        """The writes so far, one JSON object a line."""
        so_far = self._server.effects[:]
        return _lines(map(_effect_line, so_far))

    def repeats(self, _: Request) -> Response:
        """Number of effects by request id, for those ids that had more than one."""
        return json_answer(HTTPStatus.OK, repeats(self._server.effects))

    def objects(self, request: Request) -> Response:
        """The objects, one a line; ``style``, ``type`` and ``container`` (dps: the sandbox) narrow them down."""
        wanted = {
            member: request.query[parameter]
            for parameter, member in (("style", "style"), ("type", "word"), ("container", "scope"))
            if parameter in request.query
        }
        now = list(self._server.store)
        chosen = (one for one in now if all(getattr(one, member) == value for member, value in wanted.items()))
        return _lines(map(_object_line, chosen))

    def faults(self, _: Request) -> Response:
        """The rules in force, as one JSON array."""
        return json_answer(HTTPStatus.OK, [fault.state() for fault in self._server.faults])

    def add_faults(self, request: Request) -> Response:
        """Put rules in force: all of them, or none when one is wrong."""
        try:
            given = msgspec.json.decode(request.body, type=str | dict[str, Any] | list[str | dict[str, Any]])
            rules = [_rule(one) for one in (given if isinstance(given, list) else [given])]
        except (msgspec.DecodeError, ValueError) as failure:
            return _wrong(str(failure))
        added = [self._server.add_fault(rule) for rule in rules]
        return json_answer(HTTPStatus.CREATED, [fault.state() for fault in added])

    def clear_faults(self, _: Request) -> Response:
        """Take all rules out of force."""
        self._server.faults.clear()
        return Response(HTTPStatus.NO_CONTENT)

    def remove_fault(self, request: Request) -> Response:
        """Take one rule out of force."""
        number = request.params["id"]
        found = number.isdecimal() and self._server.remove_fault(int(number))
        return Response(HTTPStatus.NO_CONTENT if found else HTTPStatus.NOT_FOUND)

    def edit(self, request: Request) -> Response:
        """Change an object as somebody else would, and answer with the effect."""
        try:
            wanted = msgspec.json.decode(request.body, type=_Edit)
            effect = self._server.edit(wanted.style, wanted.container, wanted.id, wanted.patch)
        except (msgspec.DecodeError, UnicodeDecodeError) as failure:
            return _wrong(str(failure))
        except RefusalError as refusal:
            return _wrong(str(refusal), refusal.status)
        return json_answer(HTTPStatus.OK, _effect_line(effect))

    def snapshot(self, _: Request) -> Response:
        """All objects, one a line."""
        return _lines(self._server.snapshot())

    def load(self, request: Request) -> Response:
        """Take the objects of a snapshot in the place of everything; nothing changes when a line is wrong."""
        errors = self._server.load(request.body.split(b"\n"))
        if errors:
            return json_answer(HTTPStatus.UNPROCESSABLE_ENTITY, {"errors": [error._asdict() for error in errors]})
        return Response(HTTPStatus.NO_CONTENT)

    def openapi(self, _: Request) -> Response:
        """What the server offers, as an OpenAPI 3.1 document."""
        return json_answer(HTTPStatus.OK, self._server.openapi())

    def reset(self, _: Request) -> Response:
        """Forget all writes and counts, and put the seeds and the rules of the start back. Tokens stay valid."""
        self._server.reset()
        return Response(HTTPStatus.NO_CONTENT)


def _rule(given: str | dict[str, Any]) -> FaultRule:
    return FaultRule.parse(given) if isinstance(given, str) else FaultRule.of(given)


def _wrong(text: str, status: int = HTTPStatus.BAD_REQUEST) -> Response:
    return json_answer(status, {"error": text})


def _effect_line(effect: Effect) -> dict[str, Any]:
    return {
        "seq": effect.seq,
        "time": instants.micros_z(effect.time_us),
        "style": effect.style,
        "method": effect.method,
        "container": effect.scope,
        "type": effect.type,
        "id": effect.id,
        "etag": effect.etag,
        "etag_before": effect.etag_before,
        "api_key": effect.api_key,
        "request_id": effect.request_id,
        "request": effect.request,
    }


def _exchange_line(exchange: Exchange) -> dict[str, Any]:
    return {
        "number": exchange.number,
        "arrived": instants.micros_z(exchange.arrived_us),
        "answered": instants.micros_z(exchange.answered_us or exchange.arrived_us),
        "method": exchange.method,
        "path": exchange.path,
        "style": exchange.style,
        "status": exchange.status,
        "api_key": exchange.api_key,
        "request_id": exchange.request_id,
        "faults": exchange.faults,
    }


def _object_line(record: Record) -> dict[str, Any]:
    return {
        "style": record.style,
        "type": record.word,
        "id": record.key,
        "reference": record.reference,
        "container": record.scope,
        "etag": record.etag,
        "name": record.name,
        "document": msgspec.Raw(record.document),
    }


def _lines(lines: Iterable[Any]) -> Response:
    return Response(body=_encoded(iter(lines)), content_type="application/x-ndjson")


def _encoded(lines: Iterator[Any]) -> Iterator[bytes]:
    while chunk := list(itertools.islice(lines, _LINES_AT_ONCE)):
        yield _LINES.encode_lines(chunk)
