"""Runs of a fleet: handed in, watched, and copied out to be read. It needs the extra `fleet`.

::

    plan (a file) ──submit──▶ PostgreSQL ──shards──▶ `working.work` on any number of hosts
                                  │
    watch, summary ◀──────────────┤
    mirror ──▶ a file again ◀─────┘     for whatever reads a run: results, verify, rollback
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from time import monotonic

import msgspec

from migrator.core.errors import UsageError
from migrator.core.pacing import Range
from migrator.fleet.copying import copy_in, copy_out
from migrator.fleet.database import LedgerAway, Pool, connected, where
from migrator.fleet.runs import FleetRuns, Standing, Stop
from migrator.ledger.folder import RunFolder, Runs
from migrator.ledger.reading import read_run
from migrator.settings import Settings

WATCH_EVERY_S = 1.0


def watch_again_s(took_s: float) -> float:
    """Return when to look again at a run, whose rows took so long to count: the database has other things to do."""
    return max(WATCH_EVERY_S, 4 * took_s)


@asynccontextmanager
async def runs(settings: Settings) -> AsyncIterator[FleetRuns]:
    """Open the runs of the fleet that `settings` name.

    Raises:
        LedgerFailed: the database cannot be reached, or refuses us.
        UsageError: it has tables of another version, or none is named.
    """
    url = url_of(settings)
    async with connected(url) as pool:
        yield FleetRuns(pool, where(url))


def url_of(settings: Settings) -> str:
    """Return the database of the fleet that `settings` name.

    Raises:
        UsageError: they name none.
    """
    if settings.fleet is None:
        raise UsageError("no fleet is named", "name its database: --ledger postgresql://[user@]host/database")
    return settings.fleet


def stated_rate(settings: Settings) -> float:
    """Return the rate that a fleet keeps to.

    Raises:
        UsageError: it is to be found out, or kept at the service, which many cannot do at once.
    """
    if settings.strict_rate:
        message = "a fleet keeps a rate where requests leave, and not at the service"
        raise UsageError(message, "say a lower one without --strict-rate")
    if isinstance(settings.overall_rate, Range):
        raise UsageError("a fleet does not find its rate out", "say one that holds over all workers: --rate 50/s")
    return settings.overall_rate


async def carry_out(ledger: Path, settings: Settings) -> None:
    """Let the fleet carry out the run whose ledger is the file `ledger`: go on with it, if the fleet has it already.

    Raises:
        UsageError: the fleet has a run of that name that is about other changes, another run is still to change some of
            the same objects, or there is no rate to keep to.
        LedgerFailed: the database cannot be reached, or refuses us.
    """
    url, record = url_of(settings), read_run(ledger)
    run = record.id
    stated_rate(settings)
    async with connected(url) as pool:
        fleet = FleetRuns(pool, where(url))
        if run in await fleet.all():
            if await fleet.fingerprint(run) != record.fingerprint:
                hint = f"choose another --run-id for these; `migrator resume {run}` goes on with that one"
                raise UsageError(f"run {run} is there already, and about other changes; nothing was sent", hint)
            await fleet.go_on(run, msgspec.json.encode(settings.remembered()).decode())
        else:
            await copy_in(pool, where(url), ledger, size=settings.shard_steps)
            await _refuse_same_objects(fleet, run)


async def _refuse_same_objects(fleet: FleetRuns, run: str) -> None:
    """Drop a run again, of which nobody has begun anything, if another one is about some of the same objects."""
    if same := await fleet.same_objects(run):
        await fleet.drop(run)
        message = f"run {same.run} is still to change {same.count:,} of the same objects, {same.first} for one"
        raise UsageError(f"{message}; nothing was sent", f"wait until it is done: `migrator status {same.run}`")


async def watch(run: str, settings: Settings) -> AsyncIterator[Standing]:
    """Yield where a run stands, now and then, until it is over. That the database is away for a while ends nothing.

    Raises:
        MigratorError: the run was stopped before its end.
    """
    async with runs(settings) as fleet:
        while True:
            asked_at = monotonic()
            with suppress(LedgerAway):
                standing = await fleet.standing(run)
                yield standing
                if standing.over:
                    break
            await asyncio.sleep(watch_again_s(monotonic() - asked_at))
        if standing.stopped is not None:
            raise standing.stopped.error()


MOVED = "ledger.moved.sqlite"
"""What the ledger of a run is called that a fleet has taken over."""


async def move_in(run: RunFolder, url: str) -> None:
    """Move a run on one machine into the database of a fleet, which goes on with it.

    Raises:
        UsageError: the fleet has a run of that name, or one that is still to change some of the same objects.
        Stopped: a process is running it.
    """
    with run.locked():
        async with connected(url) as pool:
            await copy_in(pool, where(url), run.ledger)
            await _refuse_same_objects(FleetRuns(pool, where(url)), run.id)
        # No command finds it any more, by either name: first that, so that nothing is sent twice whatever comes now.
        run.ledger.rename(run.path / MOVED)
        names = (run.path.with_name(f"{run.id}.moved-{number}") for number in count(1))
        run.path.rename(next(name for name in names if not name.exists()))


async def move_out(run: str, url: str, runs: Runs) -> RunFolder:
    """Move a run of a fleet to one machine. It is stopped first, and nothing stays of it in the database.

    Raises:
        UsageError: there is none, or there is a run of that name here.
    """
    async with connected(url) as pool:
        fleet = FleetRuns(pool, where(url))
        await fleet.find(run)
        folder = runs.create(run)
        try:
            hint = f"go on with `migrator resume {run}`"
            await fleet.stop(run, Stop("asked", f"run {run} is being moved to one machine", hint))
            while (await fleet.standing(run)).at_work:  # noqa: ASYNC110 (the database does not call)
                await asyncio.sleep(WATCH_EVERY_S)
            await copy_out(pool, where(url), run, folder.ledger)
        except BaseException:
            folder.remove()
            raise
        await fleet.drop(run)
        return folder


class MirroredRun(RunFolder):
    """A copy of a run of the fleet. It is soon gone; what is written about it stays."""

    @property
    def beside(self) -> Path:
        """Where what is written about the run goes unless told otherwise."""
        return Path("runs") / self.id


async def mirror(run: str | None, settings: Settings, folder: Path) -> RunFolder:
    """Copy a run, or the newest one for `None`, out of the database into a folder, to be read there.

    With it come the runs that have taken it up: its retries, and its rollbacks.

    Raises:
        UsageError: there is none.
    """
    url = url_of(settings)
    async with connected(url) as pool:
        fleet = FleetRuns(pool, where(url))
        name = await fleet.find(run)
        for one in await fleet.all():
            if one == name or one.startswith((f"{name}.retry-", f"{name}.rollback-")):
                await _copy(pool, where(url), RunFolder(folder / one))
        return MirroredRun(folder / name)


async def _copy(pool: Pool, place: str, run: RunFolder) -> None:
    run.path.mkdir(parents=True)
    await copy_out(pool, place, run.id, run.ledger)
