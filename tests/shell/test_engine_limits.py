"""What ends a run early: too many failures, too many alike, too much time."""

from __future__ import annotations

import asyncio

import pytest

from migrator.core.errors import Stopped
from migrator.core.limits import Limits, Share
from migrator.core.model import Answer
from migrator.core.states import State
from tests.fakes import OpenThrottle
from tests.shell.rounds import (
    GONE,
    LOUD,
    REFUSED,
    SERVER,
    TAKEN,
    World,
)
from tests.waiting import some_turns, soon, until


class TestLimits:
    @pytest.mark.parametrize(
        ("limits", "answers", "sent", "said"),
        [
            (Limits(Share(2)), [REFUSED, SERVER, TAKEN], 3, "3 steps failed, more than --max-failures"),
            (Limits(Share(share=0.2)), [REFUSED, SERVER, TAKEN], 3, "3 steps failed"),
            (Limits(equal_failures=3), [SERVER, REFUSED, REFUSED, REFUSED], 4, "3 requests in a row failed alike"),
        ],
    )
    async def test_too_many_failures_end_the_run_and_everything_is_recorded(
        self, limits: Limits, answers: list[Answer], sent: int, said: str
    ) -> None:
        world = World(10)
        for seq, answer in enumerate(answers, start=2):
            world.answer(seq, answer)
        with pytest.raises(Stopped, match=said):
            await world.run(10, guard=False, limits=limits)

        assert world.count("send") == sent
        assert State.INTENT not in world.states()
        # What failed has failed; it is not counted against the next process.
        world.throttle = OpenThrottle(world.trace)
        await world.run(10, guard=False)
        assert world.states()[State.PENDING] == world.states()[State.DOUBT] == 0
        assert world.states()[State.APPLIED] == 10 - world.states()[State.REJECTED]

    async def test_what_is_in_flight_when_too_much_fails_is_answered_and_recorded(self) -> None:
        world = World(9)
        world.answer(2, REFUSED)
        first, late = (world.service.held.setdefault(name, asyncio.Event()) for name in ("offer-2", "offer-3"))
        running = asyncio.create_task(world.run(9, guard=False, concurrency=2, limits=Limits(equal_failures=1)))
        await until(lambda: len(world.service.in_flight) == 2)
        first.set()
        await some_turns()
        assert not running.done()
        late.set()

        with pytest.raises(Stopped):
            await running
        assert world.ledger.state(3) is State.APPLIED
        assert world.count("send") == 2

    async def test_objects_that_cannot_be_read_count(self) -> None:
        world = World(9)
        for seq in range(2, 11):
            world.show(seq, GONE)
        with pytest.raises(Stopped, match="3 requests in a row failed alike: HTTP 404: no such offer"):
            await world.run(limits=Limits(equal_failures=3))

        assert world.states() == {State.REJECTED: 3}

    async def test_a_run_that_takes_too_long_ends_with_everything_recorded(self) -> None:
        world = World(9)
        late = world.service.held.setdefault("offer-2", asyncio.Event())
        running = asyncio.create_task(world.run(limits=Limits(max_duration_s=0.05)))
        await until(lambda: world.throttle._closed)
        assert not running.done()
        late.set()

        with pytest.raises(Stopped, match=r"has taken the 0\.05 s that --max-duration allows"):
            await running
        assert world.count("send") == 1
        assert world.ledger.state(2) is State.APPLIED

    async def test_a_run_that_ends_in_time_is_not_ended(self) -> None:
        world = World(2)
        await world.run(limits=Limits(Share(1), equal_failures=1, max_duration_s=60.0))

        assert world.states() == {State.APPLIED: 2}

    async def test_looking_alone_ends_in_time_too(self) -> None:
        world = World(1)
        await world.lose(2)

        with pytest.raises(Stopped, match="--max-duration"):
            await soon(world.engine(bounds=LOUD, limits=Limits(max_duration_s=0.05)).reconcile())

        assert world.states() == {State.DOUBT: 1}
        assert world.count("send") == 0
