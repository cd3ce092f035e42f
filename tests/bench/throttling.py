"""The throttle alone: how much of a limit is used, how evenly, and what a permit costs however many wait for one.

Workers do nothing but ask for the next permit and use it. What is timed is the moment of sending.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from array import array
from collections.abc import Iterator, Sequence
from typing import Any

import click
from msgspec import Struct
from rich.table import Table

from migrator.transport.throttle import Throttle
from tests.bench import machine, windows
from tests.bench.parts import Figure, Part, Place
from tests.bench.results import TENTH_NS

LIMITS = (10, 100, 1_000, 5_000)
"""Requests a second."""

WAITERS = (1, 32, 512)


class Once(Struct, frozen=True):
    """One measurement: when each send was, in nanoseconds, timers set for a permit, and microseconds of CPU for one."""

    sends: Sequence[int]
    timers: float
    cpu_us: float


class Throttled(Struct, frozen=True, tag="throttled"):
    """How a limit is used, over all rounds.

    Attributes:
        limit: requests a second.
        waiters: workers that wait for permits.
        used: median share of the limit after the first second.
        used_least: the least of all rounds.
        over: windows of a second with more than the limit, of all rounds.
        tenth: most sends in any tenth of a second, of a tenth of the limit, worst of all rounds.
        timers: set for a permit, the most of all rounds.
        cpu_us: median of the microseconds of CPU for a permit.
    """

    limit: int
    waiters: int
    used: float
    used_least: float
    over: int
    tenth: float
    timers: float
    cpu_us: float


class CountingLoop(asyncio.SelectorEventLoop):
    """Counts the timers that are set."""

    timers = 0

    def call_at(self, *args: Any, **more: Any) -> asyncio.TimerHandle:  # type: ignore[override]
        """Set a timer."""
        self.timers += 1
        return super().call_at(*args, **more)


def measure(place: Place) -> Iterator[Throttled]:
    """Yield what each limit comes to with each number of waiters, measured in turns on one core."""
    seconds, rounds, cpu = place.size(4.0, 3.0), place.rounds, place.client_cpu
    kinds = [(limit, waiters) for limit in LIMITS for waiters in WAITERS]
    found: list[list[Once]] = [[] for _ in kinds]
    with machine.staying_on(cpu):
        for number in range(rounds):
            click.echo(f"round {number + 1}: throttle", err=True)
            for kind, runs in zip(kinds, found, strict=True):
                runs.append(_once(*kind, seconds))
    for (limit, waiters), runs in zip(kinds, found, strict=True):
        yield _summed_up(limit, waiters, runs)


def _once(limit: int, waiters: int, seconds: float) -> Once:
    with asyncio.Runner(loop_factory=CountingLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, CountingLoop)
        cpu_before_s = time.process_time()
        sends = runner.run(_send(Throttle(rate=limit), waiters, seconds))
        cpu_s = time.process_time() - cpu_before_s
        return Once(sends, (loop.timers - 1) / len(sends), cpu_s / len(sends) * 1e6)  # but for the one of the end


async def _send(throttle: Throttle, waiters: int, seconds: float) -> Sequence[int]:
    sends = array("q")

    async def work() -> None:
        while await throttle.permit("c"):
            throttle.sent("c")
            sends.append(time.monotonic_ns())
            throttle.answered("c")

    async with asyncio.TaskGroup() as crew:
        for _ in range(waiters):
            crew.create_task(work())
        await asyncio.sleep(seconds)
        throttle.close()
    return sends


def _summed_up(limit: int, waiters: int, runs: Sequence[Once]) -> Throttled:
    shares = [windows.used(run.sends, limit) for run in runs]
    return Throttled(
        limit=limit,
        waiters=waiters,
        used=statistics.median(shares),
        used_least=min(shares),
        over=sum(windows.over(run.sends, limit) for run in runs),
        tenth=max(windows.worst(run.sends, TENTH_NS) for run in runs) / (limit / 10),
        timers=max(run.timers for run in runs),
        cpu_us=statistics.median(run.cpu_us for run in runs),
    )


def figures(found: Sequence[Throttled]) -> Iterator[Figure]:
    """Yield what was promised of each limit, the worst of all numbers of waiters."""
    for limit in dict.fromkeys(one.limit for one in found):
        of_limit = [one for one in found if one.limit == limit]
        used, over = min(one.used for one in of_limit), sum(one.over for one in of_limit)
        tenth, timers = max(one.tenth for one in of_limit), max(one.timers for one in of_limit)
        what = f"limit of {limit:,}/s, 1 to {max(WAITERS)} waiting"
        yield Figure(f"{what}: used after the first second", "the limit", "≥ 99 %", f"{used:.1%}", used >= 0.99)
        yield Figure(f"{what}: windows of 1 s above it, at sending", "the limit", "0", str(over), over == 0)
        yield Figure(f"{what}: worst 100 ms", "its share", "≤ 2 ×", f"{tenth:.2f} ×", tenth <= 2)
        yield Figure(f"{what}: timers", "permits", "≤ 1", f"{timers:.2f}", timers <= 1)


def details(found: Sequence[Throttled]) -> Table:
    """Lay out what was `found` for a person."""
    shown = Table("a limit at sending", title="after the first second; aim: used ≥ 99 %, 0 over, ≤ 2 ×, ≤ 1 timer")
    for header in ("used", "least", "windows over", "worst 100 ms", "timers/permit", "CPU µs/permit"):
        shown.add_column(header, justify="right")
    for one in found:
        shown.add_row(
            f"{one.limit:,}/s, {one.waiters} waiting",
            f"{one.used:.1%}",
            f"{one.used_least:.1%}",
            f"{one.over}",
            f"{one.tenth:.2f} ×",
            f"{one.timers:.2f}",
            f"{one.cpu_us:.0f}",
        )
    return shown


PART = Part(measure, figures, details)
