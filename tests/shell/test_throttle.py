"""The throttle: no window of time holds more sends than the limit, and nobody waits longer than that costs.

Most tests run on a clock that jumps: whenever every task sleeps, time moves on to the first timer. Hours pass in
milliseconds, and nothing depends on the speed of the machine."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from pathlib import Path

import pytest
from asyncio_throttle.throttler import Throttler
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from migrator.api.service import new_throttle
from migrator.settings import Settings, load
from migrator.transport.throttle import Throttle
from migrator.transport.throttle.window import ON_THE_WAY_S, SendWindow
from tests.shell.simulated import Sends, shortest_s, simulate, timers_set


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


def test_writes_have_a_limit_of_their_own_within_that_of_everything() -> None:
    throttle = Throttle(rate=50, write_rate=10)
    reads, writes = Sends(throttle), Sends(throttle)

    async def play() -> None:
        await asyncio.gather(reads.crew(4, 50), writes.crew(4, 10, write=True))

    simulate(play())

    # The reads would be done in 4 s, and share with 40 writes: of 10/s in those 4 s.
    assert max(reads.at) - min(reads.at) == pytest.approx(5.0, abs=0.2)
    assert shortest_s(writes.at, 10) > 1.0
    assert shortest_s(reads.at + writes.at, 50) > 1.0
    # Each write also waits for its turn among four reads, which is 0.08 s in each period.
    assert (len(writes.at) - 1) / (max(writes.at) - min(writes.at)) > 10 / (1.005 + 0.08) - 0.1


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
        (window,) = sends.throttle._windows("c", write=False)
        return window.books._task_logs

    assert len(simulate(play())) <= 11


@pytest.mark.parametrize(("rate", "sends"), [(0.5, 1), (3.0, 3), (20.0, 45)])
def test_two_throttles_one_after_the_other_let_no_more_leave_than_one_and_no_fewer(rate: float, sends: int) -> None:
    async def play(*shares: int) -> list[float]:
        at: list[float] = []
        throttle = Throttle()
        for share in shares:
            throttle = Throttle(rate=rate, container_rate=rate, past=throttle.past)
            crew = Sends(throttle)
            await crew.work(share)
            at += crew.at
        return at

    two, one = simulate(play(sends, sends)), simulate(play(2 * sends))

    assert len(two) == len(one) == 2 * sends
    assert shortest_s(two, max(1, int(rate))) >= max(1, int(rate)) / rate
    assert two[-1] - two[0] == pytest.approx(one[-1] - one[0], rel=0.02)


def test_a_pause_is_one_for_the_next_throttle_too() -> None:
    async def play() -> float:
        first = Throttle()
        first.pause(5, "429")
        await asyncio.sleep(2)
        before = time.monotonic()
        await Throttle(rate=10, past=first.past).permit("c")
        return time.monotonic() - before

    assert simulate(play()) == pytest.approx(3, abs=0.1)


def test_a_process_has_one_limit_for_each_service_and_client(tmp_path: Path) -> None:
    def settings(**own: str) -> Settings:
        return load({"base_url": "http://one", "client_id": "c", "ledger": str(tmp_path), "rate": 5} | own)

    async def play() -> list[int]:
        throttle = new_throttle(settings())
        assert await throttle.permit("prod")
        throttle.sent("prod")
        of = [settings(), settings(client_id="d"), settings(base_url="http://two")]
        return [len(new_throttle(one).past.overall) for one in of]

    assert simulate(play()) == [1, 0, 0]


@pytest.mark.parametrize("rate", [0.0, 1000.0])
async def test_who_cannot_follow_holds_everybody_up_until_the_run_is_let_go_or_stops(rate: float) -> None:
    for end in ("let_go", "close"):
        throttle = Throttle(rate=rate)
        throttle.gate.hold()
        assert not throttle.free
        waiting = asyncio.create_task(throttle.permit("a"))
        await asyncio.sleep(0.05)
        assert not waiting.done()

        getattr(throttle.gate, end)()

        assert await asyncio.wait_for(waiting, 30) == (end == "let_go")
