"""Leave to send: the rate limits of a run, and the pause that a 429 imposes on everybody.

The sliding window is `asyncio_throttle.Throttler`, used with its three habits in mind (`reference/performance.md`
section 2):

* It is polled by whoever waits, so only *one* task ever waits on it: the dispatcher of a `Window`, which hands its
  permits to
  a queue of workers, first come first served.
* It counts grants, and a grant is not a send: between the two the intent is written to the disk. `SendWindow`
  therefore logs
  the moment of sending, and until then the permit keeps its place. No window of a second holds more sends than the
  limit, whatever the disk does.
* It lets a whole period's budget out at once. `SendWindow` paces: permits leave evenly, and time lost to a busy loop
  is made
  up for at most a tenth of a second.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque

from asyncio_throttle.throttler import Throttler
from msgspec import Struct

CATCH_UP_S = 0.1
"""How much lost time may be made up for by sending faster than the pace. The window is never exceeded for it."""

SHORTEST_SLEEP_S = 0.001
"""Event loops turn shorter sleeps into busy waiting."""


class SendWindow(Throttler):
    """At most `rate_limit` sends in any `period` seconds, evenly spread. Only one task may wait on `acquire`."""

    def __init__(self, rate: float) -> None:
        """Allow `rate` sends a second; less than one is allowed too."""
        places = max(1, int(rate))
        super().__init__(rate_limit=places, period=places / rate, retry_interval=SHORTEST_SLEEP_S)
        self._places = places
        self._period_s = places / rate
        self._sends: deque[float] = self._task_logs
        self._gap_s = 1 / rate
        self._next_at = 0.0
        self._unsent = 0

    async def acquire(self) -> None:
        """Wait for a place in the window and take it. It is counted from now on, and timed from `sent`."""
        while (wait_s := self._wait_s()) > 0:  # noqa: ASYNC110 (it is time that is waited for)
            await asyncio.sleep(max(wait_s, SHORTEST_SLEEP_S))
        self._unsent += 1
        self._next_at = max(self._next_at, time.monotonic() - CATCH_UP_S) + self._gap_s

    def _wait_s(self) -> float:
        self.flush()  # type: ignore[no-untyped-call]
        now = time.monotonic()
        pace = self._next_at - now
        if len(self._sends) + self._unsent < self._places:
            return pace
        if not self._sends:
            return SHORTEST_SLEEP_S  # every place is held by a permit that has not been used yet
        return max(pace, self._sends[0] + self._period_s - now, SHORTEST_SLEEP_S)

    def sent(self) -> None:
        """Log that a permit was used now."""
        self._unsent -= 1
        self._sends.append(time.monotonic())

    def returned(self) -> None:
        """Take back a permit that will not be used."""
        self._unsent -= 1


class Pause(Struct, frozen=True):
    """A stop for everybody.

    Attributes:
        until: when it ends, on the monotonic clock.
        reason: what imposed it.
    """

    until: float
    reason: str


class Gate:
    """The pause that all windows share."""

    def __init__(self) -> None:
        """Begin open."""
        self.pause = Pause(0.0, "")
        self.closed = False
        self._changed = asyncio.Event()

    def shut(self, seconds: float, reason: str) -> None:
        """Let nobody through for `seconds` from now. A longer pause that is already on stays."""
        until = time.monotonic() + seconds
        if until > self.pause.until:
            self.pause = Pause(until, reason)

    @property
    def shut_s(self) -> float:
        """Seconds until the gate opens; 0 or less when it is open."""
        return self.pause.until - time.monotonic()

    def close(self) -> None:
        """Let nobody wait any longer: the run stops."""
        self.closed = True
        self._changed.set()

    async def passed(self) -> bool:
        """Wait while the gate is shut. Returns `False` when the run stops meanwhile."""
        while not self.closed and (wait_s := self.shut_s) > 0:
            try:
                async with asyncio.timeout(max(wait_s, SHORTEST_SLEEP_S)):
                    await self._changed.wait()
            except TimeoutError:
                continue
        return not self.closed


class Window:
    """A `SendWindow` behind one dispatcher, which is only there while somebody waits."""

    def __init__(self, rate: float, gate: Gate) -> None:
        """Allow `rate` sends a second while `gate` is open."""
        self._window = SendWindow(rate)
        self._gate = gate
        self._waiting: deque[asyncio.Future[bool]] = deque()
        self._dispatcher: asyncio.Task[None] | None = None

    async def permit(self) -> bool:
        """Wait for leave to send. Returns `False` when the run stops meanwhile."""
        if self._gate.closed:
            return False
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        if self._dispatcher is None or self._dispatcher.done():
            self._dispatcher = asyncio.create_task(self._dispatch(), name="throttle-dispatcher")
        return await turn

    def sent(self) -> None:
        """Log that a permit was used now."""
        self._window.sent()

    def returned(self) -> None:
        """Take back a permit that will not be used."""
        self._window.returned()

    async def _dispatch(self) -> None:
        while self._waiting:
            if not await self._gate.passed():
                self._dismiss()
                return
            await self._window.acquire()
            self._grant()

    def _grant(self) -> None:
        # The gate may have been shut, or every waiter may have left, while a place was waited for.
        while self._waiting and self._gate.shut_s <= 0 and not self._gate.closed:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(True)
                return
        self._window.returned()

    def _dismiss(self) -> None:
        for turn in self._waiting:
            if not turn.done():
                turn.set_result(False)
        self._waiting.clear()


class Throttle:
    """The limits of a run: overall and per container."""

    def __init__(self, *, rate: float = 0.0, container_rate: float = 0.0) -> None:
        """Limit the run.

        Args:
            rate: requests a second, all together; 0 for no limit.
            container_rate: requests a second for each container; 0 for no limit.
        """
        self.gate = Gate()
        self._overall = Window(rate, self.gate) if rate else None
        self._container_rate = container_rate
        self._containers: dict[str, Window] = {}

    async def permit(self, container: str) -> bool:
        """Wait for leave to send one request to `container`.

        The container's own limit comes first, so that one slow container does not hold places of all the others.

        Returns:
            `True`: send, and call `sent` at that moment. `False`: the run stops.
        """
        own = self._window(container)
        if own is not None and not await own.permit():
            return False
        if self._overall is not None:
            granted = await self._overall.permit()
        else:
            granted = await self.gate.passed()
        if not granted and own is not None:
            own.returned()
        return granted

    def sent(self, container: str) -> None:
        """Log that a request to `container` leaves now."""
        for window in (self._overall, self._window(container)):
            if window is not None:
                window.sent()

    def returned(self, container: str) -> None:
        """Take back a permit for `container` that will not be used."""
        for window in (self._overall, self._window(container)):
            if window is not None:
                window.returned()

    def pause(self, seconds: float, reason: str) -> None:
        """Stop everybody for `seconds`."""
        self.gate.shut(seconds, reason)

    def close(self) -> None:
        """Let nobody wait any longer: the run stops."""
        self.gate.close()

    def _window(self, container: str) -> Window | None:
        if not self._container_rate:
            return None
        if container not in self._containers:
            self._containers[container] = Window(self._container_rate, self.gate)
        return self._containers[container]
