"""What the program adds to a bare loop, by either client and on either event loop; and the naive program beside it."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from importlib.util import find_spec

from msgspec import Struct
from rich.table import Table

from tests.bench.parts import Figure, Part, Place
from tests.bench.results import Run
from tests.bench.rounds import Scenario
from tests.bench.sender import CLIENTS, Client, Loop
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
        busy: share of one core that the process had.
        of_bare: requests a second, of those of the bare loop with the same client on the same event loop.
        cpu_of_bare: CPU a request, of the same.
        of_naive: requests a second, of those of the naive program.
        cpu_of_naive: CPU a request, of the same.
    """

    name: str
    requests_per_s: float
    cpu_us: float
    busy: float
    of_bare: float | None
    cpu_of_bare: float | None
    of_naive: float
    cpu_of_naive: float


def measure(place: Place) -> Iterator[Wire]:
    """Yield every way of sending, style by style."""
    loops: Sequence[Loop] = ("asyncio", "uvloop") if find_spec("uvloop") else ("asyncio",)
    for style, containers in LOADS:
        load = Workload(style, place.size(5_000, 3_000), containers, WORKERS)
        naive = Scenario(f"{style}: naive", "naive", load)
        pairs = [_pair(load, client, loop) for client in CLIENTS for loop in loops]
        naively, *found = zip(
            *place.bench.rounds([naive, *(one for pair in pairs for one in pair)], place.rounds), strict=True
        )
        yield _summed_up(naive, naively, None, naively)
        for (bare, whole), (floor, runs) in zip(pairs, zip(found[::2], found[1::2], strict=True), strict=True):
            yield _summed_up(bare, floor, None, naively)
            yield _summed_up(whole, runs, floor, naively)


def _pair(load: Workload, client: Client, loop: Loop) -> tuple[Scenario, Scenario]:
    where = f"{client}, {loop}"
    return (
        Scenario(f"{load.style}: bare, {where}", "bare", load, client=client, loop=loop),
        Scenario(f"{load.style}: pipeline, {where}", "pipeline", load, client=client, loop=loop),
    )


def _summed_up(scenario: Scenario, runs: Sequence[Run], bare: Sequence[Run] | None, naive: Sequence[Run]) -> Wire:
    return Wire(
        name=scenario.name,
        requests_per_s=statistics.median(run.requests_per_s for run in runs),
        cpu_us=statistics.median(run.cpu_us for run in runs),
        busy=statistics.median(run.busy for run in runs),
        of_bare=None if bare is None else _speed_of(runs, bare),
        cpu_of_bare=None if bare is None else _cpu_of(runs, bare),
        of_naive=_speed_of(runs, naive),
        cpu_of_naive=_cpu_of(runs, naive),
    )


def _speed_of(runs: Sequence[Run], others: Sequence[Run]) -> float:
    return statistics.median(one.requests_per_s / other.requests_per_s for one, other in zip(runs, others, strict=True))


def _cpu_of(runs: Sequence[Run], others: Sequence[Run]) -> float:
    return statistics.median(one.cpu_us / other.cpu_us for one, other in zip(runs, others, strict=True))


def figures(found: Sequence[Wire]) -> Iterator[Figure]:
    """Yield what the pipeline comes to beside the bare loop and the naive program."""
    for one in found:
        if one.of_bare is not None:
            measured = f"{one.of_bare:.2f} × ({one.cpu_of_bare or 0:.2f} × its CPU)"
            yield Figure(f"{one.name}: requests/s", "the bare loop", "≥ 0.90 ×", measured, one.of_bare >= 0.9)
            naive = f"{one.of_naive:.2f} × ({one.requests_per_s:,.0f}/s)"
            yield Figure(f"{one.name}: requests/s", "the naive program", "≥ 1.5 ×", naive, one.of_naive >= 1.5)


def details(found: Sequence[Wire]) -> Table:
    """Lay out what was `found` for a person."""
    shown = Table("on the wire", title="medians of interleaved rounds; compare within a style only")
    for header in ("requests/s", "of bare", "of naive", "CPU µs/request", "of bare", "of naive", "busy"):
        shown.add_column(header, justify="right")
    for one in found:
        shown.add_row(
            one.name,
            f"{one.requests_per_s:,.0f}",
            "" if one.of_bare is None else f"{one.of_bare:.2f}",
            f"{one.of_naive:.2f}",
            f"{one.cpu_us:.0f}",
            "" if one.cpu_of_bare is None else f"{one.cpu_of_bare:.2f}",
            f"{one.cpu_of_naive:.2f}",
            f"{one.busy:.0%}",
        )
    return shown


PART = Part(measure, figures, details)
