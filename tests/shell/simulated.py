"""Throttles in simulated time: a loop whose clock jumps to the next timer, and what was sent when."""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar
from unittest.mock import patch

from migrator.transport.throttle import Throttle

T = TypeVar("T")

TIMER_LATE_S = 0.0002
"""Each timer of a simulation goes off so much late, as real ones do."""


class JumpingClock(selectors.SelectSelector):
    """Does not wait for what the loop waits for: it says that the time has come."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 1000.0
        self.jumps = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "every task waits for another"
        if timeout > 0:
            self.jumps += 1
            assert self.jumps < 100_000, "somebody polls for ever"
            self.now_s += timeout + TIMER_LATE_S
        return super().select(0)


class SimulatedLoop(asyncio.SelectorEventLoop):
    """Counts the timers that are set."""

    def __init__(self, clock: JumpingClock) -> None:
        super().__init__(clock)
        self.timers = 0

    def call_at(self, *args: Any, **kwargs: Any) -> asyncio.TimerHandle:  # type: ignore[override]
        self.timers += 1
        return super().call_at(*args, **kwargs)


def simulate(play: Coroutine[Any, Any, T]) -> T:
    """Run `play` on a clock that jumps, for asyncio, for asyncio-throttle and for us."""
    clock = JumpingClock()
    with (
        patch("time.monotonic", lambda: clock.now_s),
        asyncio.Runner(loop_factory=lambda: SimulatedLoop(clock)) as runner,
    ):
        return runner.run(play)


def timers_set() -> int:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimulatedLoop)
    return loop.timers


async def turns(number: int = 10) -> None:
    """Let everybody who can go on do so."""
    for _ in range(number):
        await asyncio.sleep(0)


class Sends:
    """Workers that take permits of one throttle, when they sent, and when that arrived."""

    def __init__(self, throttle: Throttle) -> None:
        self.throttle = throttle
        self.at: list[float] = []
        self.arrived: list[float] = []

    async def work(
        self,
        sends: int,
        *,
        delay_s: Callable[[], float] = lambda: 0.0,
        way_s: Callable[[], float] = lambda: 0.0,
        container: str = "c",
        write: bool = False,
    ) -> None:
        """Send as often as told.

        Args:
            sends: how often.
            delay_s: from the permit to the sending: the disk.
            way_s: from the sending to the arrival, and from there to the answer: the network.
            container: where.
            write: whether these are writes.
        """
        for _ in range(sends):
            if not await self.throttle.permit(container, write=write):
                return
            await self._written(delay_s(), container, write=write)
            self.throttle.sent(container, write=write)
            self.at.append(time.monotonic())
            await _slept(way_s())
            self.arrived.append(time.monotonic())
            await _slept(way_s())
            self.throttle.answered(container, write=write)

    async def _written(self, delay_s: float, container: str, *, write: bool) -> None:
        try:
            await _slept(delay_s)
        except asyncio.CancelledError:
            self.throttle.returned(container, write=write)
            raise

    async def crew(self, workers: int, sends: int, **more: Any) -> None:
        await asyncio.gather(*(self.work(sends, **more) for _ in range(workers)))


async def _slept(seconds: float) -> None:
    if seconds:
        await asyncio.sleep(seconds)


def shortest_s(at: Sequence[float], sends: int) -> float:
    """Return the shortest time in which `sends + 1` sends left; a window of that length would hold too many."""
    at = sorted(at)
    return min((later - first for first, later in zip(at, at[sends:], strict=False)), default=float("inf"))
