"""Benchmarks: what the program adds to a bare request loop, how it keeps a limit, its memory, and the emulator's speed.

`python -m tests.bench` measures every scenario in turns, each in a process of its own, in as many rounds as asked for,
and prints one table for the program and one for the emulator. Only ratios within one invocation mean anything: other
work on the machine moves all figures.
"""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import click
import msgspec
from msgspec import Struct
from rich.console import Console

from tests.bench import emulator, machine, results
from tests.bench.results import Result, Run
from tests.bench.sender import Measured, Order
from tests.bench.target import Record
from tests.bench.workload import Workload, write_input

ROOT = Path(__file__).parents[2]


class Size(Struct, frozen=True):
    """How much to measure.

    Attributes:
        rounds: of every scenario but the memory ones, which have one.
        rows: of a run without a limit.
        paced_s: seconds of a run with a limit.
        memory_rows: of the small and of the large run for memory.
        emulator: how much to measure of the emulator; its rounds are those of `rounds`.
    """

    rounds: int
    rows: int
    paced_s: int
    memory_rows: tuple[int, int]
    emulator: emulator.Extent


FULL = Size(5, 10_000, 10, (1_000, 200_000), emulator.Extent(5, 5_000, (10_000, 100_000)))
QUICK = Size(2, 3_000, 4, (1_000, 20_000), emulator.Extent(2, 1_500, (1_000, 10_000)))

LIMIT = 500.0


class Scenario(Struct, frozen=True):
    """One line of the table."""

    name: str
    kind: Literal["bare", "pipeline"]
    load: Workload


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


class Bench:
    """Measures scenarios against one target."""

    def __init__(self, folder: Path, port: int, cpu: int | None) -> None:
        """Keep inputs and ledgers in `folder`; the target listens on `port`, the client stays on core `cpu`."""
        self._folder = folder
        self._port = port
        self._cpu = cpu

    def run(self, scenario: Scenario) -> Run:
        """Measure `scenario` once."""
        before = self._ask("/reset", "/arrivals")
        steal = machine.Steal()
        measured = self._send(scenario)
        stolen = steal.share()
        after = self._ask("/arrivals")
        return Run(measured, after.arrivals, after.cpu_s - before.cpu_s, stolen)

    def _send(self, scenario: Scenario) -> Measured:
        with tempfile.TemporaryDirectory(dir=self._folder) as runs:
            order = Order(
                kind=scenario.kind,
                load=scenario.load,
                input=str(self._input(scenario.load)),
                base_url=f"http://127.0.0.1:{self._port}",
                runs=runs,
                cpu=self._cpu,
            )
            ended = subprocess.run(
                [sys.executable, "-m", "tests.bench.sender"],
                input=msgspec.json.encode(order),
                stdout=subprocess.PIPE,
                cwd=ROOT,
                env={**os.environ, "no_proxy": "127.0.0.1"},
                check=True,
            )
        return msgspec.json.decode(ended.stdout, type=Measured)

    def _input(self, load: Workload) -> Path:
        path = self._folder / f"{load.style}-{load.containers}-{load.rows}.jsonl"
        if not path.exists():
            write_input(load, path)
        return path

    def _ask(self, *paths: str) -> Record:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        for path in paths:
            connection.request("GET", path)
            body = connection.getresponse().read()
        connection.close()
        return msgspec.json.decode(body, type=Record)

    def rounds(self, scenarios: Sequence[Scenario], wanted: int) -> list[list[Run]]:
        """Measure `scenarios` in turns, until there are `wanted` calm rounds or patience is at an end."""
        found: list[list[Run]] = []
        for number in range(wanted * machine.PATIENCE):
            found.append([self.run(_announced(scenario, number)) for scenario in scenarios])
            calm = [runs for runs in found if all(map(is_calm, scenarios, runs))]
            if len(calm) == wanted:
                return calm
        click.echo(f"{len(calm)} of {len(found)} rounds were calm: others had the machine too", err=True)
        return calm or found


def is_calm(scenario: Scenario, run: Run) -> bool:
    """Whether the machine was ours while `run` was measured."""
    return run.steal <= machine.MOST_STEAL and (scenario.kind != "bare" or run.busy >= machine.LEAST_BUSY)


def _announced(scenario: Scenario, number: int) -> Scenario:
    click.echo(f"round {number + 1}: {scenario.name}", err=True)
    return scenario


def measure(bench: Bench, size: Size) -> Iterator[Result]:
    """Yield the results, scenario by scenario."""
    pairs = unlimited(size.rows)
    by_scenario = zip(*bench.rounds([scenario for pair in pairs for scenario in pair], size.rounds), strict=True)
    for floor, whole in pairs:
        bare, pipeline = next(by_scenario), next(by_scenario)
        yield results.speed(floor.name, bare, None)
        yield results.speed(whole.name, pipeline, bare)
    limited = paced(size.paced_s)
    yield results.pace(limited.name, limited.load, [runs[0] for runs in bench.rounds([limited], size.rounds)])
    small, large = (
        bench.run(Scenario(f"memory: {rows:,} rows", "pipeline", Workload("xcore", rows, 20, 64))).measured
        for rows in size.memory_rows
    )
    yield results.memory("memory: xcore, 20 containers", small, large)


@contextmanager
def target(cpu: int | None) -> Iterator[int]:
    """Keep a target on core `cpu`, and give its port."""
    command = [sys.executable, "-m", "tests.bench.target", *([] if cpu is None else [str(cpu)])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.stdin.close()
            process.wait(timeout=10)


@click.command(help=__doc__)
@click.option("--quick", is_flag=True, help="Fewer rounds of fewer requests: to see whether it works.")
@click.option("--rounds", type=click.IntRange(min=1), help="How often every scenario is measured.")
@click.option("--json", is_flag=True, help="JSON lines instead of the table: the machine, then one result a line.")
@click.option("--pin/--no-pin", default=True, help="Give the client and the target a core each.")
def main(*, quick: bool, rounds: int | None, json: bool, pin: bool) -> None:
    """Measure, and print what was found."""
    size = QUICK if quick else FULL
    size = msgspec.structs.replace(size, rounds=rounds or size.rounds)
    client_cpu, target_cpu = machine.cores() if pin else (None, None)
    with tempfile.TemporaryDirectory(prefix="migrator-bench-") as folder, target(target_cpu) as port:
        here = machine.describe(Path(folder))
        found = list(measure(Bench(Path(folder), port, client_cpu), size))
    extent = msgspec.structs.replace(size.emulator, rounds=size.rounds)
    served = emulator.measure(extent, client_cpu, target_cpu)
    if json:
        for line in (here, *found, *served):
            click.echo(msgspec.json.encode(line))
    else:
        console = Console(width=None if sys.stdout.isatty() else 160)
        console.print(results.table(found))
        console.print(emulator.table(served))
        console.print(here)


if __name__ == "__main__":
    main()
