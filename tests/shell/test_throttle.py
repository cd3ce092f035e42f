"""The throttle: no window of time holds more sends than the limit, and nobody waits longer than that costs.

Most tests run on a clock that jumps: whenever every task sleeps, time moves on to the first timer. Hours pass in
milliseconds, and nothing depends on the speed of the machine.
"""

from __future__ import annotations

import asyncio
import random
import selectors
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar
from unittest.mock import patch

import pytest
from asyncio_throttle.throttler import Throttler
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from migrator.transport.throttle import ON_THE_WAY_S, SendWindow, Throttle

T = TypeVar("T")

TIMER_LATE_S = 0.0002
"""Each timer of a simulation goes off so much late, as real ones do."""


class JumpingClock(selectors.SelectSelector):
    """Does not wait for what the loop waits for: it says that the time has come."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 1000.0
        self.jumps = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "every task waits for another"
        if timeout > 0:
            self.jumps += 1
            assert self.jumps < 100_000, "somebody polls for ever"
            self.now_s += timeout + TIMER_LATE_S
        return super().select(0)


class SimulatedLoop(asyncio.SelectorEventLoop):
    """Counts the timers that are set."""

    def __init__(self, clock: JumpingClock) -> None:
        super().__init__(clock)
        self.timers = 0

    def call_at(self, *args: Any, **kwargs: Any) -> asyncio.TimerHandle:  # type: ignore[override]
        self.timers += 1
        return super().call_at(*args, **kwargs)


def simulate(play: Coroutine[Any, Any, T]) -> T:
    """Run `play` on a clock that jumps, for asyncio, for asyncio-throttle and for us."""
    clock = JumpingClock()
    with (
        patch("time.monotonic", lambda: clock.now_s),
        asyncio.Runner(loop_factory=lambda: SimulatedLoop(clock)) as runner,
    ):
        return runner.run(play)


def timers_set() -> int:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimulatedLoop)
    return loop.timers


async def turns(number: int = 10) -> None:
    """Let everybody who can go on do so."""
    for _ in range(number):
        await asyncio.sleep(0)


class Sends:
    """Workers that take permits of one throttle, and when they sent."""

    def __init__(self, throttle: Throttle) -> None:
        self.throttle = throttle
        self.at: list[float] = []

    async def work(self, sends: int, *, delay_s: Callable[[], float] = lambda: 0.0, container: str = "c") -> None:
        """Send as often as told, each time `delay_s()` after the permit: the disk."""
        for _ in range(sends):
            if not await self.throttle.permit(container):
                return
            await self._written(delay_s(), container)
            self.throttle.sent(container)
            self.at.append(time.monotonic())

    async def _written(self, delay_s: float, container: str) -> None:
        if delay_s:
            try:
                await asyncio.sleep(delay_s)
            except asyncio.CancelledError:
                self.throttle.returned(container)
                raise

    async def crew(self, workers: int, sends: int, **more: Any) -> None:
        await asyncio.gather(*(self.work(sends, **more) for _ in range(workers)))


def shortest_s(at: Sequence[float], sends: int) -> float:
    """Return the shortest time in which `sends + 1` sends left; a window of that length would hold too many."""
    at = sorted(at)
    return min((later - first for first, later in zip(at, at[sends:], strict=False)), default=float("inf"))


# --- the limit -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rate", "sends", "seconds"),
    [
        (10, 10, 1.0),
        (1000, 1000, 1.0),
        (1, 1, 1.0),
        (2.5, 2, 0.8),  # 2 / 2.5
        (0.5, 1, 2.0),  # 1 / 0.5
        (0.01, 1, 100.0),
        (99.9, 99, 99 / 99.9),
    ],
)
def test_a_rate_is_a_whole_number_of_sends_in_a_period(rate: float, sends: int, seconds: float) -> None:
    window = SendWindow(rate)

    assert isinstance(window, Throttler)
    assert (window.rate_limit, window.period) == (sends, pytest.approx(seconds + ON_THE_WAY_S))


class Story(Struct):
    """What may happen to one run of a throttle."""

    rate: float
    workers: int
    seed: int
    longest_delay_s: float
    pauses_s: list[float]
    cancelled: int


stories = st.builds(
    Story,
    rate=st.one_of(st.floats(0.2, 5), st.integers(1, 300).map(float), st.floats(1, 300)),
    workers=st.integers(1, 24),
    seed=st.integers(0, 2**32),
    longest_delay_s=st.sampled_from([0.0, 0.001, 0.05, 1.0, 4.0]),
    pauses_s=st.lists(st.floats(0, 3), max_size=3),
    cancelled=st.integers(0, 3),
)


@settings(deadline=None)  # it is not the speed of the machine that is tested
@given(stories)
def test_no_period_holds_more_sends_than_the_limit_whatever_happens_between_permit_and_send(story: Story) -> None:
    dice = random.Random(story.seed)
    throttle = Throttle(rate=story.rate)
    sends = Sends(throttle)
    each = 2 + 120 // story.workers

    def delay_s() -> float:
        return dice.choice((0.0, dice.uniform(0, story.longest_delay_s)))

    async def cut_in(workers: list[asyncio.Task[None]]) -> None:
        for worker in workers[: story.cancelled]:
            await asyncio.sleep(dice.uniform(0, 1 / story.rate))
            worker.cancel()
        for pause_s in story.pauses_s:
            await asyncio.sleep(dice.uniform(0, 10 / story.rate))
            throttle.pause(pause_s, "429")

    async def play() -> None:
        workers = [asyncio.create_task(sends.work(each, delay_s=delay_s)) for _ in range(story.workers)]
        await cut_in(workers)
        await asyncio.wait(workers)

    simulate(play())

    places = max(1, int(story.rate))
    assert len(sends.at) >= each * (story.workers - story.cancelled)
    assert shortest_s(sends.at, places) > places / story.rate - 1e-9


@pytest.mark.parametrize("rate", [0.5, 1, 2.5, 10, 99.9, 200, 1000, 3000])
def test_the_limit_is_used_to_the_full_when_there_is_work(rate: float) -> None:
    sends = Sends(Throttle(rate=rate))
    number = max(40, int(rate) * 5)

    simulate(sends.crew(8, number // 8, delay_s=lambda: 0.002))  # an intent on the disk takes 2 ms

    used = (len(sends.at) - 1) / (sends.at[-1] - sends.at[0]) / rate
    assert 0.97 <= used <= 1.1  # over five periods; the first tenth of a second may be made up for


@pytest.mark.parametrize("rate", [50, 1000])
def test_permits_leave_evenly_and_not_all_at_the_start_of_the_period(rate: int) -> None:
    sends = Sends(Throttle(rate=rate))

    simulate(sends.crew(8, rate // 4))

    # A tenth of a second holds a tenth of the limit, and another tenth that was lost; never the whole budget at once.
    assert shortest_s(sends.at, 2 * rate // 10 + 3) > 0.1


async def test_no_second_of_real_time_holds_more_than_the_limit_with_many_workers() -> None:
    throttle = Throttle(rate=200)
    before: list[float] = []
    after: list[float] = []

    async def work() -> None:
        while await throttle.permit("c"):
            before.append(time.monotonic())
            throttle.sent("c")
            after.append(time.monotonic())
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as crew:
        for _ in range(64):
            crew.create_task(work())
        await asyncio.sleep(2)
        throttle.close()

    assert len(before) > 200
    # Nothing but a machine that stalled between two lines could make a correct throttle look wrong here, and it cannot:
    # the send at i lies after before[i], the send 200 later before after[i + 200].
    assert all(late - early > 1.0 for early, late in zip(before, after[200:], strict=False))


def test_without_a_limit_nobody_waits() -> None:
    async def play() -> tuple[float, int]:
        sends = Sends(Throttle())
        await sends.crew(512, 10)
        return sends.at[-1] - sends.at[0], timers_set()

    assert simulate(play()) == (0.0, 0)


# --- the queue -------------------------------------------------------------------------------------------------------


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


# --- the pause -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "limits", [{}, {"rate": 50.0}, {"container_rate": 50.0}, {"rate": 50.0, "container_rate": 9.0}]
)
def test_a_pause_holds_everybody(limits: dict[str, float]) -> None:
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


# --- the end ---------------------------------------------------------------------------------------------------------


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
def test_when_the_run_stops_everybody_who_waits_is_told_at_once(limits: dict[str, float], pause_s: float) -> None:
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


# --- containers ------------------------------------------------------------------------------------------------------


def test_each_container_has_its_own_limit() -> None:
    throttle = Throttle(container_rate=5)
    sends = {name: Sends(throttle) for name in "abc"}

    async def play() -> float:
        began_at = time.monotonic()
        await asyncio.gather(*(one.crew(2, 25, container=name) for name, one in sends.items()))
        return time.monotonic() - began_at

    took_s = simulate(play())

    assert took_s < 11  # 50 sends at 5/s; one after the other it would be 30 s
    assert all(shortest_s(one.at, 5) > 1.0 for one in sends.values())


def test_a_container_at_its_limit_does_not_hold_up_the_others() -> None:
    throttle = Throttle(rate=100, container_rate=2)
    slow, fast = Sends(throttle), Sends(throttle)

    async def play() -> float:
        crowd = asyncio.create_task(slow.crew(50, 1, container="slow"))
        await asyncio.sleep(0.5)
        began_at = time.monotonic()
        await fast.work(1, container="fast")
        took_s = time.monotonic() - began_at
        crowd.cancel()
        await asyncio.wait([crowd])
        return took_s

    assert simulate(play()) < 0.02  # at the most one place of the overall limit: 1 / 100


def test_the_overall_limit_holds_over_all_containers_and_is_used_to_the_full() -> None:
    sends = Sends(Throttle(rate=10, container_rate=4))

    async def play() -> None:
        await asyncio.gather(*(sends.crew(8, 5, container=name) for name in "abcde"))

    simulate(play())

    assert shortest_s(sends.at, 10) > 1.0
    assert (len(sends.at) - 1) / (sends.at[-1] - sends.at[0]) > 0.97 * 10


def test_a_worker_cancelled_between_two_limits_gives_back_the_first() -> None:
    async def play() -> bool:
        throttle = Throttle(rate=0.01, container_rate=1)
        throttle.sent("other") if await throttle.permit("other") else None
        worker = asyncio.create_task(throttle.permit("c"))  # has the container's permit, waits for the overall one
        await asyncio.sleep(5)
        worker.cancel()
        await asyncio.wait([worker])
        return await asyncio.wait_for(throttle.permit("c"), 101)  # the overall limit's next place

    assert simulate(play())


def test_the_books_of_a_window_do_not_grow() -> None:
    async def play() -> deque[float]:
        sends = Sends(Throttle(rate=10))
        await sends.work(500)
        (window,) = sends.throttle._windows("c")
        return window._window._task_logs

    assert len(simulate(play())) <= 11
