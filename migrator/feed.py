"""Which step is sent next: the containers take turns, and only a window of the plan is ever in memory."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from migrator.core.model import Step
from migrator.ports import Ledger

WINDOW = 4096
"""Steps in memory at the most, shared by all containers: what bounds the memory of a run."""


class Lane:
    """One container's way out: a buffer of steps that refills from the ledger, and how many of them are in flight."""

    def __init__(self, container: str) -> None:
        """Begin before the container's first step."""
        self.container = container
        self.in_flight = 0
        self.has_turn = True
        """Whether it waits for its turn, or a worker is taking from it: until that is over nobody else may."""
        self._after = 0
        self._buffer: list[Step] = []  # the next one last
        self._read_all = False

    async def fill(self, ledger: Ledger, page: int) -> None:
        """Read the next `page` of steps; only when the buffer is empty."""
        steps = await ledger.pending(self.container, self._after, page)
        self._buffer = list(reversed(steps))
        self._read_all = len(steps) < page
        if steps:
            self._after = steps[-1].seq

    def take(self) -> Step | None:
        """Return the next step, which is in flight from now on, or `None` when there is none left."""
        if not self._buffer:
            return None
        self.in_flight += 1
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

    The lanes stand in a queue. Whoever takes a step takes the first lane out, and puts it back behind the others,
    unless it has ended or is full; a full one comes back when one of its steps is done.
    """

    def __init__(self, ledger: Ledger, containers: Sequence[str], per_container: int) -> None:
        """Hand out the pending steps of `containers`.

        Args:
            ledger: where the steps are.
            containers: in the order in which they get their turns.
            per_container: steps of one container in flight at a time; 0 for no limit.
        """
        self._ledger = ledger
        self._per_container = per_container
        self._lanes = {container: Lane(container) for container in containers}
        self._turns = deque(self._lanes.values())
        self._idle: deque[asyncio.Event] = deque()
        self._stopped = False

    def stop(self) -> None:
        """Hand out nothing more."""
        self._stopped = True
        self._wake_all()

    async def take(self) -> Step | None:
        """Return the next step, or `None` when there is none left or the run stops."""
        while self._lanes and not self._stopped:
            if not self._turns:
                await self._idle_until_woken()
            elif (step := await self._take_from(self._turns.popleft())) is not None:
                return step
        return None

    async def _take_from(self, lane: Lane) -> Step | None:
        if lane.empty:
            # Lanes only become fewer, so that together they never hold more than the window.
            await lane.fill(self._ledger, max(1, WINDOW // len(self._lanes)))
        step = None if self._stopped else lane.take()
        self._queue(lane)
        return step

    def done(self, step: Step) -> None:
        """Note that a step is out of the way, so that its container may have the next one in flight."""
        lane = self._lanes.get(step.container)
        if lane is None:
            return
        lane.in_flight -= 1
        if not lane.has_turn:
            self._queue(lane)

    def _queue(self, lane: Lane) -> None:
        """Give `lane` its next turn, unless it has ended or is full."""
        lane.has_turn = False
        if lane.ended:
            del self._lanes[lane.container]
            if not self._lanes:
                self._wake_all()
        elif not self._per_container or lane.in_flight < self._per_container:
            lane.has_turn = True
            self._turns.append(lane)
            if self._idle:
                self._idle.popleft().set()

    async def _idle_until_woken(self) -> None:
        """Wait for a turn or the end. A turn wakes one worker: hundreds may wait for the next of a slow container."""
        woken = asyncio.Event()
        self._idle.append(woken)
        await woken.wait()

    def _wake_all(self) -> None:
        while self._idle:
            self._idle.popleft().set()
