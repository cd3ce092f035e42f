"""Who waits for a permit: in which order they are served, and what pauses and the end of a run do to them."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from migrator.transport.throttle import Throttle
from migrator.transport.throttle.window import ON_THE_WAY_S
from tests.shell.simulated import Sends, shortest_s, simulate, timers_set, turns


def test_permits_are_given_in_the_order_in_which_they_were_asked_for() -> None:
    throttle = Throttle(rate=100)
    served: list[int] = []

    async def ask(number: int) -> None:
        assert await throttle.permit("c")
        throttle.sent("c")
        served.append(number)

    async def play() -> None:
        await asyncio.gather(*(ask(number) for number in range(300)))

    simulate(play())

    assert served == list(range(300))


@pytest.mark.parametrize("rate", [10, 100, 1000])
def test_five_hundred_who_wait_cost_no_more_timers_than_one(rate: int) -> None:
    async def play() -> float:
        sends = Sends(Throttle(rate=rate))
        await sends.crew(512, 4)
        return timers_set() / len(sends.at)

    assert simulate(play()) <= 1.2


def test_a_permit_that_lies_unused_is_not_polled_for() -> None:
    async def play() -> int:
        throttle = Throttle(rate=5)
        for _ in range(5):
            assert await throttle.permit("c")
        waiting = asyncio.create_task(throttle.permit("c"))
        timers = timers_set()
        await asyncio.sleep(60)  # the disk stalls for a minute
        assert not waiting.done()
        return timers_set() - timers

    assert simulate(play()) <= 62  # one look in each period, and the sleep of the test


def test_a_worker_cancelled_while_it_waits_leaves_its_turn_to_the_next() -> None:
    async def play() -> float:
        throttle = Throttle(rate=1)
        await throttle.permit("c")
        throttle.sent("c")
        began_at = time.monotonic()
        first, second = (asyncio.create_task(throttle.permit("c")) for _ in range(2))
        await turns()
        first.cancel()
        assert await second
        return time.monotonic() - began_at

    assert simulate(play()) == pytest.approx(1.0 + ON_THE_WAY_S, abs=0.01)


def test_a_worker_cancelled_when_its_turn_has_just_come_gives_the_permit_back() -> None:
    async def play() -> None:
        throttle = Throttle(rate=1)
        for _ in range(5):
            worker = asyncio.create_task(throttle.permit("c"))
            await turns(2)  # the dispatcher has answered, and the worker has not yet heard
            while not worker.done():
                worker.cancel()
                await turns(1)
            assert worker.cancelled()
        assert await asyncio.wait_for(throttle.permit("c"), 10)  # each took a second of the pace, and none its place

    simulate(play())


def test_a_permit_that_is_given_back_is_free_again() -> None:
    async def play() -> None:
        throttle = Throttle(rate=2)
        for _ in range(20):
            assert await asyncio.wait_for(throttle.permit("c"), 2)
            throttle.returned("c")

    simulate(play())


def test_a_container_says_how_long_it_has_no_permit_to_give() -> None:
    async def play() -> list[float]:
        throttle = Throttle(container_rate=2)  # one each half second
        before = throttle.rest_s("a")
        assert await throttle.permit("a")
        throttle.sent("a")
        return [before, throttle.rest_s("a"), throttle.rest_s("b")]

    before, after, other = simulate(play())
    assert before <= 0
    assert after == pytest.approx(0.5, abs=0.01)
    assert other <= 0


async def test_without_limits_everybody_is_free_until_a_pause_or_the_end() -> None:
    assert Throttle().free
    assert Throttle().rest_s("a") == 0
    paused, closed = Throttle(), Throttle()
    paused.pause(3600, "429")
    closed.close()
    assert not paused.free
    assert not closed.free
    assert not Throttle(rate=5).free
    assert not Throttle(container_rate=5).free


@pytest.mark.parametrize(
    "limits", [{}, {"rate": 50.0}, {"container_rate": 50.0}, {"rate": 50.0, "container_rate": 9.0}]
)
def test_a_pause_holds_everybody(limits: dict[str, Any]) -> None:
    async def play() -> list[float]:
        sends = Sends(Throttle(**limits))
        early = [asyncio.create_task(sends.work(20, container=name)) for name in "abcabc"]
        await turns()
        began_at, before = time.monotonic(), len(sends.at)
        sends.throttle.pause(30, "429")
        late = [asyncio.create_task(sends.work(20, container=name)) for name in "abcabc"]
        await asyncio.wait(early + late)
        return [at - began_at for at in sends.at[before:]]

    waited_s = simulate(play())
    assert len(waited_s) >= 120
    assert min(waited_s) >= 30


def test_after_a_pause_permits_leave_evenly_again() -> None:
    sends = Sends(Throttle(rate=100))

    async def play() -> None:
        sends.throttle.pause(30, "429")
        await sends.crew(200, 1)

    simulate(play())

    # A tenth of a second holds a tenth of 100, and another tenth that was lost.
    assert shortest_s(sends.at, 2 * 10 + 3) > 0.1


def test_the_longest_pause_wins() -> None:
    async def play() -> float:
        throttle = Throttle(rate=10)
        began_at = time.monotonic()
        throttle.pause(5, "a short one")
        waiting = asyncio.create_task(throttle.permit("c"))
        await asyncio.sleep(1)
        throttle.pause(60, "a long one")
        throttle.pause(2, "another short one")
        assert throttle.gate.pause.reason == "a long one"
        assert throttle.gate.shut_s == pytest.approx(60)
        assert await waiting
        return time.monotonic() - began_at

    assert simulate(play()) == pytest.approx(61, abs=0.01)


def test_a_pause_that_comes_while_permits_are_waited_for_takes_no_place() -> None:
    async def play() -> float:
        throttle = Throttle(rate=0.1)
        assert await throttle.permit("c")
        throttle.sent("c")
        began_at = time.monotonic()
        waiting = asyncio.create_task(throttle.permit("c"))
        await asyncio.sleep(9)
        throttle.pause(6, "429")  # ends after 15 s; the place was free after 10 s
        assert await waiting
        return time.monotonic() - began_at

    assert simulate(play()) == pytest.approx(15, abs=0.01)


@pytest.mark.parametrize(
    ("limits", "pause_s"),
    [
        ({}, 3600),
        ({"rate": 10.0}, 3600),
        ({"rate": 0.001}, 0),  # the next place is free in 1000 s
        ({"container_rate": 0.001}, 0),
        ({"rate": 0.001, "container_rate": 5.0}, 0),
        ({"rate": 5.0, "container_rate": 5.0}, 3600),
    ],
)
def test_when_the_run_stops_everybody_who_waits_is_told_at_once(limits: dict[str, Any], pause_s: float) -> None:
    async def play() -> tuple[set[bool], float]:
        throttle = Throttle(**limits)
        for container in "ab":
            first = asyncio.create_task(throttle.permit(container))
            await turns()
            if not first.done():
                first.cancel()
        throttle.pause(pause_s, "429")
        waiting = [asyncio.create_task(throttle.permit(name)) for name in "ab" * 100]
        await asyncio.sleep(0.05)
        stopped_at = time.monotonic()
        throttle.close()
        return set(await asyncio.gather(*waiting)), time.monotonic() - stopped_at

    told, after_s = simulate(play())
    assert told == {False}
    assert after_s == 0


def test_after_the_stop_no_permit_is_given() -> None:
    async def play() -> list[bool]:
        throttle = Throttle(rate=10, container_rate=10)
        throttle.close()
        return [await throttle.permit("c") for _ in range(3)]

    assert simulate(play()) == [False] * 3


def test_a_permit_given_before_the_stop_may_still_be_used() -> None:
    async def play() -> bool:
        throttle = Throttle(rate=10)
        permit = await throttle.permit("c")
        throttle.close()
        throttle.sent("c")
        return permit

    assert simulate(play())
