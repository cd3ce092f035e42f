"""Seeing to it that shards are handed out: the one of all workers that holds a lock in the database does.

There is no process that the fleet depends on. A run is there once it is in the database; whichever worker is foreman
submits the shards of the stage that the run is in, submits again what the engine has lost, and has what dead workers
left handed out again. A foreman that dies loses the lock with its connection, and another one takes over.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import msgspec

from migrator.core.errors import LedgerFailed
from migrator.core.limits import Share, share_of
from migrator.fleet.database import AWAY, Connection, Pool, postgres_errors
from migrator.fleet.dispatch import Dispatcher
from migrator.fleet.runs import FleetRuns, Stop
from migrator.logs import log

LOCK = 0x666F_7265_6D61_6E
"""`foreman` in ASCII."""

SILENT_S = 10.0
"""After how long without a word a worker counts as dead. If it is not, its leases keep what it has."""

EVERY_S = 1.0
"""How often the foreman looks."""


class Foreman:
    """What every worker runs; one of them at a time acts."""

    def __init__(
        self,
        pool: Pool,
        runs: FleetRuns,
        dispatcher: Dispatcher,
        *,
        place: str = "",
        every_s: float = EVERY_S,
        silent_s: float = SILENT_S,
    ) -> None:
        """Prepare to be foreman.

        Args:
            pool: connections to the fleet's database, of which the foreman keeps one.
            runs: those to see to.
            dispatcher: hands out shards.
            place: names the database in messages.
            every_s: how often to look.
            silent_s: after how long without a word a worker counts as dead.
        """
        self._pool = pool
        self._runs = runs
        self._dispatcher = dispatcher
        self._place = place
        self._every_s = every_s
        self._silent_s = silent_s

    async def work(self) -> None:
        """Ask for the lock, see to the runs while it is held, and begin anew when the database was away."""
        while True:
            try:
                with postgres_errors(self._place):
                    async with self._pool.acquire() as connection:
                        await self._hold(connection)
            except LedgerFailed as error:
                log.warning("foreman.failed", because=str(error))
            await asyncio.sleep(self._every_s)

    async def _hold(self, connection: Connection) -> None:
        """Look for as long as the lock is ours, which is as long as the connection is."""
        if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):
            return
        try:
            while await connection.fetchval("SELECT true"):
                await self.look()
                await asyncio.sleep(self._every_s)
        finally:
            with suppress(*AWAY):
                await connection.fetchval("SELECT pg_advisory_unlock($1)", LOCK)

    async def look(self) -> None:
        """See once to all runs and all workers."""
        silent = [worker.name for worker in await self._runs.workers() if worker.silent_s > self._silent_s]
        if silent:
            revived = await self._dispatcher.revive(silent)
            log.info("worker.silent", workers=silent, shards=revived)
            await self._runs.left(silent)
        for run in await self._runs.open():
            await self._mind_failures(run)
            await self._dispatcher.submit(await self._runs.next(run, await self._dispatcher.waiting(run)))

    async def _mind_failures(self, run: str) -> None:
        """Stop a run of which more has failed, over all workers, than it allows."""
        most = share_of(msgspec.json.decode(await self._runs.settings(run)).get("max_failures", ""))
        if most == Share():
            return
        failed, steps = await self._runs.failures(run)
        bound = most.of(steps)
        if bound is not None and failed > bound:
            message = f"{failed:,} of {steps:,} requests have failed, and --max-failures allows {bound:,}"
            hint = f"`migrator results {run}` says why; `migrator resume {run} --max-failures …` goes on"
            await self._runs.stop(run, Stop("stopped", message, hint))
