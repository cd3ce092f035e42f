"""A fleet on one machine: PostgreSQL, an emulator, three workers of which one is killed, and the proof.

Run as `make fleet-demo`. Nothing leaves this machine, and nothing stays on it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from asyncio.subprocess import Process
from pathlib import Path

from migrator.emulator import Emulator, EmulatorSettings
from tests.postgres import program, running
from tests.soak.job import Job
from tests.soak.killing import BAD_DAY, QUICK
from tests.waiting import ROOT

JOB = Job("dps", appends=3_000, replaces=1_000, creates=900, deletes=100)

WORKERS = 3

RATE = 250
"""Requests a second that all workers together may send."""


def say(text: str) -> None:
    """Show a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class Fleet:
    """Commands of ours in processes of their own, pointed at one database and one emulator."""

    def __init__(self, folder: Path, database: str, server: str, *, rate: int = RATE, shard_steps: int = 1_000) -> None:
        """Work in `folder`."""
        self._folder = folder
        self._environment = os.environ | {
            **QUICK,
            "MIGRATOR_LEDGER": database,
            "MIGRATOR_BASE_URL": server,
            "MIGRATOR_IMS_URL": server,
            "MIGRATOR_ORG_ID": "EMULATOR@AdobeOrg",
            "MIGRATOR_SANDBOX": "dev",
            "MIGRATOR_CLIENT_ID": "demo-client",
            "MIGRATOR_CLIENT_SECRET": "anything",
            "MIGRATOR_RATE": str(rate),
            "MIGRATOR_SHARD_STEPS": str(shard_steps),
            "MIGRATOR_CONCURRENCY": "16",
            "PYTHONPATH": str(ROOT),
        }

    async def start(self, *arguments: str, aside: str = "", noted: str = "") -> Process:
        """Start a command, and show it as it is typed.

        Args:
            arguments: of `migrator`.
            aside: names the file that its events go to.
            noted: names the file in which it is noted when requests leave, see `witness`.
        """
        say(f"$ migrator {' '.join(arguments)}")
        log = (self._folder / aside).open("ab") if aside else None
        program = ("tests.fleet.witness", noted) if noted else ("migrator",)
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", *program, *arguments, cwd=self._folder, env=self._environment, stderr=log
        )


async def demo(folder: Path, database: str) -> int:
    """Carry the job out, and return 0 if every change arrived exactly once."""
    settings = EmulatorSettings(seed_offers=JOB.offers, latency_s=0.02, faults=BAD_DAY, request_log=100_000)
    async with Emulator(settings) as server:
        say(f"The emulator listens on {server.url}: it loses 6 % of the answers and 4 % of the requests, and worse.")
        JOB.furnish(server)
        JOB.write(folder / "changes.jsonl")
        fleet = Fleet(folder, database, server.url)
        workers = [await fleet.start("worker", aside=f"worker-{number}.log") for number in range(WORKERS)]
        run = await fleet.start("apply", "changes.jsonl", "--yes", "--style", "dps", "--run-id", "demo")
        while len(server.effects) < JOB.changes // 3 and run.returncode is None:  # noqa: ASYNC110 (it cannot call)
            await asyncio.sleep(0.01)
        workers[0].kill()
        say(f"kill -9 {workers[0].pid}: a third of the changes is done, and a worker is gone.")
        code = await run.wait()
        await (await fleet.start("status")).wait()
        for worker in workers[1:]:
            worker.send_signal(signal.SIGTERM)
        await asyncio.gather(*(worker.wait() for worker in workers))
        return prove(server, code)


def prove(server: Emulator, code: int) -> int:
    """Say what the service saw, and what that means."""
    found = JOB.look(server)
    highest = max(server.state()["peak_requests_per_second"].values())
    say(f"\nThe service saw {found.changes - found.lost:,} of {found.changes:,} changes; twice: {found.twice:,};")
    say(f"wrong: {len(found.wrong):,}; the most requests in any one second: {highest}, and {RATE} are allowed.")
    return 0 if found.exactly_once and code == 0 else 1


def main() -> int:
    """Start what is needed, and end it."""
    if program("initdb") is None:
        say("PostgreSQL is not installed: apt-get install postgresql, or your system's word for it")
        return 2
    with running() as server, tempfile.TemporaryDirectory(prefix="migrator-fleet-") as folder:
        say(f"PostgreSQL listens on port {server.port}.")
        return asyncio.run(demo(Path(folder), server.database()))


if __name__ == "__main__":
    sys.exit(main())
