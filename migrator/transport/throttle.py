"""Leave to send: the rate limits of a run, and the pause that a 429 imposes on everybody.

The sliding window is `asyncio_throttle.Throttler`, used with its three habits in mind (`reference/performance.md`
section 2):

* Whoever waits for it polls it. Here nobody does: a `Window` has one dispatcher, which asks how long to wait, waits
  that long, and hands its permits to a queue of workers, first come first served.
* It counts grants, and a grant is not a send: between the two the intent is written to the disk. `SendWindow`
  therefore logs the moment of sending, and until then the permit keeps its place. No period holds more sends than the
  limit, whatever the disk does.
* It lets a whole period's budget out at once. `SendWindow` paces: permits leave evenly, and time lost to a busy loop
  is made up for at most a fiftieth of a second.

A permit that is given back has kept its place until then and no longer; so a worker that is cancelled, or a limit that
is passed while the next one says no, costs the others nothing but the moment.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Sequence
from contextlib import ExitStack, suppress

from asyncio_throttle.throttler import Throttler
from msgspec import Struct

CATCH_UP_S = 0.02
"""How much lost time may be made up for by sending faster than the pace. The window is never exceeded for it."""

ON_THE_WAY_S = 0.01
"""By how much the window is longer than asked for: a request that is slow to arrive must not meet those of the next
second at the service. It costs 1 % of a limit per second. It is no proof; only waiting for answers would be."""

SHORTEST_SLEEP_S = 0.001
"""Event loops turn shorter sleeps into busy waiting."""


class SendWindow(Throttler):
    """At most `rate_limit` sends in any `period` seconds, evenly spread.

    It only keeps the books. Its `acquire`, which polls, is not used.
    """

    def __init__(self, rate: float) -> None:
        """Allow `rate` sends a second: `int(rate)` in as many seconds as that takes, or one if it is less than one."""
        places = max(1, int(rate))
        self._period_s = places / rate + ON_THE_WAY_S
        super().__init__(rate_limit=places, period=self._period_s)
        self._gap_s = self._period_s / places
        self._next_at = 0.0
        self._unsent = 0

    def wait_s(self) -> float:
        """Return in how many seconds to ask again; 0 or less when there is a place to take now."""
        self.flush()  # type: ignore[no-untyped-call]
        now = time.monotonic()
        if len(self._task_logs) + self._unsent < self.rate_limit:
            return self._next_at - now
        # Full. The next place to become free is that of the oldest send; if every permit is still unused, nothing can
        # become free before a period after the first of them is used.
        oldest = self._task_logs[0] if self._task_logs else now
        return max(oldest + self._period_s - now, self._next_at - now, SHORTEST_SLEEP_S)

    def take(self) -> None:
        """Take a place. It is counted from now on, and timed from `sent`."""
        self._unsent += 1
        now = time.monotonic()
        # Before the first one there is nothing to catch up on.
        earliest = now - CATCH_UP_S if self._next_at else now
        self._next_at = max(self._next_at, earliest) + self._gap_s

    def sent(self) -> None:
        """Log that a permit is used now."""
        self._unsent -= 1
        self._task_logs.append(time.monotonic())

    def returned(self) -> None:
        """Take back a permit that will not be used."""
        self._unsent -= 1

    @property
    def spent_s(self) -> float:
        """Seconds until no send counts any more."""
        return self._task_logs[-1] + self._period_s - time.monotonic() if self._task_logs else 0.0


class Pause(Struct, frozen=True):
    """A stop for everybody.

    Attributes:
        until: when it ends, on the monotonic clock.
        reason: what imposed it.
    """

    until: float
    reason: str


class Gate:
    """The pause that all windows share, and the end of all waiting when the run stops."""

    def __init__(self) -> None:
        """Begin open."""
        self.pause = Pause(0.0, "")
        self._closed = asyncio.Event()
        self._let_go = asyncio.Event()
        self._let_go.set()

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

    def hold(self) -> None:
        """Let nobody through until `let_go`: whoever looks on cannot follow."""
        self._let_go.clear()

    def let_go(self) -> None:
        """End what `hold` began."""
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
        self._closed.set()
        self._let_go.set()

    async def wait(self, seconds: float) -> None:
        """Wait `seconds`, or until the run stops."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(seconds, SHORTEST_SLEEP_S)):
                await self._closed.wait()

    async def passed(self) -> bool:
        """Wait while the gate is shut or held. Returns `False` when the run stops meanwhile."""
        while (self.is_shut or self.is_held) and not self.closed:
            await (self._let_go.wait() if self.is_held else self.wait(self.shut_s))
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
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        if self._dispatcher is None or self._dispatcher.done():
            self._dispatcher = asyncio.create_task(self._dispatch(), name="throttle-dispatcher")
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.result():
                self.returned()  # the turn had come, and nobody will use it
            raise

    def wait_s(self) -> float:
        """Return in how many seconds the next who comes could have a permit; 0 or less for at once."""
        wait_s = max(self._window.wait_s(), self._gate.shut_s)
        return max(wait_s, SHORTEST_SLEEP_S) if self._waiting else wait_s

    @property
    def spent_s(self) -> float:
        """Seconds until no send counts any more."""
        return self._window.spent_s

    def sent(self) -> None:
        """Log that a permit is used now."""
        self._window.sent()

    def returned(self) -> None:
        """Take back a permit that will not be used."""
        self._window.returned()

    async def _dispatch(self) -> None:
        while self._waiting and not self._gate.closed:
            wait_s = max(self._window.wait_s(), self._gate.shut_s)
            if wait_s > 0:
                await self._gate.wait(wait_s)
            elif self._next(granted=True):
                self._window.take()
        while self._next(granted=False):
            pass

    def _next(self, *, granted: bool) -> bool:
        """Give the first in the queue his answer. Returns `False` when there is nobody; the cancelled have left."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(granted)
                return True
        return False


class Throttle:
    """The limits of a run: overall and per container. It implements `ports.Throttle`."""

    def __init__(self, *, rate: float = 0.0, container_rate: float = 0.0) -> None:
        """Limit the run.

        Args:
            rate: requests a second, all together; 0 for no limit.
            container_rate: requests a second for each container; 0 for no limit.
        """
        self.gate = Gate()
        self.pauses = 0
        self.rate = rate
        self._overall = [Window(rate, self.gate)] if rate else []
        self._own = defaultdict[str, Window](lambda: Window(container_rate, self.gate)) if container_rate else None

    def _windows(self, container: str) -> Sequence[Window]:
        # The container's own limit comes first, so that one slow container does not hold places of all the others.
        return self._overall if self._own is None else [self._own[container], *self._overall]

    @property
    def free(self) -> bool:
        """Whether everybody may send at once, without asking for a permit."""
        return not (
            self._overall or self._own is not None or self.gate.is_shut or self.gate.is_held or self.gate.closed
        )

    def rest_s(self, container: str) -> float:
        """Return for how many seconds `container` has no permit of its own to give; 0 or less if it has."""
        return 0.0 if self._own is None else self._own[container].wait_s()

    async def permit(self, container: str) -> bool:
        """Wait for leave to send one request to `container`.

        Returns:
            `True`: send, and call `sent` at that moment, or `returned` if it comes to nothing. `False`: the run stops.
        """
        windows = self._windows(container)
        if not windows:
            return await self.gate.passed()
        with ExitStack() as taken:
            for window in windows:
                if not await window.permit():
                    return False
                taken.callback(window.returned)
            if not await self.gate.passed():
                return False
            taken.pop_all()
            return True

    def sent(self, container: str) -> None:
        """Log that a request to `container` leaves now."""
        for window in self._windows(container):
            window.sent()

    def returned(self, container: str) -> None:
        """Take back a permit for `container` that will not be used."""
        for window in self._windows(container):
            window.returned()

    def pause(self, seconds: float, reason: str) -> None:
        """Stop everybody for `seconds`. A permit that is already given may still be used."""
        self.pauses += 1
        self.gate.shut(seconds, reason)

    async def empty(self) -> None:
        """Wait until no send counts any more, so that another throttle may begin with all of the limit."""
        windows = [*self._overall, *(self._own or {}).values()]
        await asyncio.sleep(max((window.spent_s for window in windows), default=0.0))

    def close(self) -> None:
        """Let nobody wait any longer: the run stops. A permit that is already given may still be used."""
        self.gate.close()
