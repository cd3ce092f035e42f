"""The objects as they were some time ago, for lists and searches that lag behind the writes (C-28).

It is a second store and the writes of the last while. The store stands at one of these writes and is moved along them,
forward and back, to whatever moment is asked for: a lag that stays the same costs each write one more `put`.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from migrator.emulator.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterable

    from migrator.emulator.store import Record


class _Write(NamedTuple):
    """A write that can be looked behind. `before` is None for a create, `after` for a delete."""

    time_us: int
    before: Record | None
    after: Record | None


class Hindsight:
    """What lists can look back at.

    Args:
        records: the objects as they are now.

    Attributes:
        horizon_us: how far back it can look; from now on, if it is raised.
    """

    def __init__(self, records: Iterable[Record]) -> None:
        self.horizon_us = 0
        self._store = Store()
        self._writes: deque[_Write] = deque()
        self._place = 0
        for record in records:
            self._store.put(record)

    def add(self, record: Record) -> None:
        """Keep an object that was always there."""
        self._store.put(record)

    def note(self, now_us: int, before: Record | None, after: Record | None) -> None:
        """Take note of a write that has just been made, and forget those that are out of sight."""
        self._writes.append(_Write(now_us, before, after))
        while self._writes[0].time_us < now_us - self.horizon_us:
            if not self._place:
                self._step_forward()
            self._writes.popleft()
            self._place -= 1

    def at(self, moment_us: int) -> Store:
        """The objects at a moment, the writes of that microsecond included. Read it before the next call."""
        while self._place < len(self._writes) and self._writes[self._place].time_us <= moment_us:
            self._step_forward()
        while self._place and self._writes[self._place - 1].time_us > moment_us:
            self._place -= 1
            write = self._writes[self._place]
            self._swap(write.after, write.before)
        return self._store

    def clear(self) -> None:
        """Forget everything but the horizon."""
        self._store.clear()
        self._writes.clear()
        self._place = 0

    def _step_forward(self) -> None:
        write = self._writes[self._place]
        self._swap(write.before, write.after)
        self._place += 1

    def _swap(self, old: Record | None, new: Record | None) -> None:
        if new is not None:
            self._store.put(new)
        elif old is not None:
            self._store.remove(old)
