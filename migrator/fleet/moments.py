"""The moments of a limit that this process has reserved, and when they are on its own clock."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Literal

from msgspec import Struct

from migrator.core.errors import LedgerFailed
from migrator.fleet.database import Pool, postgres_errors
from migrator.logs import log

LATE_S = 0.015
"""How long after its moment a request may leave."""

ON_THE_WAY_S = 0.005
"""How much longer than another one a request may take to arrive, as on one machine (`transport.throttle.window`). With
`LATE_S` it is what the gap is wider by: of a limit per second, 2 % is the price of keeping it."""

AHEAD_S = 0.025
"""How long before its moment a permit is given: the intent is written meanwhile."""

LEASE_S = 0.05
"""Moments are reserved for about so long at the most. The moments of a lease follow each other at the pace of the whole
limit, so that long ones would have the workers send in turns."""

AGAIN_S = 0.5
"""How long to wait before the database is asked again after it failed."""

REMEMBERED_S = 60.0
"""For how long a reading of the database's clock is good: in a minute two clocks part by a few milliseconds."""

READINGS = 3
"""How often the database's clock is read before anything is reserved."""

RESERVE = "SELECT now_s, at_s, paused_s FROM migrator.reserve($1, $2, $3, $4, $5)"

PENALIZE = "SELECT migrator.penalize($1, $2, $3)"


class Limit(Struct, frozen=True):
    """So many requests a second, all together.

    Attributes:
        key: whose, among all that the database knows.
        rate: requests a second.
    """

    key: str
    rate: float

    @property
    def gap_s(self) -> float:
        """Return how far apart its moments are."""
        return (1 + LATE_S + ON_THE_WAY_S) / self.rate


LimitOf = Literal["rate", "write_rate", "container_rate"]
"""What a limit is of: everything, writes, or each container."""


def key_of(limit: LimitOf, org_id: str, client_id: str) -> str:
    """Name a limit of an API key."""
    return f"{limit} {org_id} {client_id}"


def rate_of(gap_s: float) -> float:
    """Return the requests a second of the limit whose moments are so far apart."""
    return (1 + LATE_S + ON_THE_WAY_S) / gap_s


async def patiently(pool: Pool, place: str, statement: str, *parameters: object) -> Sequence[tuple[Any, ...]]:
    """Ask the database until it answers."""
    while True:
        try:
            with postgres_errors(place):
                return [tuple(row) for row in await pool.fetch(statement, *parameters)]
        except LedgerFailed as error:
            log.warning("limiter.failed", because=str(error))
            await asyncio.sleep(AGAIN_S)


class DatabaseClock:
    """When an instant of the database's clock is on the monotonic clock of this process.

    What it read came some time before its answer did. The answer that was the quickest on its way says it best; one
    that came late, or that a process which was stopped has read late, changes nothing.
    """

    def __init__(self) -> None:
        """Begin without a reading."""
        self._readings: deque[tuple[float, float]] = deque()  # when, and by how much it is behind; the least one first
        self._number = 0

    @property
    def known(self) -> bool:
        """Whether it has been read often enough."""
        return self._number >= READINGS

    def heard(self, asked_at: float, there: float, answered_at: float) -> None:
        """Take in that it read `there`, seconds, between two instants of ours."""
        if self._readings and asked_at - there > self._readings[0][1]:
            self._readings.clear()  # it was set back
        behind = answered_at - there
        while self._readings and self._readings[-1][1] >= behind:
            self._readings.pop()
        self._readings.append((answered_at, behind))
        while self._readings[0][0] < answered_at - REMEMBERED_S:
            self._readings.popleft()
        self._number += 1

    def here(self, there: float) -> float:
        """Return when it is `there`; later than that by the way of the quickest answer, and never earlier."""
        return there + self._readings[0][1]


class Lane:
    """The moments of one limit that this process has reserved, and those who wait for one."""

    def __init__(
        self, pool: Pool, place: str, limit: Limit, clock: DatabaseClock, on_pause: Callable[[float], None]
    ) -> None:
        """Begin with none.

        Args:
            pool: connections to the fleet's database.
            place: names it in messages.
            limit: the limit.
            clock: that of the database; lanes share it.
            on_pause: told for how many seconds more nobody is to send, if that is so.
        """
        self._pool = pool
        self._place = place
        self._clock = clock
        self._on_pause = on_pause
        self.key = limit.key
        self.rate = limit.rate
        self.gap_s = limit.gap_s
        self._most = max(1, round(LEASE_S * limit.rate))
        self.unused = 0
        """Moments that were reserved for nobody."""
        self._size = 1
        self._missed = 0
        self._moments: deque[float] = deque()
        self._turns: deque[asyncio.Future[float]] = deque()
        self._reserving: asyncio.Task[None] | None = None
        self._sent = 0

    def ask(self) -> asyncio.Future[float]:
        """Ask for the next moment, in monotonic seconds. Who asks first has it first."""
        turn = asyncio.get_running_loop().create_future()
        self._turns.append(turn)
        self._serve()
        # Soon there would be none: there are new ones before that.
        if len(self._moments) <= self._size // 2 and self._reserving is None:
            self._reserving = asyncio.create_task(self._reserve(), name=f"reserve {self.key}")
        return turn

    def sent(self) -> None:
        """Note that a request leaves; the database is told with the next reservation."""
        self._sent += 1

    def take_sent(self) -> int:
        """Return how many requests have left since this was asked last."""
        sent, self._sent = self._sent, 0
        return sent

    def _serve(self) -> None:
        self._drop_missed()
        while self._moments and self._turns:
            turn = self._turns.popleft()
            if not turn.done():
                turn.set_result(self._moments.popleft())

    def _drop_missed(self) -> None:
        """Let go what nobody was there for."""
        now = time.monotonic()
        while self._moments and self._moments[0] + LATE_S < now:
            self._moments.popleft()
            self.unused += 1
            self._missed += 1

    def _resize(self) -> None:
        """Reserve more at a time for as long as all moments are used, and less when most are not."""
        if self._missed == 0:
            self._size = min(self._most, self._size * 2)
        elif self._missed * 2 > self._size:
            self._size = max(1, self._size // 2)
        self._missed = 0

    async def _reserve(self) -> None:
        """Reserve the next moments for as long as somebody waits; more at a time while all of them are used."""
        try:
            await self.read_clock()
            while True:
                n = min(self._most, max(self._size, len(self._turns)))
                # The first moment is not so soon that no intent could be written until then.
                first = await self._ask(n, AHEAD_S)
                self._moments.extend(first + number * self.gap_s for number in range(n))
                self._resize()
                self._serve()
                if not self._turns:
                    return
        except Exception as error:  # noqa: BLE001 (whoever waits is told)
            while self._turns:
                if not (turn := self._turns.popleft()).done():
                    turn.set_exception(error)
        finally:
            self._reserving = None

    async def read_clock(self) -> None:
        """Find out what time it is for the database, if that is not known yet."""
        while not self._clock.known:
            await self._ask(0, 0.0)

    async def _ask(self, n: int, wait_s: float) -> float:
        """Reserve `n` moments, and return when the first one is, on the monotonic clock."""
        asked_at = time.monotonic()
        question = (self.key, n, self.gap_s, wait_s, self.take_sent())
        ((now_s, at_s, paused_s),) = await patiently(self._pool, self._place, RESERVE, *question)
        self._clock.heard(asked_at, now_s, time.monotonic())
        self._on_pause(paused_s)
        return self._clock.here(at_s)

    def forget(self) -> None:
        """Let go what is reserved: nobody is to send at those moments."""
        self._moments.clear()

    async def penalize(self, seconds: float) -> None:
        """Let nobody have a moment of this limit for `seconds` from now."""
        await patiently(self._pool, self._place, PENALIZE, self.key, self.gap_s, seconds)

    def close(self) -> None:
        """Reserve nothing more."""
        if self._reserving is not None:
            self._reserving.cancel()
