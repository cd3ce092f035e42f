"""A worker: takes shards as they are handed out, carries each out, and is heard of.

How a shard is carried out is the caller's: it is the engine's loop over a `ShardLedger`, the same as for a whole run on
one machine. What is here is what the fleet adds: waiting for a lease that is not over yet, stopping cleanly, telling
everybody when a run as a whole cannot go on, and going on by itself when the database was away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from migrator import __version__
from migrator.core.errors import LedgerFailed, MigratorError, ServiceRefused, Stopped, UsageError
from migrator.fleet.database import LedgerAway
from migrator.fleet.ledger import Shard, ShardTaken
from migrator.fleet.runs import FleetRuns, stop_of
from migrator.logs import log

HEARD_EVERY_S = 2.0

AGAIN_S = 1.0
"""How long to wait before a shard is tried again that somebody else still has, or when the database is away."""

CarryOut = Callable[[Shard], Awaitable[None]]
"""Takes a shard and does all of it that can be done.

Raises:
    ShardTaken: somebody else has it.
    MigratorError: it, or its run, cannot go on now.
"""


class Worker:
    """Carries out the shards that it is handed."""

    def __init__(self, runs: FleetRuns, name: str, carry_out: CarryOut) -> None:
        """Prepare to work.

        Args:
            runs: those of the fleet.
            name: of this process among all.
            carry_out: does a shard.
        """
        self._runs = runs
        self._name = name
        self._carry_out = carry_out
        self._shards: set[Shard] = set()
        self._stopping = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def stopping(self) -> bool:
        """Whether it takes nothing any more."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Take nothing any more."""
        self._stopping.set()

    async def idle(self) -> None:
        """Wait until no shard is at work."""
        await self._idle.wait()

    async def handle(self, shard: Shard) -> None:
        """Carry a shard out. Whatever happens is told the fleet, not the engine: that only hands out."""
        if shard in self._shards:
            return  # handed out again while it was still at work here
        self._shards.add(shard)
        self._idle.clear()
        try:
            await self._carry_out_whole(shard)
        finally:
            self._shards.discard(shard)
            if not self._shards:
                self._idle.set()

    async def _carry_out_whole(self, shard: Shard) -> None:
        while not self.stopping:
            try:
                await self._carry_out(shard)
            except (ShardTaken, LedgerAway) as error:
                log.info("shard.waits", shard=str(shard), because=str(error))
                await self._rest(AGAIN_S)
            except LedgerFailed as error:
                log.warning("shard.lost", shard=str(shard), because=str(error))
                return  # somebody else has it; or if not, it is submitted again
            except (ServiceRefused, Stopped, UsageError) as error:
                await self._tell(shard, error)
                return
            else:
                return

    async def _tell(self, shard: Shard, error: MigratorError) -> None:
        """Stop the run for all, since what ended this part of it would end each of the others."""
        log.warning("run.stopped", run=shard.run, because=str(error))
        await self._runs.stop(shard.run, stop_of(error))

    async def _rest(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return

    async def be_heard(self) -> None:
        """Say that this worker is there, for as long as it is."""
        while True:
            try:
                await self._runs.heard(self._name, __version__, len(self._shards))
            except LedgerFailed as error:
                log.warning("worker.unheard", because=str(error))
            await asyncio.sleep(HEARD_EVERY_S)
