"""What objects are before their change: read, compared with what the change was made for, and pinned as its base.

A look before the first request may already settle a step: its object is not there, or is as wanted already, or is not
what the change was made for. Such a step is dismissed, and nothing is sent for it.

Objects are read through the pages of lists where that takes fewer requests than one by one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress

import msgspec

from migrator.core.base import Unfit, changes_nothing, drift, examine, last_changed
from migrator.core.model import Base, EntityType, Kind, Page, Seen, Step
from migrator.core.states import Move, State, after
from migrator.core.verdict import ErrorClass
from migrator.engine.notes import Notes
from migrator.engine.reader import Reader, Unlistable
from migrator.engine.wire import Refused, Wire
from migrator.ports import Ledger, Outcome

WORTH_A_LIST = 10
"""Objects of a type below which they are read one by one: the first page of a list alone may be for nothing."""

SENT_BLIND = frozenset({Kind.PATCH, Kind.DELETE})
"""Kinds that can be sent without knowing what their object is."""


class Surveyor:
    """Finds the bases of steps."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        wire: Wire,
        reader: Reader,
        notes: Notes,
        guard: bool = True,
        reviewed: bool = False,
        strict: bool = False,
    ) -> None:
        """Read through `reader`.

        Args:
            ledger: where bases are kept, and what was reviewed is found.
            wire: says the time.
            reader: reads.
            notes: what becomes of a step that is dismissed.
            guard: whether to find the base of what could be sent without one.
            reviewed: whether any step was reviewed, and may only be sent as it was then.
            strict: whether to dismiss a patch that does not fit its object, instead of leaving that to the service.
        """
        self._ledger = ledger
        self._clock = wire.clock
        self._reader = reader
        self._style = reader.style
        self._notes = notes
        self._reviewed = reviewed
        self._strict = strict
        self._kinds = (SENT_BLIND if guard or reviewed else frozenset()) | {Kind.EDIT}

    def wants(self, step: Step) -> bool:
        """Whether the object of `step` has to be read before it is sent."""
        return not step.based and step.kind in self._kinds

    async def survey(self, container: str, stage: int) -> None:
        """Find the bases of the steps of a container from lists, where that takes fewer requests than one by one."""
        for type_, steps in (await self._ledger.unbased(container, stage, self._kinds)).items():
            if steps >= WORTH_A_LIST:
                await self._walk_while_worth_it(container, stage, type_, steps)

    async def _walk_while_worth_it(self, container: str, stage: int, type_: EntityType, steps: int) -> None:
        # What a list does not give is read one by one.
        with suppress(Unlistable):
            async for page in self._reader.pages(container, type_):
                await self._take(container, stage, type_, page)
                if page.total is None or not page.seen or page.total > steps * len(page.seen):
                    return

    async def _take(self, container: str, stage: int, type_: EntityType, page: Page) -> None:
        by_id = {seen.object: seen for seen in page.seen}
        steps = await self._ledger.unbased_among(container, stage, type_, self._kinds, list(by_id))
        reviews = await self._reviews(steps)
        for step in steps:
            self._rest(step, by_id[step.object], reviews)

    async def base(self, step: Step) -> Step | None:
        """Read the object of one step.

        Returns:
            The step as it is sent; `None` if it is settled without, or the run stops.
        """
        seen = await self._reader.see(step.container, step.type, step.object)
        if isinstance(seen, Refused) and step.kind is Kind.DELETE and seen.error is ErrorClass.NOT_FOUND:
            self._dismiss(step, Move.AGREE, message="it was gone already", http_status=seen.http_status)
        elif isinstance(seen, Refused):
            self._dismiss(step, Move.REJECT, seen.error, seen.message, seen.http_status)
        if not isinstance(seen, Seen):
            return None
        return self._rest(step, seen, await self._reviews([step]))

    async def _reviews(self, steps: Collection[Step]) -> Mapping[int, Base]:
        return await self._ledger.reviews([step.seq for step in steps]) if self._reviewed else {}

    def _rest(self, step: Step, seen: Seen, reviews: Mapping[int, Base]) -> Step | None:
        """Pin what was read as the base of `step`, unless that settles it."""
        base = examine(step, seen, self._style, strict=self._strict)
        if isinstance(base, Unfit):
            self._dismiss(step, Move.REJECT, base.error, base.message)
            return None
        planned = reviews.get(step.seq)
        if planned is not None and (change := drift(planned, base)):
            message = f"the object has changed since it was planned: {change}{last_changed(seen)}"
            self._dismiss(step, Move.REJECT, ErrorClass.DRIFTED, message)
            return None
        if changes_nothing(base):
            self._dismiss(step, Move.AGREE)
            return None
        self._ledger.keep(step.seq, base)
        return resting_on(step, base)

    def _dismiss(
        self,
        step: Step,
        move: Move,
        error: ErrorClass = ErrorClass.NONE,
        message: str = "",
        http_status: int | None = None,
    ) -> None:
        """Record that a step ends without a request."""
        state = after(State.PENDING, move)
        outcome = Outcome(step.seq, state, self._clock.now(), http_status, error, message)
        self._ledger.dismiss(outcome)
        self._notes.take(step, outcome)


def resting_on(step: Step, base: Base) -> Step:
    """Return `step` as it is sent on `base`."""
    return msgspec.structs.replace(step, body=base.body, based=True, etag=base.etag, guarded=base.guarded)
