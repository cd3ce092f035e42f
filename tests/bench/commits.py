"""What a durable intent costs: commits of groups of intents through the ledger, with and without a sync of the disk."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
from msgspec import Struct
from rich.table import Table

from migrator.ledger.folder import RunFolder
from migrator.ledger.runledger import RunLedger
from migrator.ports import Intent
from tests.bench import machine
from tests.bench.parts import Figure, Part, Place
from tests.bench.sender import make_run
from tests.bench.workload import Workload, settings_for, write_input

SIZES = (1, 8, 64)
"""Intents of a commit."""

MODES = ("FULL", "OFF")
"""Values of `PRAGMA synchronous`: the ledger's own, and one that leaves it to the kernel when it writes."""


COMMITS = 200
QUICK_COMMITS = 50
"""Of each size."""


class Once(Struct, frozen=True):
    """One measurement: seconds on the clock and of CPU, for so many commits."""

    wall_s: float
    cpu_s: float
    commits: int


class Commits(Struct, frozen=True, tag="commits"):
    """How fast groups of intents become durable, one group after the other; medians over the rounds.

    Attributes:
        size: intents of a group.
        synchronous: see `MODES`.
        commits_per_s: groups written.
        intent_us: microseconds an intent, waiting for the disk included.
        cpu_us: microseconds of CPU an intent, user and system, all threads.
        of_off: microseconds an intent, of those without a sync in the same round.
    """

    size: int
    synchronous: str
    commits_per_s: float
    intent_us: float
    cpu_us: float
    of_off: float


def measure(place: Place) -> list[Commits]:
    """Measure commits of each kind in turns."""
    commits = place.size(COMMITS, QUICK_COMMITS)
    load = Workload("dps", commits * sum(SIZES), 1, 1)
    path = place.folder / "commits.jsonl"
    write_input(load, path)
    with machine.staying_on(place.client_cpu):
        found = [_round(path, load, place.folder, commits) for _ in range(place.rounds)]
    return [_summed_up(size, mode, found) for size in SIZES for mode in MODES]


def _round(path: Path, load: Workload, folder: Path, commits: int) -> dict[tuple[int, str], Once]:
    click.echo("a round of commits", err=True)
    runs: dict[tuple[int, str], Once] = {}
    for mode in MODES:
        with tempfile.TemporaryDirectory(dir=folder) as ledgers:
            run = make_run(path, settings_for(load, "http://127.0.0.1", Path(ledgers), guard=False))
            timed = asyncio.run(_time(run, mode, commits))
        runs |= {(size, mode): once for size, once in zip(SIZES, timed, strict=True)}
    return runs


async def _time(run: RunFolder, mode: str, commits: int) -> list[Once]:
    async with RunLedger(run.ledger) as ledger:
        await ledger._rows(f"PRAGMA synchronous = {mode}")
        (container,) = await ledger.containers(0)
        steps = iter(await ledger.pending(container, 0, 0, commits * sum(SIZES)))
        return [
            await _commit(ledger, [[next(steps).seq for _ in range(size)] for _ in range(commits)]) for size in SIZES
        ]


async def _commit(ledger: RunLedger, groups: Sequence[Sequence[int]]) -> Once:
    intents = [[Intent(seq, 1, str(uuid.uuid4()), time.time()) for seq in group] for group in groups]
    began_at, cpu_before_s = time.monotonic(), time.process_time()
    for group in intents:
        for intent in group:
            commit = ledger.intend(intent)
        await commit.durable()
    return Once(time.monotonic() - began_at, time.process_time() - cpu_before_s, len(groups))


def _summed_up(size: int, mode: str, rounds: Sequence[dict[tuple[int, str], Once]]) -> Commits:
    runs = [one[size, mode] for one in rounds]
    return Commits(
        size=size,
        synchronous=mode,
        commits_per_s=statistics.median(run.commits / run.wall_s for run in runs),
        intent_us=statistics.median(run.wall_s / run.commits for run in runs) / size * 1e6,
        cpu_us=statistics.median(run.cpu_s / run.commits for run in runs) / size * 1e6,
        of_off=statistics.median(one[size, mode].wall_s / one[size, "OFF"].wall_s for one in rounds),
    )


def figures(found: Sequence[Commits]) -> Iterator[Figure]:
    """Yield what a synced commit costs."""
    for one in found:
        if one.synchronous == "FULL":
            what = f"durable intents, {one.size} a commit, one commit after the other"
            yield Figure(what, "no sync", "", f"{one.of_off:.2f} × ({one.intent_us:.0f} µs each)")


def details(found: Sequence[Commits]) -> Table:
    """Lay out what was `found` for a person."""
    shown = Table("commits", title="what a durable intent costs; one commit after the other")
    for header in ("commits/s", "µs/intent", "CPU µs/intent", "of no sync"):
        shown.add_column(header, justify="right")
    for one in found:
        shown.add_row(
            f"{one.size} a commit, synchronous={one.synchronous}",
            f"{one.commits_per_s:,.0f}",
            f"{one.intent_us:.0f}",
            f"{one.cpu_us:.0f}",
            f"{one.of_off:.2f}",
        )
    return shown


PART = Part(measure, figures, details)
