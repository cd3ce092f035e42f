"""Cutting a plan into shards: what one worker carries out at a time.

A shard is whole containers of one stage, about a thousand steps in all. A container that has more is cut by a hash of
the object, so that all steps of an object stay in one shard, in order. Pure: counts in, numbers out.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping

from msgspec import Struct

STEPS = 1_000
"""Steps of a shard, give or take half as many."""


class Counted(Struct, frozen=True):
    """How many steps of a stage are in a container.

    Attributes:
        stage: as in the ledger.
        container: its number in the ledger.
        steps: how many.
    """

    stage: int
    container: int
    steps: int


class Pieces(Struct, frozen=True):
    """The shards of a container's steps of one stage.

    Attributes:
        first: the number of the first.
        count: how many there are, numbered in a row.
    """

    first: int
    count: int

    def shard_of(self, identity: str) -> int:
        """Return the number of the shard for the steps of the object so called."""
        return self.first + (zlib.crc32(identity.encode(errors="surrogatepass")) % self.count if self.count > 1 else 0)


def cut(counts: Iterable[Counted], size: int = STEPS) -> Mapping[tuple[int, int], Pieces]:
    """Give the steps of each stage and container their shards.

    Args:
        counts: by stage and container, in the order in which they are to be done.
        size: steps of a shard.
    """
    cutter = _Cutter(size)
    return {(one.stage, one.container): cutter.place(one) for one in counts}


class _Cutter:
    """Fills one shard after the other."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._next = 0
        self._open_stage: int | None = None
        self._open_steps = 0

    def place(self, counted: Counted) -> Pieces:
        if counted.steps > self._size * 3 // 2:
            self._open_stage = None
            return self._take(-(-counted.steps // self._size))
        if counted.stage != self._open_stage or self._open_steps + counted.steps > self._size * 3 // 2:
            self._open_stage, self._open_steps = counted.stage, 0
            self._take(1)
        self._open_steps += counted.steps
        return Pieces(self._next - 1, 1)

    def _take(self, count: int) -> Pieces:
        first, self._next = self._next, self._next + count
        return Pieces(first, count)
