"""What tests of the fleet share: a plan that is one shard of a database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from migrator.fleet.copying import copy_in
from migrator.fleet.database import connected
from migrator.fleet.ledger import Shard, ShardLedger
from migrator.ports import Ledger

LEASE_S = 60.0


class ShardInDatabase:
    """A plan in a database, all of it one shard, whatever its stages."""

    def __init__(self, url: str, path: Path) -> None:
        self.url = url
        self._path = path
        self._run = ""

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Ledger]:
        """Take the shard, as if the lease of whoever had it was over."""
        async with connected(self.url) as pool:
            if not self._run:
                self._run = await copy_in(pool, "the database", self._path)
                await pool.execute("UPDATE step SET shard = 0")
            shard = Shard(self._run, 0)
            async with ShardLedger(pool, shard, lease_s=LEASE_S, good_s=LEASE_S / 2, grace_s=-2 * LEASE_S) as ledger:
                yield ledger
