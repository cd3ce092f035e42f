"""What lies ready to be sent, between the one hand that makes steps ready and the many that send them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from msgspec import Struct

from migrator.core.model import Request, Step
from migrator.ports import Commit

T = TypeVar("T")

AHEAD_S = 0.05
"""What is sent in this time may lie ready, or one step if that is less, and how often that is measured."""


class Ready(Struct, frozen=True, gc=False):
    """A step that has its permit.

    Attributes:
        step: what is sent.
        number: of the attempt, counted over all processes, from 1.
        pauses: how many pauses there had been when it got its permit.
        request: how.
        commit: the intent on its way to the disk; the request may leave when it is there.
    """

    step: Step
    number: int
    pauses: int
    request: Request
    commit: Commit


class Stock(Generic[T]):
    """A bounded queue with one who fills it and many who take from it.

    What lies here when the process dies is in doubt like what was in flight, for nobody can tell them apart. So it is
    as small as the speed of the run allows: nothing at the pace of people's limits, for then somebody always waits for
    the next step; one step when all are waiting for answers, so that the disk has done its part when one of them comes;
    the requests of the next moment at full speed.

    It calls for more only when it is half empty, so that whoever fills it is woken once for many steps, and many
    intents share a commit.

    Attributes:
        room: whether the next step may be put in now.
    """

    def __init__(self, largest: int, monotonic: Callable[[], float]) -> None:
        """Begin with nothing in stock.

        Args:
            largest: steps it holds at the most, however fast they are taken.
            monotonic: the clock, seconds.
        """
        self._largest = largest
        self._size = 0
        self._ready: deque[T] = deque()
        self._idle: deque[asyncio.Event] = deque()
        self.room = False
        self._called = asyncio.Event()
        self._closed = False
        self._over = asyncio.Event()
        self._monotonic = monotonic
        self._measured_at = monotonic()
        self._taken = 0

    async def has_room(self) -> bool:
        """Wait until somebody waits for a step, or the stock is half empty; `False` when it is closed."""
        await self._called.wait()
        return not self._closed

    def put(self, ready: T) -> bool:
        """Add a step, and wake whoever has waited longest for one. Return whether the stock is full now."""
        self._ready.append(ready)
        if self._idle:
            self._idle.popleft().set()
        full = len(self._ready) >= self._size
        if full and not self._idle and not self._closed:
            self.room = False
            self._called.clear()
        return full

    async def take(self) -> T | None:
        """Return the next step; wait for it if there is none; `None` when there will be none."""
        while (ready := self.next()) is None and not self._closed:
            woken = asyncio.Event()
            self._idle.append(woken)
            self._call()
            await woken.wait()
        return ready

    def next(self) -> T | None:
        """Return the next step if it can be had at once."""
        if not self._ready:
            return None
        self._taken += 1
        ready = self._ready.popleft()
        if self._closed and not self._ready:
            self._over.set()
        elif self._size and len(self._ready) <= self._size // 2:
            self._call()
        return ready

    def _call(self) -> None:
        """Call for more."""
        if not (self.room or self._closed):
            self._measure()
            self.room = True
            self._called.set()

    def _measure(self) -> None:
        """Fit the size to the speed at which steps have been taken lately."""
        elapsed_s = self._monotonic() - self._measured_at
        if elapsed_s < AHEAD_S:
            return
        self._size = min(self._largest, max(1, int(self._taken / elapsed_s * AHEAD_S)))
        self._measured_at += elapsed_s
        self._taken = 0

    def close(self) -> None:
        """Put nothing in any more. What is there may still be taken."""
        self._closed = True
        if not self._ready:
            self._over.set()
        self.room = False
        self._called.set()
        while self._idle:
            self._idle.popleft().set()

    def stop(self) -> None:
        """Close it, and let nobody wait for the end: the run stops."""
        self.close()
        self._over.set()

    async def over(self) -> None:
        """Wait until it is closed and everything is taken, or the run stops."""
        await self._over.wait()

    def rest(self) -> Iterator[T]:
        """Take out what nobody took."""
        while self._ready:
            yield self._ready.popleft()
