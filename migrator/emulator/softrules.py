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
    from migrator.emulator.documents import Target
    from migrator.emulator.entities import Style
    from migrator.emulator.store import Store

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


class SoftRules:
    """The rules of one style.

    Args:
        style: whose names count.
        store: where placements are.
    """

    def __init__(self, style: Style, store: Store) -> None:
        prefix = "xdm:" if style == "xcore" else ""
        self._style = style
        self._store = store
        self._status = f"{prefix}status"
        self._start = f"{prefix}startDate"
        self._end = f"{prefix}endDate"
        self._constraint = f"{prefix}selectionConstraint"
        self._representations = f"{prefix}representations"
        self._placement = f"{prefix}placement"
        self._channel = f"{prefix}channel"

    def complaints(
        self, document: dict[str, Any], target: Target, touched: Collection[str | None]
    ) -> Iterator[Complaint]:
        """Find what is wrong with those members that a write touches."""
        if self._status in touched:
            yield from self._step(document, target)
        if self._start in touched or self._end in touched:
            yield from self._dates(document, "")
        if self._constraint in touched:
            yield from self._dates(document.get(self._constraint), f"/{self._constraint}")
        if self._representations in touched:
            yield from self._channels(document, target.scope)

    def _step(self, document: dict[str, Any], target: Target) -> Iterator[Complaint]:
        if target.old is None or target.entity not in _STEPS:
            return
        before = msgspec.json.decode(target.old.document).get(self._status)
        after = document.get(self._status)
        if before not in (None, after) and (before, after) not in _STEPS[target.entity]:
            yield Complaint("status-step", f"a status goes not from {before} to {after}", f"/{self._status}")

    def _dates(self, value: Any, at: str) -> Iterator[Complaint]:
        start, end = _get(value, self._start), _get(value, self._end)
        if start is None or end is None:
            return
        if _is_date(start) and _is_date(end) and instants.parse(start) > instants.parse(end):
            yield Complaint("dates-out-of-order", f"{start} is after {end}", f"{at}/{self._end}")

    def _channels(self, document: dict[str, Any], scope: str) -> Iterator[Complaint]:
        placements = self._store.shelf(self._style, scope, PLACEMENT.word)
        representations = document.get(self._representations)
        for index, one in enumerate(representations if isinstance(representations, list) else ()):
            if not isinstance(one, dict):
                continue
            channel, reference = one.get(self._channel), one.get(self._placement)
            placement = placements.referenced(reference) if channel and isinstance(reference, str) else None
            wanted = _kept_member(placement.document, self._channel) if placement else None
            if wanted and channel != wanted:
                pointer = f"/{self._representations}/{index}/{self._channel}"
                yield Complaint("channel-of-placement", f"the placement is for {wanted}, not for {channel}", pointer)


def _get(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


@lru_cache(maxsize=256)
def _kept_member(document: bytes, name: str) -> Any:
    """A member of the kept document of a placement. There are few placements, and most offers are for them."""
    return _get(msgspec.json.decode(document), name)


def _is_date(value: Any) -> bool:
    return isinstance(value, str) and instants.is_instant(value)
