"""What the fleet needs of an engine: that it hands shards to workers. Few calls, so that it can be changed.

What belongs here: the port, and nothing of any engine. What an engine says is not believed: whether a shard is done is
what the ledger says, whether a worker still has it is what the lease says, and a shard that an engine has lost is
submitted again (`reference/distributed.md` section 1).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Protocol

from migrator.fleet.ledger import Shard

Handler = Callable[[Shard], Awaitable[None]]
"""Carries a shard out, or as much of it as can be done now."""


class Dispatcher(Protocol):
    """Hands out shards: a worker that has one open gives its handler those that are its turn."""

    async def submit(self, shards: Mapping[Shard, int]) -> None:
        """Let shards be handed out, each for the time that is said; the same again has no further effect."""

    async def waiting(self, run: str) -> Collection[int]:
        """Return the shards of a run that are handed out, or will be."""

    async def revive(self, workers: Collection[str]) -> int:
        """Hand out again what `workers` had, who are not there any more; return how many shards."""

    async def forget(self, run: str) -> None:
        """Hand out nothing of a run any more, and keep nothing of it."""
