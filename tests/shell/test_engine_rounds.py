"""The rounds of a run: what is read before a patch, what is looked at when its answer was lost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from migrator.core.errors import Stopped
from migrator.core.model import Answer, Failure, FailureKind, Response
from migrator.core.reconcile import Bounds
from migrator.core.states import State
from migrator.core.verdict import ErrorClass
from migrator.engine import WORTH_A_LIST
from migrator.ports import How, Outcome
from tests.fakes import OpenThrottle, applied
from tests.shell.rounds import (
    GONE,
    LOST,
    LOUD,
    SERVER,
    TAKEN,
    World,
    document,
    page,
    shown,
)
from tests.shell.world import full_speed
from tests.waiting import some_turns, soon, until


class TestBases:
    async def test_an_object_is_read_and_kept_before_the_intent_and_guards_the_patch(self) -> None:
        world = World(2)
        await world.run()

        for seq in (2, 3):
            assert world.events(seq) == ["look", "base", "intent", "send", "outcome"]
            assert world.sent(seq) == [["test old", "replace new"]]
            assert world.ledger.bases[seq].etag == 1
        assert world.count("permit") == 1 + 2 * 2, "a probe, and a read and a write for each step"
        assert world.service.listed == []
        assert world.states() == {State.APPLIED: 2}

    async def test_without_a_guard_nothing_is_read(self) -> None:
        world = World(WORTH_A_LIST)
        await world.run(guard=False)

        assert world.count("look") == world.count("list") == 0
        assert world.ledger.bases == {}
        assert world.sent(2) == [["replace new"]]

    async def test_what_is_created_or_has_a_base_is_not_read(self) -> None:
        world = World(1, creates=1)
        await world.run()
        assert world.events(3) == ["intent", "send", "outcome"]

        world = World(1)
        world.answer(2, Response(429, {}, b""), applied("offer-2"))
        with pytest.raises(Stopped):
            await world.run()
        world.throttle = OpenThrottle(world.trace)
        await world.run()
        assert world.count("look") == 1
        assert world.sent(2) == [["test old", "replace new"]] * 2

    @pytest.mark.parametrize(
        ("answer", "status", "error"),
        [
            (GONE, 404, ErrorClass.NOT_FOUND),
            (Response(410, {}, b""), 410, ErrorClass.NOT_FOUND),
            (Response(422, {}, b""), 422, ErrorClass.VALIDATION),
            (Response(200, {}, b"<html>"), 200, ErrorClass.UNREADABLE),
            (Response(200, {}, b"{}"), 200, ErrorClass.UNREADABLE),
            (SERVER, 500, ErrorClass.SERVER),  # with all patience at its end
            (LOST, None, ErrorClass.NO_ANSWER),
        ],
    )
    async def test_of_an_object_that_cannot_be_read_nothing_is_sent(
        self, answer: Answer, status: int | None, error: ErrorClass
    ) -> None:
        world = World(2)
        world.show(2, answer)
        engine = await world.run()

        assert world.events(2) == ["look", "outcome"]
        assert world.sent(2) == []
        outcome = next(one for one in world.ledger.outcomes if one.seq == 2)
        assert (outcome.state, outcome.http_status, outcome.error_class) == (State.REJECTED, status, error)
        assert world.ledger.state(3) is State.APPLIED
        assert (engine.tally.rejected, engine.tally.requests, engine.tally.applied) == (1, 1, 1)

    async def test_a_stop_after_the_look_leaves_the_step_pending_with_its_base(self) -> None:
        world = World()
        engine = world.engine()
        keep = world.ledger.keep

        def last_moment(*kept: Any) -> None:
            keep(*kept)
            engine.stop()

        world.ledger.keep = last_moment  # type: ignore[assignment, method-assign]
        await soon(engine.run())

        assert world.events(2) == ["look", "base"]
        assert world.ledger.states == {}

    async def test_a_stop_before_the_look_reads_nothing(self) -> None:
        world = World()
        engine = world.engine()
        running = asyncio.create_task(soon(engine.run()))
        await until(lambda: bool(world.service.probed))
        world.throttle.open.clear()
        await until(lambda: world.throttle.waiting == 1)
        engine.stop()
        await running

        assert world.events(2) == []

    async def test_a_stop_while_a_token_is_fetched_reads_nothing(self) -> None:
        world = World()
        engine = world.engine()

        async def make_ready() -> None:
            engine.stop()

        world.service.missing = [Failure(FailureKind.NOT_SENT, "no token yet")]
        world.service.make_ready = make_ready  # type: ignore[method-assign]
        await soon(engine.run())

        assert world.trace == [("permit", "dev"), ("returned", "dev")]

    async def test_what_lies_ready_without_a_base_has_no_intent_to_take_back(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stocks = full_speed(monkeypatch, 5)
        world = World(9)
        late = world.service.held.setdefault("offer-2", asyncio.Event())
        engine = world.engine()
        running = asyncio.create_task(soon(engine.run()))
        await until(lambda: bool(world.service.in_flight) and len(stocks[0]._ready) == 4)
        engine.stop()
        await some_turns()
        late.set()
        await running

        assert world.ledger.states == {2: State.APPLIED}
        assert world.count("look") == world.count("intent") == 1


class TestSurvey:
    async def test_lists_tell_many_bases_at_once(self) -> None:
        world = World(WORTH_A_LIST)
        seqs = range(2, WORTH_A_LIST + 2)
        half = WORTH_A_LIST // 2 + 2
        world.service.pages = [
            page(
                *(shown(seq, 7) for seq in range(2, half)),
                shown(999, 1),
                total=WORTH_A_LIST + 1,
                after="/next?orderby=",
            ),
            page(*(shown(seq, 7) for seq in range(half, WORTH_A_LIST + 2)), total=WORTH_A_LIST + 1),
        ]
        await world.run(concurrency=4)

        assert world.count("look") == 0
        assert len(world.service.listed) == 2
        assert world.service.listed[1].endswith("/next?orderby=")
        events = [event for event, _ in world.trace]
        assert max(at for at, event in enumerate(events) if event == "base") < events.index("intent")
        assert {world.ledger.bases[seq].etag for seq in seqs} == {7}
        assert world.states() == {State.APPLIED: WORTH_A_LIST}

    async def test_few_objects_are_read_one_by_one(self) -> None:
        world = World(WORTH_A_LIST - 1)
        await world.run()

        assert world.service.listed == []
        assert world.count("look") == WORTH_A_LIST - 1

    @pytest.mark.parametrize(
        ("first", "pages"),
        [
            # 12 steps: read on while the list has no more than 12 pages like the first.
            (page(shown(2, 7), total=12, after="/next?orderby="), 2),
            (page(shown(2, 7), total=13, after="/next?orderby="), 1),
            (page(shown(2, 7), shown(3, 7), total=24, after="/next?orderby="), 2),
            (page(shown(2, 7), shown(3, 7), total=25, after="/next?orderby="), 1),
            (page(shown(2, 7), after="/next?orderby="), 1),  # how long it is is not told
            (page(total=0, after="/next?orderby="), 1),
            (page(shown(2, 7), total=1), 1),
            (GONE, 1),
            (SERVER, 1),
            (Response(200, {}, b"{}"), 1),
        ],
    )
    async def test_a_list_is_read_only_while_that_takes_fewer_requests(self, first: Answer, pages: int) -> None:
        world = World(12)
        world.service.pages = [first, page(shown(4, 7))]
        await world.run()

        assert len(world.service.listed) == pages
        told = sum(base.etag == 7 for base in world.ledger.bases.values())
        assert world.count("look") == 12 - told, "what the list did not tell is read one by one"
        assert world.states() == {State.APPLIED: 12}

    async def test_a_list_that_goes_in_circles_is_left(self) -> None:
        world = World(12)
        world.service.pages = [page(shown(2, 7), total=2, after="/next?orderby=1")] * 9
        await world.run()

        assert len(world.service.listed) == 2
        assert world.count("look") == 11
        assert world.states() == {State.APPLIED: 12}

    async def test_a_stop_while_a_list_is_read_reads_and_sends_nothing_more(self) -> None:
        world = World(12)
        world.service.pages = [page(shown(2, 7), total=2, after="/next?orderby=1")] * 9
        engine = world.engine()
        running = asyncio.create_task(soon(engine.run()))
        await until(lambda: len(world.service.listed) == 1)
        engine.stop()
        await running

        assert len(world.service.listed) == 1
        assert world.count("look") == world.count("intent") == 0


class TestRounds:
    async def test_what_was_lost_and_is_there_is_not_sent_again(self) -> None:
        world = World(3)
        world.service.keeps_what_is_lost = True
        world.answer(3, LOST)
        engine = await world.run()

        assert world.events(3) == ["look", "base", "intent", "send", "outcome", "look", "outcome"]
        assert (world.last.state, world.last.how, world.last.etag, world.last.object) == (
            State.APPLIED,
            How.LOOK,
            2,
            "offer-3",
        )
        assert (engine.tally.applied, engine.tally.in_doubt, engine.tally.requests) == (3, 0, 3)
        assert engine.tally.last_error == LOST.message

    async def test_what_was_lost_and_is_not_there_goes_again_as_it_was(self) -> None:
        world = World()
        world.answer(2, LOST)
        engine = await world.run()

        first = ["intent", "send", "outcome"]
        assert world.events(2) == ["look", "base", *first, "look", "outcome", *first]
        assert world.sent(2) == [["test old", "replace new"]] * 2
        assert [intent.attempt for intent in world.ledger.history] == [1, 2]
        assert world.ledger.misses[2] == 1
        assert [(one.state, one.how) for one in world.ledger.outcomes] == [
            (State.DOUBT, How.ANSWER),
            (State.PENDING, How.LOOK),
            (State.APPLIED, How.ANSWER),
        ]
        assert (engine.tally.applied, engine.tally.in_doubt, engine.tally.unresolved) == (1, 0, 0)

    async def test_what_somebody_else_was_first_with_goes_again_on_a_fresh_base(self) -> None:
        world = World()
        world.answer(2, TAKEN)
        world.show(2, document(2, 1), document(2, 2, "other"))
        await world.run()

        assert world.sent(2) == [["test old", "replace new"], ["test other", "replace new"]]
        assert world.events(2)[5:] == ["look", "base", "outcome", "intent", "send", "outcome"]
        assert world.ledger.bases[2].etag == 2
        assert world.states() == {State.APPLIED: 1}

    async def test_what_is_refused_though_nobody_was_first_is_refused(self) -> None:
        world = World()
        world.answer(2, TAKEN)
        engine = await world.run()

        assert (world.last.state, world.last.error_class, world.last.http_status) == (State.REJECTED, "conflict", 409)
        assert world.last.message == "HTTP 409: conflict"
        assert (engine.tally.rejected, engine.tally.in_doubt) == (1, 0)

    async def test_what_is_lost_again_and_again_has_failed(self) -> None:
        world = World()
        world.answer(2, *[LOST] * 9)
        await world.run(bounds=Bounds(quiet_period_s=0, max_attempts=3))

        assert world.count("send") == 3
        assert (world.last.state, world.last.error_class) == (State.REJECTED, "no_answer")
        assert world.last.message == f"lost 3 times and never applied; at last: {LOST.message}"

    async def test_what_an_earlier_process_left_is_looked_at_before_anything_is_sent(self) -> None:
        world = World(2)
        await world.lose(2)
        world.trace.clear()
        await world.run()

        assert world.trace[:2] == [("permit", "dev"), ("probe", "dev")]
        assert [event for event, _ in world.trace].index("look") < [event for event, _ in world.trace].index("send")
        assert world.states() == {State.APPLIED: 2}

    async def test_a_container_of_which_only_doubts_are_left_is_probed(self) -> None:
        world = World(1)
        await world.lose(2)
        world.service.effects.append("offer-2")
        await world.run()

        assert world.service.probed == ["dev"]
        assert world.count("send") == 0
        assert world.states() == {State.APPLIED: 1}

    async def test_a_look_that_comes_too_early_is_repeated_when_it_is_quiet(self) -> None:
        world = World()
        world.answer(2, LOST)
        engine = world.engine(bounds=LOUD)
        waits = world.hurry(engine)
        await soon(engine.run())

        assert waits == [1000.0]
        assert world.count("look") == 3, "for the base, too early, and in time"
        assert len(world.sent(2)) == 2
        assert world.states() == {State.APPLIED: 1}

    async def test_nothing_waits_for_the_fate_of_another(self) -> None:
        world = World(3)
        await world.lose(2)
        await world.lose(3)
        engine = world.engine(bounds=LOUD, concurrency=2)
        assert engine.waits_s <= 0
        running = asyncio.create_task(soon(engine.run()))
        await until(lambda: engine.waits_s > 0)

        assert world.states() == {State.APPLIED: 1, State.DOUBT: 2}
        assert engine.waits_s == 1000.0
        engine.stop()
        await running
        assert engine.tally.in_doubt == 0, "nothing has changed for them"

    async def test_a_stop_while_it_is_not_quiet_yet_leaves_the_step_in_doubt(self) -> None:
        world = World()
        world.answer(2, LOST)
        engine = world.engine(bounds=LOUD)
        running = asyncio.create_task(soon(engine.run()))
        await until(lambda: world.count("look") == 2)
        await some_turns()
        assert not running.done()

        engine.stop()
        await running
        assert world.count("look") == 2
        assert world.states() == {State.DOUBT: 1}
        assert engine.tally.in_doubt == 1

    async def test_an_intent_that_is_too_old_is_taken_back_and_made_anew(self) -> None:
        world = World()
        world.ledger.good_until = world.clock.monotonic()
        record = world.ledger.record

        def in_time_from_now_on(outcome: Outcome) -> None:
            record(outcome)
            world.ledger.good_until = float("inf")

        world.ledger.record = in_time_from_now_on  # type: ignore[method-assign]
        await world.run()

        assert world.events(2) == ["look", "base", "intent", "outcome", "intent", "send", "outcome"]
        assert ("returned", "dev") in world.trace
        assert world.ledger.outcomes[0].message == "not sent: the run was held up"
        assert [intent.attempt for intent in world.ledger.history] == [1, 2]
        assert len({intent.request_id for intent in world.ledger.history}) == 2
        assert world.ledger.misses[2] == 0
