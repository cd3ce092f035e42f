"""Runs carried out by workers in processes of their own, that are killed, paused, and lose their database."""

from __future__ import annotations

import asyncio
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from migrator.emulator import Emulator, EmulatorSettings
from tests.postgres import Server
from tests.soak.job import Job, Style
from tests.soak.killing import QUICK

STYLES = pytest.mark.parametrize("style", ["xcore", "dps"])

Start = Callable[[], Awaitable[Process]]


@pytest.fixture
def fleet(migrator: Any, postgres: Server) -> str:
    """Name a database of its own for the runs of this test."""
    url = postgres.database()
    migrator.environment |= {**QUICK, "MIGRATOR_LEDGER": url}
    return url


@asynccontextmanager
async def working(migrator: Any, count: int) -> AsyncIterator[list[Process]]:
    """Run so many workers; those that are still there in the end are stopped cleanly."""
    workers = [await start_worker(migrator) for _ in range(count)]
    try:
        yield workers
        for worker in alive(workers):
            worker.terminate()
        ended = [await migrator.end(worker) for worker in workers]
        assert all(one.code in {0, -signal.SIGKILL} for one in ended), ended
    finally:
        for worker in alive(workers):
            worker.kill()


def alive(workers: list[Process]) -> list[Process]:
    return [worker for worker in workers if worker.returncode is None]


async def start_worker(migrator: Any) -> Process:
    process: Process = await migrator.start("worker", "--shards", "4")
    assert process.stderr is not None
    async with asyncio.timeout(60):
        while b"ready" not in await process.stderr.readline():
            pass
    return process


def emulator(job: Job, **settings: Any) -> Emulator:
    return Emulator(EmulatorSettings(seed_offers=job.offers, containers=job.containers, **settings))


def lay_out(migrator: Any, server: Emulator, job: Job) -> None:
    migrator.point_at(server.url)
    job.furnish(server)
    job.write(migrator.folder / "c.jsonl")


@STYLES
async def test_a_fleet_leaves_what_one_machine_leaves(migrator: Any, fleet: str, style: Style) -> None:
    job = Job(style, appends=60, replaces=20, deletes=10, creates=20, puts=5, containers=3)
    files: dict[str, list[dict[str, bytes]]] = {}
    for ledger in ("alone", fleet):
        async with emulator(job) as server:
            lay_out(migrator, server, job)
            async with working(migrator, 2 if ledger == fleet else 0):
                migrator.environment["MIGRATOR_LEDGER"] = ledger
                applied = await migrator("apply", "c.jsonl", "--yes", "--style", style, "--run-id", "spring")
                assert applied.code == 0, applied.err
                assert job.look(server).exactly_once
                written = await migrator("results", "spring", "--to", f"results-{ledger == fleet}")
                assert written.code == 0, written.err
                verified = await migrator("verify", "spring")
                assert (verified.code, "115 of 115 rows as written" in verified.out) == (0, True), verified.out
        folder: Path = migrator.folder / f"results-{ledger == fleet}"
        files[ledger] = [{file.name: _untimed(file) for file in sorted(folder.iterdir())}]
    assert files["alone"] == files[fleet]


def _untimed(file: Path) -> Any:
    """Read results without what differs each time: when, by which request, and what the service called what it made."""
    import json

    rows = [json.loads(line) for line in file.read_bytes().splitlines()]
    return [
        {name: value for name, value in row.items() if not name.startswith(("_at", "_sent", "_request"))}
        for row in rows
    ]
