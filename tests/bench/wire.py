"""What the program adds to a bare loop, by either client and on either event loop, and beside the naive program."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from importlib.util import find_spec

from msgspec import Struct
from rich.table import Table

from tests.bench.results import Run
from tests.bench.rounds import Bench, Scenario
from tests.bench.sender import Client, Loop
from tests.bench.workload import Workload

WORKERS = 32

LOADS = (("dps", 1), ("xcore", 20))
"""Styles, and the containers of each."""


class Wire(Struct, frozen=True, tag="wire"):
    """One way of sending; medians over the rounds.

    Attributes:
        name: of the scenario.
        requests_per_s: in the sending part.
        cpu_us: microseconds of CPU a request, user and system, all threads.
        of: what it is set beside, in the same round.
        times: requests a second, of those of that.
        cpu_times: CPU a request, of that.
        busy: share of one core that the process had.
    """

    name: str
    requests_per_s: float
    cpu_us: float
    of: str
    times: float
    cpu_times: float
    busy: float


def measure(bench: Bench, rows: int, rounds: int) -> Iterator[Wire]:
    """Yield every way of sending, style by style."""
    loops: Sequence[Loop] = ("asyncio", "uvloop") if find_spec("uvloop") else ("asyncio",)
    clients: Sequence[Client] = ("aiohttp", "lean") if find_spec("httptools") else ("aiohttp",)
    for style, containers in LOADS:
        load = Workload(style, rows, containers, WORKERS)
        pairs = [_pair(load, client, loop) for client in clients for loop in loops]
        scenarios = [scenario for pair in pairs for scenario in pair]
        naive = Scenario(f"{style}: naive, aiohttp, asyncio", "naive", load)
        *found, naively = zip(*bench.rounds([*scenarios, naive], rounds), strict=True)
        runs = {scenario.name: each for scenario, each in zip(scenarios, found, strict=True)}
        for bare, whole in pairs:
            yield _set_beside(bare, runs[bare.name], bare.name, runs[bare.name])
            yield _set_beside(whole, runs[whole.name], bare.name, runs[bare.name])
        first = pairs[0][1]
        yield _set_beside(naive, naively, naive.name, naively)
        for _, whole in pairs:
            yield _set_beside(whole, runs[whole.name], naive.name, naively)
        for _, whole in pairs[1:]:
            yield _set_beside(whole, runs[whole.name], first.name, runs[first.name])


def _pair(load: Workload, client: Client, loop: Loop) -> tuple[Scenario, Scenario]:
    where = f"{client}, {loop}"
    return (
        Scenario(f"{load.style}: bare, {where}", "bare", load, client=client, loop=loop),
        Scenario(f"{load.style}: pipeline, {where}", "pipeline", load, client=client, loop=loop),
    )


def _set_beside(scenario: Scenario, runs: Sequence[Run], of: str, others: Sequence[Run]) -> Wire:
    pairs = list(zip(runs, others, strict=True))
    return Wire(
        name=scenario.name,
        requests_per_s=statistics.median(run.requests_per_s for run in runs),
        cpu_us=statistics.median(run.cpu_us for run in runs),
        of=of,
        times=statistics.median(run.requests_per_s / other.requests_per_s for run, other in pairs),
        cpu_times=statistics.median(run.cpu_us / other.cpu_us for run, other in pairs),
        busy=statistics.median(run.busy for run in runs),
    )


def table(found: Sequence[Wire]) -> Table:
    """Lay out what was `found` for a person."""
    shown = Table("on the wire", title="medians of interleaved rounds; compare within a style only")
    for header in ("requests/s", "CPU µs/request", "busy"):
        shown.add_column(header, justify="right")
    shown.add_column("set beside")
    for header in ("requests/s", "CPU"):
        shown.add_column(header, justify="right")
    for one in found:
        beside = ("", "1", "1") if one.of == one.name else (one.of, f"{one.times:.2f}", f"{one.cpu_times:.2f}")
        shown.add_row(one.name, f"{one.requests_per_s:,.0f}", f"{one.cpu_us:.0f}", f"{one.busy:.0%}", *beside)
    return shown
