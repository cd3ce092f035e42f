"""Faults in the service itself: what others do to the objects meanwhile, and what the service makes of a document."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import msgspec

from migrator.emulator import foreign
from migrator.emulator.documents import SPELLINGS
from migrator.emulator.gateway import sandbox_of
from migrator.emulator.schemas import SCHEMAS
from migrator.emulator.shapes import Rewriting

if TYPE_CHECKING:
    from collections.abc import Iterable

    from migrator.emulator.entities import Style
    from migrator.emulator.faults.strikes import Proceed, Strike
    from migrator.emulator.http import Response
    from migrator.emulator.library import Library
    from migrator.emulator.store import Record

_SECOND_US = 1_000_000


async def foreign_edit(strike: Strike, proceed: Proceed) -> Response:
    """Let somebody else edit the object just before this write."""
    record = _addressed(strike)
    if record is not None:
        foreign.tweak(strike.world.library, record, strike["member"], strike["value"])
    return await proceed()


async def foreign_delete(strike: Strike, proceed: Proceed) -> Response:
    """Let somebody else delete the object just before this request."""
    record = _addressed(strike)
    if record is not None:
        strike.world.library.delete(record, foreign.FOREIGN)
    return await proceed()


async def twin(strike: Strike, proceed: Proceed) -> Response:
    """Let somebody else create the same object just after this create."""
    response = await proceed()
    library = strike.world.library
    number = strike.request.exchange.number
    effect = next((one for one in reversed(library.effects) if one.request == number), None)
    record = None if effect is None else library.store.find(effect.style, effect.scope, effect.id)
    if record is not None:
        library.copy(record, foreign.FOREIGN)
    return response


async def drop_unknown(strike: Strike, proceed: Proceed) -> Response:
    """Keep a document without some of its members, and say nothing about it (C-22)."""
    pattern = strike["member"]

    def without(document: dict[str, Any], style: Style, word: str) -> Any:
        if pattern is None:
            return SCHEMAS[word].rewrite(document, Rewriting(style, style, drop_unknown=True, respell=False))
        kept = SPELLINGS[style].name
        return {name: value for name, value in document.items() if name == kept or not fnmatchcase(name, pattern)}

    strike.amend(without)
    return await proceed()


async def partial_patch(strike: Strike, proceed: Proceed) -> Response:
    """Let the service fail in the middle of a patch (C-17)."""
    strike.request.exchange.breaks = True
    return await proceed()


async def walk_edit(strike: Strike, proceed: Proceed) -> Response:
    """Answer with a page, and let somebody else write what the walk would reach last, all in one millisecond.

    In the order of modification those objects come first from now on, so that a walk that goes on misses them; as many
    as fill a page leave a cursor that is a time without a way forward (C-20).
    """
    response = await proceed()
    library = strike.world.library
    now_us = library.now_us()
    for record in _unread(library, response, strike["count"]):
        if strike["do"] == "delete":
            library.delete(record, foreign.FOREIGN)
        else:
            foreign.tweak(library, record, None, modified_us=now_us)
    return response


async def search_lag(strike: Strike, proceed: Proceed) -> Response:
    """Answer a list as it was some seconds ago (C-28)."""
    strike.request.exchange.behind_us = round(strike["seconds"] * _SECOND_US)
    return await proceed()


def _addressed(strike: Strike) -> Record | None:
    """The object that a request is about, as it is now."""
    request = strike.request
    container = request.params.get("container")
    store, key = strike.world.library.store, request.params.get("key", "")
    if container is not None:
        return store.find("xcore", container, key)
    return store.find("dps", sandbox_of(request), key)


def _unread(library: Library, page: Response, count: int) -> list[Record]:
    """The objects of a page's kind that are not on it, the longest unmodified first."""
    body = _json(page.body if isinstance(page.body, bytes) else b"")
    if not isinstance(body, dict):
        return []
    entries = body.get("_embedded", body).get("results", [])
    keys = {entry.get("instanceId") or entry.get("id") for entry in entries}
    shown = next((record for record in library.store if record.key in keys), None)
    if shown is None:
        return []
    others = (record for record in library.store if _same_shelf(record, shown) and record.key not in keys)
    return _oldest(others, count)


def _same_shelf(one: Record, other: Record) -> bool:
    return (one.style, one.scope, one.word) == (other.style, other.scope, other.word)


def _oldest(records: Iterable[Record], count: int) -> list[Record]:
    return sorted(records, key=lambda record: (record.modified_us, record.key))[:count]


def _json(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None
