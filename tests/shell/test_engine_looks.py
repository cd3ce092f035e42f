"""What an engine makes of a look that proves nothing, of `reconcile`, and of lost creates."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from migrator.core.model import Answer, Response
from migrator.core.states import State
from migrator.engine import Decision, Engine
from migrator.ports import How, Outcome
from tests.shell.rounds import (
    GONE,
    LOST,
    LOUD,
    QUIET,
    REFUSED,
    SERVER,
    World,
    always,
    document,
    page,
)
from tests.waiting import soon, until

UNDONE = document(2, 3, "other")
SENTENCE = '/name is "other"; version 1 before, now 3'


class TestWhatCannotBeTold:
    """The object has moved by two, and nothing of ours is in it."""

    def world(self) -> World:
        world = World(2)
        world.answer(2, LOST)
        world.show(2, document(2, 1), UNDONE)
        return world

    async def test_it_is_held_for_a_person(self) -> None:
        world = self.world()
        asked: list[str] = []
        engine = await world.run(decide=always(Decision.HOLD, asked))

        assert (world.last.state, world.last.error_class, world.last.how) == (State.UNRESOLVED, "undecided", How.LOOK)
        assert world.last.message.startswith(SENTENCE)
        assert asked == [world.last.message]
        assert world.states() == {State.UNRESOLVED: 1, State.APPLIED: 1}
        assert len(world.sent(2)) == 1
        assert world.ledger.bases[2].etag == 1, "what was sent stays on record"
        assert (engine.tally.unresolved, engine.tally.in_doubt, engine.tally.applied) == (1, 0, 1)

    async def test_by_itself_an_engine_holds(self) -> None:
        world = self.world()
        await world.run()
        assert world.ledger.state(2) is State.UNRESOLVED

    async def test_it_is_taken_for_applied(self) -> None:
        world = self.world()
        engine = await world.run(decide=always(Decision.ASSUME_APPLIED))

        assert (world.last.state, world.last.how) == (State.APPLIED, How.POLICY)
        assert world.last.message.startswith(f"by --on-doubt assume-applied: {SENTENCE}")
        assert len(world.sent(2)) == 1
        assert (engine.tally.unresolved, engine.tally.applied) == (0, 2)

    async def test_it_is_sent_again_to_what_the_object_is_now(self) -> None:
        world = self.world()
        await world.run(decide=always(Decision.RESEND))

        again = world.ledger.outcomes[-2]
        assert (again.state, again.how) == (State.PENDING, How.POLICY)
        assert again.message.startswith(f"by --on-doubt resend: {SENTENCE}")
        assert world.sent(2) == [["test old", "replace new"], ["test other", "replace new"]]
        assert world.states() == {State.APPLIED: 2}

    @pytest.mark.parametrize("answer", [LOST, GONE])
    async def test_it_is_not_sent_again_without_end(self, answer: Answer) -> None:
        world = World()
        world.answer(2, *[answer] * 50)
        world.answer(2, LOST, *[answer] * 50)
        world.show(2, document(2, 1), *[GONE] * 50)
        await world.run(decide=always(Decision.RESEND))

        assert world.count("send") == QUIET.max_attempts
        assert (world.last.state, world.last.how) == (State.UNRESOLVED, How.LOOK)

    @pytest.mark.parametrize("answer", [SERVER, REFUSED, Response(200, {}, b"<html>")])
    async def test_an_object_that_cannot_be_looked_at_cannot_be_told_of(self, answer: Answer) -> None:
        world = World()
        world.answer(2, LOST)
        world.show(2, document(2, 1), answer)
        await world.run(bounds=LOUD)

        assert world.last.state is State.UNRESOLVED
        assert "cannot be read" in world.last.message or world.last.message.startswith(
            "it could not be looked at: HTTP"
        )


class TestReconcile:
    """By command: only reads."""

    async def reconcile(self, world: World, **options: Any) -> Engine:
        engine = world.engine(**options)
        await soon(engine.reconcile())
        assert world.count("send") == 0
        return engine

    @pytest.mark.parametrize(("is_there", "state"), [(True, State.APPLIED), (False, State.PENDING)])
    async def test_it_settles_what_is_in_doubt_and_sends_nothing(self, is_there: bool, state: State) -> None:
        world = World(3)
        for seq in (2, 3):
            await world.lose(seq)
            world.service.effects += [f"offer-{seq}"] * is_there
        await self.reconcile(world, concurrency=2)

        assert world.states() == {state: 2}
        assert world.count("look") == 2
        assert world.service.probed == ["dev"]

    async def test_it_waits_until_it_is_quiet(self) -> None:
        world = World()
        await world.lose(2)
        engine = world.engine(bounds=LOUD)
        waits = world.hurry(engine)
        await soon(engine.reconcile())

        assert world.states() == {State.PENDING: 1}
        assert waits == [1000.0]

    async def unresolved(self, world: World) -> None:
        await world.lose(2)
        world.ledger.record(Outcome(2, State.UNRESOLVED, 0.0, error_class="undecided", message="?"))

    @pytest.mark.parametrize(
        ("there", "decision", "state", "how"),
        [
            (document(2, 2, "new"), Decision.HOLD, State.APPLIED, How.LOOK),
            (document(2, 2, "old"), Decision.HOLD, State.PENDING, How.LOOK),
            (GONE, Decision.ASSUME_APPLIED, State.APPLIED, How.POLICY),
            (GONE, Decision.RESEND, State.PENDING, How.POLICY),
        ],
    )
    async def test_what_could_not_be_settled_is_looked_at_once_more(
        self, there: Answer, decision: Decision, state: State, how: How
    ) -> None:
        world = World()
        await self.unresolved(world)
        world.show(2, there)
        await self.reconcile(world, decide=always(decision))

        assert (world.last.state, world.last.how) == (state, how)

    async def test_what_was_given_up_early_is_decided_on_when_it_is_quiet(self) -> None:
        world = World()
        await self.unresolved(world)
        world.show(2, GONE)
        asked: list[str] = []
        engine = world.engine(bounds=LOUD, decide=always(Decision.ASSUME_APPLIED, asked))
        waits = world.hurry(engine)
        await soon(engine.reconcile())

        assert waits == [1000.0]
        assert len(asked) == 1
        assert world.states() == {State.APPLIED: 1}

    async def test_what_still_cannot_be_settled_stays_as_it_is(self) -> None:
        world = World()
        await self.unresolved(world)
        world.show(2, GONE)
        engine = await self.reconcile(world)

        assert len(world.ledger.outcomes) == 2
        assert world.states() == {State.UNRESOLVED: 1}
        assert engine.tally.unresolved == 0, "it was before"

    async def test_what_is_shown_never_to_have_been_applied_is_no_longer_left_to_a_person(self) -> None:
        world = World()
        await self.unresolved(world)
        world.ledger.misses[2] = 9
        await self.reconcile(world)

        assert world.states() == {State.REJECTED: 1}

    async def test_a_person_may_send_it_as_often_as_they_like(self) -> None:
        world = World()
        await self.unresolved(world)
        world.ledger.misses[2] = 9
        world.show(2, GONE)
        await self.reconcile(world, decide=always(Decision.RESEND))

        assert world.states() == {State.PENDING: 1}

    async def test_an_object_that_is_stopped_at_is_not_looked_at(self) -> None:
        world = World()
        await world.lose(2)
        engine = world.engine()
        engine.stop()
        await soon(engine.reconcile())

        assert world.states() == {State.DOUBT: 1}
        assert world.count("look") == 0

    async def test_many_are_read_from_the_ledger_a_page_at_a_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("migrator.engine.run.PAGE", 2)
        world = World(5)
        for seq in range(2, 7):
            await world.lose(seq)
        await self.reconcile(world)

        assert world.states() == {State.PENDING: 5}
        assert world.count("look") == 5


class TestCreates:
    """World: the creates on lines 2 and 3."""

    def world(self, *answers: Answer) -> World:
        world = World(0, creates=2)
        world.answer(2, *answers)
        return world

    async def test_a_lost_create_that_is_there_is_found_by_its_name(self) -> None:
        world = self.world(LOST)
        world.service.pages = [
            page({"name": "offer-9", "id": "x"}, after="/next?orderby="),
            page({"name": "offer-2", "id": "y", "etag": 1}),
        ]
        await world.run()

        assert world.count("send") == 2
        assert (world.last.state, world.last.object, world.last.reference) == (State.APPLIED, "y", "y")
        assert world.service.listed[0].endswith("&property=name%3D%3Doffer-2")

    async def test_a_lost_create_that_is_not_there_goes_again(self) -> None:
        world = self.world(LOST)
        world.service.pages = [page()]
        await world.run()

        assert world.service.sent == ["offer-2", "offer-3", "offer-2"]
        assert world.states() == {State.APPLIED: 2}

    async def test_what_another_step_has_made_is_not_taken_for_it(self) -> None:
        world = self.world(LOST)
        world.service.pages = [page({"name": "offer-2", "id": "offer-3"})]  # the id that line 3 was given
        await world.run()

        assert world.service.sent == ["offer-2", "offer-3", "offer-2"]

    async def test_a_search_that_comes_too_early_is_repeated(self) -> None:
        world = self.world(LOST)
        world.service.pages = [page(), page({"name": "offer-2", "id": "y"})]
        engine = world.engine(bounds=LOUD)
        waits = world.hurry(engine)
        await soon(engine.run())

        assert waits == [1500.0]
        assert world.states() == {State.APPLIED: 2}

    @pytest.mark.parametrize(
        ("pages", "note"),
        [
            ([Response(200, {}, b"<html>")], "it could not be looked for: no such document"),
            ([REFUSED], "it could not be looked for: HTTP 422: no such placement"),
            (
                [page(after="/a?orderby="), page(after="/a?orderby=")],
                "it could not be looked for: the list goes in circles",
            ),
        ],
    )
    async def test_where_a_list_cannot_be_read_nothing_is_told(self, pages: list[Answer], note: str) -> None:
        world = self.world(LOST)
        world.service.pages = pages
        await world.run()

        assert (world.last.state, world.last.message) == (State.UNRESOLVED, note)

    async def test_a_stop_in_the_middle_of_a_list_proves_nothing(self) -> None:
        world = self.world(LOST)
        world.service.pages = [page(after="/a?orderby=")]
        engine = world.engine()
        running = asyncio.create_task(soon(engine.run()))
        await until(lambda: len(world.service.listed) == 1)
        engine.stop()
        await running

        assert world.ledger.state(2) is State.DOUBT
