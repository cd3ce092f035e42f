"""The stock: who waits gets the next step, and only as much lies ready as the speed of the run is worth."""

from __future__ import annotations

import asyncio

import pytest

from migrator.core.model import Request
from migrator.engine.stock import AHEAD_S, Ready, Stock
from tests.memory import MemoryCommit, MemoryLedger
from tests.plans import changes, steps
from tests.waiting import soon


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now_s = 7.0

    def __call__(self) -> float:
        return self.now_s


class Shop:
    """A stock, its clock, and a supply of steps."""

    def __init__(self, largest: int = 100) -> None:
        self.clock = Clock()
        self.stock: Stock[Ready] = Stock(largest, self.clock)
        self._supply = iter(steps(changes(["dev"] * 2000)))

    def put(self) -> bool:
        step = next(self._supply)
        request = Request("PATCH", "/", {}, b"", "r")
        return self.stock.put(Ready(step, 1, 0, request, MemoryCommit(MemoryLedger([]), None)))  # type: ignore[arg-type]

    async def sell(self, number: int, seconds: float) -> None:
        """Let one customer take so many steps, evenly over the time, each as soon as it is asked for."""
        for _ in range(number):
            self.clock.now_s += seconds / number
            taking = asyncio.create_task(self.stock.take())
            await asyncio.sleep(0)
            if not taking.done():
                self.put()
            await soon(taking)

    async def filled(self) -> int:
        """Fill it as long as it has room, and say how many were put in."""
        number = 0
        while self.stock.room:
            self.put()
            number += 1
        return number


async def test_steps_come_out_in_order_and_whoever_waited_longest_is_served_first() -> None:
    shop = Shop()
    customers = [asyncio.create_task(shop.stock.take()) for _ in range(3)]
    await asyncio.sleep(0)
    for _ in range(3):
        shop.put()

    served = await soon(asyncio.gather(*customers))
    assert [ready.step.seq for ready in served if ready] == [2, 3, 4]


async def test_nothing_lies_ready_while_nobody_is_known_to_be_fast() -> None:
    shop = Shop()
    calling = asyncio.create_task(shop.stock.has_room())
    await asyncio.sleep(0)
    assert not calling.done(), "nobody waits for a step"

    taking = asyncio.create_task(shop.stock.take())
    assert await soon(calling)
    shop.put()
    await soon(taking)
    assert await shop.filled() == 0


@pytest.mark.parametrize(
    ("speed", "size"),
    [
        (100, 5),
        (500, 25),  # 500/s × 0.05 s
        (1000, 50),
        (10_000, 100),  # the largest, not 500
    ],
)
async def test_what_lies_ready_is_what_is_sent_in_a_moment(speed: int, size: int) -> None:
    shop = Shop()
    for _ in range(3):
        await shop.sell(round(speed * AHEAD_S), AHEAD_S * 1.01)
        await shop.filled()
    await shop.sell(1, 1 / speed)
    await shop.filled()

    assert len(shop.stock._ready) == pytest.approx(size, abs=2)


async def test_it_calls_for_more_when_it_is_half_empty_and_is_full_again_then() -> None:
    shop = Shop(largest=10)
    shop.stock._size = 10
    for number in range(10):
        assert shop.put() is (number == 9)
    assert not shop.stock.room
    for _ in range(4):
        await shop.stock.take()
    assert not shop.stock.room
    await shop.stock.take()
    assert shop.stock.room


async def test_a_run_that_becomes_slow_has_no_more_than_the_next_step_in_stock_soon() -> None:
    shop = Shop()
    await shop.sell(100, 0.06)
    assert await shop.filled() > 10
    await shop.sell(100, 10.0)
    await shop.filled()
    assert len(shop.stock._ready) <= 1


async def test_one_step_lies_ready_while_everybody_waits_for_an_answer_and_none_while_somebody_waits_for_a_step() -> (
    None
):
    shop = Shop()
    await shop.sell(4, 0.2)  # 20/s
    assert await shop.filled() == 1
    assert await shop.filled() == 0, "nobody has taken one since"

    taking = [asyncio.create_task(shop.stock.take()) for _ in range(2)]
    await asyncio.sleep(0)
    shop.put()
    await soon(asyncio.gather(*taking))
    assert not shop.stock._ready


async def test_when_it_is_closed_what_is_there_can_still_be_taken_and_nobody_waits() -> None:
    shop = Shop()
    customers = [asyncio.create_task(shop.stock.take()) for _ in range(3)]
    await asyncio.sleep(0)
    shop.put()
    shop.stock.close()

    served = await soon(asyncio.gather(*customers))
    assert [ready is not None for ready in served].count(True) == 1
    assert not await soon(shop.stock.has_room())
    assert await soon(shop.stock.take()) is None


async def test_the_rest_is_what_nobody_took() -> None:
    shop = Shop()
    for _ in range(3):
        shop.put()
    await shop.stock.take()

    assert [ready.step.seq for ready in shop.stock.rest()] == [3, 4]
    assert list(shop.stock.rest()) == []


async def test_what_is_taken_from_a_closed_stock_calls_for_no_more() -> None:
    shop = Shop(largest=10)
    shop.stock._size = 10
    for _ in range(10):
        shop.put()
    shop.stock.close()
    while shop.stock.next() is not None:
        assert not shop.stock.room
    assert not await soon(shop.stock.has_room())
