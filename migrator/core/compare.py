"""When two JSON values are the same to the service, and when a document shows what was written into it.

The service gives back what it was given in its own spelling: it adds defaults, reorders members, writes dates its own
way (contract 4.5, C-22, C-29). So what is read back is compared by meaning. What a document was *before* a change is
compared to the letter: there both sides are the service's own words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from msgspec import UNSET, Struct, UnsetType

from migrator.core.model import Json
from migrator.core.pointers import pointer_to

_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d")


def same(one: Json, other: Json) -> bool:
    """Whether two values are the same JSON (RFC 6902, 4.6): numbers by value, members in any order."""
    if isinstance(one, dict):
        return (
            isinstance(other, dict) and one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
        )
    if isinstance(one, list):
        return isinstance(other, list) and len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, bool) or isinstance(other, bool):  # which Python takes for numbers
        return one is other
    return bool(one == other)


def same_place(one: Json | UnsetType, other: Json | UnsetType) -> bool:
    """Whether the same stands at a place, or both times nothing."""
    if one is UNSET or other is UNSET:
        return one is other
    return same(one, other)


class Unlike(Struct, frozen=True):
    """A place at which a value is not what a service makes of what was written.

    Attributes:
        path: JSON Pointer from the value on, "" for the value itself.
        actual: what is there, `UNSET` for nothing.
        written: what was sent, `UNSET` for nothing.
    """

    path: str
    actual: Json | UnsetType
    written: Json | UnsetType


def shows(actual: Json | UnsetType, written: Json | UnsetType, before: Json | UnsetType = UNSET) -> bool:
    """Whether `actual` is what a service makes of `written`: objects may have more members, dates be spelled anew.

    Args:
        actual: what is there.
        written: what was sent.
        before: what was there before. A member that it has anywhere is none that the service adds by itself: where it
            is too many, it has not been taken away.
    """
    return next(unlike(actual, written, before), None) is None


def unlike(actual: Json | UnsetType, written: Json | UnsetType, before: Json | UnsetType = UNSET) -> Iterator[Unlike]:
    """Yield the innermost places at which `actual` is not what a service makes of `written`; see `shows`."""
    return _unlike("", actual, written, frozenset(_names_in(before)))


def _unlike(path: str, actual: Json | UnsetType, written: Json | UnsetType, known: frozenset[str]) -> Iterator[Unlike]:
    if isinstance(actual, dict) and isinstance(written, dict):
        surplus = (name for name in actual if name in known and name not in written)
        for name in (*written, *surplus):
            yield from _unlike(pointer_to(path, name), actual.get(name, UNSET), written.get(name, UNSET), known)
    elif isinstance(actual, list) and isinstance(written, list) and len(actual) == len(written):
        for index, pair in enumerate(zip(actual, written, strict=True)):
            yield from _unlike(f"{path}/{index}", *pair, known)
    elif not (same_place(actual, written) or _same_instant(actual, written)):
        yield Unlike(path, actual, written)


def _names_in(value: Json | UnsetType) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
        for member in value.values():
            yield from _names_in(member)
    elif isinstance(value, list):
        for element in value:
            yield from _names_in(element)


def _same_instant(one: Json | UnsetType, other: Json | UnsetType) -> bool:
    if not (isinstance(one, str) and isinstance(other, str)):
        return False
    moment = instant(one)
    return moment is not None and moment == instant(other)


def instant(text: str) -> float | None:
    """Read an RFC 3339 date and time as seconds since the epoch, or `None` if it is none. Without a zone it is UTC."""
    if not _DATE.match(text):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
