"""What became of a change whose fate is not known: looked at, and put before the rules of `core.reconcile`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import StrEnum

from migrator.core.model import CREATES, Doubt, Seen
from migrator.core.plan import name_in
from migrator.core.pointers import value_at
from migrator.core.reconcile import Bounds, Finding, document_sent, judge_look, judge_search, told_at
from migrator.core.states import Move
from migrator.core.styles import Query
from migrator.core.verdict import ErrorClass
from migrator.engine.reader import Reader, Unlistable
from migrator.engine.wire import Refused, Wire
from migrator.ports import Ledger


class Decision(StrEnum):
    """What a person wants done with a step whose fate looking cannot tell."""

    HOLD = "hold"
    ASSUME_APPLIED = "assume-applied"
    RESEND = "resend"


Decide = Callable[[Doubt, str], Awaitable[Decision]]
"""Decides on a step, given what was seen."""


async def hold(doubt: Doubt, sentence: str) -> Decision:
    """Leave it to a person."""
    del doubt, sentence
    return Decision.HOLD


class Looker:
    """Looks, and says what it sees in the words of the core."""

    def __init__(self, reader: Reader, *, ledger: Ledger, wire: Wire, bounds: Bounds) -> None:
        """Look through `reader`.

        Args:
            reader: reads.
            ledger: says which objects are spoken for.
            wire: says the time, and whether the run stops.
            bounds: when a look is a proof.
        """
        self._reader = reader
        self._ledger = ledger
        self._wire = wire
        self._style = reader.style
        self._caller = reader.caller
        self._bounds = bounds

    def told_in_s(self, doubt: Doubt) -> float:
        """Return in how many seconds a look can tell that `doubt` had no effect; 0 or less if it is now."""
        bounds = self._bounds
        # Never longer than if it were sent now: a clock that was set back must not hold up the run.
        longest_s = bounds.request_s + bounds.quiet_period_s + bounds.search_lag_s
        return min(longest_s, told_at(doubt, bounds) - self._wire.clock.now())

    async def look(self, doubt: Doubt) -> Finding | None:
        """Look at what became of a step.

        Returns:
            What is proven; `None` if that is only to be told later, or the run stops.
        """
        now = self._wire.clock.now()
        if doubt.step.kind in CREATES:
            return await self._search(doubt, now)
        seen = await self._reader.see(doubt.step.container, doubt.step.type, doubt.step.object)
        if seen is None:
            return None
        if isinstance(seen, Refused) and seen.error is not ErrorClass.NOT_FOUND:
            return Finding(Move.GIVE_UP, f"it could not be looked at: {seen.message}", seen.error)
        there = seen if isinstance(seen, Seen) else None
        return judge_look(doubt, there, self._style, self._bounds, client_id=self._caller.client_id, now=now)

    async def _search(self, doubt: Doubt, now: float) -> Finding | None:
        """Look for what a create should have made."""
        step = doubt.step
        name = name_in(document_sent(doubt))
        found: dict[str, Seen] = {}
        try:
            async for page in self._reader.pages(step.container, step.type, Query(name=name)):
                found |= {seen.object: seen for seen in page.seen if self._is_called(seen, name)}
        except Unlistable as error:
            return Finding(Move.GIVE_UP, f"it could not be looked for: {error}", ErrorClass.UNDECIDED)
        if self._wire.stopping:
            return None
        taken = await self._ledger.settled_objects(list(found))
        return judge_search(
            doubt,
            found.values(),
            self._style,
            self._bounds,
            client_id=self._caller.client_id,
            taken=taken,
            marker=self._caller.marker,
            now=now,
        )

    def _is_called(self, seen: Seen, name: str) -> bool:
        return name_in(value_at(seen.document, self._style.root)) == name
