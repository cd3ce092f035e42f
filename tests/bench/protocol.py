"""What the protocol costs: whole runs beside runs without parts of it, all timed from their first request.

Without the guard, bodies are shorter and no `If-Match` is sent; without intents, the ledger writes the outcome of a
step and nothing before, so that nobody waits for it (`sender.OutcomesAlone`). In the whole protocol every base is known
before. Where they are read first, all are: one by one, or from lists that show the objects to be changed and no others.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct
from rich.table import Table

from tests.bench.parts import Figure, Part, Place
from tests.bench.results import Run
from tests.bench.rounds import Scenario
from tests.bench.sender import Protocol
from tests.bench.workload import Workload

VARIANTS: Mapping[str, Protocol] = {
    "whole, bases known": Protocol(),
    "guard off": Protocol(guard=False),
    "intents off": Protocol(intents=False),
    "both off": Protocol(guard=False, intents=False),
    "whole, bases read one by one": Protocol(bases="looked"),
    "whole, bases read from lists": Protocol(bases="listed"),
}
"""The first is what all others are set beside."""

LOADS = (("dps", 1), ("xcore", 20))
"""Styles, and the containers of each."""

WORKERS = 64

ROWS = 4_000
QUICK_ROWS = 2_000


class Cost(Struct, frozen=True, tag="cost"):
    """What a run with a part of the protocol costs; medians over the rounds.

    Attributes:
        name: of the scenario.
        rows_per_s: applied, from the first request on.
        of_whole: rows a second, of the whole protocol with known bases in the same round.
        cpu_us: microseconds of CPU a row, user and system, all threads.
        cpu_of_whole: CPU a row, of the same.
        requests_per_row: reads and writes.
        busy: share of one core that the process had.
        target_us: microseconds of CPU a row in the target.
    """

    name: str
    rows_per_s: float
    of_whole: float
    cpu_us: float
    cpu_of_whole: float
    requests_per_row: float
    busy: float
    target_us: float


def measure(place: Place) -> Iterator[Cost]:
    """Yield what each variant costs, style by style."""
    for style, containers in LOADS:
        load = Workload(style, place.size(ROWS, QUICK_ROWS), containers, WORKERS)
        scenarios = [Scenario(f"{style}: {name}", "pipeline", load, protocol) for name, protocol in VARIANTS.items()]
        whole, *others = zip(*place.bench.rounds(scenarios, place.rounds), strict=True)
        for scenario, runs in zip(scenarios, (whole, *others), strict=True):
            yield _cost(scenario.name, runs, whole)


def _cost(name: str, runs: Sequence[Run], whole: Sequence[Run]) -> Cost:
    pairs = list(zip(runs, whole, strict=True))
    return Cost(
        name=name,
        rows_per_s=statistics.median(run.requests_per_s for run in runs),
        of_whole=statistics.median(run.requests_per_s / other.requests_per_s for run, other in pairs),
        cpu_us=statistics.median(run.cpu_us for run in runs),
        cpu_of_whole=statistics.median(run.cpu_us / other.cpu_us for run, other in pairs),
        requests_per_row=statistics.median(1 + run.measured.reads / run.measured.requests for run in runs),
        busy=statistics.median(run.busy for run in runs),
        target_us=statistics.median(run.target_s / run.measured.requests for run in runs) * 1e6,
    )


def figures(costs: Sequence[Cost]) -> Iterator[Figure]:
    """Yield what each part of the protocol costs, as speed without it."""
    whole = next(iter(VARIANTS))
    for cost in costs:
        if not cost.name.endswith(whole):
            yield Figure(f"rows/s, {cost.name}", whole, "", f"{cost.of_whole:.2f} × ({cost.rows_per_s:,.0f}/s)")


def details(costs: Sequence[Cost]) -> Table:
    """Lay out `costs` for a person."""
    shown = Table("scenario", title="what the protocol costs; compare within a style only")
    for header in ("rows/s", "of whole", "CPU µs/row", "of whole", "requests/row"):
        shown.add_column(header, justify="right")
    shown.add_column("besides")
    for cost in costs:
        shown.add_row(
            cost.name,
            f"{cost.rows_per_s:,.0f}",
            f"{cost.of_whole:.2f}",
            f"{cost.cpu_us:.0f}",
            f"{cost.cpu_of_whole:.2f}",
            f"{cost.requests_per_row:.2f}",
            f"{cost.busy:.0%} of a core; target {cost.target_us:.0f} µs/row",
        )
    return shown


PART = Part(measure, figures, details)
