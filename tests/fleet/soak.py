"""A long run of a fleet on one bad day: `python -m tests.fleet.soak [--appends N] [--shards N] [--style dps|xcore]`.

Four workers, a service that loses requests and answers, a limit over all of them. Two workers are killed with kill -9
and started again, one is paused for longer than its lease, and PostgreSQL crashes and comes back. In the end: what was
lost, what happened twice, the most requests in any one second, how much of the limit was used before the first
misfortune, and the whole history of each row that was not applied.

The limit is held to where requests leave. The service of the soak shares two cores with all the others, so that what
has left evenly arrives when it is given one; that is told apart.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from asyncio.subprocess import Process
from collections.abc import Sequence
from pathlib import Path

from migrator.emulator import Emulator, EmulatorSettings
from migrator.fleet.database import connected
from tests.bench.windows import SECOND_NS, used, worst
from tests.fleet.demo import Fleet, say
from tests.fleet.witness import noted_sends
from tests.postgres import Server, running
from tests.soak.job import Job
from tests.soak.killing import BAD_DAY

WORKERS = 4

SENDS = "sends"
"""The file in which it is noted when requests leave."""

NOT_APPLIED = """
SELECT i.line, coalesce(p.state, 'PENDING') AS state, p.attempt, p.misses, p.error_class, p.message, p.how,
       (SELECT json_agg(a ORDER BY a.number) FROM attempt AS a WHERE a.run = i.run AND a.step = i.step) AS attempts
FROM input_row AS i LEFT JOIN progress AS p ON p.run = i.run AND p.step = i.step
WHERE i.run = $1 AND p.state IS DISTINCT FROM 'APPLIED' ORDER BY i.line
"""

RUN = "soak"


async def soak(folder: Path, postgres: Server, job: Job, shards: int, rate: int) -> int:
    """Carry `job` out through all of it, and return 0 if every change happened exactly once and the limit was kept."""
    bad_day = [rule for rule in BAD_DAY if not rule.startswith("429")]
    settings = EmulatorSettings(
        seed_offers=job.offers, containers=job.containers, latency_s=0.02, faults=tuple(bad_day), request_log=1_000_000
    )
    async with Emulator(settings) as server:
        job.furnish(server)
        job.write(folder / "changes.jsonl")
        database = postgres.database()
        fleet = Fleet(folder, database, server.url, rate=rate, shard_steps=job.changes // shards)
        workers = [await _worker(fleet) for _ in range(WORKERS)]
        run = await fleet.start("apply", "changes.jsonl", "--yes", "--style", job.style, "--run-id", RUN, aside="run")
        quiet_until = await _torment(fleet, workers, postgres, server, job)
        code = await run.wait()
        for worker in workers:
            worker.terminate()
        await asyncio.gather(*(worker.wait() for worker in workers))
        await _tell_rows(database)
        return _tell(server, job, rate, code, noted_sends(folder / SENDS), quiet_until)


async def _worker(fleet: Fleet) -> Process:
    return await fleet.start("worker", aside="worker.log", noted=SENDS)


async def _torment(fleet: Fleet, workers: list[Process], postgres: Server, server: Emulator, job: Job) -> int:
    """Let misfortunes happen, and return when the first one did, on the monotonic clock in nanoseconds."""

    async def reached(share: float) -> None:
        while len(server.effects) < share * job.changes:  # noqa: ASYNC110 (it cannot call)
            await asyncio.sleep(0.05)

    await reached(0.3)
    quiet_until = time.monotonic_ns()
    for number in (0, 1):
        workers[number].kill()
        say(f"kill -9 of worker {number} after {len(server.effects):,} changes")
        workers[number] = await _worker(fleet)
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
    return quiet_until


async def _tell_rows(database: str) -> None:
    """Show all that the ledger knows of each row that was not applied."""
    async with connected(database) as pool:
        for row in await pool.fetch(NOT_APPLIED, RUN):
            say(f"not applied: {dict(row)}")


def _tell(server: Emulator, job: Job, rate: int, code: int, sent: Sequence[int], quiet_until: int) -> int:
    found = job.look(server)
    arrived = [one.arrived_us * 1_000 for one in server.requests if one.api_key]
    most, most_arrived = worst(sent, SECOND_NS), worst(sorted(arrived), SECOND_NS)
    wrong = f"lost {found.lost:,}, twice {found.twice:,}, wrong {len(found.wrong):,}"
    say(f"{found.changes:,} changes, {wrong}, exit {code}")
    say(f"{len(sent):,} requests left in {(sent[-1] - sent[0]) / SECOND_NS:.0f} s, and {len(arrived):,} arrived;")
    say(f"the most in any one second: {most} left, {most_arrived} arrived, and {rate} are allowed;")
    say(f"{used([at for at in sent if at < quiet_until], rate):.1%} of the limit used before the first misfortune")
    return 0 if found.exactly_once and code == 0 and most <= rate else 1


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
