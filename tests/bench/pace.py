"""How a limit is kept and used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.table import Table

from tests.bench.parts import Figure, Part, Place
from tests.bench.results import Pace, pace
from tests.bench.rounds import Scenario
from tests.bench.workload import Workload

LIMIT = 500.0

SECONDS = 8
QUICK_SECONDS = 4

LEAST = 0.99
"""Share of the limit that is to be used."""


def measure(place: Place) -> Iterator[Pace]:
    """Yield how a limit is kept."""
    load = Workload("dps", int(LIMIT * place.size(SECONDS, QUICK_SECONDS)), 1, 32, LIMIT)
    scenario = Scenario(f"pipeline: dps, limit {LIMIT:.0f}/s", "pipeline", load)
    yield pace(scenario.name, load, [runs[0] for runs in place.bench.rounds([scenario], place.rounds)])


def figures(found: Sequence[Pace]) -> Iterator[Figure]:
    """Yield how much of the limit is used, and whether it is ever exceeded."""
    for one in found:
        limit = f"limit of {one.limit:.0f}/s"
        yield Figure("rate used after the first second", limit, f"≥ {LEAST:.0%}", f"{one.used:.1%}", one.used >= LEAST)
        yield Figure("windows of 1 s above it, at sending", limit, "0", str(one.over_sent), one.over_sent == 0)


def details(found: Sequence[Pace]) -> Table:
    """Lay out what was `found` for a person."""
    shown = Table("scenario", "used", "at least", title="how a limit is kept: sent / arrived at the target")
    for header in ("worst 1 s", "worst 100 ms", "windows over the limit"):
        shown.add_column(header, justify="right")
    for one in found:
        shown.add_row(
            one.name,
            f"{one.used:.1%}",
            f"{one.used_least:.1%}",
            f"{one.second_sent} / {one.second_arrived}",
            f"{one.tenth_sent} / {one.tenth_arrived}",
            f"{one.over_sent} / {one.over_arrived}",
        )
    return shown


PART = Part(measure, figures, details)
