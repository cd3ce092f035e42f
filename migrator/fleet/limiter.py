"""Rate limits that hold over all workers: permits are reserved in the database, some at a time.

A reservation takes the next `n` moments of a limit, a gap apart, and says when the first one is (GCRA, in the form that
always grants: nobody polls, and nobody is woken in vain; `reference/distributed.md` section 6). Whoever has reserved
moments spaces its requests to them by itself. The clock is that of the database; each process finds out how far its own
is from it, so hosts need not agree on what time it is. A worker that dies wastes what it had reserved, and no more.

What makes the limit hold is that a request leaves at a moment of its own or not at all: the permit is given a little
before, so that the intent is on the disk by then; whoever has one waits for the moment; and when that has passed by
more than a little, the permit is gone, and the request waits for another. So in no period are there more requests than
moments, whatever the disk, the loop or the database do, and the gap is wider than the rate asks for by as much as a
request may be late. When the database crashes, a limit begins again after everything that was given out before
(`permits`).

Where a request has several limits, it gets one moment that is free in all of them, one call a request: moments that
were reserved for one limit alone would be too early or too late for another. Where a narrower limit has none soon,
nothing is reserved, so that what is slow does not hold up everything else.

A 429 is a penalty for everybody: no moment is given out before it is over, on any host, and whoever reserves next hears
of it.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from contextlib import suppress

from migrator.fleet.database import Pool
from migrator.fleet.moments import AHEAD_S, LATE_S, DatabaseClock, Lane, Limit, patiently
from migrator.logs import log
from migrator.transport.throttle import Gate

RESERVE_ONE_OF_EACH = "SELECT granted, now_s, at_s, paused_s FROM migrator.reserve_one_of_each($1, $2, $3, $4)"

SAME_PAUSE_S = 0.1
"""What the ends of two pauses may be apart for them to be one, of which the database tells what is known already."""


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
        self._clock = DatabaseClock()
        self._overall = [self._lane(rate)] if rate else []
        self._of_writes = [*([self._lane(write_rate)] if write_rate else []), *self._overall]
        self._of_container = container_rate
        self._own: dict[str, Lane] = {}
        self._paused_until = 0.0
        self._penalties: set[asyncio.Task[None]] = set()
        self.gates: set[Gate] = set()
        self.pauses = 0
        self.late = 0
        """Requests that have missed their moment."""

    def _lane(self, limit: Limit) -> Lane:
        return Lane(self._pool, self._place, limit, self._clock, self._told_of_pause)

    @property
    def any(self) -> bool:
        """Whether there is a limit at all."""
        return bool(self._of_writes) or self._of_container is not None

    @property
    def rates(self) -> Mapping[str, float]:
        """Requests a second that each limit allows, by its key; not those of single containers."""
        return {lane.key: lane.rate for lane in self._of_writes}

    @property
    def paused_s(self) -> float:
        """For how long nobody is to send; 0 if that is not so."""
        return max(0.0, self._paused_until - time.monotonic())

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
        await lanes[-1].read_clock()
        asked_at = time.monotonic()
        limits = [one.key for one in lanes], [one.gap_s for one in lanes]
        question = (*limits, AHEAD_S, [one.take_sent() for one in lanes])
        ((granted, now_s, at_s, paused_s),) = await patiently(self._pool, self._place, RESERVE_ONE_OF_EACH, *question)
        self._clock.heard(asked_at, now_s, time.monotonic())
        self._told_of_pause(paused_s)
        return bool(granted), self._clock.here(at_s)

    def pause(self, seconds: float, reason: str) -> None:
        """Stop everybody: those here at once, the others as soon as they hear of it from the database."""
        self._pause(seconds, reason)
        for lane in self._overall:
            task = asyncio.create_task(lane.penalize(seconds), name="penalty")
            self._penalties.add(task)
            task.add_done_callback(self._penalties.discard)

    def _told_of_pause(self, seconds: float) -> None:
        if time.monotonic() + seconds > self._paused_until + SAME_PAUSE_S and seconds > 0:
            self._pause(seconds, "another worker was told to wait")

    def _pause(self, seconds: float, reason: str) -> None:
        self.pauses += 1
        self._paused_until = max(self._paused_until, time.monotonic() + seconds)
        for gate in self.gates:
            gate.shut(seconds, reason)
        for lane in self._overall:
            lane.forget()

    async def close(self) -> None:
        """Let no penalty be lost that was only just imposed; but wait for no database that is away."""
        lanes = (*self._of_writes, *self._own.values())
        for lane in lanes:
            lane.close()
        log.debug("limiter.closed", late=self.late, unused=sum(lane.unused for lane in lanes))
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
        self._turns: set[asyncio.Future[float]] = set()
        self._is_due = False

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
        lanes = self._lanes.of(container, write=write)
        while await self.gate.passed():
            if not lanes:
                return True
            moment = await self._moment(lanes)
            await self._until(moment - AHEAD_S)
            if not (self.gate.is_shut or self.gate.closed):
                self._given[container, write].append(moment)
                return True
        return False

    async def _moment(self, lanes: Sequence[Lane]) -> float:
        """Wait for the next moment that is free in all of `lanes`; 0 if the run stops first."""
        if len(lanes) == 1:
            return await self._turn(lanes[0])
        while not self.gate.closed:
            granted, moment = await self._lanes.reserve_one_of_each(lanes)
            if granted:
                return moment
            await self._until(moment - AHEAD_S)
        return 0.0

    async def _turn(self, lane: Lane) -> float:
        turn = lane.ask()
        if not turn.done():
            self._turns.add(turn)
            turn.add_done_callback(self._turns.discard)
        return await turn

    async def _until(self, moment: float) -> None:
        if (wait_s := moment - time.monotonic()) > 0:
            await self.gate.wait(wait_s)

    async def due(self, container: str, *, write: bool = False) -> bool:
        """Wait for the moment that a permit is for, or if that has passed for another; `False` if the run stops."""
        lanes = self._lanes.of(container, write=write)
        given = self._given[container, write]
        while lanes and (given or not self.gate.closed):
            # The oldest one, whoever it was given to: who is ready first leaves first.
            moment = given.popleft() if given else await self._moment(lanes)
            if (wait_s := moment - time.monotonic()) > 0:
                await asyncio.sleep(wait_s)
            if time.monotonic() <= moment + LATE_S:
                self._is_due = True
                return True
            self._lanes.late += 1
        return not lanes

    def sent(self, container: str, *, write: bool = False) -> None:
        """Note that a request to `container` leaves now: its moment was taken by `due`."""
        self._is_due = False
        for lane in self._lanes.of(container, write=write):
            lane.sent()

    def answered(self, container: str, *, write: bool = False, refused: bool = False) -> None:
        """Note that what was sent is answered, which no limit here waits for."""

    def returned(self, container: str, *, write: bool = False) -> None:
        """Take back a permit that will not be used; its moment passes unused."""
        if self._is_due:
            self._is_due = False
            return
        with suppress(IndexError):
            self._given[container, write].popleft()

    def pause(self, seconds: float, reason: str) -> None:
        """Stop everybody, on all hosts, for `seconds`."""
        self._lanes.pause(seconds, reason)

    def close(self) -> None:
        """Let nobody wait any longer: the run stops."""
        self.gate.close()
        self._lanes.gates.discard(self.gate)
        for turn in [*self._turns]:
            if not turn.done():
                turn.set_result(0.0)
