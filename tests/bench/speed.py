"""How fast a run is without a limit, beside a bare loop that sends the same requests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.table import Table

from tests.bench.parts import Figure, Part, Place
from tests.bench.results import Speed, speed
from tests.bench.rounds import Scenario
from tests.bench.workload import Workload

LOADS = (("dps", 1), ("xcore", 20))
"""Styles, and the containers of each."""

WORKERS = (32, 64)

ROWS = 5_000
QUICK_ROWS = 3_000

LEAST = 0.9
"""Requests a second, of the bare loop."""


def measure(place: Place) -> Iterator[Speed]:
    """Yield the speed of the bare loop and of the program, scenario by scenario."""
    pairs = list(_pairs(place.size(ROWS, QUICK_ROWS)))
    rounds = place.bench.rounds([scenario for pair in pairs for scenario in pair], place.rounds)
    by_scenario = zip(*rounds, strict=True)
    for floor, whole in pairs:
        bare, pipeline = next(by_scenario), next(by_scenario)
        yield speed(floor.name, bare, None)
        yield speed(whole.name, pipeline, bare)


def _pairs(rows: int) -> Iterator[tuple[Scenario, Scenario]]:
    """Yield the runs without a limit, each behind its bare loop."""
    for style, containers in LOADS:
        for workers in WORKERS:
            load = Workload(style, rows, containers, workers)
            name = f"{style}, {containers} container{'s' * (containers > 1)}, {workers} workers"
            yield Scenario(f"bare: {name}", "bare", load), Scenario(f"pipeline: {name}", "pipeline", load)


def figures(found: Sequence[Speed]) -> Iterator[Figure]:
    """Yield a line for each scenario."""
    for one in found:
        if one.of_bare is not None:
            yield Figure(
                f"requests/s, whole protocol, no limit: {one.name.removeprefix('pipeline: ')}",
                "bare aiohttp loop, same bodies",
                f"≥ {LEAST:.0%}",
                f"{one.of_bare:.0%} ({one.requests_per_s:,.0f}/s)",
                one.of_bare >= LEAST,
            )


def details(found: Sequence[Speed]) -> Table:
    """Lay out what was `found` for a person."""
    shown = Table("scenario", title="speed without a limit")
    for header in ("requests/s", "of bare", "CPU µs/request", "of bare", "whole s", "of a core", "target µs/request"):
        shown.add_column(header, justify="right")
    for one in found:
        shown.add_row(
            one.name,
            f"{one.requests_per_s:,.0f}",
            _ratio(one.of_bare),
            f"{one.cpu_us:.0f}",
            _ratio(one.cpu_of_bare),
            f"{one.whole_s:.1f}",
            f"{one.busy:.0%}",
            f"{one.target_us:.0f}",
        )
    return shown


def _ratio(value: float | None) -> str:
    return "1" if value is None else f"{value:.2f}"


PART = Part(measure, figures, details)
