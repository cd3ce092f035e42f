"""What a stop, a ledger that fails, and a process that is cancelled leave behind."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from migrator.core.errors import LedgerFailed
from migrator.core.model import Answer
from migrator.core.states import State
from migrator.engine.sending import AHEAD
from migrator.ledger.runledger import RunLedger
from migrator.ports import Intent
from tests.fakes import OpenThrottle
from tests.plans import changes, make_plan
from tests.shell.world import World, full_speed
from tests.waiting import some_turns, soon, until


async def stopped_with_steps_ready(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> tuple[asyncio.Task[None], tuple[asyncio.Event, asyncio.Event]]:
    """Stop a run that has steps 2 and 3 in flight, and lying ready as much as it can hold.

    Returns: the run, and what lets the two be answered.
    """
    late = world.hold(2), world.hold(3)
    engine = world.engine(concurrency=2)
    full_speed(monkeypatch, AHEAD * 2)
    running = asyncio.create_task(soon(engine.run()))
    await until(lambda: len(world.service.in_flight) == 2)
    await some_turns()
    engine.stop()
    return running, late


class TestStop:
    async def test_what_is_in_flight_is_answered_and_recorded_and_nothing_new_is_sent(self) -> None:
        world = World(["dev"] * 9)
        late = world.hold(2), world.hold(3)
        engine = world.engine(concurrency=2)
        running = asyncio.create_task(soon(engine.run()))
        await until(lambda: len(world.service.in_flight) == 2)

        engine.stop()
        await some_turns()
        assert engine.stopping
        assert not running.done()
        for answered in late:
            answered.set()
        await running

        assert world.sent() == [2, 3]
        assert {seq for seq in world.ledger.states if world.ledger.state(seq) is not State.PENDING} == {2, 3}
        assert world.ledger.state(2) is world.ledger.state(3) is State.APPLIED

    async def test_what_lay_ready_is_pending_again_and_its_permit_is_given_back(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world = World(["dev"] * 40)
        running, late = await stopped_with_steps_ready(world, monkeypatch)
        await some_turns()
        assert State.INTENT not in world.states() or world.states()[State.INTENT] == 2, "only what is in flight"
        for answered in late:
            answered.set()
        await running

        ready = {seq: state for seq, state in world.ledger.states.items() if seq > 3}
        assert len(ready) == AHEAD * 2, "the stock was full"
        assert set(ready.values()) == {State.PENDING}
        assert world.trace.count(("returned", "dev")) == len(ready)
        assert sorted(world.sent()) == [2, 3]

    async def test_who_waits_for_a_permit_gives_up(self) -> None:
        world = World(["dev"] * 9)
        engine = world.engine(concurrency=3)
        running = asyncio.create_task(soon(engine.run()))
        await until(lambda: bool(world.service.probed))
        world.throttle.open.clear()
        await until(lambda: world.throttle.waiting == 1)

        engine.stop()
        await running

        assert world.sent() == []
        assert world.ledger.states == {}

    async def test_what_lies_ready_at_the_end_of_the_plan_is_taken_back_at_once(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world = World(["dev"] * 6)
        running, late = await stopped_with_steps_ready(world, monkeypatch)
        await until(lambda: world.states() == {State.INTENT: 2, State.PENDING: 4})

        for answered in late:
            answered.set()
        await running
        assert world.states() == {State.APPLIED: 2, State.PENDING: 4}

    async def test_what_lies_ready_when_a_pause_begins_waits_for_a_new_permit(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world = World(["dev"] * 9)
        late = world.hold(2)
        engine = world.engine(concurrency=1)
        full_speed(monkeypatch, 1)
        running = asyncio.create_task(soon(engine.run()))
        await until(lambda: len(world.service.in_flight) == 1)
        await some_turns()
        world.throttle.pause(7.0, "told to")
        ready = world.trace.count(("permit", "dev")) - 2  # without the probe and the one in flight
        late.set()
        await until(lambda: world.trace.count(("returned", "dev")) == 1)
        await some_turns()

        assert world.sent() == [2]
        assert world.ledger.state(3) is State.PENDING, "no intent lies open while its worker waits"
        world.throttle.open.set()
        await running
        assert world.sent() == list(range(2, 11))
        assert ready > 0
        assert world.trace.count(("permit", "dev")) == 1 + 9 + ready, "a probe, nine steps, those that lay ready twice"
        assert Counter(intent.seq for intent in world.ledger.history).most_common(1) == [(3, 2)]

    async def test_an_intent_that_became_durable_too_late_is_taken_back(self) -> None:
        world = World(["dev"])
        engine = world.engine(concurrency=1)
        write = world.ledger.write

        def last_moment(intent: Intent) -> None:
            write(intent)
            engine.stop()

        world.ledger.write = last_moment  # type: ignore[method-assign]
        await soon(engine.run())

        assert world.sent() == []
        assert world.ledger.states == {2: State.PENDING}
        assert [outcome.message for outcome in world.ledger.outcomes] == ["not sent: the run was stopped"]
        assert engine.tally.requests == 0

    async def test_a_stop_while_containers_are_probed_reads_and_sends_nothing_more(self) -> None:
        world = World(["a", "b", "c", "d"])
        engine = world.engine(concurrency=1)
        world.ledger.pending = None  # type: ignore[method-assign, assignment]
        running = asyncio.create_task(soon(engine.run()))
        await until(lambda: len(world.service.probed) == 2)
        engine.stop()
        await running

        assert world.service.probed == ["a", "b"]
        assert world.sent() == []

    async def test_a_stop_before_the_beginning_sends_nothing(self) -> None:
        world = World(["a", "b"])
        engine = world.engine()
        engine.stop()
        await engine.run()

        assert world.trace == []


class TestLedgerFailure:
    async def test_no_request_leaves_after_an_intent_that_could_not_be_written(self) -> None:
        world = World(["dev"] * 9)
        late = world.hold(2)
        running = asyncio.create_task(world.run(concurrency=2))
        await until(lambda: world.states()[State.APPLIED] == 3)
        world.ledger.failure = LedgerFailed("the disk is full")
        sent = len(world.sent())
        await some_turns()
        late.set()

        with pytest.raises(LedgerFailed, match="full"):
            await running

        assert len(world.sent()) <= sent + 1, "one intent was durable already"
        assert world.ledger.state(2) is State.INTENT, "it could not be recorded, and is in doubt"

    async def test_no_request_leaves_after_an_outcome_that_could_not_be_written(self) -> None:
        world = World(["dev"] * 9)
        late = world.hold(2)
        running = asyncio.create_task(world.run(concurrency=1))
        await until(lambda: bool(world.sent()))
        world.ledger.failure = LedgerFailed("the disk is full")
        late.set()

        with pytest.raises(LedgerFailed, match="full"):
            await running

        assert world.sent() == [2]


class TestRealLedger:
    """The same with the file in place of the fake."""

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return make_plan(tmp_path / "ledger.sqlite", changes(["a", "b", "b", "b", "a", "b"] * 5))

    @staticmethod
    def states(path: Path) -> dict[str, int]:
        with closing(sqlite3.connect(path)) as db:
            return dict(db.execute("SELECT state, count(*) FROM outcomes GROUP BY 1").fetchall())

    async def test_no_request_leaves_before_another_process_could_see_its_intent(self, path: Path) -> None:
        world = World([])
        answer = world.service._answer

        async def look(name: str) -> Answer:
            with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as db:
                (state,) = db.execute("SELECT state FROM outcomes WHERE object = ?", (name,)).fetchone()
            assert state == "INTENT"
            return await answer(name)

        world.service._answer = look  # type: ignore[method-assign]
        async with RunLedger(path) as ledger:
            await soon(world.engine(4, ledger=ledger).run())

        assert self.states(path) == {"APPLIED": 30}
        assert len(world.sent()) == len(set(world.sent())) == 30

    async def run(self, world: World, path: Path, concurrency: int) -> None:
        world.throttle = OpenThrottle()
        async with RunLedger(path) as ledger:
            await soon(world.engine(concurrency, ledger=ledger).run())

    async def test_a_run_that_is_cancelled_leaves_open_what_was_in_flight_and_the_next_sends_the_rest(
        self, path: Path
    ) -> None:
        world = World([])
        world.hold(5), world.hold(9)
        running = asyncio.create_task(self.run(world, path, 2))
        await until(lambda: sorted(world.service.in_flight) == ["offer-5", "offer-9"])
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        found = self.states(path)
        assert found["INTENT"] == 2
        assert found["APPLIED"] == len(world.sent()) - 2

        world.service.held.clear()
        await self.run(world, path, 2)
        assert self.states(path) == {"APPLIED": 30}
        assert sorted(world.sent()) == sorted([*range(2, 32), 5, 9]), "they had not been applied"
        assert len(set(world.service.effects)) == len(world.service.effects) == 30

    async def test_a_run_that_is_cancelled_again_and_again_sends_nothing_twice(self, path: Path) -> None:
        world = World([])
        cancelled = 0
        while self.states(path) != {"APPLIED": 30}:
            running = asyncio.create_task(self.run(world, path, 4))
            enough = len(world.sent()) + 4
            await until(lambda: running.done() or len(world.sent()) >= enough)  # noqa: B023 (called before the next)
            cancelled += running.cancel()
            await asyncio.wait([running])

        assert cancelled > 1
        assert self.states(path) == {"APPLIED": 30}
        assert len(set(world.service.effects)) == len(world.service.effects) == 30
