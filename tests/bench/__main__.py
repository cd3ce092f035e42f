"""Benchmarks: what was promised of speed and memory, measured, in one table.

`python -m tests.bench` measures every part in turns with what it is set beside, each in a process of its own, in as
many rounds as asked for. Only ratios within one invocation mean anything: other work on the machine moves all figures.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console

from tests.bench import (
    backlog,
    commits,
    emulator,
    fairness,
    fleet,
    instructions,
    limits,
    machine,
    memory,
    migrating,
    pace,
    peers,
    planning,
    protocol,
    speed,
    starting,
    throttling,
    translating,
    wire,
)
from tests.bench.parts import Part, Place, table
from tests.bench.rounds import Bench, target

PARTS: Mapping[str, Part] = {
    "speed": speed.PART,
    "wire": wire.PART,
    "instructions": instructions.PART,
    "peers": peers.PART,
    "backlog": backlog.PART,
    "pace": pace.PART,
    "throttle": throttling.PART,
    "limits": limits.PART,
    "fairness": fairness.PART,
    "memory": memory.PART,
    "start": starting.START,
    "resume": starting.RESUME,
    "protocol": protocol.PART,
    "commits": commits.PART,
    "plan": planning.PART,
    "translate": translating.PART,
    "migrate": migrating.PART,
    "fleet": fleet.PART,
    "emulator": emulator.PART,
}
"""In the order of the table."""

ROUNDS = 5
QUICK_ROUNDS = 2


@click.command(help=__doc__)
@click.option("--quick", is_flag=True, help="Fewer rounds of fewer requests: to see whether it works.")
@click.option("--rounds", type=click.IntRange(min=1), help="How often everything is measured.")
@click.option("--only", type=click.Choice(list(PARTS)), multiple=True, help="Measure this part; may be repeated.")
@click.option("--details", is_flag=True, help="Show what else was found, part by part.")
@click.option("--json", is_flag=True, help="JSON lines instead of tables: the machine, results, figures.")
@click.option("--pin/--no-pin", default=True, help="Give the client and the target a core each.")
def main(*, quick: bool, rounds: int | None, only: tuple[str, ...], details: bool, json: bool, pin: bool) -> None:
    """Measure, and print what was found."""
    client_cpu, target_cpu = machine.cores() if pin else (None, None)
    with tempfile.TemporaryDirectory(prefix="migrator-bench-") as name, target(target_cpu) as port:
        folder = Path(name)
        here = machine.describe(folder)
        bench = Bench(folder, port, client_cpu)
        place = Place(folder, client_cpu, target_cpu, bench, rounds or (QUICK_ROUNDS if quick else ROUNDS), quick)
        found = {part: list(PARTS[part].measure(place)) for part in PARTS if part in (only or PARTS)}
    (write if json else show)(here, found, details=details)


def write(here: machine.Machine, found: Mapping[str, Sequence[Any]], *, details: bool) -> None:
    """Print JSON lines: the machine, all results, and the lines of the table; they have all `details` already."""
    del details
    figures = [figure for part, results in found.items() for figure in PARTS[part].figures(results)]
    for line in (here, *(result for results in found.values() for result in results), *figures):
        click.echo(msgspec.json.encode(line))


def show(here: machine.Machine, found: Mapping[str, Sequence[Any]], *, details: bool) -> None:
    """Print what was `found`, by part."""
    console = Console(width=None if sys.stdout.isatty() else 160)
    for part, results in found.items():
        lay_out = PARTS[part].details
        if details and lay_out is not None:
            console.print(lay_out(results))
    console.print(table(figure for part, results in found.items() for figure in PARTS[part].figures(results)))
    console.print(machine.described(here))


if __name__ == "__main__":
    main()
