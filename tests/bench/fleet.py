"""The fleet: what a change costs beside one machine, and how much faster more workers are.

The same changes are carried out by `apply` alone and by a fleet of one worker, each as processes of their own, with the
whole protocol. Counted is the CPU of the program's processes, of two sizes of run the difference, so that starting is
not in it; what PostgreSQL takes for itself is told apart.

Growth is looked at where the service's latency is the bound, and not the cores that all workers share here.
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import click
from msgspec import Struct

from migrator.emulator import Emulator, EmulatorSettings
from tests.bench.parts import Figure, Part, Place
from tests.bench.rounds import ROOT
from tests.bench.workload import Workload, write_input
from tests.postgres import Server, program, running
from tests.soak.job import Job

MOST_CPU = 1.5
"""CPU of a change in a fleet, of that on one machine."""

LATENCY_S = 0.1

IN_FLIGHT = 8

WORKERS = (1, 2, 4)

TOKEN = "t" * 1200
"""As long as a real one."""


class Cost(Struct, frozen=True, tag="fleet_cost"):
    """What a change costs, in microseconds of CPU; medians over the rounds.

    Attributes:
        alone_us: on one machine, reading and planning included.
        fleet_us: of the processes of a fleet with one worker.
        ratio: of the two.
    """

    alone_us: float
    fleet_us: float
    ratio: float


class Growth(Struct, frozen=True, tag="fleet_growth"):
    """How fast so many workers are.

    Attributes:
        workers: how many.
        changes_per_s: median over the rounds.
        factor: of that of one worker.
    """

    workers: int
    changes_per_s: float
    factor: float


class Skipped(Struct, frozen=True, tag="fleet_skipped"):
    """Nothing was measured, and why."""

    why: str


def measure(place: Place) -> Iterator[Cost | Growth | Skipped]:
    """Yield what a change costs in a fleet, and how a fleet grows."""
    if program("initdb") is None:
        yield Skipped("PostgreSQL is not installed")
        return
    with running() as server:
        yield _cost(place, server)
        yield from _growth(place, server)


# Cost


def _cost(place: Place, server: Server) -> Cost:
    few, many = place.size((2_000, 12_000), (1_000, 4_000))
    found = []
    for number in range(place.rounds):
        click.echo(f"round {number + 1}: cost of a change in a fleet", err=True)
        alone, fleet = (
            (_cpu_s(place, many, ledger()) - _cpu_s(place, few, ledger())) / (many - few) * 1e6
            for ledger in (lambda: None, server.database)
        )
        found.append((alone, fleet))
    alone_us, fleet_us = (statistics.median(column) for column in zip(*found, strict=True))
    return Cost(alone_us, fleet_us, statistics.median(fleet / alone for alone, fleet in found))


def _cpu_s(place: Place, rows: int, database: str | None) -> float:
    """Carry so many changes out, and return the CPU that the program's processes took."""
    with tempfile.TemporaryDirectory(dir=place.folder) as folder:
        write_input(Workload("dps", rows, 1, 32), Path(folder) / "changes.jsonl")
        before = _children_s()
        place.bench.reset(rows)
        with _workers(1 if database else 0, folder, environment := _environment(place.bench.url, database)):
            _apply(folder, environment)
        return _children_s() - before


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


# Growth


def _growth(place: Place, server: Server) -> Iterator[Growth]:
    rows = place.size(4_000, 1_000)
    found: dict[int, list[float]] = {workers: [] for workers in WORKERS}
    for number in range(place.rounds):
        click.echo(f"round {number + 1}: growth of a fleet", err=True)
        for workers, speeds in found.items():
            with tempfile.TemporaryDirectory(dir=place.folder) as folder:
                speeds.append(asyncio.run(_speed(folder, rows, workers, server.database())))
    one = statistics.median(found[1])
    for workers, speeds in found.items():
        speed = statistics.median(speeds)
        yield Growth(workers, speed, speed / one)


async def _speed(folder: str, rows: int, workers: int, database: str) -> float:
    """Return how many changes a second so many workers carry out, from the first to the last."""
    job = Job("dps", appends=rows)
    settings = EmulatorSettings(seed_offers=job.offers, latency_s=LATENCY_S, access_token=TOKEN, request_log=10 * rows)
    async with Emulator(settings) as emulator:
        job.write(Path(folder) / "changes.jsonl")
        environment = {**_environment(emulator.url, database), "MIGRATOR_SHARD_STEPS": str(rows // 16)}
        await asyncio.to_thread(_carry_out, workers, folder, environment)
        assert job.look(emulator).exactly_once
        arrived = [one.arrived_us for one in emulator.requests if one.method == "PATCH"]
        return (len(arrived) - 1) / (arrived[-1] - arrived[0]) * 1e6


def _carry_out(workers: int, folder: str, environment: Mapping[str, str]) -> None:
    with _workers(workers, folder, environment):
        _apply(folder, environment)


# Processes


def _environment(url: str, database: str | None) -> Mapping[str, str]:
    return os.environ | {
        "MIGRATOR_BASE_URL": url,
        "MIGRATOR_ORG_ID": "bench@AdobeOrg",
        "MIGRATOR_SANDBOX": "dev",
        "MIGRATOR_CLIENT_ID": "bench",
        "MIGRATOR_ACCESS_TOKEN": TOKEN,
        "MIGRATOR_RATE": "0",
        "MIGRATOR_CONCURRENCY": str(IN_FLIGHT),
        "MIGRATOR_LEDGER": database or "runs",
        "PYTHONPATH": str(ROOT),
        "no_proxy": "127.0.0.1",
    }


def _command(*arguments: str) -> Sequence[str]:
    return [sys.executable, "-m", "migrator", *arguments]


def _apply(folder: str, environment: Mapping[str, str]) -> None:
    command = _command("apply", "changes.jsonl", "--yes", "--style", "dps")
    subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=True)


@contextmanager
def _workers(count: int, folder: str, environment: Mapping[str, str]) -> Iterator[None]:
    """Run so many workers, with one shard at a time each; the body begins when all are ready."""
    command = _command("worker", "--shards", "1")
    workers = [_started(command, folder, environment) for _ in range(count)]
    try:
        yield
    finally:
        for worker in workers:
            worker.send_signal(signal.SIGTERM)
        for worker in workers:
            worker.wait(timeout=60)


def _started(command: Sequence[str], folder: str, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    worker = subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE)
    _until_ready(worker.stderr)
    return worker


def _until_ready(said: IO[bytes] | None) -> None:
    assert said is not None
    deadline = time.monotonic() + 60
    while said.readline() != b"ready\n":
        assert time.monotonic() < deadline


def figures(found: Sequence[Cost | Growth | Skipped]) -> Iterator[Figure]:
    """Yield what was promised of a fleet."""
    for one in found:
        match one:
            case Skipped():
                yield Figure("a fleet", "one machine", "", one.why)
            case Cost():
                measured = f"{one.ratio:.2f} × ({one.fleet_us:.0f} µs)"
                what = "CPU of a change in a fleet of one worker, its database left out"
                yield Figure(what, "one machine", f"≤ {MOST_CPU} ×", measured, one.ratio <= MOST_CPU)
            case Growth():
                what = (
                    f"changes/s of {one.workers} workers, {IN_FLIGHT} in flight each, {LATENCY_S * 1000:.0f} ms latency"
                )
                yield Figure(what, "one worker", "", f"{one.factor:.2f} × ({one.changes_per_s:.0f}/s)")


PART = Part(measure, figures)
