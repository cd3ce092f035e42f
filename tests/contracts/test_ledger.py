"""What every ledger promises the engine: the real one and the one the engine's tests use pass the same suite."""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from msgspec.structs import replace

from migrator.core.errors import LedgerFailed
from migrator.core.model import Base, Change, Doubt, EntityType, Kind, Touched
from migrator.core.states import State
from migrator.ledger.runledger import RunLedger
from migrator.ports import How, Intent, Ledger, Outcome
from tests.fleet.shard import ShardInDatabase
from tests.memory import MemoryLedger
from tests.plans import change, changes, failing, make_plan, stages, steps, written
from tests.postgres import Server
from tests.waiting import soon

Open = Callable[[], AbstractAsyncContextManager[Ledger]]
"""Opens the ledger; a second time, as a later process would."""

Plan = Callable[[Sequence[Change]], Open]


@pytest.fixture(params=["RunLedger", "ShardLedger", "MemoryLedger"])
def plan(request: pytest.FixtureRequest, tmp_path: Path) -> Plan:
    """Make a ledger of changes."""

    def of_the_fleet(of: Sequence[Change]) -> Open:
        server: Server = request.getfixturevalue("postgres")
        return ShardInDatabase(server.database(), make_plan(tmp_path / "ledger.sqlite", of)).open

    def real(of: Sequence[Change]) -> Open:
        path = make_plan(tmp_path / "ledger.sqlite", of)
        return lambda: RunLedger(path)

    def fake(of: Sequence[Change]) -> Open:
        ledger = MemoryLedger(steps(of), stages=stages(of))
        return lambda: copy.copy(ledger)

    return {"RunLedger": real, "ShardLedger": of_the_fleet, "MemoryLedger": fake}[request.param]


CHANGES = {Kind.PATCH, Kind.REPLACE}

BASES = [
    Base(7, (Touched("/name", "old", "new"), Touched("/tags", [1], None), Touched("/rank")), b'[{"op":"test"}]', True),
    Base(None, None, b"[]", False),
    Base(0, (), b"[]", False),
]


def intent(seq: int, attempt: int = 1) -> Intent:
    return Intent(seq, attempt, f"request-{seq}-{attempt}", 1_800_000_000.5 + attempt)


def outcome(seq: int, state: State, object_: str = "") -> Outcome:
    return Outcome(seq, state, 1_800_000_001.5, http_status=200, object=object_)


def lost(seq: int) -> Outcome:
    return Outcome(seq, State.DOUBT, 1_800_000_002.5, 504, "server", "HTTP 504: gone")


def looked(seq: int, state: State) -> Outcome:
    return Outcome(seq, state, 1_800_000_090.5, 200, "missed", "a look said so", how=How.LOOK)


async def go(ledger: Ledger, seq: int, *outcomes: Outcome, attempt: int = 1) -> None:
    """Send a step as far as the ledger is concerned."""
    await soon(written(ledger, intent(seq, attempt)))
    for one in outcomes:
        ledger.record(one)
    await soon(ledger.flush())


async def pending(ledger: Ledger, container: str = "dev") -> list[int]:
    return [step.seq for step in await ledger.pending(container, 0, 0, 100)]


async def test_containers_come_in_the_order_of_their_first_row(plan: Plan) -> None:
    async with plan(changes(["b", "a", "b", "c", "a"]))() as ledger:
        assert list(await ledger.containers(0)) == ["b", "a", "c"]


async def test_pending_steps_come_by_container_in_pages_in_order(plan: Plan) -> None:
    async with plan(changes(["a", "b", "a", "a", "b", "a"]))() as ledger:
        first = await ledger.pending("a", 0, 0, 3)
        second = await ledger.pending("a", 0, first[-1].seq, 3)

        assert [step.seq for step in first] == [2, 4, 5]
        assert [step.seq for step in second] == [7]
        assert await pending(ledger, "b") == [3, 6]
        assert await pending(ledger, "c") == []


async def test_a_step_comes_back_as_it_was_planned(plan: Plan) -> None:
    planned = [
        *changes(["dev"]),
        Change(3, "dev", EntityType.TAG, "", Kind.CREATE, document={"name": "Ä\u2028\x00"}, key="k"),
        Change(4, "dev", EntityType.TAG, "t2", Kind.REPLACE, document={"name": "Ä"}),
        Change(5, "dev", EntityType.TAG, "t1", Kind.DELETE),  # in the last stage
    ]

    async with plan(planned)() as ledger:
        found = [step for stage in await ledger.stages() for step in await ledger.pending("dev", stage, 0, 9)]
        assert found == steps(planned)


@pytest.mark.parametrize("state", [State.APPLIED, State.REJECTED, State.DOUBT])
async def test_what_has_ended_is_not_to_be_sent_by_anybody_any_more(plan: Plan, state: State) -> None:
    reopen = plan(changes(["dev", "prod"]))
    async with reopen() as ledger:
        await soon(written(ledger, intent(2)))
        ledger.record(outcome(2, state))
        await soon(ledger.flush())

        assert await pending(ledger) == []
        assert list(await ledger.containers(0)) == ["prod"]

    async with reopen() as ledger:
        assert await pending(ledger) == []
        assert list(await ledger.containers(0)) == ["prod"]


async def test_an_intent_without_an_outcome_is_not_to_be_sent_by_a_later_process(plan: Plan) -> None:
    reopen = plan(changes(["dev"]))
    async with reopen() as ledger:
        await soon(written(ledger, intent(2)))

    async with reopen() as ledger:
        assert list(await ledger.containers(0)) == []


async def test_what_was_not_executed_is_to_be_sent_again_and_its_attempts_are_counted_on(plan: Plan) -> None:
    reopen = plan(changes(["dev"]))
    async with reopen() as ledger:
        for attempt in (1, 2):
            await soon(written(ledger, intent(2, attempt)))
            ledger.record(outcome(2, State.PENDING))

    async with reopen() as ledger:
        (step,) = await ledger.pending("dev", 0, 0, 9)
        assert step.attempts == 2
        await soon(written(ledger, intent(2, 3)))
        ledger.record(outcome(2, State.PENDING))

    async with reopen() as ledger:
        (step,) = await ledger.pending("dev", 0, 0, 9)
        assert step.attempts == 3


async def test_leaving_is_flushing(plan: Plan) -> None:
    reopen = plan(changes(["dev"] * 20))
    async with reopen() as ledger:
        await soon(asyncio.gather(*(written(ledger, intent(seq)) for seq in range(2, 22))))
        for seq in range(2, 22):
            ledger.record(outcome(seq, State.APPLIED if seq % 2 else State.PENDING))

    async with reopen() as ledger:
        assert await pending(ledger) == list(range(2, 22, 2))


@pytest.mark.parametrize("ended", [State.APPLIED, State.REJECTED, State.DOUBT, None])
async def test_only_a_pending_step_can_be_intended(plan: Plan, ended: State | None) -> None:
    reopen = plan(changes(["dev"]))
    async with reopen() as ledger:
        await soon(written(ledger, intent(2)))
        if ended:
            ledger.record(outcome(2, ended))

    async with failing(reopen()) as ledger:
        with pytest.raises(LedgerFailed):
            await soon(written(ledger, intent(2, 2)))


@pytest.mark.parametrize("state", [State.APPLIED, State.PENDING])
async def test_an_outcome_without_an_intent_is_a_failure(plan: Plan, state: State) -> None:
    async with failing(plan(changes(["dev"]))()) as ledger:
        ledger.record(outcome(2, state))
        with pytest.raises(LedgerFailed):
            await soon(ledger.flush())


async def test_what_failed_stays_failed_until_it_is_opened_anew(plan: Plan) -> None:
    reopen = plan(changes(["dev", "dev"]))
    async with failing(reopen()) as ledger:
        ledger.record(outcome(2, State.APPLIED))
        with pytest.raises(LedgerFailed):
            await soon(ledger.flush())
        with pytest.raises(LedgerFailed):
            await soon(written(ledger, intent(3)))
        with pytest.raises(LedgerFailed):
            ledger.record(outcome(3, State.APPLIED))

    async with reopen() as ledger:
        assert await pending(ledger) == [2, 3]


class TestBases:
    @pytest.mark.parametrize("base", BASES)
    async def test_a_step_with_a_base_is_sent_as_the_base_has_it(self, plan: Plan, base: Base) -> None:
        planned = changes(["dev", "dev"])
        reopen = plan(planned)
        async with reopen() as ledger:
            ledger.keep(2, base)
            await soon(ledger.flush())
            here = await ledger.pending("dev", 0, 0, 9)

        async with reopen() as ledger:
            later = await ledger.pending("dev", 0, 0, 9)

        assert list(here) == list(later)
        assert later[0] == replace(steps(planned)[0], body=base.body, based=True, etag=base.etag, guarded=base.guarded)
        assert later[1] == steps(planned)[1]

    async def test_a_base_is_there_with_the_first_intent_that_came_after_it(self, plan: Plan) -> None:
        reopen = plan(changes(["dev"]))
        async with failing(reopen()) as ledger:
            ledger.keep(2, BASES[0])
            await soon(written(ledger, intent(2)))

            async with reopen() as successor:
                (doubt,) = await successor.doubts([State.DOUBT], 0, 9)
                assert doubt.base == BASES[0]

    async def test_a_fresh_base_takes_the_place_of_the_old_one(self, plan: Plan) -> None:
        async with plan(changes(["dev"]))() as ledger:
            ledger.keep(2, BASES[0])
            ledger.keep(2, BASES[1])
            await soon(ledger.flush())
            ledger.keep(2, BASES[2])
            await go(ledger, 2, lost(2))

            (doubt,) = await ledger.doubts([State.DOUBT], 0, 9)
            assert doubt.base == BASES[2]

    async def test_changes_without_a_base_are_counted_by_type(self, plan: Plan) -> None:
        tag = Change(9, "dev", EntityType.TAG, "t", Kind.PATCH, change(9).edits)
        others = [
            Change(10, "dev", EntityType.TAG, "", Kind.CREATE, document={"name": "A"}),
            Change(11, "dev", EntityType.TAG, "gone", Kind.DELETE),
            Change(12, "dev", EntityType.DECISION_RULE, "r", Kind.REPLACE, document={"name": "R"}),
        ]
        async with plan([*changes(["dev", "dev", "prod", "dev", "dev"]), tag, *others])() as ledger:
            ledger.keep(2, BASES[0])
            await go(ledger, 3, outcome(3, State.APPLIED))
            await go(ledger, 5, outcome(5, State.PENDING))

            assert dict(await ledger.unbased("dev", 0, CHANGES)) == {
                EntityType.PERSONALIZED_OFFER: 2,
                EntityType.TAG: 1,
                EntityType.DECISION_RULE: 1,
            }
            assert dict(await ledger.unbased("prod", 0, CHANGES)) == {EntityType.PERSONALIZED_OFFER: 1}
            assert dict(await ledger.unbased("nowhere", 0, CHANGES)) == {}

    async def test_changes_without_a_base_are_found_by_their_objects(self, plan: Plan) -> None:
        tag = Change(9, "dev", EntityType.TAG, "offer-3", Kind.PATCH, change(9).edits)
        whole = Change(11, "dev", EntityType.TAG, "else", Kind.REPLACE, document={"name": "E"})
        planned = [*changes(["dev"] * 5), tag, change(10, "prod", "offer-3"), whole]
        async with plan(planned)() as ledger:
            ledger.keep(2, BASES[0])
            await go(ledger, 4, outcome(4, State.APPLIED))
            await go(ledger, 5, outcome(5, State.PENDING))
            wanted = ["offer-2", "offer-3", "offer-4", "offer-5", "else"]

            found = await ledger.unbased_among("dev", 0, EntityType.PERSONALIZED_OFFER, CHANGES, wanted)
            assert [(step.seq, step.attempts) for step in found] == [(3, 0), (5, 1)]
            assert found[0] == steps(planned)[1]
            of_tag = await ledger.unbased_among("dev", 0, EntityType.TAG, CHANGES, wanted)
            assert [step.seq for step in of_tag] == [9, 11]
            assert list(await ledger.unbased_among("dev", 0, EntityType.TAG, CHANGES, [])) == []


class TestDoubts:
    async def test_a_doubt_says_what_was_planned_what_was_sent_and_why_it_is_one(self, plan: Plan) -> None:
        planned = changes(["dev", "prod"])
        reopen = plan(planned)
        async with reopen() as ledger:
            await go(ledger, 2, outcome(2, State.PENDING))
            ledger.keep(2, BASES[0])
            await go(ledger, 2, lost(2), attempt=2)
            await soon(written(ledger, intent(3)))

        async with reopen() as ledger:
            first, second = await ledger.doubts([State.DOUBT, State.UNRESOLVED], 0, 9)

        step = replace(steps(planned)[0], attempts=2, based=True, etag=7, guarded=True)
        sent_at = intent(2, 1).at, intent(2, 2).at
        assert first == Doubt(step, BASES[0], State.DOUBT, *sent_at, 504, "server", "HTTP 504: gone", sent_at[1])
        step = replace(steps(planned)[1], attempts=1)
        at = intent(3).at
        said = "the run ended between sending and the answer"
        assert second == Doubt(step, None, State.DOUBT, at, at, None, "no_answer", said)

    async def test_doubts_come_by_state_in_pages_in_order(self, plan: Plan) -> None:
        async with plan(changes(["dev"] * 6))() as ledger:
            for seq in (6, 2, 4):
                await go(ledger, seq, lost(seq))
            await go(ledger, 3, lost(3), looked(3, State.UNRESOLVED))
            await go(ledger, 5, outcome(5, State.APPLIED))

            async def found(*states: State, after: int = 0, limit: int = 9) -> list[int]:
                return [doubt.step.seq for doubt in await ledger.doubts(states, after, limit)]

            assert await found(State.DOUBT) == [2, 4, 6]
            assert await found(State.UNRESOLVED) == [3]
            assert await found(State.DOUBT, State.UNRESOLVED, limit=2) == [2, 3]
            assert await found(State.DOUBT, State.UNRESOLVED, after=3) == [4, 6]

    @pytest.mark.parametrize("way", [[lost(2)], [lost(2), looked(2, State.UNRESOLVED)]])
    async def test_a_miss_is_counted_and_the_step_is_to_be_sent_again(self, plan: Plan, way: list[Outcome]) -> None:
        reopen = plan(changes(["dev"]))
        async with reopen() as ledger:
            await go(ledger, 2, outcome(2, State.PENDING))
            for attempt in (2, 3):
                await go(ledger, 2, *way, looked(2, State.PENDING), attempt=attempt)

        async with reopen() as ledger:
            (step,) = await ledger.pending("dev", 0, 0, 9)
            assert (step.attempts, step.misses) == (3, 2), "an attempt that was refused is no miss"

    @pytest.mark.parametrize(
        "outcomes",
        [
            [looked(2, State.APPLIED)],
            [looked(2, State.REJECTED)],
            [looked(2, State.UNRESOLVED), looked(2, State.APPLIED)],
        ],
    )
    async def test_a_look_settles_a_doubt(self, plan: Plan, outcomes: list[Outcome]) -> None:
        async with plan(changes(["dev"]))() as ledger:
            await go(ledger, 2, lost(2))
            for one in outcomes:
                ledger.record(one)
            await soon(ledger.flush())

            (settled,) = await ledger.doubts(list(State), 0, 9)
            assert settled.state is outcomes[-1].state
            assert await pending(ledger) == []

    async def test_a_step_may_be_lost_missed_and_intended_anew_within_a_moment(self, plan: Plan) -> None:
        async with plan(changes(["dev"] * 3))() as ledger:
            await soon(asyncio.gather(*(written(ledger, intent(seq)) for seq in (2, 3, 4))))
            for seq in (2, 3, 4):
                ledger.record(lost(seq))
            ledger.record(looked(3, State.PENDING))
            ledger.record(looked(4, State.APPLIED))
            await go(ledger, 3, lost(3), attempt=2)

            doubts = await ledger.doubts([State.DOUBT], 0, 9)
            assert [(doubt.step.seq, doubt.step.misses) for doubt in doubts] == [(2, 0), (3, 1)]


class TestDismissing:
    async def test_a_step_that_cannot_be_sent_ends_without_an_attempt(self, plan: Plan) -> None:
        reopen = plan(changes(["dev", "dev", "dev"]))
        async with reopen() as ledger:
            await go(ledger, 3, outcome(3, State.PENDING))
            for seq in (2, 3):
                ledger.dismiss(looked(seq, State.REJECTED))
            await soon(ledger.flush())
            assert await pending(ledger) == [4]

        async with reopen() as ledger:
            assert await pending(ledger) == [4]
            assert list(await ledger.doubts([State.DOUBT, State.UNRESOLVED], 0, 9)) == []

    @pytest.mark.parametrize("state", [None, State.DOUBT, State.APPLIED, State.REJECTED])
    async def test_only_a_pending_step_can_be_dismissed(self, plan: Plan, state: State | None) -> None:
        async with failing(plan(changes(["dev"]))()) as ledger:
            await go(ledger, 2, *([outcome(2, state)] if state else []))
            ledger.dismiss(looked(2, State.REJECTED))
            with pytest.raises(LedgerFailed):
                await soon(ledger.flush())

    async def test_what_was_dismissed_cannot_be_intended(self, plan: Plan) -> None:
        async with failing(plan(changes(["dev"]))()) as ledger:
            ledger.dismiss(looked(2, State.REJECTED))
            await soon(ledger.flush())
            with pytest.raises(LedgerFailed):
                await soon(written(ledger, intent(2)))


async def test_the_objects_that_steps_were_applied_to_are_told_by_either_name(plan: Plan) -> None:
    create = Change(9, "dev", EntityType.TAG, "", Kind.CREATE, document={"name": "A"})
    async with plan([*changes(["dev"] * 4), create])() as ledger:
        await go(ledger, 2, outcome(2, State.APPLIED))
        await go(ledger, 3, outcome(3, State.REJECTED))
        await go(ledger, 4, lost(4), looked(4, State.APPLIED))
        await go(ledger, 9, outcome(9, State.APPLIED, "made"))

        asked = ["offer-2", "offer-3", "offer-4", "offer-5", "made", "else"]
        assert set(await ledger.settled_objects(asked)) == {"offer-2", "offer-4", "made"}
        assert set(await ledger.settled_objects(["offer-5"])) == set()


class TestTakingOver:
    async def test_a_process_that_was_taken_over_from_writes_nothing_any_more(self, plan: Plan) -> None:
        reopen = plan(changes(["dev", "dev"]))
        async with failing(reopen()) as paused:
            await soon(written(paused, intent(2)))
            async with reopen() as successor:
                with pytest.raises(LedgerFailed, match="another process has taken over"):
                    await soon(written(paused, intent(3)))
                with pytest.raises(LedgerFailed, match="another process has taken over"):
                    paused.record(outcome(2, State.APPLIED))

                assert await pending(successor) == [3]
                (doubt,) = await successor.doubts([State.DOUBT], 0, 9)
                assert doubt.step.seq == 2
                successor.record(looked(2, State.APPLIED))
                await go(successor, 3, outcome(3, State.APPLIED))

    async def test_a_commit_is_done_when_it_is_on_the_disk(self, plan: Plan) -> None:
        async with plan(changes(["dev"]))() as ledger:
            commit = ledger.intend(intent(2))
            done = [commit.done]
            await soon(commit.durable())
            done.append(commit.done)

        assert done == [False, True]

    async def test_a_commit_says_until_when_a_request_may_leave(self, plan: Plan) -> None:
        async with plan(changes(["dev"]))() as ledger:
            commit = ledger.intend(intent(2))
            await soon(commit.durable())

            assert commit.good_until > time.monotonic()
