"""One limit: at most so many sends in a period, and the queue of those who wait for it.

The books are kept by `asyncio_throttle.Throttler`, used with its three habits in mind:

* Whoever waits for it polls it. Here nobody does: a `Window` has one dispatcher, which asks how long to wait, waits
  that long, and hands its permits to a queue of workers, first come first served.
* It counts grants, and a grant is not a send: between the two the intent is written to the disk. `SendWindow`
  therefore logs the moment of sending, and until then the permit keeps its place. No period holds more sends than the
  limit, whatever the disk does.
* It lets a whole period's budget out at once. `SendWindow` paces: permits leave evenly, and time lost to a busy loop
  is made up for at most a twentieth of a second.

What leaves evenly need not arrive evenly: a request that the network holds up may meet those of the next period at the
service. A *strict* window therefore logs the moment of the answer, and until then the permit keeps its place: a request
has arrived before it is answered, so that of any so many and one requests the last leaves a whole period after one of
the others has arrived. The price is that a place is taken for as long as an answer takes, too: of a limit per second,
`1 / (1 s + answer time)` is used.

A permit that is given back has kept its place until then and no longer; so a worker that is cancelled, or a limit that
is passed while the next one says no, costs the others nothing but the moment.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence

from asyncio_throttle.throttler import Throttler

from migrator.transport.throttle.gate import SHORTEST_SLEEP_S, Gate

CATCH_UP_S = 0.05
"""How much lost time may be made up for by sending faster than the pace. The window is never exceeded for it."""

ON_THE_WAY_S = 0.005
"""By how much the window is longer than asked for: a request that is a little slow to arrive must not meet those of the
next second at the service. It costs half a per cent of a limit per second. It is no proof; `strict` is one."""


class SendWindow(Throttler):
    """At most `rate_limit` sends in any `period` seconds, evenly spread.

    It only keeps the books. Its `acquire`, which polls, is not used.
    """

    def __init__(self, rate: float, *, strict: bool = False, past: Sequence[float] = ()) -> None:
        """Allow `rate` sends a second: `int(rate)` in as many seconds as that takes, or one if it is less than one.

        Args:
            rate: requests a second, more than 0.
            strict: whether a send counts until a period after its answer, and not only after it left.
            past: since when earlier sends count, on the monotonic clock, ascending.
        """
        super().__init__(rate_limit=1)
        self._strict = strict
        self._open = 0
        self._rate = 0.0
        self.rate = rate
        self._task_logs.extend(past)
        self._next_at = past[-1] + self._gap_s if past else 0.0

    @property
    def past(self) -> Sequence[float]:
        """Since when each send counts that may still do so, on the monotonic clock, ascending."""
        return tuple(self._task_logs)

    @property
    def rate(self) -> float:
        """Requests a second; a new rate holds at once, and what was sent before counts."""
        return self._rate

    @rate.setter
    def rate(self, rate: float) -> None:
        if rate == self._rate:
            return
        self._rate = rate
        places = max(1, int(rate))
        self._period_s = places / rate + (0.0 if self._strict else ON_THE_WAY_S)
        self._gap_s = self._period_s / places
        self.rate_limit, self.period = places, self._period_s

    def wait_s(self) -> float:
        """Return in how many seconds to ask again; 0 or less when there is a place to take now."""
        self.flush()  # type: ignore[no-untyped-call]
        now = time.monotonic()
        if len(self._task_logs) + self._open < self.rate_limit:
            return self._next_at - now
        # Full. The next place to become free is that of the oldest entry; if no permit has one yet, nothing can become
        # free before a period after the first of them has.
        oldest = self._task_logs[0] if self._task_logs else now
        return max(oldest + self._period_s - now, self._next_at - now, SHORTEST_SLEEP_S)

    def take(self, opened_at: float = 0.0) -> None:
        """Take a place. It is counted from now on, and timed from `sent`, or `answered` if the window is strict.

        Args:
            opened_at: since when places may be taken, on the monotonic clock: what was lost before is not made up for.
        """
        self._open += 1
        now = time.monotonic()
        # Before the first one there is nothing to catch up on.
        earliest = now - CATCH_UP_S if self._next_at else now
        self._next_at = max(self._next_at, earliest, opened_at) + self._gap_s

    def sent(self) -> None:
        """Note that a permit is used now."""
        if not self._strict:
            self._enter()

    def answered(self) -> None:
        """Note that what was sent with a permit is answered, or given up, now."""
        if self._strict:
            self._enter()

    def _enter(self) -> None:
        self._open -= 1
        self._task_logs.append(time.monotonic())

    def returned(self) -> None:
        """Take back a permit that will not be used."""
        self._open -= 1


class Window:
    """A `SendWindow` behind one dispatcher, which is only there while somebody waits."""

    def __init__(self, rate: float, gate: Gate, *, strict: bool = False, past: Sequence[float] = ()) -> None:
        """Allow `rate` sends a second while `gate` is open; `strict` and `past` as in `SendWindow`."""
        self.books = SendWindow(rate, strict=strict, past=past)
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
                self.books.returned()  # the turn had come, and nobody will use it
            raise

    def wait_s(self) -> float:
        """Return in how many seconds the next who comes could have a permit; 0 or less for at once."""
        wait_s = max(self.books.wait_s(), self._gate.shut_s)
        return max(wait_s, SHORTEST_SLEEP_S) if self._waiting else wait_s

    async def _dispatch(self) -> None:
        while self._waiting and not self._gate.closed:
            wait_s = max(self.books.wait_s(), self._gate.shut_s)
            if wait_s > 0:
                await self._gate.wait(wait_s)
            elif self._next(granted=True):
                self.books.take(self._gate.pause.until)
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
