"""What tests of the fleet share: a plan that is one shard of a database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from migrator.core.model import Base
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
        self._to_write: list[tuple[str, tuple[object, ...]]] = []

    def hold(self, *seqs: int) -> None:
        """Let steps wait, and none else, when it is opened next."""
        self._to_write.append(("DELETE FROM held WHERE run = $1", ()))
        self._to_write += [("INSERT INTO held VALUES ($1, $2)", (seq,)) for seq in seqs]

    def review(self, seq: int, base: Base) -> None:
        """Say what the object of a step was when it was reviewed."""
        touched = None if base.touched is None else msgspec.json.encode(base.touched).decode()
        self._to_write.append(("INSERT INTO review VALUES ($1, $2, $3, $4, '')", (seq, base.etag, touched)))

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Ledger]:
        """Take the shard, as if the lease of whoever had it was over."""
        async with connected(self.url) as pool:
            if not self._run:
                self._run = await copy_in(pool, "the database", self._path)
                await pool.execute("UPDATE step SET shard = 0")
            for statement, values in self._to_write:
                await pool.execute(statement, self._run, *values)
            self._to_write.clear()
            shard = Shard(self._run, 0)
            async with ShardLedger(pool, shard, lease_s=LEASE_S, good_s=LEASE_S / 2, grace_s=-2 * LEASE_S) as ledger:
                yield ledger
