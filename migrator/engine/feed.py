"""Which step is sent next: the containers take turns, and only a window of the plan is ever in memory."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice

from migrator.core.model import Step
from migrator.engine.surveying import Lists
from migrator.ports import Ledger

WINDOW = 4096
"""Steps in memory at the most, shared by all containers: what bounds the memory of a run."""

TOGETHER = 32
"""Lanes that are read on in at the same time, at the most."""


def _restless(container: str) -> float:
    del container
    return 0.0


class Lane:
    """One container's way out: a buffer of steps that refills from the ledger, and how many of them are under way."""

    def __init__(self, container: str, stage: int, lists: Lists | None) -> None:
        """Begin before the first step of a stage of the container, and before its lists, if they are read first."""
        self.container = container
        self.lists = lists
        self._stage = stage
        self.under_way = 0
        self.has_turn = False
        """Whether it waits for its turn, or for the end of a rest."""
        self._after = 0
        self._buffer: list[Step] = []  # the next one last
        self._read_all = False

    async def fill(self, ledger: Ledger, page: int) -> None:
        """Read the next `page` of steps; only when the buffer is empty."""
        steps = await ledger.pending(self.container, self._stage, self._after, page)
        self._buffer = list(reversed(steps))
        self._read_all = len(steps) < page
        if steps:
            self._after = steps[-1].seq

    def take(self) -> Step:
        """Return the next step, which is under way from now on; only when the buffer is not empty."""
        self.under_way += 1
        return self._buffer.pop()

    @property
    def empty(self) -> bool:
        """Whether the next step must be read first, if there is one."""
        return not self._buffer

    @property
    def ended(self) -> bool:
        """Whether there is nothing left to take, now or later."""
        return self._read_all and not self._buffer


class Feed:
    """Hands out the steps, one container after the other, so that a small one need not wait for a large one.

    The lanes stand in a queue. The one in front gives a step and goes to the back, unless it has ended or is full; a
    full one comes back when one of its steps is done. One whose container has no permit to give rests until it has,
    so that it holds nobody up. One whose lists are read first gives those instead of steps, a page each time, so that
    it takes no more turns than the others for it. There is one taker; that several wait at once is not provided for.
    """

    def __init__(
        self,
        ledger: Ledger,
        containers: Sequence[str],
        stage: int,
        per_container: int,
        rest_s: Callable[[str], float] = _restless,
        lists: Callable[[str], Lists] | None = None,
    ) -> None:
        """Hand out the pending steps of `containers`.

        Args:
            ledger: where the steps are.
            containers: in the order in which they get their turns.
            stage: of which steps.
            per_container: steps of one container under way at a time; 0 for no limit.
            rest_s: says for how many seconds a container should be left alone, 0 or less for not at all.
            lists: what is read of a container before its steps are handed out, if anything is.
        """
        self._ledger = ledger
        self._per_container = per_container
        self._rest_s = rest_s
        self._lanes = {
            container: Lane(container, stage, lists(container) if lists else None) for container in containers
        }
        self._turns: deque[Lane] = deque()
        self._changed = asyncio.Event()
        self._stopped = False
        for lane in self._lanes.values():
            self._queue(lane)

    def stop(self) -> None:
        """Hand out nothing more."""
        self._stopped = True
        self._changed.set()

    def next(self) -> Step | Lists | None:
        """Return the next step if it can be had at once, or the lists of a container, of which a page is to be read."""
        while self._turns and not self._stopped:
            lane = self._turns[0]
            if lane.empty and lane.lists is None:
                return None
            if (rest_s := self._rest_s(lane.container)) > 0:
                asyncio.get_running_loop().call_later(rest_s, self._line_up, self._turns.popleft())
            elif lane.lists is not None:
                self._turns.popleft().has_turn = False
                return lane.lists
            else:
                step = lane.take()
                self._queue(self._turns.popleft())
                return step
        return None

    async def take(self) -> Step | Lists | None:
        """Return what is next; wait for it if need be; `None` when there is nothing left or the run stops."""
        while self._lanes and not self._stopped:
            if (turn := self.next()) is not None:
                return turn
            await (self._fill() if self._turns else self._wait())
        return None

    async def _fill(self) -> None:
        """Read on in the lane in front, and in those behind it that will need it soon: one wait serves them all."""
        empty = [lane for lane in islice(self._turns, TOGETHER) if lane.empty and lane.lists is None]
        # Lanes only become fewer, so that together they never hold more than the window.
        page = max(1, WINDOW // len(self._lanes))
        await asyncio.gather(*(lane.fill(self._ledger, page) for lane in empty))
        for lane in empty:
            if lane.ended:
                self._turns.remove(lane)
                self._queue(lane)

    async def _wait(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def read(self, lists: Lists, *, more: bool) -> None:
        """Note that a page of `lists` has been read, and whether there is more to read."""
        lane = self._lanes[lists.container]
        lane.lists = lists if more else None
        self._queue(lane)

    def done(self, step: Step) -> None:
        """Note that a step is out of the way, so that its container may have the next one under way."""
        lane = self._lanes.get(step.container)
        if lane is None:
            return
        lane.under_way -= 1
        if not lane.has_turn:
            self._queue(lane)

    def _queue(self, lane: Lane) -> None:
        """Give `lane` its next turn, unless it has ended or is full."""
        lane.has_turn = False
        if lane.ended:
            del self._lanes[lane.container]
            self._changed.set()
        elif not self._per_container or lane.under_way < self._per_container:
            self._line_up(lane)

    def _line_up(self, lane: Lane) -> None:
        lane.has_turn = True
        self._turns.append(lane)
        self._changed.set()
