"""A limit holds over all processes that share it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import pytest

from migrator.fleet import moments as moments_module
from migrator.fleet.database import Pool
from migrator.fleet.limiter import FleetThrottle, Lanes
from migrator.fleet.moments import DatabaseClock, Lane, Limit
from tests.fleet.conftest import PLACE
from tests.postgres import Server
from tests.waiting import holds, soon

RATE = 200.0
LIMIT = Limit("a key", RATE)


def lanes(pool: Pool, rate: float = RATE, container_rate: float = 0.0) -> Lanes:
    own = Limit("of container", container_rate) if container_rate else None
    return Lanes(pool, PLACE, rate=Limit("a key", rate), write_rate=None, container_rate=own)


def a_lane(pool: Pool) -> Lane:
    return Lane(pool, PLACE, LIMIT, DatabaseClock(), lambda seconds: None)


async def moments(lane: Lane, number: int) -> list[float]:
    return [await lane.ask() for _ in range(number)]


def most_in_a_second(sent: Sequence[float]) -> int:
    ordered = sorted(sent)
    return max(sum(start <= moment < start + 1 for moment in ordered) for start in ordered)


async def test_the_moments_of_all_processes_together_keep_to_the_limit(pool: Pool) -> None:
    several = [a_lane(pool) for _ in range(4)]

    found = await soon(asyncio.gather(*(moments(lane, 150) for lane in several)))

    together = sorted(moment for one in found for moment in one)
    # 600 moments take three seconds at the least; an answer that was slow to come only makes them later.
    assert together[-1] - together[0] >= 599 * several[0].gap_s - 0.1
    assert most_in_a_second(together) <= RATE


async def test_few_calls_give_many_moments_while_they_are_used(pool: Pool) -> None:
    lane = a_lane(pool)
    calls = 0
    asked = lane._ask

    async def counted(n: int, wait_s: float) -> float:
        nonlocal calls
        calls += 1
        return await asked(n, wait_s)

    lane._ask = counted  # type: ignore[method-assign]
    await soon(moments(lane, 500))
    assert calls <= 0.15 * 500


async def test_a_request_that_misses_its_moment_leaves_at_another(pool: Pool) -> None:
    throttle = FleetThrottle(lanes(pool))
    for _ in range(5):
        assert await soon(throttle.permit("dev", write=True))
    await asyncio.sleep(0.2)  # far more than a permit is good for

    left: list[float] = []
    for _ in range(5):
        assert await soon(throttle.due("dev", write=True))
        left.append(time.monotonic())
    assert left[-1] - left[0] > 3 / RATE, "not all at once"


async def send(throttle: FleetThrottle, sent: list[float], until: float) -> None:
    """Send one request after the other, and note when each left."""
    while time.monotonic() < until:
        if await throttle.permit("dev", write=True) and await throttle.due("dev", write=True):
            throttle.sent("dev", write=True)
            sent.append(time.monotonic())


async def test_sends_of_all_processes_together_keep_to_the_limit(pool: Pool) -> None:
    sent: list[float] = []
    until = time.monotonic() + 1.5
    throttles = [FleetThrottle(lanes(pool)) for _ in range(3)]
    await soon(asyncio.gather(*(send(throttle, sent, until) for throttle in throttles for _ in range(4))))

    assert sent
    assert most_in_a_second(sent) <= RATE


async def test_the_limit_is_kept_when_the_database_crashes_and_is_back_at_once(pool: Pool, postgres: Server) -> None:
    sent: list[float] = []
    until = time.monotonic() + 4.0
    throttles = [FleetThrottle(lanes(pool)) for _ in range(4)]
    sending = [send(throttle, sent, until) for throttle in throttles for _ in range(48)]

    async def crash() -> None:
        await asyncio.sleep(1.5)
        await asyncio.to_thread(postgres.stop, "immediate")
        await asyncio.to_thread(postgres.start)

    await soon(asyncio.gather(crash(), *sending))

    assert max(sent) > until - 0.5, "they have gone on"
    assert most_in_a_second(sent) <= RATE


async def test_the_limit_is_kept_by_a_worker_that_reads_its_answers_late(pool: Pool) -> None:
    sent: list[float] = []
    until = time.monotonic() + 2.5
    prompt, late = lanes(pool), lanes(Late(pool))
    throttles = [FleetThrottle(prompt), FleetThrottle(late)]
    await soon(asyncio.gather(*(send(throttle, sent, until) for throttle in throttles for _ in range(48))))

    assert most_in_a_second(sent) <= RATE


class Late:
    """A pool of which every fifth answer is read late, as by a process that is stopped for a while."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._asked = 0

    async def fetch(self, statement: str, *parameters: object) -> Any:
        found = await self._pool.fetch(statement, *parameters)
        self._asked += 1
        if self._asked % 5 == 0:
            await asyncio.sleep(0.4)
        return found


@pytest.mark.parametrize(
    ("readings", "there", "here"),
    [
        ([(10.0, 110.5, 11.0)], 120.5, 21.0),
        ([(10.0, 110.5, 11.0), (12.0, 112.1, 12.2)], 120.5, 20.6),
        ([(10.0, 110.5, 11.0), (12.0, 112.1, 22.2)], 120.5, 21.0),
        ([(10.0, 110.5, 11.0), (12.0, 102.1, 12.2)], 120.5, 30.6),
        ([(10.0, 110.5, 10.5), (80.0, 180.5, 81.0)], 190.5, 91.0),
    ],
    ids=["one answer", "a quicker one", "one that is read late", "the clock was set back", "the first is long ago"],
)
def test_the_quickest_answer_says_when_it_is_there(
    readings: list[tuple[float, float, float]], there: float, here: float
) -> None:
    clock = DatabaseClock()
    for reading in readings:
        clock.heard(*reading)
    assert clock.here(there) == pytest.approx(here)


async def test_a_container_keeps_to_a_limit_of_its_own_and_holds_up_no_other(pool: Pool) -> None:
    throttle, another = (FleetThrottle(lanes(pool, container_rate=2.0)) for _ in range(2))
    began_at = time.monotonic()

    async def send(throttle: FleetThrottle, container: str, number: int) -> float:
        for _ in range(number):
            await throttle.permit(container)
            await throttle.due(container)
        return time.monotonic() - began_at

    slow = asyncio.gather(send(throttle, "slow", 2), send(another, "slow", 2))
    others = await soon(asyncio.gather(*(send(throttle, f"c{number}", 1) for number in range(20))))
    assert max(await soon(slow)) >= 3 / 2.0
    assert max(others) < 3 / 2.0


async def test_a_penalty_is_for_everybody(pool: Pool) -> None:
    ours, theirs = FleetThrottle(lanes(pool)), FleetThrottle(lanes(pool))
    assert await soon(theirs.permit("dev"))
    ours.pause(0.6, "HTTP 429")
    assert (ours.pauses, theirs.pauses) == (1, 0)
    await holds(lambda: pool.fetchval("SELECT until > clock_timestamp() + interval '0.3 s' FROM permits"))

    now = time.monotonic()
    for _ in range(20):
        assert await soon(theirs.permit("dev"))
    assert time.monotonic() - now > 0.2
    assert theirs.pauses == 1, "whoever reserves hears of it"
    assert ours.gate.pause.reason == "HTTP 429"


async def test_nobody_gets_a_permit_in_a_pause_who_had_asked_before_it(pool: Pool) -> None:
    throttle = FleetThrottle(lanes(pool))
    asked = [asyncio.create_task(throttle.permit("dev")) for _ in range(100)]  # for half a second
    await soon(asked[10])
    throttle.pause(0.6, "HTTP 429")
    now, had = time.monotonic(), sum(one.done() for one in asked)

    await soon(asked[99])
    assert time.monotonic() - now > 0.6
    assert had < 50


async def test_what_is_given_out_is_bounded_on_the_disk_before_it_is(pool: Pool) -> None:
    lane = a_lane(pool)
    await soon(moments(lane, 20))
    await lane.penalize(30)
    assert await pool.fetchval("SELECT b.until >= p.until FROM permits AS p JOIN permits_bound AS b USING (key)")


async def test_a_reservation_waits_for_no_disk_while_it_is_within_the_bound(pool: Pool) -> None:
    await soon(moments(a_lane(pool), 20))
    written = "SELECT xmin::text, until FROM permits_bound"
    before = await pool.fetch(written)
    await soon(moments(a_lane(pool), 20))
    assert await pool.fetch(written) == before


async def test_whoever_stops_waits_no_longer(pool: Pool) -> None:
    throttle = FleetThrottle(lanes(pool, rate=0.05))
    assert await soon(throttle.permit("dev"))
    waiting = asyncio.create_task(throttle.permit("dev"))
    await asyncio.sleep(0.05)
    throttle.close()

    assert await soon(waiting) is False
    assert await soon(throttle.permit("dev")) is False


async def test_nobody_asks_for_permits_where_there_is_no_limit(pool: Pool) -> None:
    throttle = FleetThrottle(Lanes(pool, PLACE, rate=None, write_rate=None, container_rate=None))
    assert throttle.free
    throttle.pause(60, "HTTP 503")
    assert not throttle.free


async def test_a_database_that_is_away_gives_nothing_and_is_asked_again(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moments_module, "AGAIN_S", 0.01)
    lane = a_lane(pool)
    await pool.execute("ALTER TABLE permits RENAME TO elsewhere")
    waiting = asyncio.create_task(moments(lane, 1))
    await asyncio.sleep(0.1)
    assert not waiting.done()

    await pool.execute("ALTER TABLE elsewhere RENAME TO permits")
    assert await soon(waiting)
