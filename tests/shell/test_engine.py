"""The run: what is sent when, how often, and what a stop of any kind leaves behind."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrator.core.errors import ServiceRefused, Stopped
from migrator.core.model import Answer, Failure, FailureKind, Response
from migrator.core.states import State
from migrator.core.verdict import Policy
from tests.fakes import OpenThrottle
from tests.memory import MemoryLedger
from tests.plans import changes, steps
from tests.shell.world import (
    BAD_TOKEN,
    FORBIDDEN,
    GATEWAY,
    LOCKED,
    LOST,
    NO_RECEIPT,
    NOT_SENT,
    OK,
    REFUSED,
    SERVER,
    TOO_MANY,
    World,
)
from tests.waiting import some_turns, soon, until


class TestOrder:
    async def test_a_step_goes_from_permit_to_durable_intent_to_sending_to_outcome(self) -> None:
        world = World(["dev", "dev"])
        await world.run(concurrency=1)

        assert world.trace[:2] == [("permit", "dev"), ("probe", "dev")]
        for seq in (2, 3):
            assert [event for event, what in world.trace if what == seq] == ["intent", "send", "outcome"]
        events = [event for event, _ in world.trace[2:]]
        for number, at in enumerate(at for at, event in enumerate(events) if event == "intent"):
            assert events[:at].count("permit") > number, "a step has its permit before its intent"

    async def test_a_request_that_may_not_leave_yet_gives_its_permit_back_and_is_tried_again(self) -> None:
        world = World(["dev"])
        world.throttle.pause = lambda *_: None  # type: ignore[method-assign]
        await world.run(concurrency=1)
        tried_before = len(world.trace)

        world = World(["dev"])
        world.throttle.pause = lambda *_: None  # type: ignore[method-assign]
        world.service.missing = [NOT_SENT]
        await world.run(concurrency=1)

        # The probe finds no token: nothing leaves, and the same is tried with a new permit.
        assert world.trace[:2] == [("permit", "dev"), ("returned", "dev")]
        assert len(world.trace) == tried_before + 2
        assert world.sent() == [2]

    async def test_every_attempt_has_a_permit_and_an_intent_of_its_own(self) -> None:
        world = World(["dev"])
        world.answer(2, NOT_SENT, BAD_TOKEN, OK)
        world.throttle.pause = lambda *_: None  # type: ignore[method-assign]
        await world.run(concurrency=1)

        attempt = [("permit", "dev"), ("intent", 2), ("send", 2), ("outcome", 2)]
        assert world.trace[2:] == attempt * 3
        assert [intent.attempt for intent in world.ledger.history] == [1, 2, 3]
        assert len({intent.request_id for intent in world.ledger.history}) == 3

    async def test_attempts_are_counted_on_from_those_of_an_earlier_process(self) -> None:
        world = World(["dev"], policy=Policy(max_attempts=1))
        world.answer(2, TOO_MANY)
        with pytest.raises(Stopped):
            await world.run()

        world.throttle = OpenThrottle()
        await world.run()
        assert [intent.attempt for intent in world.ledger.history] == [1, 2]
        assert world.ledger.state(2) is State.APPLIED

    async def test_nothing_is_sent_while_its_intent_is_not_durable(self) -> None:
        world = World(["dev"] * 20)
        await world.run(concurrency=8)

        for seq in range(2, 22):
            assert [event for event, what in world.trace if what == seq] == ["intent", "send", "outcome"]

    async def test_at_the_end_everything_is_flushed(self) -> None:
        world = World(["dev"])
        flushed: list[dict[State, int]] = []

        async def flush() -> None:
            flushed.append(world.states())

        world.ledger.flush = flush  # type: ignore[method-assign]
        await world.run()

        assert flushed[-1] == {State.APPLIED: 1}


class TestVerdicts:
    @pytest.mark.parametrize(
        ("answer", "state"),
        [
            (OK, State.APPLIED),
            (REFUSED, State.REJECTED),
            (SERVER, State.DOUBT),
            (LOST, State.DOUBT),
            (NO_RECEIPT, State.DOUBT),
        ],
    )
    async def test_an_answer_leaves_the_step_where_the_verdict_says(self, answer: Answer, state: State) -> None:
        world = World(["dev"])
        world.answer(2, answer)
        engine = await world.run()

        outcome = world.ledger.outcomes[0]
        assert outcome.state is state
        assert outcome.http_status == (answer.status if isinstance(answer, Response) else None)
        assert (engine.tally.applied, engine.tally.rejected, engine.tally.in_doubt) == (
            state is not State.REJECTED,
            state is State.REJECTED,
            0,
        )
        assert engine.tally.in_flight == 0

    @settings(max_examples=60, deadline=None)
    @given(
        st.lists(
            st.tuples(
                st.lists(st.sampled_from([NOT_SENT, TOO_MANY, LOCKED, GATEWAY]), max_size=4),
                st.sampled_from([OK, REFUSED, SERVER, LOST, NO_RECEIPT]),
            ),
            min_size=1,
            max_size=8,
        ),
        st.integers(1, 4),
    )
    def test_a_step_is_sent_again_only_after_proof_that_it_was_not_executed(
        self, scripts: list[tuple[list[Answer], Answer]], concurrency: int
    ) -> None:
        async def run() -> World:
            world = World(["dev"] * len(scripts))
            world.service.keeps_what_is_lost = True
            world.throttle.pause = lambda *_: None  # type: ignore[method-assign]
            for seq, (not_executed, last) in enumerate(scripts, start=2):
                # Behind the last answer waits another, which nobody may come for.
                world.answer(seq, *not_executed, last, OK)
            await world.run(concurrency)
            return world

        world = asyncio.run(run())

        for seq, (not_executed, _) in enumerate(scripts, start=2):
            assert world.sent().count(seq) == len(not_executed) + 1
            assert [intent.attempt for intent in world.ledger.history if intent.seq == seq] == list(
                range(1, len(not_executed) + 2)
            )
            *before, last = [outcome.state for outcome in world.ledger.outcomes if outcome.seq == seq]
            assert set(before) <= {State.PENDING, State.DOUBT}
            assert last in {State.APPLIED, State.REJECTED}

    async def test_a_limit_of_the_service_pauses_everybody(self) -> None:
        world = World(["dev"] * 6)
        world.answer(2, TOO_MANY)
        running = asyncio.create_task(world.run(concurrency=3))
        await until(lambda: bool(world.throttle.asked))
        await until(lambda: world.throttle.waiting == 3)
        sent = len(world.service.sent)
        await some_turns()

        assert [seconds for seconds, _ in world.throttle.asked] == [7.0]
        assert len(world.service.sent) == sent < 6

        world.throttle.open.set()
        await running
        assert world.states() == {State.APPLIED: 6}

    async def test_a_locked_object_waits_alone(self) -> None:
        world = World(["dev"] * 6, chance=0.99)
        world.answer(2, LOCKED)
        engine = world.engine(concurrency=2)
        running = asyncio.create_task(soon(engine.run()))
        await until(lambda: world.states()[State.APPLIED] == 5)

        assert world.throttle.asked == []
        assert world.ledger.state(2) is State.PENDING
        assert not running.done()

        engine.stop()
        await running
        assert world.sent().count(2) == 1

    async def test_a_refused_token_is_renewed_once(self) -> None:
        world = World(["dev"] * 3)
        for seq in (2, 3, 4):
            world.answer(seq, BAD_TOKEN, OK)
        await world.run()

        assert world.states() == {State.APPLIED: 3}
        assert world.throttle.asked == []

    async def test_a_token_that_is_refused_twice_ends_the_run(self) -> None:
        world = World(["dev"] * 3)
        world.answer(2, BAD_TOKEN, BAD_TOKEN)

        with pytest.raises(ServiceRefused, match="401013"):
            await world.run(concurrency=1)

        assert world.sent() == [2, 2]
        assert world.ledger.state(2) is State.PENDING

    async def test_a_token_that_others_could_use_before_it_was_refused_has_only_ended(self) -> None:
        world = World(["dev"] * 2)
        world.answer(2, BAD_TOKEN, BAD_TOKEN, OK)
        answer = world.service._answer

        async def after_the_other(name: str) -> Answer:
            if name == "offer-2" and world.service.sent.count(name) == 2:
                await until(lambda: world.ledger.state(3) is State.APPLIED)
            return await answer(name)

        world.service._answer = after_the_other  # type: ignore[method-assign]
        world.hold(3)
        running = asyncio.create_task(world.run(concurrency=2))
        await until(lambda: world.service.sent.count("offer-2") == 2)
        world.service.held["offer-3"].set()
        await running

        assert world.states() == {State.APPLIED: 2}
        assert world.sent().count(2) == 3

    async def test_a_token_that_cannot_be_renewed_ends_the_run_at_once(self) -> None:
        world = World(["dev"] * 3)
        world.service.renewable = False
        world.answer(2, BAD_TOKEN)

        with pytest.raises(ServiceRefused, match="401013"):
            await world.run(concurrency=1)

        assert world.sent() == [2]


class TestHalt:
    @pytest.mark.parametrize(
        ("answer", "error"),
        [
            (FORBIDDEN, ServiceRefused),
            (Response(302, {"location": "/login"}, b""), ServiceRefused),
            (Failure(FailureKind.NO_CREDENTIALS, "no"), ServiceRefused),
            (TOO_MANY, Stopped),
            (NOT_SENT, Stopped),
        ],
    )
    async def test_it_lets_what_is_in_flight_be_answered_and_leaves_the_rest_pending(
        self, answer: Answer, error: type[Exception]
    ) -> None:
        world = World(["dev"] * 9, policy=Policy(max_attempts=1))
        world.answer(3, answer)
        first, *late = world.hold(3), world.hold(2), world.hold(4)
        running = asyncio.create_task(world.run(concurrency=3))
        await until(lambda: len(world.service.in_flight) == 3)
        first.set()
        await some_turns()
        assert len(world.ledger.outcomes) == 1
        assert not running.done()
        for answered in late:
            answered.set()

        with pytest.raises(error) as caught:
            await running

        assert type(caught.value) is error
        assert sorted(world.sent()) == [2, 3, 4]
        assert world.states() == {State.APPLIED: 2, State.PENDING: len(world.ledger.states) - 2}
        assert world.ledger.state(3) is State.PENDING

    @pytest.mark.parametrize("error", [RuntimeError("a fault of ours"), OSError("odd"), asyncio.CancelledError()])
    async def test_a_fault_in_one_worker_does_not_cancel_the_requests_of_the_others(self, error: BaseException) -> None:
        world = World(["dev"] * 9)
        world.answer(3, error)
        first, late = world.hold(3), world.hold(2)
        running = asyncio.create_task(world.run(concurrency=2))
        await until(lambda: len(world.service.in_flight) == 2)
        first.set()
        await some_turns()
        late.set()

        with pytest.raises(type(error)):
            await running

        assert world.ledger.state(2) is State.APPLIED
        assert world.ledger.state(3) is State.INTENT
        assert sorted(world.sent()) == [2, 3]

    async def test_the_first_of_several_errors_is_the_one_that_is_told(self) -> None:
        world = World(["dev"] * 3)
        world.answer(2, FORBIDDEN)
        world.answer(3, RuntimeError("later"))
        first, late = world.hold(2), world.hold(3)
        running = asyncio.create_task(world.run(concurrency=2))
        await until(lambda: len(world.service.in_flight) == 2)
        first.set()
        await until(lambda: bool(world.ledger.outcomes))
        late.set()

        with pytest.raises(ServiceRefused, match="forbidden"):
            await running


class TestProbes:
    async def test_every_container_is_looked_at_once_and_before_the_first_write(self) -> None:
        world = World(["a", "b", "a", "c", "b"])
        await world.run(concurrency=2)

        assert sorted(world.service.probed) == ["a", "b", "c"]
        events = [event for event, _ in world.trace if event in ("probe", "send")]
        assert events == ["probe"] * 3 + ["send"] * 5

    @pytest.mark.parametrize("answer", [FORBIDDEN, Response(404, {}, b'{"title": "no such container"}')])
    async def test_a_container_that_is_refused_means_that_nothing_is_written(self, answer: Answer) -> None:
        world = World(["a", "b", "c"])
        world.service.probes = [OK, answer]

        with pytest.raises(ServiceRefused, match="container b cannot be used: HTTP 40"):
            await world.run(concurrency=1)

        assert world.sent() == []
        assert world.ledger.history == []

    async def test_a_probe_is_repeated_as_often_as_a_write_would_be(self) -> None:
        world = World(["a"], policy=Policy(max_attempts=3))
        world.throttle.pause = lambda *_: None  # type: ignore[method-assign]
        world.service.probes = [TOO_MANY, SERVER, OK]
        await world.run()
        assert world.service.probed == ["a"] * 3

        world.ledger = MemoryLedger(steps(changes(["a"])))
        world.service.probes = [TOO_MANY, SERVER, LOST]
        with pytest.raises(Stopped, match="container a cannot be used"):
            await world.run()

    async def test_when_nothing_is_pending_nothing_is_sent(self) -> None:
        world = World([])
        await world.run()

        assert world.trace == []
