"""How many instructions a request takes of the program, beside the bare loop: steady where time is not.

Counted in user space by valgrind's callgrind, from a request in the middle of the run to its end, with the connections
open and the caches of the program warm; blind to the kernel, and to what the threads of the program wait for.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
from msgspec import Struct
from rich.table import Table

from tests.bench.parts import Figure, Part, Place
from tests.bench.rounds import Bench, Scenario
from tests.bench.workload import Workload

LOADS = (("dps", 1), ("xcore", 20))
"""Styles, and the containers of each."""

WORKERS = 32

BEFORE = 500
"""Writes that are not counted: the first ones."""


class Instructions(Struct, frozen=True, tag="instructions"):
    """What a request takes.

    Attributes:
        name: of the scenario.
        thousands: instructions a request in user space, all threads.
        of_bare: of those of the bare loop; `None` for the bare loop itself.
        skipped: why nothing was counted, "" if it was.
    """

    name: str
    thousands: float = 0.0
    of_bare: float | None = None
    skipped: str = ""


def measure(place: Place) -> Iterator[Instructions]:
    """Count the instructions of so many requests, style by style."""
    bench, rows = place.bench, place.size(2_000, 1_000)
    if shutil.which("valgrind") is None:
        yield Instructions("instructions a request", skipped="there is no valgrind here")
        return
    for style, containers in LOADS:
        load = Workload(style, BEFORE + rows, containers, WORKERS)
        bare = count(bench, Scenario(f"bare: {style}", "bare", load)) / rows
        yield Instructions(f"bare: {style}", bare / 1000)
        whole = count(bench, Scenario(f"pipeline: {style}", "pipeline", load)) / rows
        yield Instructions(f"pipeline: {style}", whole / 1000, whole / bare)


def count(bench: Bench, scenario: Scenario) -> int:
    """Count the instructions of one run from the request `BEFORE` on."""
    click.echo(f"counting: {scenario.name}", err=True)
    log = bench.folder / "callgrind.log"
    command = ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--callgrind-out-file=/dev/null"]
    bench.run(scenario, under=[*command, f"--log-file={log}"], counted=BEFORE)
    return collected(log)


def collected(log: Path) -> int:
    """Read from callgrind's log what it has counted."""
    (found,) = re.findall(r"Collected : (\d+)", log.read_text(encoding="ascii"))
    return int(found)


def figures(found: Sequence[Instructions]) -> Iterator[Figure]:
    """Yield what a request takes beside that of the bare loop."""
    for one in found:
        if one.skipped:
            yield Figure("user instructions a request", "the bare loop", "≤ 1.20 ×", one.skipped)
        elif one.of_bare is not None:
            measured = f"{one.of_bare:.2f} × ({one.thousands:.0f} k)"
            yield Figure(f"user instructions, {one.name}", "the bare loop", "≤ 1.20 ×", measured, one.of_bare <= 1.2)


def details(found: Sequence[Instructions]) -> Table:
    """Lay out what was `found` for a person."""
    shown = Table("instructions a request, user space", title="counted by callgrind; the same every time, to about 1 %")
    for header in ("thousands", "of bare"):
        shown.add_column(header, justify="right")
    for one in found:
        ratio = "1" if one.of_bare is None else f"{one.of_bare:.2f}"
        shown.add_row(one.name, *((one.skipped, "") if one.skipped else (f"{one.thousands:.0f}", ratio)))
    return shown


PART = Part(measure, figures, details)
