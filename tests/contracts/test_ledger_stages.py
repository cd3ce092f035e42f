"""What every ledger promises of stages, of steps that are held back, and of what was reviewed."""

from __future__ import annotations

import copy
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, closing
from pathlib import Path
from typing import Protocol

import msgspec
import pytest

from migrator.core.errors import LedgerFailed
from migrator.core.model import Base, Change, EntityType, Kind, Operation, TextChange, Touched
from migrator.core.plan import PATCHES
from migrator.core.states import State
from migrator.ledger.runledger import RunLedger
from migrator.ports import How, Intent, Ledger, Outcome
from tests.fleet.shard import ShardInDatabase
from tests.memory import MemoryLedger
from tests.plans import change, failing, make_plan, stages, steps, written
from tests.postgres import Server
from tests.waiting import soon

OFFER, TAG, DECISION = EntityType.PERSONALIZED_OFFER, EntityType.TAG, EntityType.DECISION


class Planned(Protocol):
    """The ledger of one plan, and what has to be there before it is run."""

    def open(self) -> AbstractAsyncContextManager[Ledger]:
        """Open it; a second time, as a later process would."""

    def hold(self, *seqs: int) -> None:
        """Let steps wait, and none else."""

    def review(self, seq: int, base: Base) -> None:
        """Say what the object of a step was when it was reviewed."""


class Real:
    def __init__(self, path: Path) -> None:
        self._path = path

    def open(self) -> AbstractAsyncContextManager[Ledger]:
        return RunLedger(self._path)

    def hold(self, *seqs: int) -> None:
        self._write("DELETE FROM held", [()])
        self._write("INSERT INTO held VALUES (?)", [(seq,) for seq in seqs])

    def review(self, seq: int, base: Base) -> None:
        touched = None if base.touched is None else msgspec.json.encode(base.touched).decode()
        self._write("INSERT INTO review (step, etag, touched) VALUES (?, ?, ?)", [(seq, base.etag, touched)])

    def _write(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        with closing(sqlite3.connect(self._path)) as db, db:
            db.executemany(statement, rows)


class Fake:
    def __init__(self, ledger: MemoryLedger) -> None:
        self._ledger = ledger

    def open(self) -> AbstractAsyncContextManager[Ledger]:
        return copy.copy(self._ledger)

    def hold(self, *seqs: int) -> None:
        self._ledger.held.clear()
        self._ledger.held.update(seqs)

    def review(self, seq: int, base: Base) -> None:
        self._ledger.seen[seq] = base


Plan = Callable[[Sequence[Change]], Planned]


@pytest.fixture(params=["RunLedger", "ShardLedger", "MemoryLedger"])
def plan(request: pytest.FixtureRequest, tmp_path: Path) -> Plan:
    """Make a ledger of changes."""

    def of_the_fleet(of: Sequence[Change]) -> Planned:
        server: Server = request.getfixturevalue("postgres")
        return ShardInDatabase(server.database(), make_plan(tmp_path / "ledger.sqlite", of))

    def real(of: Sequence[Change]) -> Planned:
        return Real(make_plan(tmp_path / "ledger.sqlite", of))

    def fake(of: Sequence[Change]) -> Planned:
        return Fake(MemoryLedger(steps(of), stages=stages(of)))

    return {"RunLedger": real, "ShardLedger": of_the_fleet, "MemoryLedger": fake}[request.param]


def delete(line: int, type_: EntityType = OFFER, container: str = "dev") -> Change:
    return Change(line, container, type_, f"{type_}-{line}", Kind.DELETE)


def edit(line: int, container: str = "dev") -> Change:
    return Change(line, container, OFFER, f"offer-{line}", Kind.EDIT, (TextChange("p", "en", "New"),))


async def left(ledger: Ledger, container: str = "dev") -> dict[int, list[int]]:
    """Return what is to be sent, by stage."""
    found = {stage: await ledger.pending(container, stage, 0, 100) for stage in await ledger.stages()}
    return {stage: [step.seq for step in pending] for stage, pending in found.items() if pending}


async def go(ledger: Ledger, seq: int, state: State, error: str = "") -> None:
    """Send a step as far as the ledger is concerned."""
    await soon(written(ledger, Intent(seq, 1, f"request-{seq}", 1_800_000_000.5)))
    ledger.record(Outcome(seq, state, 1_800_000_001.5, error_class=error))
    await soon(ledger.flush())


def dismissed(seq: int, state: State) -> Outcome:
    return Outcome(seq, state, 1_800_000_001.5, how=How.LOOK)


class TestStages:
    async def test_the_steps_of_each_stage_are_handed_out_by_themselves(self, plan: Plan) -> None:
        changes = [
            delete(2, TAG),
            change(3),
            delete(4, DECISION),
            edit(5),
            delete(6, TAG),
            delete(7),
            change(8, "prod"),
        ]
        async with plan(changes).open() as ledger:
            assert list(await ledger.stages()) == [0, 1, 3, 4]
            assert await left(ledger) == {0: [3, 5], 1: [4], 3: [7], 4: [2, 6]}
            assert await left(ledger, "prod") == {0: [8]}
            assert [step.seq for step in await ledger.pending("dev", 4, 2, 9)] == [6]
            assert [step.seq for step in await ledger.pending("dev", 4, 0, 1)] == [2]
            assert list(await ledger.pending("dev", 2, 0, 9)) == []

    async def test_a_plan_without_deletions_has_one_stage(self, plan: Plan) -> None:
        async with plan([change(2), edit(3)]).open() as ledger:
            assert list(await ledger.stages()) == [0]

    async def test_a_container_is_told_while_it_has_something_to_send_in_the_stage(self, plan: Plan) -> None:
        changes = [change(2, "b"), change(3, "a"), delete(4, TAG, "c"), delete(5, TAG, "a")]
        async with plan(changes).open() as ledger:
            assert [list(await ledger.containers(stage)) for stage in (0, 1, 4)] == [["b", "a"], [], ["a", "c"]]
            await go(ledger, 2, State.APPLIED)
            await go(ledger, 4, State.DOUBT)
            ledger.dismiss(dismissed(5, State.UNCHANGED))
            await soon(ledger.flush())

            assert [list(await ledger.containers(stage)) for stage in (0, 4)] == [["a"], []]
            assert list(await ledger.stages()) == [0, 4], "what is settled has its stage all the same"

    async def test_steps_without_a_base_are_told_by_kind_and_stage(self, plan: Plan) -> None:
        patch_of_tag = Change(9, "dev", TAG, "tag-9", Kind.PATCH, (Operation("remove", "/a"),))
        changes = [change(2), edit(3), edit(4), delete(5), delete(6, TAG), edit(7, "prod"), patch_of_tag, edit(8)]
        async with plan(sorted(changes, key=lambda one: one.line)).open() as ledger:
            ledger.keep(8, Base(1, (), b"[]", guarded=False))
            await soon(ledger.flush())

            async def counted(stage: int, *kinds: Kind) -> dict[EntityType, int]:
                return dict(await ledger.unbased("dev", stage, kinds))

            assert await counted(0, *PATCHES) == {OFFER: 3, TAG: 1}
            assert await counted(0, Kind.EDIT) == {OFFER: 2}
            assert await counted(0, Kind.PATCH, Kind.DELETE) == {OFFER: 1, TAG: 1}
            assert await counted(3, Kind.PATCH, Kind.DELETE) == {OFFER: 1}
            assert await counted(3, *PATCHES) == {}
            assert await counted(4, Kind.DELETE) == {TAG: 1}
            assert await counted(0) == {}

            async def among(stage: int, type_: EntityType, *kinds: Kind) -> list[int]:
                objects = [one.object for one in changes]
                found = await ledger.unbased_among("dev", stage, type_, kinds, objects)
                return [step.seq for step in found]

            assert await among(0, OFFER, *PATCHES) == [2, 3, 4]
            assert await among(0, OFFER, Kind.EDIT) == [3, 4]
            assert await among(0, TAG, Kind.PATCH) == [9]
            assert await among(3, OFFER, Kind.DELETE) == [5]
            assert await among(3, OFFER, Kind.EDIT) == []
            assert await among(4, TAG, Kind.DELETE) == [6]


class TestUnsent:
    @pytest.mark.parametrize("state", [State.UNCHANGED, State.SKIPPED, State.REJECTED])
    async def test_a_step_that_need_not_be_sent_ends_without_an_attempt(self, plan: Plan, state: State) -> None:
        planned = plan([change(2), edit(3)])
        async with planned.open() as ledger:
            ledger.dismiss(dismissed(2, state))
            await soon(ledger.flush())
            assert await left(ledger) == {0: [3]}

        async with planned.open() as ledger:
            assert await left(ledger) == {0: [3]}
            assert list(await ledger.doubts([State.DOUBT, State.UNRESOLVED], 0, 9)) == []

    @pytest.mark.parametrize("state", [State.UNCHANGED, State.SKIPPED])
    async def test_only_what_was_never_sent_ends_so(self, plan: Plan, state: State) -> None:
        async with failing(plan([change(2)]).open()) as ledger:
            await go(ledger, 2, State.DOUBT)
            ledger.record(dismissed(2, state))
            with pytest.raises(LedgerFailed):
                await soon(ledger.flush())

    async def test_an_object_that_was_left_as_it_is_is_not_one_that_was_settled(self, plan: Plan) -> None:
        async with plan([change(2), change(3)]).open() as ledger:
            ledger.dismiss(dismissed(2, State.UNCHANGED))
            await go(ledger, 3, State.APPLIED)

            assert set(await ledger.settled_objects(["offer-2", "offer-3"])) == {"offer-3"}


class TestHeld:
    async def test_a_step_that_is_held_is_not_handed_out_nor_counted_nor_found(self, plan: Plan) -> None:
        planned = plan([change(2), change(3), change(4, "prod"), delete(5)])
        planned.hold(3, 4, 5)
        async with planned.open() as ledger:
            assert await left(ledger) == {0: [2]}
            assert await left(ledger, "prod") == {}
            assert list(await ledger.containers(0)) == ["dev"]
            assert list(await ledger.containers(3)) == []
            assert dict(await ledger.unbased("dev", 0, PATCHES)) == {OFFER: 1}
            found = await ledger.unbased_among("dev", 0, OFFER, PATCHES, ["offer-2", "offer-3"])
            assert [step.seq for step in found] == [2]

    async def test_a_step_that_is_held_no_longer_is_handed_out(self, plan: Plan) -> None:
        planned = plan([change(2), change(3)])
        planned.hold(2, 3)
        async with planned.open() as ledger:
            assert await left(ledger) == {}
        planned.hold(3)
        async with planned.open() as ledger:
            assert await left(ledger) == {0: [2]}

    async def test_what_became_of_a_step_is_told_although_it_is_held(self, plan: Plan) -> None:
        planned = plan([change(2), change(3)])
        async with planned.open() as ledger:
            await go(ledger, 2, State.DOUBT)
        planned.hold(2, 3)

        async with planned.open() as ledger:
            (doubt,) = await ledger.doubts([State.DOUBT], 0, 9)
            assert doubt.step.seq == 2


REVIEWS = {
    2: Base(7, (Touched("/name", "old", "new"), Touched("/more", after=None)), b"[]", guarded=False),
    3: Base(None, None, b"", guarded=False),
    4: Base(0, (Touched("", before={"name": "x"}),), b"", guarded=True),
}


class TestReviewed:
    async def test_what_was_reviewed_is_told_for_the_steps_that_are_asked_about(self, plan: Plan) -> None:
        planned = plan([change(2), change(3), delete(4), change(5)])
        for seq, base in REVIEWS.items():
            planned.review(seq, base)
        async with planned.open() as ledger:
            assert await ledger.reviewed()
            told = dict(await ledger.reviews([5, 4, 3, 2]))
            assert told == {seq: Base(base.etag, base.touched, b"", guarded=False) for seq, base in REVIEWS.items()}
            assert set(await ledger.reviews([3, 5])) == {3}
            assert dict(await ledger.reviews([])) == {}

    async def test_of_a_plan_that_nobody_reviewed_nothing_is_told(self, plan: Plan) -> None:
        async with plan([change(2)]).open() as ledger:
            assert not await ledger.reviewed()
            assert dict(await ledger.reviews([2])) == {}

    async def test_a_review_is_no_base(self, plan: Plan) -> None:
        planned = plan([change(2)])
        planned.review(2, REVIEWS[2])
        async with planned.open() as ledger:
            (step,) = await ledger.pending("dev", 0, 0, 9)
            assert not step.based
            assert dict(await ledger.unbased("dev", 0, PATCHES)) == {OFFER: 1}
