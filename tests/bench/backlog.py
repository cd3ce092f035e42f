"""How far the ledger is behind at full speed: records that are not on the disk yet, and for how long they are not.

Disks differ, so it is tried with 5 ms more for each commit, too, during which the thread of the ledger waits and the
rest goes on, as it would for a disk.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.util import find_spec

from msgspec import Struct
from rich.table import Table

from tests.bench.parts import Figure, Part, Place
from tests.bench.results import Run
from tests.bench.rounds import Scenario
from tests.bench.sender import CLIENTS, Loop, Protocol
from tests.bench.workload import Workload

LOAD = Workload("dps", 10_000, 1, 64)

SLOWER_S = 0.005
"""What a slow disk takes more for each commit."""

MOST_ROWS = 2_048
MOST_MS = 250.0
"""What is aimed at."""


class Backlog(Struct, frozen=True, tag="backlog"):
    """How far the ledger was behind at the worst, in all rounds.

    Attributes:
        name: of the scenario.
        rows: records that were not on the disk, at the most.
        ms: milliseconds from the first record of a commit to its end, at the most.
        requests_per_s: the most of all rounds.
        met: whether that is what is aimed at.
    """

    name: str
    rows: int
    ms: float
    requests_per_s: float
    met: bool


def measure(place: Place) -> Iterator[Backlog]:
    """Yield the backlog by either client, on either event loop, on this disk and on a slower one."""
    loops: Sequence[Loop] = ("asyncio", "uvloop") if find_spec("uvloop") else ("asyncio",)
    for slower_s in (0.0, SLOWER_S):
        protocol = Protocol(slower_s=slower_s)
        for client in CLIENTS:
            for loop in loops:
                name = f"{client}, {loop}" + (f", {slower_s * 1000:.0f} ms more a commit" if slower_s else "")
                scenario = Scenario(name, "pipeline", LOAD, protocol, client, loop)
                yield _worst(name, [place.bench.run(scenario) for _ in range(place.rounds)])


def _worst(name: str, runs: Sequence[Run]) -> Backlog:
    rows = max(run.measured.backlog_rows for run in runs)
    ms = max(run.measured.backlog_ms for run in runs)
    fastest = max(run.requests_per_s for run in runs)
    return Backlog(name, rows, ms, fastest, met=rows <= MOST_ROWS and ms <= MOST_MS)


def figures(found: Sequence[Backlog]) -> Iterator[Figure]:
    """Yield how far the ledger was behind at the worst."""
    aim = f"≤ {MOST_ROWS:,} rows and {MOST_MS:.0f} ms"
    for one in found:
        yield Figure(
            f"ledger backlog at full speed, {one.name}", "", aim, f"{one.rows:,} rows, {one.ms:.0f} ms", one.met
        )


def details(found: Sequence[Backlog]) -> Table:
    """Lay out what was `found` for a person."""
    aim = f"{MOST_ROWS:,} rows and {MOST_MS:.0f} ms are allowed"
    shown = Table("ledger backlog at full speed", title=f"worst of all rounds; {aim}")
    for header in ("rows unsaved", "for ms", "requests/s", "met"):
        shown.add_column(header, justify="right")
    for one in found:
        cells = (f"{one.rows:,}", f"{one.ms:.0f}", f"{one.requests_per_s:,.0f}", "yes" if one.met else "NO")
        shown.add_row(one.name, *cells)
    return shown


PART = Part(measure, figures, details)
