"""Applies a job with the program as a user starts it, and kills it again and again until it is done."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from random import Random

from msgspec import Struct

from migrator.core.states import State
from migrator.emulator import Emulator
from migrator.emulator.observation import repeats
from migrator.ledger.reading import summarize
from tests.conftest import CommandLine
from tests.soak.job import Found, Job

QUICK = {
    "MIGRATOR_TIMEOUT": "1",
    "MIGRATOR_QUIET_PERIOD": "2",
    "MIGRATOR_SEARCH_LAG": "0.1",
    "MIGRATOR_BACKOFF_BASE": "0.1",
    "MIGRATOR_MAX_ATTEMPTS": "10",
}
"""Times for an emulator on this machine, whose late effects come after `LATE_S`. A real service needs longer ones.

A row whose request is lost five times has failed, as it should, unless told otherwise. On the bad day below one in 13
is lost (`drop-before` and `stall-before`), so that 6 of 100 runs of 20,000 rows have such a one: 20,000 × 0.078⁵.
Ten times are lost once in five million runs.
"""

LATE_S = 0.8

BAD_DAY = (
    "drop-after:POST,PATCH,PUT,DELETE:p=0.06",
    "drop-before:POST,PATCH,PUT,DELETE:p=0.04",
    f"late:POST,PATCH,PUT,DELETE:p=0.05:seconds={LATE_S}:then=504",
    "503-after:POST,PATCH,PUT,DELETE:p=0.03",
    "stall-before:POST,PATCH,PUT,DELETE:p=0.04:seconds=0.4",
    "stall-after:POST,PATCH,PUT,DELETE:p=0.03:seconds=0.4",
    "drop-before:GET:p=0.02",
    "429:*:p=0.02:retry-after=none",
    "expire-token:*:every=100",
)


class Death(Struct, frozen=True):
    """When a process is killed.

    Attributes:
        effects: it has brought about so many at least,
        requests: and sent so many, reads too,
        seconds: and so much time has passed since.
    """

    effects: int
    requests: int
    seconds: float


def after_the_first_effect(chance: Random) -> Death:
    """Kill it 50 to 500 ms after its first effect."""
    return Death(1, 1, chance.uniform(0.05, 0.5))


def after_the_first_request(chance: Random) -> Death:
    """Kill it at once, most likely while it only looks."""
    return Death(0, chance.randint(1, 10), 0.0)


class Ledger(Struct, frozen=True):
    """What the ledger and the results say.

    Attributes:
        states: rows by state.
        doubts: requests of which it was not known what became of them.
        results: rows of all results files.
    """

    states: dict[State, int]
    doubts: int
    results: int


class Story(Struct):
    """What happened to one job.

    Attributes:
        code: exit code of the last process.
        said: what it said on standard error.
        kills: processes that were killed.
        found: by the job, in the emulator.
        ledger: by the ledger.
        repeated: requests that were carried out twice.
        faults: how often a fault struck.
        breaches: requests beyond the limit of the service.
        requests: all that arrived.
        reads: those of them that change nothing.
        seconds: from the first process to the end of the last.
    """

    code: int
    said: str
    kills: int
    found: Found
    ledger: Ledger
    repeated: int
    faults: int
    breaches: int
    requests: int
    reads: int
    seconds: float

    @property
    def unresolved(self) -> int:
        """Rows that were left to a person."""
        return self.ledger.states.get(State.UNRESOLVED, 0)

    @property
    def perfect(self) -> bool:
        """Whether nothing was lost, nothing happened twice, and the program knows it."""
        changes = self.found.changes
        return (
            self.code == 0
            and self.found.exactly_once
            and not self.repeated
            and self.ledger.states == {State.APPLIED: changes}
            and self.ledger.results == changes
        )


async def survive(migrator: CommandLine, server: Emulator, job: Job, deaths: Iterable[Death], *flags: str) -> Story:
    """Apply `job`, kill the process as `deaths` say, resume it, and so on until one ends by itself.

    Args:
        migrator: the command line, in a folder of its own.
        server: seeded for the job.
        job: what is to be done.
        deaths: of the first process, the second and so on. The one after the last lives.
        flags: of `migrator apply` and `migrator resume`.
    """
    migrator.point_at(server.url)
    path = migrator.folder / "changes.jsonl"
    job.write(path)
    job.furnish(server)
    began_at = asyncio.get_running_loop().time()
    arguments: tuple[str, ...] = ("apply", str(path), "--yes", "--style", job.style, *flags)
    kills = 0
    for death in [*deaths, None]:
        code, said = await _live(migrator, server, arguments, death)
        if code != -9:
            break
        kills += 1
        arguments = ("resume", *flags)
    seconds = asyncio.get_running_loop().time() - began_at
    while len(server.late):  # noqa: ASYNC110 (what is still to come must not come unseen)
        await asyncio.sleep(0.01)
    await migrator("results")
    requests = server.counters.requests
    return Story(
        code=code,
        said=said,
        kills=kills,
        found=job.look(server),
        ledger=read(migrator.run_folder()),
        repeated=len(repeats(server.effects)),
        faults=sum(fault.hits for fault in server.faults),
        breaches=server.counters.key_violations.refused.total(),
        requests=requests.total(),
        reads=sum(number for (method, _), number in requests.items() if method == "GET"),
        seconds=seconds,
    )


async def _live(
    migrator: CommandLine, server: Emulator, arguments: tuple[str, ...], death: Death | None
) -> tuple[int, str]:
    """Let a process live until it ends or is killed. Return its exit code and what it said."""
    effects, requests = len(server.effects), server.counters.requests.total()

    def is_due(death: Death) -> bool:
        sent = server.counters.requests.total() - requests
        return len(server.effects) - effects >= death.effects and sent >= death.requests

    process = await migrator.start(*arguments)
    end = asyncio.create_task(process.communicate())
    try:
        if death is not None:
            while not (is_due(death) or end.done()):  # noqa: ASYNC110 (the server cannot call)
                await asyncio.sleep(0.002)
            await asyncio.wait([end], timeout=death.seconds)
            if process.returncode is None:
                process.kill()
        _, said = await end
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode is not None
    return process.returncode, said.decode()


def read(run: Path) -> Ledger:
    """Read a run's ledger and count the rows of its results."""
    path = run / "ledger.sqlite"
    with closing(sqlite3.connect(path)) as db:
        (doubts,) = db.execute(
            "SELECT (SELECT count(*) FROM progress WHERE how = 'look' AND state <> 'PENDING') + (SELECT count(*)"
            " FROM attempt WHERE error_class IN ('no_answer', 'server', 'unreadable_answer', 'guard_failed'))"
        ).fetchone()
    results = sum(file.read_bytes().count(b"\n") for file in (run / "results").iterdir())
    return Ledger(dict(summarize(path).rows), doubts, results)
