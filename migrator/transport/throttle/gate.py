"""The pause that all limits share, and the end of all waiting when the run stops."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from msgspec import Struct

SHORTEST_SLEEP_S = 0.001
"""Event loops turn shorter sleeps into busy waiting."""


class Pause(Struct, frozen=True):
    """A stop for everybody.

    Attributes:
        until: when it ends, on the monotonic clock.
        reason: what imposed it.
    """

    until: float
    reason: str


NO_PAUSE = Pause(0.0, "")


class Gate:
    """The pause that all windows share, and the end of all waiting when the run stops."""

    def __init__(self, pause: Pause = NO_PAUSE) -> None:
        """Begin with a pause, which may be over."""
        self.pause = pause
        self._closed = asyncio.Event()
        self._let_go = asyncio.Event()
        self._let_go.set()
        self._barred = False  # whether it is held or closed: known at once, for it is asked before each request

    def shut(self, seconds: float, reason: str) -> None:
        """Let nobody through for `seconds` from now. A longer pause that is already on stays."""
        until = time.monotonic() + seconds
        if until > self.pause.until:
            self.pause = Pause(until, reason)

    @property
    def is_shut(self) -> bool:
        """Whether everybody is to stand still now."""
        return self.shut_s > 0

    @property
    def shut_s(self) -> float:
        """Seconds until the gate opens; 0 or less when it is open."""
        return self.pause.until - time.monotonic()

    @property
    def is_open(self) -> bool:
        """Whether everybody passes now: nothing is shut, held or closed."""
        return not self._barred and self.pause.until <= time.monotonic()

    def hold(self) -> None:
        """Let nobody through until `let_go`: whoever looks on cannot follow."""
        self._barred = True
        self._let_go.clear()

    def let_go(self) -> None:
        """End what `hold` began."""
        self._barred = self.closed
        self._let_go.set()

    @property
    def is_held(self) -> bool:
        """Whether whoever looks on holds everybody up."""
        return not self._let_go.is_set()

    @property
    def closed(self) -> bool:
        """Whether the run stops."""
        return self._closed.is_set()

    def close(self) -> None:
        """Let nobody wait any longer: the run stops."""
        self._barred = True
        self._closed.set()
        self._let_go.set()

    async def closing(self) -> None:
        """Wait until the run stops."""
        await self._closed.wait()

    async def wait(self, seconds: float) -> None:
        """Wait `seconds`, or until the run stops."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(seconds, SHORTEST_SLEEP_S)):
                await self._closed.wait()

    async def passed(self) -> bool:
        """Wait while the gate is shut or held. Returns `False` when the run stops meanwhile."""
        while not (self.is_open or self.closed):
            await (self._let_go.wait() if self.is_held else self.wait(self.shut_s))
        return not self.closed
