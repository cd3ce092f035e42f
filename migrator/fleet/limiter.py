"""Rate limits that hold over all workers: permits are reserved in the database, some at a time.

A reservation takes the next `n` moments of a limit, a gap apart, and says in how long the first one comes (GCRA, in the
form that always grants: nobody polls, and nobody is woken in vain; `reference/distributed.md` section 6). Whoever has
reserved moments spaces its requests to them by itself. The clock is that of the database, and what it answers are
durations, so hosts need not agree on what time it is. A worker that dies wastes what it had reserved, and no more.

What makes the limit hold is that a request leaves at its moment or not at all: the permit is given a little before, so
that the intent is on the disk by then; whoever has one waits for the moment; and when that has passed by more than a
little, the permit is gone. So in no period are there more requests than moments, whatever the disk, the loop or the
database do, and the gap is wider than the rate asks for by as much as a request may be late.

Where a request has several limits, it gets one moment that is free in all of them, one call a request: moments that
were reserved for one limit alone would be too early or too late for another. Where a narrower limit has none soon,
nothing is reserved, so that what is slow does not hold up everything else.

A 429 is a penalty for everybody: no moment is given out before it is over, on any host.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from msgspec import Struct

from migrator.core.errors import LedgerFailed
from migrator.fleet.database import Pool, postgres_errors
from migrator.logs import log
from migrator.transport.throttle import Gate

LATE_S = 0.015
"""How long after its moment a request may leave."""

ON_THE_WAY_S = 0.01
"""How much longer than another one a request may take to arrive. With `LATE_S` it is what the gap is wider by: of a
limit per second, 2.5 % is the price of keeping it."""

AHEAD_S = 0.025
"""How long before its moment a permit is given: the intent is written meanwhile."""

LEASE_S = 0.25
"""Moments are reserved for about so long at the most."""

AGAIN_S = 0.5
"""How long to wait before the database is asked again after it failed."""

RESERVE = "SELECT migrator.reserve($1, $2, $3, $4)"

RESERVE_ONE_OF_EACH = "SELECT granted, in_s FROM migrator.reserve_one_of_each($1, $2, $3)"


class Limit(Struct, frozen=True):
    """So many requests a second, all together.

    Attributes:
        key: whose, among all that the database knows.
        rate: requests a second.
    """

    key: str
    rate: float


async def patiently(pool: Pool, place: str, statement: str, *parameters: object) -> Sequence[tuple[Any, ...]]:
    """Ask the database until it answers."""
    while True:
        try:
            with postgres_errors(place):
                return [tuple(row) for row in await pool.fetch(statement, *parameters)]
        except LedgerFailed as error:
            log.warning("limiter.failed", because=str(error))
            await asyncio.sleep(AGAIN_S)


class Lane:
    """The moments of one limit that this process has reserved."""

    def __init__(self, pool: Pool, place: str, limit: Limit) -> None:
        """Begin with none.

        Args:
            pool: connections to the fleet's database.
            place: names it in messages.
            limit: the limit.
        """
        self._pool = pool
        self._place = place
        self.key = limit.key
        self.gap_s = (1 + LATE_S + ON_THE_WAY_S) / limit.rate
        self._most = max(1, round(LEASE_S * limit.rate))
        self._size = 1
        self._moments: deque[float] = deque()
        self._reserving: asyncio.Task[None] | None = None

    def next(self) -> float | None:
        """Take the next moment (monotonic seconds), if one is reserved; see to it that there will be more."""
        self._drop_missed()
        if len(self._moments) <= self._size // 2 and self._reserving is None:
            self._reserving = asyncio.create_task(self._reserve(), name=f"reserve {self.key}")
        return self._moments.popleft() if self._moments else None

    async def more(self) -> None:
        """Wait until there may be another moment."""
        if self._reserving is not None:
            await asyncio.shield(self._reserving)

    def _drop_missed(self) -> None:
        """Let go what nobody was there for, and reserve less for as long as that happens."""
        now, missed = time.monotonic(), 0
        while self._moments and self._moments[0] < now:
            self._moments.popleft()
            missed += 1
        if missed * 2 > self._size:
            self._size = max(1, self._size // 2)

    async def _reserve(self) -> None:
        """Reserve the next moments; more at a time for as long as all of them are used."""
        n = self._size
        try:
            # The first moment is not so soon that no intent could be written until then.
            wait_s = await self._ask(n, AHEAD_S)
        finally:
            self._reserving = None
        # Counted from the answer: later than the database meant, by the way back, and never earlier.
        first = time.monotonic() + wait_s
        self._moments.extend(first + number * self.gap_s for number in range(n))
        self._size = min(self._most, self._size * 2)

    async def _ask(self, n: int, wait_s: float) -> float:
        ((in_s,),) = await patiently(self._pool, self._place, RESERVE, self.key, n, self.gap_s, wait_s)
        return float(in_s)

    async def penalize(self, seconds: float) -> None:
        """Let nobody have a moment of this limit for `seconds` from now."""
        self._moments.clear()
        await self._ask(0, seconds)


class Lanes:
    """The limits that all shards of a run share in this process."""

    def __init__(
        self, pool: Pool, place: str, *, rate: Limit | None, write_rate: Limit | None, container_rate: Limit | None
    ) -> None:
        """Begin with nothing reserved.

        Args:
            pool: connections to the fleet's database.
            place: names it in messages.
            rate: of everything.
            write_rate: of writes.
            container_rate: of each container, whose name is added to the key.
        """
        self._pool = pool
        self._place = place

        def lane(limit: Limit) -> Lane:
            return Lane(pool, place, limit)

        self._overall = [lane(rate)] if rate else []
        self._of_writes = [*([lane(write_rate)] if write_rate else []), *self._overall]
        self._lane = lane
        self._of_container = container_rate
        self._own: dict[str, Lane] = {}
        self.gates: set[Gate] = set()
        self.pauses = 0
        self._penalties: set[asyncio.Task[None]] = set()

    @property
    def any(self) -> bool:
        """Whether there is a limit at all."""
        return bool(self._of_writes) or self._of_container is not None

    def of(self, container: str, *, write: bool) -> Sequence[Lane]:
        """Return the lanes of a request to `container`, the narrowest first."""
        shared = self._of_writes if write else self._overall
        if self._of_container is None:
            return shared
        if (own := self._own.get(container)) is None:
            limit = Limit(f"{self._of_container.key} {container}", self._of_container.rate)
            own = self._own[container] = self._lane(limit)
        return [own, *shared]

    async def reserve_one_of_each(self, lanes: Sequence[Lane]) -> tuple[bool, float]:
        """Reserve one moment that is free in all of `lanes`.

        Args:
            lanes: of which the last is the widest.

        Returns:
            Whether it was had, and when it is; or when to ask again, on the monotonic clock.
        """
        keys, gaps_s = [lane.key for lane in lanes], [lane.gap_s for lane in lanes]
        ((granted, in_s),) = await patiently(self._pool, self._place, RESERVE_ONE_OF_EACH, keys, gaps_s, AHEAD_S)
        return bool(granted), time.monotonic() + float(in_s)

    def pause(self, seconds: float, reason: str) -> None:
        """Stop everybody: those here at once, the others as soon as the database knows."""
        self.pauses += 1
        for gate in self.gates:
            gate.shut(seconds, reason)
        for lane in self._overall:
            task = asyncio.create_task(lane.penalize(seconds), name="penalty")
            self._penalties.add(task)
            task.add_done_callback(self._penalties.discard)

    async def close(self) -> None:
        """Let no penalty be lost that was only just imposed; but wait for no database that is away."""
        if self._penalties:
            await asyncio.wait(self._penalties, timeout=1)


class FleetThrottle:
    """The limits of a run, for one shard of it. It implements `ports.Throttle`."""

    def __init__(self, lanes: Lanes) -> None:
        """Share `lanes` with the other shards."""
        self.gate = Gate()
        self._lanes = lanes
        self._lanes.gates.add(self.gate)
        self._given = defaultdict[tuple[str, bool], deque[float]](deque)

    @property
    def free(self) -> bool:
        """Whether everybody may send at once, without asking for a permit."""
        return not (self._lanes.any or self.gate.is_shut or self.gate.closed)

    @property
    def pauses(self) -> int:
        """How many pauses there have been, the present one included."""
        return self._lanes.pauses

    def rest_s(self, container: str) -> float:
        """Return 0: who has no permit yet waits for it in the order of asking."""
        del container
        return 0.0

    async def permit(self, container: str, *, write: bool = False) -> bool:
        """Wait until shortly before the moment for one request to `container`; `False` means that the run stops."""
        if not await self.gate.passed():
            return False
        lanes = self._lanes.of(container, write=write)
        moment = await self._moment(lanes[0]) if len(lanes) == 1 else await self._moment_in_all(lanes)
        await self._until(moment - AHEAD_S)
        if self.gate.closed:
            return False
        self._given[container, write].append(moment)
        return True

    async def _moment_in_all(self, lanes: Sequence[Lane]) -> float:
        """Wait for a moment that is free in all of `lanes`; 0 if there are none, or if the run stops first."""
        while lanes and not self.gate.closed:
            granted, moment = await self._lanes.reserve_one_of_each(lanes)
            if granted:
                return moment
            await self._until(moment - AHEAD_S)
        return 0.0

    async def _moment(self, lane: Lane) -> float:
        """Wait for a moment of `lane`; 0 if the run stops before there is one."""
        while (moment := lane.next()) is None:
            reserving = asyncio.ensure_future(lane.more())
            closing = asyncio.ensure_future(self.gate.closing())
            await asyncio.wait([reserving, closing], return_when=asyncio.FIRST_COMPLETED)
            reserving.cancel()
            closing.cancel()
            if self.gate.closed:
                return 0.0
        return moment

    async def _until(self, moment: float) -> None:
        if (wait_s := moment - time.monotonic()) > 0:
            await self.gate.wait(wait_s)

    async def due(self, container: str, *, write: bool = False) -> bool:
        """Wait for the moment that a permit is for; `False` if it has passed, and the permit with it."""
        given = self._given[container, write]
        moment = given.popleft() if given else 0.0
        if moment == 0.0:
            return True
        if (wait_s := moment - time.monotonic()) > 0:
            await asyncio.sleep(wait_s)
        return time.monotonic() <= moment + LATE_S

    def sent(self, container: str, *, write: bool = False) -> None:
        """Note that a request to `container` leaves now: its moment was taken by `due`."""

    def answered(self, container: str, *, write: bool = False, refused: bool = False) -> None:
        """Note that what was sent is answered, which no limit here waits for."""

    def returned(self, container: str, *, write: bool = False) -> None:
        """Take back a permit that will not be used; its moment passes unused."""
        with suppress(IndexError):
            self._given[container, write].popleft()

    def pause(self, seconds: float, reason: str) -> None:
        """Stop everybody, on all hosts, for `seconds`."""
        self._lanes.pause(seconds, reason)

    def close(self) -> None:
        """Let nobody wait any longer: the run stops."""
        self.gate.close()
        self._lanes.gates.discard(self.gate)
