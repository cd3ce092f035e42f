"""The fleet: what a change costs beside one machine, and how much faster more workers are.

The same changes are carried out by `apply` alone and by a fleet of one worker, each as processes of their own, with the
whole protocol. Counted is the CPU of the program's processes, of two sizes of run the difference, so that starting is
not in it; what PostgreSQL takes for itself is told apart.

Growth is looked at where the service's latency is the bound, and not the cores that all workers share here.

What a shard costs by itself is the difference between a run of many shards of about one step and one of few shards of
many. In it is what all processes do in the few seconds that the one takes longer, such as to say that they are there:
a few transactions among a thousand.
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
from typing import IO, TypeAlias

import click
from msgspec import Struct

from migrator.emulator import Emulator, EmulatorSettings
from tests.bench.parts import Figure, Part, Place
from tests.bench.rounds import ROOT
from tests.bench.windows import SECOND_NS, share, worst
from tests.bench.workload import Workload, write_input
from tests.postgres import Server, program, running
from tests.soak.job import Job

MOST_CPU = 1.5
"""CPU of a change in a fleet, of that on one machine."""

LATENCY_S = 0.1

IN_FLIGHT = 8

WORKERS = (1, 2, 4)

RATE = 200
"""Requests a second of which the use is measured: few, so that the cores that all processes share are no bound."""

LEAST_USE = 0.97
"""What is to be used of a limit, once all workers are at work and until the first is done."""

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


class Use(Struct, frozen=True, tag="fleet_use"):
    """How much of a limit four workers use together; medians over the rounds, and of the last member the worst.

    Attributes:
        whole: the share from the first request to the last.
        steady: the same without the first seconds and the last ones.
        most: requests that arrived in any one second.
    """

    whole: float
    steady: float
    most: int


class Overhead(Struct, frozen=True, tag="fleet_overhead"):
    """What a shard costs besides its steps; medians over the rounds.

    Attributes:
        cpu_ms: of the processes of the program.
        calls: transactions of the database, those of the engine that hands out shards included.
    """

    cpu_ms: float
    calls: float


class Skipped(Struct, frozen=True, tag="fleet_skipped"):
    """Nothing was measured, and why."""

    why: str


Found: TypeAlias = Cost | Growth | Use | Overhead | Skipped


def measure(place: Place) -> Iterator[Found]:
    """Yield what a change and a shard cost in a fleet, how a fleet grows, and how much of a limit it uses."""
    if program("initdb") is None:
        yield Skipped("PostgreSQL is not installed")
        return
    with running() as server:
        yield _cost(place, server)
        yield _overhead(place, server)
        yield from _growth(place, server)
        yield _use(place, server)


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


def _carry_out(workers: int, folder: str, environment: Mapping[str, str], at_once: int = 1) -> None:
    with _workers(workers, folder, environment, at_once=at_once):
        _apply(folder, environment)


# Use of a limit


def _use(place: Place, server: Server) -> Use:
    rows = place.size(4_000, 1_200)
    found = []
    for number in range(place.rounds):
        click.echo(f"round {number + 1}: how much of a limit a fleet uses", err=True)
        with tempfile.TemporaryDirectory(dir=place.folder) as folder:
            found.append(asyncio.run(_used(folder, rows, server.database())))
    whole, steady, most = zip(*found, strict=True)
    return Use(statistics.median(whole), statistics.median(steady), max(most))


async def _used(folder: str, rows: int, database: str) -> tuple[float, float, int]:
    job = Job("xcore", appends=rows, containers=16)
    settings = EmulatorSettings(
        seed_offers=job.offers, containers=16, latency_s=LATENCY_S, access_token=TOKEN, request_log=10 * rows
    )
    async with Emulator(settings) as emulator:
        job.write(Path(folder) / "changes.jsonl")
        shape = {"MIGRATOR_SHARD_STEPS": str(rows // 16), "MIGRATOR_RATE": str(RATE), "MIGRATOR_STYLE": "xcore"}
        await asyncio.to_thread(_carry_out, 4, folder, {**_environment(emulator.url, database), **shape}, 4)
        arrived = sorted(one.arrived_us * 1_000 for one in emulator.requests if one.api_key)
        steady = [at for at in arrived if arrived[0] + 2 * SECOND_NS < at < arrived[-1] - 2 * SECOND_NS]
        return share(arrived, RATE), share(steady, RATE), worst(arrived, SECOND_NS)


# Overhead of a shard


def _overhead(place: Place, server: Server) -> Overhead:
    few, many = place.size((8, 264), (4, 68))
    found = []
    for number in range(place.rounds):
        click.echo(f"round {number + 1}: cost of a shard", err=True)
        (cpu, calls), (less_cpu, less_calls) = (_cost_of_shards(place, many, n, server.database()) for n in (many, few))
        found.append(((cpu - less_cpu) / (many - few) * 1_000, (calls - less_calls) / (many - few)))
    cpu_ms, calls_each = (statistics.median(column) for column in zip(*found, strict=True))
    return Overhead(cpu_ms, calls_each)


def _cost_of_shards(place: Place, steps: int, shards: int, database: str) -> tuple[float, float]:
    """Carry so many steps out in so many shards, and return the CPU that it took, and the transactions."""
    place.bench.reset(steps)
    shape = {"MIGRATOR_SHARD_STEPS": str(steps // shards), "MIGRATOR_GUARD": "false"}
    environment = {**_environment(place.bench.url, database), **shape}
    before_s = _children_s()
    with tempfile.TemporaryDirectory(dir=place.folder) as folder:
        write_input(Workload("dps", steps, 1, 32), Path(folder) / "changes.jsonl")
        with _workers(1, folder, environment, at_once=64):
            _apply(folder, environment)
    # A connection tells of its transactions at its end at the latest.
    return _children_s() - before_s, _transactions(database)


def _transactions(database: str) -> int:
    """Return how many transactions there have been in a database."""
    count = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"
    psql = [str(program("psql")), "--tuples-only", "--no-align", "--command", count, database]
    return int(subprocess.run(psql, capture_output=True, check=True, text=True).stdout)


# Processes


def _environment(url: str, database: str | None) -> Mapping[str, str]:
    return os.environ | {
        "MIGRATOR_BASE_URL": url,
        "MIGRATOR_ORG_ID": "bench@AdobeOrg",
        "MIGRATOR_SANDBOX": "dev",
        "MIGRATOR_CLIENT_ID": "bench",
        "MIGRATOR_ACCESS_TOKEN": TOKEN,
        "MIGRATOR_STYLE": "dps",
        "MIGRATOR_RATE": "0",
        "MIGRATOR_CONCURRENCY": str(IN_FLIGHT),
        "MIGRATOR_LEDGER": database or "runs",
        "PYTHONPATH": str(ROOT),
        "no_proxy": "127.0.0.1",
    }


def _command(*arguments: str) -> Sequence[str]:
    return [sys.executable, "-m", "migrator", *arguments]


def _apply(folder: str, environment: Mapping[str, str]) -> None:
    command = _command("apply", "changes.jsonl", "--yes")
    subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=True)


@contextmanager
def _workers(count: int, folder: str, environment: Mapping[str, str], at_once: int = 1) -> Iterator[None]:
    """Run so many workers, with so many shards at a time each; the body begins when all are ready."""
    command = _command("worker", "--shards", str(at_once))
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


def figures(found: Sequence[Found]) -> Iterator[Figure]:
    """Yield what was promised of a fleet."""
    for one in found:
        match one:
            case Skipped():
                yield Figure("a fleet", "one machine", "", one.why)
            case Cost():
                measured = f"{one.ratio:.2f} × ({one.fleet_us:.0f} µs)"
                what = "CPU of a change in a fleet of one worker, its database left out"
                yield Figure(what, "one machine", f"≤ {MOST_CPU} ×", measured, one.ratio <= MOST_CPU)
            case Overhead():
                what = "a shard of a fleet, besides its steps: CPU, and transactions of its database"
                yield Figure(what, "few shards", "", f"{one.cpu_ms:.1f} ms, {one.calls:.1f}")
            case Use():
                aim = f"{LEAST_USE:.0%}"
                what = f"use of a limit of {RATE}/s by 4 workers with 16 shards, when all are at work"
                yield Figure(what, "the limit", f"≥ {aim}", f"{one.steady:.1%}", one.steady >= LEAST_USE)
                yield Figure("the same from the first request to the last", "the limit", "", f"{one.whole:.1%}")
                what = "the most requests that arrived in one second"
                yield Figure(what, "the limit", f"≤ {RATE}", str(one.most), one.most <= RATE)
            case Growth():
                what = (
                    f"changes/s of {one.workers} workers, {IN_FLIGHT} in flight each, {LATENCY_S * 1000:.0f} ms latency"
                )
                yield Figure(what, "one worker", "", f"{one.factor:.2f} × ({one.changes_per_s:.0f}/s)")


PART = Part(measure, figures)
