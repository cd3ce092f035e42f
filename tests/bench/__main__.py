"""Benchmarks: what the program adds to a bare request loop and which part of it the protocol is, how it keeps limits,
its memory, what a durable intent costs, what planning costs, how fast change files are translated, and the emulator's
speed.

`python -m tests.bench` measures every scenario in turns, each in a process of its own, in as many rounds as asked for,
and prints a table for each part. Only ratios within one invocation mean anything: other work on the machine moves all
figures.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import msgspec
from msgspec import Struct
from rich.console import Console

from tests.bench import (
    backlog,
    commits,
    emulator,
    fairness,
    instructions,
    limits,
    machine,
    peers,
    planning,
    protocol,
    results,
    throttling,
    translating,
    wire,
)
from tests.bench.rounds import Bench, Scenario, target
from tests.bench.workload import Workload


class Size(Struct, frozen=True):
    """How much to measure.

    Attributes:
        rounds: of every scenario but the memory ones, which have one.
        rows: of a run without a limit.
        protocol_rows: of a run that shows what the protocol costs.
        paced_s: seconds of a run with a limit.
        throttle_s: seconds for which the throttle alone is asked for permits.
        limits: how much to measure of limits at the service; its rounds are those of `rounds`.
        beside: rows of a large container beside small ones.
        memory_rows: of the small and of the large run for memory.
        counted_rows: of a run of which the instructions are counted.
        commits: of each number of intents.
        objects: of the library of which all, or a few, are planned to be changed.
        lines: of a file that is translated.
        emulator: how much to measure of the emulator; its rounds are those of `rounds`.
    """

    rounds: int
    rows: int
    protocol_rows: int
    paced_s: int
    throttle_s: float
    limits: limits.Extent
    beside: int
    memory_rows: tuple[int, int]
    counted_rows: int
    commits: int
    objects: int
    lines: int
    emulator: emulator.Extent


FULL = Size(
    rounds=5,
    rows=5_000,
    protocol_rows=4_000,
    paced_s=8,
    throttle_s=4,
    limits=limits.Extent(5, 8, 45, (1, 4, 16, 64, 256)),
    beside=100_000,
    memory_rows=(1_000, 200_000),
    counted_rows=2_000,
    commits=200,
    objects=10_000,
    lines=200_000,
    emulator=emulator.Extent(5, 5_000, (10_000, 100_000)),
)
QUICK = Size(
    rounds=2,
    rows=3_000,
    protocol_rows=2_000,
    paced_s=4,
    throttle_s=3,
    limits=limits.Extent(2, 6, 40, (1, 16, 256)),
    beside=10_000,
    memory_rows=(1_000, 20_000),
    counted_rows=1_000,
    commits=50,
    objects=10_000,
    lines=50_000,
    emulator=emulator.Extent(2, 1_500, (1_000, 10_000)),
)

LIMIT = 500.0


def unlimited(rows: int) -> list[tuple[Scenario, Scenario]]:
    """Return the runs without a limit, each behind its bare loop."""
    pairs = []
    for style, containers in (("dps", 1), ("xcore", 20)):
        for workers in (32, 64):
            load = Workload(style, rows, containers, workers)
            where = f"{style}, {containers} containers" if containers > 1 else f"{style}, 1 container"
            name = f"{where}, {workers} workers"
            pairs.append((Scenario(f"bare: {name}", "bare", load), Scenario(f"pipeline: {name}", "pipeline", load)))
    return pairs


def paced(seconds: int) -> Scenario:
    """Return the run under a limit."""
    load = Workload("dps", int(LIMIT * seconds), 1, 32, LIMIT)
    return Scenario(f"pipeline: dps, limit {LIMIT:.0f}/s", "pipeline", load)


class Place(Struct, frozen=True):
    """Where it is measured: a folder for inputs and ledgers, and the cores of the client and of the target, if any."""

    folder: Path
    client_cpu: int | None
    target_cpu: int | None
    bench: Bench


def speed(place: Place, size: Size) -> Iterator[results.Speed]:
    """Yield the speed without a limit, scenario by scenario."""
    pairs = unlimited(size.rows)
    by_scenario = zip(*place.bench.rounds([scenario for pair in pairs for scenario in pair], size.rounds), strict=True)
    for floor, whole in pairs:
        bare, pipeline = next(by_scenario), next(by_scenario)
        yield results.speed(floor.name, bare, None)
        yield results.speed(whole.name, pipeline, bare)


def pace(place: Place, size: Size) -> Iterator[results.Pace]:
    """Yield how a limit is kept."""
    limited = paced(size.paced_s)
    yield results.pace(limited.name, limited.load, [runs[0] for runs in place.bench.rounds([limited], size.rounds)])


def memory(place: Place, size: Size) -> Iterator[results.Memory]:
    """Yield the memory of a small and of a large run."""
    small, large = (
        place.bench.run(Scenario(f"memory: {rows:,} rows", "pipeline", Workload("xcore", rows, 20, 64))).measured
        for rows in size.memory_rows
    )
    yield results.memory("memory: xcore, 20 containers", small, large)


PARTS: Mapping[str, Callable[[Place, Size], Iterable[Any]]] = {
    "speed": speed,
    "pace": pace,
    "throttle": lambda place, size: throttling.measure(size.throttle_s, size.rounds, place.client_cpu),
    "limits": lambda place, size: limits.measure(
        place.folder,
        msgspec.structs.replace(size.limits, rounds=size.rounds),
        (place.client_cpu, place.target_cpu),
    ),
    "fairness": lambda place, size: fairness.measure(place.folder, size.beside, size.rounds, place.client_cpu),
    "memory": memory,
    "wire": lambda place, size: wire.measure(place.bench, size.rows, size.rounds),
    "backlog": lambda place, size: backlog.measure(place.bench, size.rounds),
    "peers": lambda place, size: peers.measure(place.bench, size.rounds),
    "instructions": lambda place, size: instructions.measure(place.bench, size.counted_rows),
    "protocol": lambda place, size: protocol.measure(place.bench, size.protocol_rows, size.rounds),
    "commits": lambda place, size: commits.measure(place.folder, size.commits, size.rounds, place.client_cpu),
    "plan": lambda place, size: planning.measure(
        place.folder, size.objects, size.rounds, place.client_cpu, place.target_cpu
    ),
    "translate": lambda place, size: translating.measure(place.folder, size.lines, size.rounds, place.client_cpu),
    "emulator": lambda place, size: emulator.measure(
        msgspec.structs.replace(size.emulator, rounds=size.rounds), place.client_cpu, place.target_cpu
    ),
}

TABLES = (
    (("speed", "pace", "memory"), results.table),
    (("throttle",), throttling.table),
    (("limits", "fairness"), limits.table),
    (("wire",), wire.table),
    (("backlog",), backlog.table),
    (("peers",), peers.table),
    (("instructions",), instructions.table),
    (("protocol",), protocol.table),
    (("commits",), commits.table),
    (("plan",), planning.table),
    (("translate",), translating.table),
    (("emulator",), emulator.table),
)
"""Which parts share a table, and how it is laid out."""


@click.command(help=__doc__)
@click.option("--quick", is_flag=True, help="Fewer rounds of fewer requests: to see whether it works.")
@click.option("--rounds", type=click.IntRange(min=1), help="How often every scenario is measured.")
@click.option("--only", type=click.Choice(list(PARTS)), multiple=True, help="Measure this part; may be repeated.")
@click.option("--json", is_flag=True, help="JSON lines instead of tables: the machine, then one result a line.")
@click.option("--pin/--no-pin", default=True, help="Give the client and the target a core each.")
def main(*, quick: bool, rounds: int | None, only: tuple[str, ...], json: bool, pin: bool) -> None:
    """Measure, and print what was found."""
    size = QUICK if quick else FULL
    size = msgspec.structs.replace(size, rounds=rounds or size.rounds)
    client_cpu, target_cpu = machine.cores() if pin else (None, None)
    with tempfile.TemporaryDirectory(prefix="migrator-bench-") as name, target(target_cpu) as port:
        folder = Path(name)
        here = machine.describe(folder)
        place = Place(folder, client_cpu, target_cpu, Bench(folder, port, client_cpu))
        found = {part: list(PARTS[part](place, size)) for part in PARTS if part in (only or PARTS)}
    if json:
        for line in (here, *(result for part in found.values() for result in part)):
            click.echo(msgspec.json.encode(line))
    else:
        show(here, found)


def show(here: machine.Machine, found: Mapping[str, list[Any]]) -> None:
    """Print what was `found`, by part."""
    console = Console(width=None if sys.stdout.isatty() else 160)
    for parts, table in TABLES:
        if shown := [result for part in parts for result in found.get(part, ())]:
            console.print(table(shown))
    console.print(here)


if __name__ == "__main__":
    main()
