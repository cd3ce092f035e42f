"""Everything that only reads: whether containers are there, what objects are before their change, what became of it.

Reads leave by the same throttle as writes: to the service they are requests like any other.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from enum import StrEnum

import msgspec
from msgspec import Struct

from migrator.core.base import examine
from migrator.core.errors import ServiceRefused, Stopped
from migrator.core.model import Base, Doubt, EntityType, Kind, Page, Request, Response, Seen, Step
from migrator.core.patch import value_at
from migrator.core.plan import name_in
from migrator.core.reconcile import Bounds, Finding, judge_look, judge_search, told_at
from migrator.core.states import Move
from migrator.core.styles import Style
from migrator.core.verdict import ErrorClass, Scope
from migrator.engine.wire import Refused, Wire
from migrator.ports import Ledger

WORTH_A_LIST = 10
"""Objects of a type below which they are read one by one: the first page of a list alone may be for nothing."""


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


class Caller(Struct, frozen=True):
    """Who asks, and for what.

    Attributes:
        sandbox: the profile's sandbox.
        client_id: ours, by which the service names who created an object.
        marker: pointer to the member that makes each create of a run another one, "" if there is none.
    """

    sandbox: str
    client_id: str = ""
    marker: str = ""


class Looker:
    """Looks, and says what it sees in the words of the core."""

    def __init__(self, *, ledger: Ledger, wire: Wire, style: Style, caller: Caller, bounds: Bounds) -> None:
        """Look through `wire`.

        Args:
            ledger: where bases are kept.
            wire: sends reads.
            style: spells them.
            caller: who asks.
            bounds: when a look is a proof.
        """
        self._ledger = ledger
        self._wire = wire
        self._style = style
        self._caller = caller
        self._bounds = bounds

    async def probe(self, container: str) -> None:
        """See whether a container is there and may be used.

        Raises:
            ServiceRefused: it is not, or may not.
            Stopped: patience ran out.
        """
        prefix = f"container {container} cannot be used: "
        try:
            answer = await self._wire.read(
                container,
                lambda request_id: self._style.probe(container, sandbox=self._caller.sandbox, request_id=request_id),
                Scope.RUN,
            )
        except (ServiceRefused, Stopped) as error:
            raise type(error)(f"{prefix}{error}", error.hint) from error
        if isinstance(answer, Refused):
            raise ServiceRefused(prefix + answer.message)

    # What an object is before its change

    async def survey(self, container: str) -> None:
        """Read the bases of the changes of a container from lists, where that takes fewer requests than one by one."""
        for type_, steps in (await self._ledger.unbased(container)).items():
            if steps >= WORTH_A_LIST:
                await self._walk_while_worth_it(container, type_, steps)

    async def _walk_while_worth_it(self, container: str, type_: EntityType, steps: int) -> None:
        # What a list does not give is read one by one.
        with suppress(Unlistable):
            async for page in self._pages(container, type_):
                await self._keep_bases(container, type_, page)
                if page.total is None or not page.seen or page.total > steps * len(page.seen):
                    return

    async def _keep_bases(self, container: str, type_: EntityType, page: Page) -> None:
        by_id = {seen.object: seen for seen in page.seen}
        for step in await self._ledger.unbased_among(container, type_, list(by_id)):
            self._ledger.keep(step.seq, examine(step, by_id[step.object], self._style))

    async def base_of(self, step: Step) -> Base | Refused | None:
        """Read what the object of a change is now.

        Returns:
            The base; why it cannot be read; `None` if the run stops.
        """
        seen = await self._see(step)
        return examine(step, seen, self._style) if isinstance(seen, Seen) else seen

    async def _see(self, step: Step) -> Seen | Refused | None:
        answer = await self._wire.read(
            step.container,
            lambda request_id: self._style.look(
                step.container, step.type, step.object, sandbox=self._caller.sandbox, request_id=request_id
            ),
        )
        if not isinstance(answer, Response):
            return answer
        seen = self._style.seen(answer)
        return seen or Refused(ErrorClass.UNREADABLE, "the object cannot be read: no such document", answer.status)

    # What became of a change

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
        if doubt.step.kind is Kind.CREATE:
            return await self._search(doubt, now)
        seen = await self._see(doubt.step)
        if seen is None:
            return None
        if isinstance(seen, Refused) and seen.error is not ErrorClass.NOT_FOUND:
            return Finding(Move.GIVE_UP, f"it could not be looked at: {seen.message}", seen.error)
        there = seen if isinstance(seen, Seen) else None
        return judge_look(doubt, there, self._style, self._bounds, client_id=self._caller.client_id, now=now)

    async def _search(self, doubt: Doubt, now: float) -> Finding | None:
        """Look for what a create should have made."""
        step = doubt.step
        name = name_in(msgspec.json.decode(step.body))
        found: dict[str, Seen] = {}
        try:
            async for page in self._pages(step.container, step.type, name):
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

    async def _pages(self, container: str, type_: EntityType, name: str = "") -> AsyncIterator[Page]:
        """Yield the pages of a list, from the first to the last; fewer if the run stops.

        Raises:
            Unlistable: the list cannot be read to its end.
        """
        followed: set[str] = set()
        after = ""
        while (answer := await self._wire.read(container, self._list(container, type_, name, after))) is not None:
            if isinstance(answer, Refused):
                raise Unlistable(answer.message)
            page = self._style.page(answer)
            if page is None:
                raise Unlistable("no such document")
            yield page
            after = page.next
            if not after:
                return
            if after in followed:
                raise Unlistable("the list goes in circles")
            followed.add(after)

    def _list(self, container: str, type_: EntityType, name: str, after: str) -> Callable[[str], Request]:
        return lambda request_id: self._style.list(
            container, type_, name=name, after=after, sandbox=self._caller.sandbox, request_id=request_id
        )


class Unlistable(Exception):
    """A list cannot be read to its end."""
