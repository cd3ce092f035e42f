"""What a look before the first request settles, what order stages are sent in, and what was reviewed."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from migrator.core.base import examine
from migrator.core.errors import Stopped
from migrator.core.limits import Limits
from migrator.core.model import Base, Change, Edit, EntityType, Kind, Operation, Response, Seen, Swap
from migrator.core.states import State
from migrator.core.styles import DPS
from migrator.core.verdict import ErrorClass, Policy
from migrator.engine import WORTH_A_LIST
from migrator.ports import How
from tests.fakes import OpenThrottle
from tests.plans import change, changes
from tests.shell.rounds import GONE, LOST, LOUD, TAKEN, World, document, page, shown
from tests.waiting import some_turns, soon, until

OFFER = EntityType.PERSONALIZED_OFFER


def swap(line: int, was: str = "old", value: str = "new") -> Change:
    """Change the name of an object from what it was."""
    return edit(line, Swap("/name", was, value))


def edit(line: int, *edits: Edit) -> Change:
    return Change(line, "dev", OFFER, f"offer-{line}", Kind.EDIT, edits)


def delete(line: int, type_: EntityType = OFFER, container: str = "dev") -> Change:
    return Change(line, container, type_, f"offer-{line}", Kind.DELETE)


def outcome_of(world: World, seq: int) -> tuple[State, str, str]:
    (one,) = [outcome for outcome in world.ledger.outcomes if outcome.seq == seq]
    return one.state, one.error_class, one.message


class TestUnsent:
    @pytest.mark.parametrize(
        "one", [change(2), swap(2), swap(2, was="whatever"), edit(2, Operation("add", "/name", "new"))]
    )
    async def test_what_is_as_wanted_already_is_not_sent(self, one: Change) -> None:
        world = World(of=[one, change(3)])
        world.show(2, document(2, 5, "new"))
        engine = await world.run()

        assert world.events(2) == ["look", "outcome"]
        assert outcome_of(world, 2) == (State.UNCHANGED, "", "")
        assert world.sent(2) == []
        assert world.ledger.bases.keys() == {3}
        assert (engine.tally.unchanged, engine.tally.applied, engine.tally.rejected) == (1, 1, 0)
        assert engine.tally.requests == 1

    async def test_many_that_are_as_wanted_are_told_by_a_list(self) -> None:
        world = World(WORTH_A_LIST)
        seqs = range(2, WORTH_A_LIST + 2)
        world.service.pages = [page(*(shown(seq, 7, "new" if seq % 2 else "old") for seq in seqs), total=WORTH_A_LIST)]
        engine = await world.run(concurrency=3)

        assert world.states() == {State.UNCHANGED: WORTH_A_LIST // 2, State.APPLIED: WORTH_A_LIST // 2}
        assert world.count("look") == 0
        assert engine.tally.unchanged == WORTH_A_LIST // 2

    async def test_the_lists_of_a_large_container_take_turns_with_the_steps_of_a_small_one(self) -> None:
        world = World(of=changes(["large"] * 3 * WORTH_A_LIST + ["small"] * 2))
        large = [range(2 + first, 2 + first + WORTH_A_LIST) for first in (0, WORTH_A_LIST, 2 * WORTH_A_LIST)]
        world.service.pages = [
            page(*(shown(seq, 7) for seq in seqs), total=3 * WORTH_A_LIST, after=after)
            for seqs, after in zip(large, ("/next?orderby=1", "/next?orderby=2", ""), strict=True)
        ]
        await world.run()

        small = range(2 + 3 * WORTH_A_LIST, 4 + 3 * WORTH_A_LIST)
        events = [(event, what) for event, what in world.trace if event in ("list", "send")]
        assert events[:6] == [
            ("list", "large"),
            ("list", "large"),  # meanwhile the small one has had a turn, and found that it has no list to read
            ("send", small[0]),
            ("list", "large"),
            ("send", small[1]),
            ("send", 2),
        ]
        assert world.states() == {State.APPLIED: 3 * WORTH_A_LIST + 2}

    @pytest.mark.parametrize(
        ("one", "error", "said"),
        [
            (swap(2, was="mine"), ErrorClass.CONFLICT, '/name is "old", and was "mine" when the change was made'),
            (edit(2, Swap("/more", "x", "y")), ErrorClass.CONFLICT, '/more is not there, and was "x"'),
            (edit(2, Operation("remove", "/more"), Swap("/name", "old", "x")), ErrorClass.CANNOT_APPLY, "more"),
        ],
    )
    async def test_an_edit_that_does_not_fit_is_not_sent(self, one: Change, error: ErrorClass, said: str) -> None:
        world = World(of=[one, swap(3)])
        engine = await world.run()

        assert world.events(2) == ["look", "outcome"]
        state, error_class, message = outcome_of(world, 2)
        assert (state, error_class) == (State.REJECTED, error)
        assert said in message
        assert world.ledger.state(3) is State.APPLIED
        assert (engine.tally.rejected, engine.tally.applied) == (1, 1)

    async def test_whether_a_patch_fits_is_the_services_to_say(self) -> None:
        misfit = Change(2, "dev", OFFER, "offer-2", Kind.PATCH, (Operation("remove", "/more"),))
        world = World(of=[misfit])
        world.answer(2, Response(422, {}, b'{"title": "no such member"}'))
        await world.run()

        assert world.events(2) == ["look", "base", "intent", "send", "outcome"]
        assert outcome_of(world, 2)[:2] == (State.REJECTED, "validation")

    async def test_an_edit_is_sent_as_what_it_is_on_its_object(self) -> None:
        world = World(of=[edit(2, Swap("/name", "old", "new"), Swap("/more", value=1), Swap("/gone", "x"))])
        await world.run()

        assert world.events(2) == ["look", "base", "intent", "send", "outcome"]
        (body,) = world.service.bodies["offer-2"]
        assert [list(one.values()) for one in json.loads(body)] == [
            ["test", "/name", "old"],
            ["replace", "/name", "new"],
            ["add", "/more", 1],
        ]

    async def test_an_edit_is_read_first_although_nothing_else_is(self) -> None:
        world = World(of=[change(2), swap(3), delete(4)])
        await world.run(guard=False)

        assert world.events(2) == ["intent", "send", "outcome"]
        assert world.events(3) == ["look", "base", "intent", "send", "outcome"]
        assert world.events(4) == ["intent", "send", "outcome"]

    async def test_what_ends_unsent_is_no_failure_that_ends_the_run_unless_it_is_one(self) -> None:
        world = World(of=[swap(line) for line in range(2, 8)])
        for line in range(2, 8):
            world.show(line, document(line, 2, "new"))
        await world.run(limits=Limits(equal_failures=2))
        assert world.states() == {State.UNCHANGED: 6}

        world = World(of=[swap(line, was="mine") for line in range(2, 8)])
        with pytest.raises(Stopped):
            await world.run(limits=Limits(equal_failures=2))
        assert world.states() == {State.REJECTED: 2}


class TestLooksAtEdits:
    async def test_what_others_were_first_with_is_located_anew(self) -> None:
        world = World(of=[edit(2, Swap("/more", value=1), Operation("replace", "/name", "new"))])
        world.answer(2, TAKEN)
        world.show(2, document(2, 1), document(2, 2, "other"))
        await world.run()

        assert world.states() == {State.APPLIED: 1}
        assert [json.loads(body)[0]["value"] for body in world.service.bodies["offer-2"]] == ["old", "other"]

    async def test_what_others_have_changed_meanwhile_is_a_conflict(self) -> None:
        world = World(of=[swap(2)])
        world.answer(2, TAKEN)
        world.show(2, document(2, 1), document(2, 2, "other"))
        await world.run()

        assert world.count("send") == 1
        assert (world.last.state, world.last.error_class, world.last.how) == (State.REJECTED, "conflict", How.LOOK)
        assert world.last.message == (
            'somebody else was first; /name is "other", and was "old" when the change was made'
        )

    async def test_what_others_have_made_as_wanted_meanwhile_is_found(self) -> None:
        world = World(of=[edit(2, Swap("/name", "old", "new"), Operation("add", "/more", 1))])
        world.answer(2, TAKEN)
        body = json.dumps({**shown(2, 2, "new"), "more": 1}).encode()
        world.show(2, document(2, 1), Response(200, {}, body))
        await world.run()

        assert world.count("send") == 1
        assert (world.last.state, world.last.how) == (State.APPLIED, How.LOOK)

    async def test_an_edit_that_was_lost_goes_again_as_it_was(self) -> None:
        world = World(of=[swap(2)])
        world.answer(2, LOST)
        await world.run()

        assert world.sent(2) == [["test old", "replace new"]] * 2
        assert world.states() == {State.APPLIED: 1}


class TestDeletions:
    async def test_an_object_is_read_and_kept_before_it_is_deleted(self) -> None:
        world = World(of=[delete(2)])
        await world.run()

        assert world.events(2) == ["look", "base", "intent", "send", "outcome"]
        base = world.ledger.bases[2]
        assert base.touched is not None
        assert [(place.path, place.before) for place in base.touched] == [("", shown(2, 1))]
        assert world.states() == {State.APPLIED: 1}

    async def test_what_is_gone_already_is_as_wanted(self) -> None:
        world = World(of=[delete(2), change(3)])
        world.show(2, GONE)
        world.show(3, GONE)
        engine = await world.run()

        assert outcome_of(world, 2) == (State.UNCHANGED, "", "it was gone already")
        assert outcome_of(world, 3)[:2] == (State.REJECTED, "not_found")
        assert (engine.tally.unchanged, engine.tally.rejected, engine.tally.requests) == (1, 1, 0)

    async def test_what_refers_to_others_is_gone_before_they_go(self) -> None:
        types = [EntityType.TAG, OFFER, EntityType.COLLECTION, EntityType.DECISION, EntityType.PLACEMENT]
        deletions = [delete(line, type_) for line, type_ in enumerate(types, start=2)]
        world = World(of=[*deletions, change(7), swap(8)])
        slow = world.service.held.setdefault("offer-5", asyncio.Event())
        engine = world.engine(concurrency=4)
        running = asyncio.create_task(soon(engine.run()))
        await until(lambda: "offer-5" in world.service.in_flight)
        await some_turns()

        assert set(world.service.sent) == {"offer-7", "offer-8", "offer-5"}, "nothing passes the decision"
        slow.set()
        await running
        assert world.service.sent[2:5] == ["offer-5", "offer-4", "offer-3"]
        assert set(world.service.sent[5:]) == {"offer-2", "offer-6"}
        assert world.states() == {State.APPLIED: 7}

    async def test_a_stage_waits_for_the_fate_of_those_before_it(self) -> None:
        world = World(of=[delete(2, EntityType.TAG), delete(3, EntityType.DECISION)])
        world.answer(3, LOST)
        world.show(3, document(3, 1), document(3, 1))
        await world.run()

        sends = [what for event, what in world.trace if event == "send"]
        assert sends == [3, 3, 2], (
            "the deletion that was lost is looked at and made again, and then the next stage is sent"
        )

    async def test_a_stage_waits_until_it_can_be_told(self) -> None:
        world = World(of=[delete(2, EntityType.TAG), delete(3, EntityType.DECISION)])
        world.answer(3, LOST)
        world.show(3, *[document(3, 1)] * 3)
        engine = world.engine(bounds=LOUD)
        waits = world.hurry(engine)
        await soon(engine.run())

        assert waits == [LOUD.quiet_period_s]
        assert [what for event, what in world.trace if event == "send"] == [3, 3, 2]

    async def test_a_deletion_that_fails_does_not_keep_the_later_ones_from_being_tried(self) -> None:
        world = World(of=[delete(2, EntityType.TAG), delete(3, EntityType.DECISION)])
        world.answer(3, Response(422, {}, b'{"title": "no"}'))
        await world.run()

        assert world.ledger.states == {3: State.REJECTED, 2: State.APPLIED}

    async def test_a_stop_in_one_stage_begins_no_other(self) -> None:
        world = World(of=[delete(2, EntityType.TAG), change(3)])
        late = world.service.held.setdefault("offer-3", asyncio.Event())
        engine = world.engine()
        running = asyncio.create_task(soon(engine.run()))
        await until(lambda: bool(world.service.in_flight))
        engine.stop()
        late.set()
        await running

        assert world.ledger.states == {3: State.APPLIED}
        assert world.events(2) == []


def reviewed_as(world: World, seq: int, etag: int | None, name: str = "old", **more: Any) -> None:
    """Let a step have been reviewed when its object was so."""
    (step,) = [one for one in world.ledger._steps.values() if one.seq == seq]
    base = examine(step, Seen(step.object, step.object, etag, {**shown(seq, 1, name), **more}), DPS)
    assert isinstance(base, Base)
    world.ledger.seen[seq] = base


class TestReviewed:
    @pytest.mark.parametrize("one", [change(2), swap(2), delete(2)])
    async def test_what_is_as_it_was_reviewed_is_sent(self, one: Change) -> None:
        world = World(of=[one])
        reviewed_as(world, 2, 1)
        await world.run()

        assert world.states() == {State.APPLIED: 1}

    @pytest.mark.parametrize("guard", [True, False])
    @pytest.mark.parametrize("one", [change(2), delete(2)])
    async def test_what_has_changed_since_is_refused(self, one: Change, guard: bool) -> None:
        world = World(of=[one, change(3)])
        reviewed_as(world, 2, 1)
        world.show(2, document(2, 2, "other"))
        engine = await world.run(guard=guard)

        state, error, message = outcome_of(world, 2)
        assert (state, error) == (State.REJECTED, ErrorClass.DRIFTED)
        assert "version 1 then, 2 now" in message
        assert '"other"' in message or "the object was" in message
        assert world.sent(2) == []
        assert world.ledger.state(3) is State.APPLIED, "which nobody has reviewed"
        assert engine.tally.rejected == 1

    @pytest.mark.parametrize(("version", "state", "sends"), [(1, State.APPLIED, 2), (2, State.REJECTED, 1)])
    async def test_a_deletion_that_is_held_up_is_looked_at_again(self, version: int, state: State, sends: int) -> None:
        world = World(of=[delete(2)])
        reviewed_as(world, 2, 1)
        world.answer(2, Response(429, {}, b"{}"), Response(204, {}, b""))
        world.show(2, document(2, 1), document(2, version))
        engine = world.engine()
        engine._wire.policy = Policy(max_attempts=5)

        running = asyncio.create_task(engine.run())
        await until(lambda: world.throttle.waiting > 0 and bool(world.throttle.asked))
        world.throttle.open.set()
        await soon(running)

        assert world.ledger.state(2) is state
        assert world.count("send") == sends
        assert world.count("look") == 2

    async def test_without_versions_only_what_the_change_touches_counts(self) -> None:
        untold = {"id": "offer-2", "name": "old"}
        world = World(of=[change(2), change(3)])
        for seq, now in ((2, {**untold, "more": 1}), (3, {"id": "offer-3", "name": "other"})):
            reviewed_as(world, seq, None)
            world.show(seq, Response(200, {}, json.dumps(now).encode()))
        await world.run()

        assert world.ledger.states == {2: State.APPLIED, 3: State.REJECTED}

    async def test_many_are_compared_by_a_list(self) -> None:
        world = World(WORTH_A_LIST)
        seqs = range(2, WORTH_A_LIST + 2)
        for seq in seqs:
            reviewed_as(world, seq, 7)
        world.service.pages = [page(*(shown(seq, 7 + (seq == 5)) for seq in seqs), total=WORTH_A_LIST)]
        await world.run()

        assert world.states() == {State.APPLIED: WORTH_A_LIST - 1, State.REJECTED: 1}
        assert world.ledger.state(5) is State.REJECTED

    async def test_what_others_were_first_with_meanwhile_is_not_made_on_what_they_have_left(self) -> None:
        world = World()
        reviewed_as(world, 2, 1)
        world.answer(2, TAKEN)
        world.show(2, document(2, 1), document(2, 2, "other"))
        await world.run()

        assert world.count("send") == 1
        assert (world.last.state, world.last.error_class) == (State.REJECTED, ErrorClass.DRIFTED)


class TestSurveyAlone:
    async def test_everything_is_read_and_nothing_sent(self) -> None:
        world = World(of=[change(2), swap(3), delete(4), swap(5, was="mine"), change(6), delete(7, EntityType.TAG)])
        world.show(6, document(6, 1, "new"))
        world.show(7, GONE)
        engine = world.engine(concurrency=2, guard=True)
        await soon(engine.survey())

        assert world.count("send") == world.count("intent") == 0
        assert set(world.ledger.bases) == {2, 3, 4}
        assert world.ledger.states == {5: State.REJECTED, 6: State.UNCHANGED, 7: State.UNCHANGED}

    async def test_a_patch_that_does_not_fit_is_told_then(self) -> None:
        misfit = Change(2, "dev", OFFER, "offer-2", Kind.PATCH, (Operation("remove", "/more"),))
        world = World(of=[misfit])
        await soon(world.engine().survey())

        assert outcome_of(world, 2)[:2] == (State.REJECTED, ErrorClass.CANNOT_APPLY)

    async def test_what_was_read_is_not_read_again(self) -> None:
        world = World(of=[change(2), swap(3)])
        await soon(world.engine().survey())
        await soon(world.engine().survey())
        assert world.count("look") == 2

        await world.run()
        assert world.count("look") == 2
        assert world.states() == {State.APPLIED: 2}

    async def test_a_stop_ends_it_between_two_looks_and_another_goes_on(self) -> None:
        world = World(4)
        engine = world.engine()
        keep = world.ledger.keep

        def last_moment(*kept: Any) -> None:
            keep(*kept)
            engine.stop()

        world.ledger.keep = last_moment  # type: ignore[assignment, method-assign]
        await soon(engine.survey())
        assert set(world.ledger.bases) == {2}

        world.ledger.keep = keep  # type: ignore[method-assign]
        world.throttle = OpenThrottle(world.trace)
        await soon(world.engine().survey())
        assert set(world.ledger.bases) == {2, 3, 4, 5}
        assert world.count("look") == 4

    async def test_a_stop_before_it_reads_nothing(self) -> None:
        world = World(WORTH_A_LIST)
        engine = world.engine()
        engine.stop()
        await soon(engine.survey())

        assert world.trace == []

    async def test_however_many_fail_all_are_looked_at(self) -> None:
        world = World(of=[swap(line, was="mine") for line in range(2, 8)])
        await soon(world.engine(limits=Limits(equal_failures=2)).survey())

        assert world.states() == {State.REJECTED: 6}

    async def test_what_is_held_is_not_read(self) -> None:
        world = World(3)
        world.ledger.held.add(3)
        await soon(world.engine().survey())
        assert set(world.ledger.bases) == {2, 4}

        await world.run()
        assert world.ledger.states == {2: State.APPLIED, 4: State.APPLIED}
        assert world.events(3) == []
