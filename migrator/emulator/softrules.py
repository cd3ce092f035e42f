"""Rules that a library keeps and a service may or may not enforce (C-23).

Dates in order, a status that takes one step at a time, a representation on the channel of its placement: Adobe's own
samples break the first, its pages contradict each other on the second, and none of them speaks of the third.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from migrator.emulator import instants
from migrator.emulator.entities import DECISION, FALLBACK_OFFER, PERSONALIZED_OFFER, PLACEMENT

if TYPE_CHECKING:
    from migrator.emulator.documents import Spelling, Target
    from migrator.emulator.store import Shelf, Store

_OFFER_STEPS = {("draft", "approved"), ("approved", "archived"), ("archived", "draft")}
_DECISION_STEPS = {
    ("draft", "live"),
    ("live", "complete"),
    ("live", "completed"),
    ("complete", "archived"),
    ("completed", "archived"),
}
_STEPS = {PERSONALIZED_OFFER: _OFFER_STEPS, FALLBACK_OFFER: _OFFER_STEPS, DECISION: _DECISION_STEPS}
"""The steps a status may take: a ring for offers (contract 5.1), one way for decisions."""
_NAMES = ("status", "selectionConstraint", "startDate", "endDate", "representations")
_JUDGED = {"dps": frozenset(_NAMES), "xcore": frozenset(f"xdm:{name}" for name in _NAMES)}
"""Members that any of the rules looks at, by style."""


class Complaint(NamedTuple):
    """One rule that a document breaks.

    Attributes:
        kind: which rule, in a few words with hyphens.
        detail: one sentence.
        pointer: where, seen from the document.
    """

    kind: str
    detail: str
    pointer: str


class _Status(msgspec.Struct):
    """The status of an object, in either style."""

    status: Any = None
    xdm_status: Any = msgspec.field(name="xdm:status", default=None)


_STATUS = msgspec.json.Decoder(_Status)


class _Reader(NamedTuple):
    """Reads members by their dps names in either style."""

    prefix: str

    def get(self, value: Any, name: str) -> Any:
        return value.get(f"{self.prefix}{name}") if isinstance(value, dict) else None


_READERS = {"dps": _Reader(""), "xcore": _Reader("xdm:")}


def complaints(
    document: dict[str, Any], target: Target, spelling: Spelling, store: Store, touched: Collection[str | None]
) -> Iterator[Complaint]:
    """Find what is wrong with those members that a write touches."""
    if _JUDGED[spelling.style].isdisjoint(touched):
        return
    reader = _READERS[spelling.style]
    yield from _step(document, target, reader)
    yield from _dates(document, "", reader)
    yield from _dates(reader.get(document, "selectionConstraint"), f"/{reader.prefix}selectionConstraint", reader)
    yield from _channels(document, store.shelf(spelling.style, target.scope, PLACEMENT.word), reader)


def _step(document: dict[str, Any], target: Target, reader: _Reader) -> Iterator[Complaint]:
    if target.old is None or target.entity not in _STEPS:
        return
    before = _status(target.old.document, reader)
    after = reader.get(document, "status")
    if before not in (None, after) and (before, after) not in _STEPS[target.entity]:
        yield Complaint("status-step", f"a status goes not from {before} to {after}", f"/{reader.prefix}status")


def _dates(value: Any, at: str, reader: _Reader) -> Iterator[Complaint]:
    start, end = reader.get(value, "startDate"), reader.get(value, "endDate")
    if start is None or end is None:
        return
    if _is_date(start) and _is_date(end) and instants.parse(start) > instants.parse(end):
        yield Complaint("dates-out-of-order", f"{start} is after {end}", f"{at}/{reader.prefix}endDate")


def _is_date(value: Any) -> bool:
    return isinstance(value, str) and instants.is_instant(value)


def _status(document: bytes, reader: _Reader) -> Any:
    """The status in a kept document. Only that is decoded."""
    found = _STATUS.decode(document)
    return found.xdm_status if reader.prefix else found.status


@lru_cache(maxsize=256)
def _channel(document: bytes, reader: _Reader) -> Any:
    """The channel in the kept document of a placement. There are few placements, and most offers are for them."""
    return reader.get(msgspec.json.decode(document), "channel")


def _channels(document: dict[str, Any], placements: Shelf, reader: _Reader) -> Iterator[Complaint]:
    representations = reader.get(document, "representations")
    for index, one in enumerate(representations if isinstance(representations, list) else ()):
        placement = placements.referenced(str(reader.get(one, "placement")))
        wanted = _channel(placement.document, reader) if placement else None
        channel = reader.get(one, "channel")
        if channel and wanted and channel != wanted:
            pointer = f"/{reader.prefix}representations/{index}/{reader.prefix}channel"
            yield Complaint("channel-of-placement", f"the placement is for {wanted}, not for {channel}", pointer)
