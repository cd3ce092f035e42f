"""What objects are before their change: read, compared with what the change was made for, and pinned as its base.

A look before the first request may already settle a step: its object is not there, or is as wanted already, or is not
what the change was made for. Such a step is dismissed, and nothing is sent for it.

Objects are read through the pages of lists where that takes fewer requests than one by one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial

import msgspec

from migrator.core.base import Unfit, changes_nothing, drift, examine, last_changed
from migrator.core.copying import copy_of, document_of, unknown
from migrator.core.model import Base, EntityType, Kind, Page, Seen, Step
from migrator.core.plan import name_in
from migrator.core.states import Move, State, after
from migrator.core.styles import Query
from migrator.core.verdict import ErrorClass
from migrator.engine.notes import Notes
from migrator.engine.reader import Pages, Reader, Unlistable
from migrator.engine.wire import Wire
from migrator.ports import Ledger, Outcome

WORTH_A_LIST = 10
"""Objects of a type below which they are read one by one: the first page of a list alone may be for nothing."""

SENT_BLIND = frozenset({Kind.PATCH, Kind.REPLACE, Kind.DELETE})
"""Kinds that can be sent without knowing what their object is."""


class Walk:
    """Reads pages of a list for as long as that takes fewer requests than reading the wanted objects one by one.

    What they do not show, because they end too early or are behind, is to be read one by one.
    """

    def __init__(
        self,
        reader: Reader,
        container: str,
        type_: EntityType,
        wanted: int,
        take: Callable[[Page], Awaitable[int]],
    ) -> None:
        """Begin before the first page.

        Args:
            reader: reads.
            container: where.
            type_: of what.
            wanted: how many objects.
            take: takes a page, and returns how many of the wanted objects are on it.
        """
        self._pages = Pages(reader, container, type_, Query())
        self._wanted = wanted
        self._left = wanted
        self._take = take

    async def read_on(self) -> bool:
        """Read a page, if that is worth it. Returns whether the next one is, too."""
        if self._wanted < WORTH_A_LIST:
            return False
        try:
            page = await self._pages.next()
        except Unlistable:
            return False
        if page is None:
            return False
        self._left -= await self._take(page)
        if self._left <= 0 or page.total is None or not page.seen:
            return False
        return page.total <= self._wanted * len(page.seen)


class Lists:
    """The lists of one container that are to be read before its steps are sent, a page at a time.

    Attributes:
        container: whose.
    """

    def __init__(self, container: str, walks: Callable[[], Awaitable[Collection[Walk]]], ledger: Ledger) -> None:
        """Begin before the first list.

        Args:
            container: whose.
            walks: finds out which lists there are.
            ledger: where the bases go.
        """
        self.container = container
        self._find = walks
        self._walks: deque[Walk] | None = None
        self._ledger = ledger

    async def read_on(self) -> bool:
        """Read a page; `False` at the end, when what is taken from the ledger knows all bases that were found."""
        if self._walks is None:
            self._walks = deque(await self._find())
        while self._walks:
            if await self._walks[0].read_on():
                return True
            self._walks.popleft()
        await self._ledger.flush()
        return False


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
        self._read = (SENT_BLIND if guard or reviewed else frozenset()) | {Kind.EDIT}
        self._asked = self._read | {Kind.COPY}
        # Nothing guards a deletion that was reviewed but a look just before it, each time: a list may be behind.
        self._unguarded = frozenset({Kind.DELETE} if reviewed else ())
        self._listed = self._read - self._unguarded

    def reads(self, step: Step) -> bool:
        """Whether the object of `step` has to be read before it is sent."""
        return step.kind in (self._unguarded if step.based else self._read)

    def wants(self, step: Step) -> bool:
        """Whether `base` has to be asked for `step` before it is sent."""
        return step.kind in (self._unguarded if step.based else self._asked)

    def lists(self, container: str, stage: int) -> Lists:
        """Return the lists that tell the bases of a container's steps in fewer requests than one by one."""
        return Lists(container, partial(self._walks, container, stage), self._ledger)

    async def _walks(self, container: str, stage: int) -> Collection[Walk]:
        unbased = await self._ledger.unbased(container, stage, self._listed)
        return [
            Walk(self._reader, container, type_, steps, partial(self._take, container, stage, type_))
            for type_, steps in unbased.items()
        ]

    async def _take(self, container: str, stage: int, type_: EntityType, page: Page) -> int:
        """Find the bases that a page tells, and return how many it told."""
        by_id = {seen.object: seen for seen in page.seen}
        steps = await self._ledger.unbased_among(container, stage, type_, self._listed, list(by_id))
        reviews = await self._reviews(steps)
        for step in steps:
            self._rest(step, by_id[step.object], reviews)
        if not self._reviewed:  # what was reviewed is compared by whoever sends it
            await self._lend(
                await self._ledger.unbased_elsewhere(container, stage, type_, self._listed, [*by_id]), by_id
            )
        return len(steps)

    async def _lend(self, steps: Sequence[Step], seen: Mapping[str, Seen]) -> None:
        """Keep what a page tells of steps that others carry out, so that they need not read it again."""
        found = {step.seq: examine(step, seen[step.object], self._style, strict=self._strict) for step in steps}
        # What needs no request, or cannot have one, is settled by whoever carries it out.
        if bases := {seq: b for seq, b in found.items() if isinstance(b, Base) and not changes_nothing(b)}:
            await self._ledger.lend(bases)

    async def base(self, step: Step) -> Step | None:
        """Read the object of one step.

        Returns:
            The step as it is sent; `None` if it is settled without, or the run stops.
        """
        if step.kind is Kind.COPY:
            return await self._copy(step)
        seen = await self._reader.see(step.container, step.type, step.object)
        if seen is None:
            return None
        reviews = await self._reviews([step])
        if isinstance(seen, Seen):
            return self._rest(step, seen, reviews)
        gone = seen.error is ErrorClass.NOT_FOUND
        if gone and step.kind is Kind.DELETE:
            self._dismiss(step, Move.AGREE, message="it was gone already", http_status=seen.http_status)
        elif gone and step.seq in reviews:
            self._refuse_drifted(step, "it has been deleted", seen.http_status)
        else:
            self._dismiss(step, Move.REJECT, seen.error, seen.message, seen.http_status)
        return None

    async def _copy(self, step: Step) -> Step | None:
        """Give a copy the ids of what it refers to; all of that was made in earlier stages, or will not be."""
        copy = copy_of(step.body)
        ids = await self._ledger.ids([one.id for one in copy.references])
        if missing := unknown(copy, ids):
            message = f"{missing[0].path} refers to {missing[0].type} {missing[0].id}, which is not there"
            self._dismiss(step, Move.REJECT, ErrorClass.CANNOT_APPLY, message)
            return None
        base = Base(None, None, document_of(copy, ids), guarded=False, name=name_in(copy.document))
        self._ledger.keep(step.seq, base)
        return resting_on(step, base)

    async def _reviews(self, steps: Collection[Step]) -> Mapping[int, Base]:
        return await self._ledger.reviews([step.seq for step in steps]) if self._reviewed else {}

    def _rest(self, step: Step, seen: Seen, reviews: Mapping[int, Base]) -> Step | None:
        """Pin what was read as the base of `step`, unless that settles it."""
        base = examine(step, seen, self._style, strict=self._strict)
        planned = reviews.get(step.seq)
        if planned is not None and (change := drift(planned, base)):
            self._refuse_drifted(step, f"{change}{last_changed(seen)}")
            return None
        if isinstance(base, Unfit):
            self._dismiss(step, Move.REJECT, base.error, base.message)
            return None
        if changes_nothing(base):
            self._dismiss(step, Move.AGREE)
            return None
        self._ledger.keep(step.seq, base)
        self._notes.fit()
        return resting_on(step, base)

    def _refuse_drifted(self, step: Step, change: str, http_status: int | None = None) -> None:
        message = f"the object has changed meanwhile: {change}"
        self._dismiss(step, Move.REJECT, ErrorClass.DRIFTED, message, http_status)

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
        self._notes.take(step, outcome, sent=False)


def resting_on(step: Step, base: Base) -> Step:
    """Return `step` as it is sent on `base`."""
    return msgspec.structs.replace(step, body=base.body, based=True, etag=base.etag, guarded=base.guarded)
