"""Reading back what a run has written: from the pages of lists where that is cheaper, and else object by object.

Lists may be behind (contract C-28), and may leave out what they should show. So what a list shows as it was written is
believed, and everything else is looked at once more, by itself, before anything is said of it. What is asked for is
taken from a checklist on the disk, so that memory does not grow with the run.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Iterable
from functools import partial
from typing import Any, TypeVar

from msgspec import Struct

from migrator.core.model import Page, Seen, Step
from migrator.core.verdict import ErrorClass
from migrator.core.verify import Difference, Judgement, Written, judge
from migrator.engine.reader import Reader
from migrator.engine.surveying import Walk
from migrator.engine.wire import Refused
from migrator.ledger.checklist import Checklist, Group

T = TypeVar("T")


class Verified(Struct):
    """How many input rows have been found to be what, so far.

    Attributes:
        as_written: their objects are as they were written, or nothing was to be written to them.
        differ: they are not.
        unread: their objects could not be read.
        unknown: they have created objects whose ids are not known.
        unchecked: not rows but places that were changed, and of which it is not known how.
    """

    as_written: int = 0
    differ: int = 0
    unread: int = 0
    unknown: int = 0
    unchecked: int = 0

    @property
    def done(self) -> int:
        """Rows that nothing more is to be found out about."""
        return self.as_written + self.differ + self.unread + self.unknown


class Mismatch(Struct, frozen=True):
    """A step whose object is not as it was written.

    Attributes:
        step: the step.
        differences: where it is otherwise.
        seen: the object, or `None` if it is not there.
    """

    step: Step
    differences: tuple[Difference, ...]
    seen: Seen | None


class Unread(Struct, frozen=True):
    """A step whose object could not be read, and why."""

    step: Step
    refused: Refused


class Verification:
    """Reads back one run.

    Attributes:
        tally: what has been found so far.
        summary: where the run stood when it began.
    """

    def __init__(self, checklist: Checklist, reader: Reader, *, concurrency: int) -> None:
        """Read what `checklist` lists through `reader`, so many at a time."""
        self.tally = Verified(as_written=checklist.untouched)
        self.summary = checklist.summary
        self._checklist = checklist
        self._reader = reader
        self._concurrency = concurrency

    async def findings(self) -> AsyncIterator[Mismatch | Unread]:
        """Yield what is not as it was written, or cannot be read, in the order of the input.

        Raises:
            ServiceRefused: the service refuses to be read.
            Stopped: patience ran out.
        """
        # Where a container is gone, each of its objects would seem to be.
        async for _ in self._all(self._reader.probe(container) for container in self._checklist.containers):
            pass
        async for _ in self._all(self._read_list(group) for group in self._checklist.groups):
            pass
        async for finding in self._all(self._read_one(written) for written in self._checklist.remaining()):
            if finding is not None:
                yield finding

    async def _read_list(self, group: Group) -> None:
        walk = Walk(self._reader, group.container, group.type, group.objects, partial(self._take, group))
        while await walk.read_on():
            pass

    async def _take(self, group: Group, page: Page) -> int:
        """Tick off what a page shows as it was written, and return how much of the group it shows."""
        by_id = {seen.object: seen for seen in page.seen}
        found = self._checklist.among(group, by_id)
        for written in found:
            judgement = judge(written, by_id[written.step.object], self._reader.style)
            if not judgement.differences:
                self._checklist.tick(written.step.seq)
                self._count(written, judgement)
        return len(found)

    async def _read_one(self, written: Written) -> Mismatch | Unread | None:
        step = written.step
        if not step.object:
            self.tally.unknown += written.rows
            return None
        seen = await self._reader.see(step.container, step.type, step.object)
        if seen is None:  # nothing may be read any more
            return None
        if isinstance(seen, Refused) and seen.error is not ErrorClass.NOT_FOUND:
            self.tally.unread += written.rows
            return Unread(step, seen)
        there = seen if isinstance(seen, Seen) else None
        judgement = judge(written, there, self._reader.style)
        self._count(written, judgement)
        return Mismatch(step, judgement.differences, there) if judgement.differences else None

    def _count(self, written: Written, judgement: Judgement) -> None:
        self.tally.unchecked += len(judgement.unchecked)
        if judgement.differences:
            self.tally.differ += written.rows
        else:
            self.tally.as_written += written.rows

    async def _all(self, calls: Iterable[Coroutine[Any, Any, T]]) -> AsyncIterator[T]:
        """Yield what calls return, in their order, while a number of them are under way."""
        under_way: deque[asyncio.Task[T]] = deque()
        try:
            for call in calls:
                under_way.append(asyncio.create_task(call))
                if len(under_way) == self._concurrency:
                    yield await under_way.popleft()
            while under_way:
                yield await under_way.popleft()
        finally:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)
