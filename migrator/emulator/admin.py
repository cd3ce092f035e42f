"""``/_emulator/…``: what a rehearsal reads to learn what really happened here. Nothing of this exists at Adobe."""

from __future__ import annotations

import itertools
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from migrator.emulator import instants
from migrator.emulator.answers import json_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from migrator.emulator.library import Library
    from migrator.emulator.observation import Counters, Effect
    from migrator.emulator.store import Record

_LINES_AT_ONCE = 1000
"""Lines written before other requests get their turn."""

_LINES = msgspec.json.Encoder()


class Admin:
    """The handlers of the admin pages.

    Args:
        library: the objects and the effects.
        counters: the counts.
        reset: puts everything back to the start.
    """

    def __init__(self, library: Library, counters: Counters, reset: Callable[[], None]) -> None:
        self._library = library
        self._counters = counters
        self._reset = reset

    def routes(self) -> list[web.RouteDef]:
        """All routes."""
        get = partial(web.get, allow_head=False)
        return [
            get("/_emulator/state", self.state),
            get("/_emulator/effects", self.effects),
            get("/_emulator/objects", self.objects),
            web.post("/_emulator/reset", self.reset),
        ]

    async def state(self, request: web.Request) -> web.Response:  # noqa: ARG002 - aiohttp's signature
        """Counts of objects and requests, as one JSON object."""
        counts = {"objects": self._library.store.counts(), "writes": len(self._library.effects)}
        return json_answer(200, counts | self._counters.state())

    async def effects(self, request: web.Request) -> web.StreamResponse:
        """The writes so far, one JSON object a line."""
        so_far = self._library.effects[:]
        return await _lines(request, map(_effect_line, so_far))

    async def objects(self, request: web.Request) -> web.StreamResponse:
        """The objects, one a line; ``style``, ``type`` and ``container`` (dps: the sandbox) narrow them down."""
        wanted = {
            member: request.query[parameter]
            for parameter, member in (("style", "style"), ("type", "word"), ("container", "scope"))
            if parameter in request.query
        }
        now = list(self._library.store)
        chosen = (one for one in now if all(getattr(one, member) == value for member, value in wanted.items()))
        return await _lines(request, map(_object_line, chosen))

    async def reset(self, request: web.Request) -> web.Response:  # noqa: ARG002 - aiohttp's signature
        """Forget all writes and counts, and put the seeds back. Tokens stay valid."""
        self._reset()
        return web.Response(status=204)


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
        "request_id": effect.request_id,
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


async def _lines(request: web.Request, lines: Iterable[dict[str, Any]]) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    await response.prepare(request)
    remaining = iter(lines)
    while chunk := list(itertools.islice(remaining, _LINES_AT_ONCE)):
        await response.write(_LINES.encode_lines(chunk))
    await response.write_eof()
    return response
