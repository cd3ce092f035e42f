"""Who takes too long is ended in time, by one timer for all, and no other cancellation is taken for it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from migrator.transport.deadlines import Deadlines
from tests.waiting import soon

FOREVER = 3600.0


async def timed(deadlines: Deadlines, seconds: float) -> str:
    """Take so long, the way that requests do."""
    task = asyncio.current_task()
    assert task is not None
    deadlines.begin(task)
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        if not deadlines.passed(task):
            raise
        return "overdue"
    finally:
        deadlines.end(task)
    return "in time"


async def test_only_who_is_overdue_is_ended_each_at_its_own_time() -> None:
    deadlines, loop = Deadlines(0.2), asyncio.get_running_loop()
    began_at, ended = loop.time(), []

    async def one(after_s: float, seconds: float) -> None:
        await asyncio.sleep(after_s)
        result = await timed(deadlines, seconds)
        ended.append((result, loop.time() - began_at))

    await soon(asyncio.gather(one(0, FOREVER), one(0.1, 0), one(0.15, FOREVER), one(0.3, 0)))

    assert sorted(result for result, _ in ended) == ["in time", "in time", "overdue", "overdue"]
    first, second = (at for result, at in ended if result == "overdue")
    assert first >= 0.2
    assert second >= 0.35


async def test_a_task_is_as_before_when_it_was_overdue() -> None:
    deadlines = Deadlines(0.01)

    async def twice() -> list[str]:
        return [await timed(deadlines, FOREVER), await timed(deadlines, 0)]

    task = asyncio.create_task(twice())
    assert await soon(task) == ["overdue", "in time"]
    assert task.cancelling() == 0


async def test_a_cancellation_is_no_time_out() -> None:
    task = asyncio.create_task(timed(Deadlines(FOREVER), FOREVER))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await soon(task)


async def test_a_cancellation_of_who_is_overdue_is_one() -> None:
    deadlines = Deadlines(0.0)
    task = asyncio.create_task(timed(deadlines, FOREVER))
    await asyncio.sleep(0)
    deadlines._look()
    task.cancel()  # before it can have heard of the other
    with pytest.raises(asyncio.CancelledError):
        await soon(task)


async def test_there_is_one_timer_however_many_wait_and_none_when_nobody_does(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    timers: list[float] = []
    real = loop.call_at

    def counted(when: float, callback: Any, *args: Any, **more: Any) -> asyncio.TimerHandle:
        if getattr(callback, "__self__", None) is deadlines:
            timers.append(when)
        return real(when, callback, *args, **more)

    monkeypatch.setattr(loop, "call_at", counted)
    deadlines = Deadlines(0.1)
    await soon(asyncio.gather(*(timed(deadlines, 0.001 * (number % 7)) for number in range(100))))
    assert len(timers) == 1
    await asyncio.sleep(0.15)
    assert len(timers) == 1, "nobody waits any more"
    assert await soon(timed(deadlines, FOREVER)) == "overdue"
    assert len(timers) == 2
