"""What the engine tells the throttle of its requests: of what kind they are, and when and how they end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from migrator.core.model import Response
from migrator.core.pacing import Range
from migrator.core.states import State
from migrator.transport.throttle import Throttle
from tests.shell.world import OK, World
from tests.waiting import soon, until

TOO_MANY = Response(429, {"retry-after": "0"}, b"")


class Watched(Throttle):
    """A throttle that remembers what it is told."""

    def __init__(self, **limits: Any) -> None:
        super().__init__(**limits)
        self.told: list[tuple[str, bool]] = []

    def sent(self, container: str, *, write: bool = False) -> None:
        self.told.append(("sent", write))
        super().sent(container, write=write)

    def answered(self, container: str, *, write: bool = False, refused: bool = False) -> None:
        self.told.append(("refused" if refused else "answered", write))
        super().answered(container, write=write, refused=refused)


async def run(world: World, throttle: Throttle) -> None:
    world.throttle = throttle  # type: ignore[assignment]
    await world.run(concurrency=1)


async def test_each_request_is_told_of_when_it_leaves_and_when_it_is_answered() -> None:
    world, throttle = World(["dev"]), Watched(rate=1000)
    world.answer(2, TOO_MANY, OK)
    await run(world, throttle)

    read, write = False, True
    assert throttle.told == [
        ("sent", read),  # the probe
        ("answered", read),
        ("sent", write),
        ("refused", write),
        ("sent", write),
        ("answered", write),
    ]


async def test_who_limits_nothing_is_told_nothing() -> None:
    world, throttle = World(["dev"] * 3), Watched()
    await run(world, throttle)

    assert len(world.sent()) == 3
    assert throttle.told == []


async def test_an_answer_that_never_comes_ends_the_request_too() -> None:
    world, throttle = World(["dev"]), Watched(rate=1000, strict=True)
    world.throttle = throttle  # type: ignore[assignment]
    world.hold(2)
    running = asyncio.create_task(world.run(concurrency=1))
    await until(lambda: throttle.told[-1:] == [("sent", True)])
    running.cancel()
    await asyncio.wait([running])

    assert throttle.told[-1] == ("answered", True)


async def test_a_refusal_lowers_a_rate_that_is_found_out_and_the_run_goes_on() -> None:
    world, throttle = World(["dev"] * 3), Throttle(rate=Range(start=400))
    world.answer(3, TOO_MANY, OK)
    await run(world, throttle)

    assert throttle.pace is not None
    assert throttle.pace.rate == pytest.approx(0.85 * 400)
    assert world.states() == {State.APPLIED: 3}


@pytest.mark.parametrize("limits", [{"write_rate": 400}, {"rate": 400, "strict": True}, {"container_rate": 400}])
async def test_when_a_run_is_over_no_place_of_a_limit_is_taken(limits: dict[str, Any]) -> None:
    world, throttle = World(["a", "b"] * 3), Throttle(**limits)
    world.answer(4, TOO_MANY, OK)
    await soon(run(world, throttle))

    for container in ("a", "b"):
        for window in throttle._windows(container, write=True):
            assert window.books._open == 0
            assert window.books._task_logs
