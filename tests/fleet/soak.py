"""A long run of a fleet on one bad day: `python -m tests.fleet.soak [--appends N] [--shards N] [--style dps|xcore]`.

Four workers, a service that loses requests and answers, a limit over all of them. Two workers are killed with kill -9
and started again, one is paused for longer than its lease, and PostgreSQL crashes and comes back. In the end: what was
lost, what happened twice, the most requests in any one second, and how much of the limit was used before the first
misfortune.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from asyncio.subprocess import Process
from pathlib import Path

from migrator.emulator import Emulator, EmulatorSettings
from tests.fleet.demo import Fleet, say
from tests.postgres import Server, running
from tests.soak.job import Job
from tests.soak.killing import BAD_DAY

WORKERS = 4


async def soak(folder: Path, postgres: Server, job: Job, shards: int, rate: int) -> int:
    """Carry `job` out through all of it, and return 0 if every change happened exactly once and the limit was kept."""
    bad_day = [rule for rule in BAD_DAY if not rule.startswith("429")]
    settings = EmulatorSettings(
        seed_offers=job.offers, containers=job.containers, latency_s=0.02, faults=tuple(bad_day), request_log=1_000_000
    )
    async with Emulator(settings) as server:
        job.furnish(server)
        job.write(folder / "changes.jsonl")
        fleet = Fleet(folder, postgres.database(), server.url, rate=rate, shard_steps=job.changes // shards)
        workers = [await fleet.start("worker", aside="worker.log") for _ in range(WORKERS)]
        began_at = time.monotonic()
        run = await fleet.start(
            "apply", "changes.jsonl", "--yes", "--style", job.style, "--run-id", "soak", aside="run"
        )
        await _torment(fleet, workers, postgres, server, job)
        code = await run.wait()
        took_s = time.monotonic() - began_at
        for worker in workers:
            worker.terminate()
        await asyncio.gather(*(worker.wait() for worker in workers))
        return _tell(server, job, rate, code, took_s)


async def _torment(fleet: Fleet, workers: list[Process], postgres: Server, server: Emulator, job: Job) -> None:
    async def reached(share: float) -> None:
        while len(server.effects) < share * job.changes:  # noqa: ASYNC110 (it cannot call)
            await asyncio.sleep(0.05)

    await reached(0.3)
    for number in (0, 1):
        workers[number].kill()
        say(f"kill -9 of worker {number} after {len(server.effects):,} changes")
        workers[number] = await fleet.start("worker", aside="worker.log")
    await reached(0.5)
    workers[2].send_signal(signal.SIGSTOP)
    say(f"SIGSTOP of worker 2 after {len(server.effects):,} changes")
    await reached(0.6)
    await asyncio.to_thread(postgres.stop, "immediate")
    say(f"PostgreSQL crashes after {len(server.effects):,} changes")
    await asyncio.sleep(5)
    say(f"PostgreSQL comes back after {len(server.effects):,} changes")
    await asyncio.to_thread(postgres.start)
    await reached(0.75)
    workers[2].send_signal(signal.SIGCONT)
    say(f"SIGCONT of worker 2 after {len(server.effects):,} changes")


def _tell(server: Emulator, job: Job, rate: int, code: int, took_s: float) -> int:
    found = job.look(server)
    arrived = sorted(one.arrived_us / 1e6 for one in server.requests if one.api_key)
    quiet = [at for at in arrived if arrived[0] + 2 <= at <= arrived[0] + 2 + 0.2 * job.changes / rate]
    used = (len(quiet) - 1) / (quiet[-1] - quiet[0]) / rate
    highest = max(server.state()["peak_requests_per_second"].values())
    wrong = f"lost {found.lost:,}, twice {found.twice:,}, wrong {len(found.wrong):,}"
    say(f"{found.changes:,} changes, {wrong}, exit {code}")
    say(f"{len(arrived):,} requests in {took_s:.0f} s; the most in any one second {highest}, and {rate} are allowed;")
    say(f"{used:.1%} of the limit used before the first misfortune")
    return 0 if found.exactly_once and code == 0 and highest <= rate else 1


def main() -> int:
    """Read the arguments, and start what is needed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--appends", type=int, default=20_000)
    parser.add_argument("--shards", type=int, default=200)
    parser.add_argument("--rate", type=int, default=300)
    parser.add_argument("--style", choices=["dps", "xcore"], default="xcore")
    given = parser.parse_args()
    job = Job(given.style, appends=given.appends, containers=given.shards)
    with running() as postgres, tempfile.TemporaryDirectory(prefix="migrator-fleet-") as folder:
        return asyncio.run(soak(Path(folder), postgres, job, given.shards, given.rate))


if __name__ == "__main__":
    sys.exit(main())
