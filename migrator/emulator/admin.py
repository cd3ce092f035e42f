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
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from migrator.emulator import instants
from migrator.emulator.answers import json_answer
from migrator.emulator.entities import Style
from migrator.emulator.errors import RefusalError
from migrator.emulator.faults import FaultRule
from migrator.emulator.observation import repeats

if TYPE_CHECKING:
    from collections.abc import Iterable

    from migrator.emulator.app import Emulator
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

    def routes(self) -> list[web.RouteDef]:
        """All routes."""
        get = partial(web.get, allow_head=False)
        return [
            get("/_emulator/state", self.state),
            get("/_emulator/requests", self.requests),
            get("/_emulator/effects", self.effects),
            get("/_emulator/repeats", self.repeats),
            get("/_emulator/objects", self.objects),
            get("/_emulator/faults", self.faults),
            web.post("/_emulator/faults", self.add_faults),
            web.delete("/_emulator/faults", self.clear_faults),
            web.delete(r"/_emulator/faults/{id:\d+}", self.remove_fault),
            web.post("/_emulator/edit", self.edit),
            get("/_emulator/snapshot", self.snapshot),
            web.put("/_emulator/snapshot", self.load),
            get("/_emulator/openapi.json", self.openapi),
            web.post("/_emulator/reset", self.reset),
        ]

    async def state(self, request: web.Request) -> web.Response:  # noqa: ARG002 - aiohttp's signature
        """Counts of objects and requests, as one JSON object."""
        return json_answer(HTTPStatus.OK, self._server.state())

    async def requests(self, request: web.Request) -> web.StreamResponse:
        """The requests that are over, one JSON object a line; ``last`` says how many of the newest."""
        so_far = self._server.requests
        last = request.query.get("last", "")
        chosen = so_far[-int(last) or len(so_far) :] if last.isdecimal() else so_far
        return await _lines(request, map(_exchange_line, chosen))

    async def effects(self, request: web.Request) -> web.StreamResponse:
        """The writes so far, one JSON object a line."""
        so_far = self._server.effects[:]
        return await _lines(request, map(_effect_line, so_far))

    async def repeats(self, request: web.Request) -> web.Response:  # noqa: ARG002 - aiohttp's signature
        """Number of effects by request id, for those ids that had more than one."""
        return json_answer(HTTPStatus.OK, repeats(self._server.effects))

    async def objects(self, request: web.Request) -> web.StreamResponse:
        """The objects, one a line; ``style``, ``type`` and ``container`` (dps: the sandbox) narrow them down."""
        wanted = {
            member: request.query[parameter]
            for parameter, member in (("style", "style"), ("type", "word"), ("container", "scope"))
            if parameter in request.query
        }
        now = list(self._server.store)
        chosen = (one for one in now if all(getattr(one, member) == value for member, value in wanted.items()))
        return await _lines(request, map(_object_line, chosen))

    async def faults(self, request: web.Request) -> web.Response:  # noqa: ARG002 - aiohttp's signature
        """The rules in force, as one JSON array."""
        return json_answer(HTTPStatus.OK, [fault.state() for fault in self._server.faults])

    async def add_faults(self, request: web.Request) -> web.Response:
        """Put rules in force: all of them, or none when one is wrong."""
        try:
            given = msgspec.json.decode(await request.read(), type=str | dict[str, Any] | list[str | dict[str, Any]])
            rules = [_rule(one) for one in (given if isinstance(given, list) else [given])]
        except (msgspec.DecodeError, ValueError) as failure:
            return _wrong(str(failure))
        added = [self._server.add_fault(rule) for rule in rules]
        return json_answer(HTTPStatus.CREATED, [fault.state() for fault in added])

    async def clear_faults(self, request: web.Request) -> web.Response:  # noqa: ARG002 - aiohttp's signature
        """Take all rules out of force."""
        self._server.faults.clear()
        return web.Response(status=HTTPStatus.NO_CONTENT)

    async def remove_fault(self, request: web.Request) -> web.Response:
        """Take one rule out of force."""
        found = self._server.remove_fault(int(request.match_info["id"]))
        return web.Response(status=HTTPStatus.NO_CONTENT if found else HTTPStatus.NOT_FOUND)

    async def edit(self, request: web.Request) -> web.Response:
        """Change an object as somebody else would, and answer with the effect."""
        try:
            wanted = msgspec.json.decode(await request.read(), type=_Edit)
            effect = self._server.edit(wanted.style, wanted.container, wanted.id, wanted.patch)
        except (msgspec.DecodeError, UnicodeDecodeError) as failure:
            return _wrong(str(failure))
        except RefusalError as refusal:
            return _wrong(str(refusal), refusal.status)
        return json_answer(HTTPStatus.OK, _effect_line(effect))

    async def snapshot(self, request: web.Request) -> web.StreamResponse:
        """All objects, one a line."""
        return await _lines(request, self._server.snapshot())

    async def load(self, request: web.Request) -> web.Response:
        """Take the objects of a snapshot in the place of everything; nothing changes when a line is wrong."""
        lines = b"".join([chunk async for chunk in request.content.iter_any()]).split(b"\n")
        errors = self._server.load(lines)
        if errors:
            return json_answer(HTTPStatus.UNPROCESSABLE_ENTITY, {"errors": [error._asdict() for error in errors]})
        return web.Response(status=HTTPStatus.NO_CONTENT)

    async def openapi(self, request: web.Request) -> web.Response:  # noqa: ARG002 - aiohttp's signature
        """What the server offers, as an OpenAPI 3.1 document."""
        return json_answer(HTTPStatus.OK, self._server.openapi())

    async def reset(self, request: web.Request) -> web.Response:  # noqa: ARG002 - aiohttp's signature
        """Forget all writes and counts, and put the seeds and the rules of the start back. Tokens stay valid."""
        self._server.reset()
        return web.Response(status=HTTPStatus.NO_CONTENT)


def _rule(given: str | dict[str, Any]) -> FaultRule:
    return FaultRule.parse(given) if isinstance(given, str) else FaultRule.of(given)


def _wrong(text: str, status: int = HTTPStatus.BAD_REQUEST) -> web.Response:
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


async def _lines(request: web.Request, lines: Iterable[Any]) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    await response.prepare(request)
    remaining = iter(lines)
    while chunk := list(itertools.islice(remaining, _LINES_AT_ONCE)):
        await response.write(_LINES.encode_lines(chunk))
    await response.write_eof()
    return response
