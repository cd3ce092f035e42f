"""What is to be read back of a run: noted once, in a table of the reader's own, and ticked off."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from migrator.core.model import Base, EntityType, Kind, Touched
from migrator.core.states import State
from migrator.ledger import checklist
from migrator.ledger.checklist import Checklist, Group
from migrator.ledger.runledger import RunLedger
from migrator.ports import Outcome
from tests.plans import changes, make_plan
from tests.shell.ledgers import intent, outcome

LEDGERS = Path(__file__).parents[1] / "fixtures" / "ledgers"
OFFER = EntityType.PERSONALIZED_OFFER


async def ledger_of(path: Path, applied: range, unchanged: range = range(0)) -> Path:
    """Make a ledger of 20 offers in two containers, of which so many are applied, by their lines."""
    make_plan(path, changes(["a", "b"] * 10))
    async with RunLedger(path) as ledger:
        for seq in applied:
            ledger.keep(seq, Base(1, (Touched("/name", "Old", "New"), Touched("/x", after=UNSET)), b"[]", guarded=True))
            await ledger.intend(intent(seq)).durable()
            ledger.record(outcome(seq))
        for seq in unchanged:
            ledger.dismiss(Outcome(seq, State.UNCHANGED, 1.0))
        await ledger.flush()
    return path


async def test_what_was_applied_or_unchanged_is_to_be_read_and_nothing_else(tmp_path: Path) -> None:
    path = await ledger_of(tmp_path / "ledger.sqlite", range(2, 6), range(6, 8))

    with Checklist.opened(path) as todo:
        remaining = list(todo.remaining())
        assert [(one.step.seq, one.state) for one in remaining] == [
            *((seq, State.APPLIED) for seq in range(2, 6)),
            *((seq, State.UNCHANGED) for seq in range(6, 8)),
        ]
        assert remaining[0].touched == (Touched("/name", "Old", "New"), Touched("/x"))
        assert remaining[-1].touched is None
        assert todo.containers == ["a", "b"]
        assert todo.groups == [Group("a", OFFER, 3), Group("b", OFFER, 3)]
        assert todo.summary.rows == {State.APPLIED: 4, State.UNCHANGED: 2, State.PENDING: 14}


async def test_what_is_ticked_off_is_neither_found_again_nor_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checklist, "PAGE", 2)
    path = await ledger_of(tmp_path / "ledger.sqlite", range(2, 10))
    with Checklist.opened(path) as todo:
        by_seq = {one.step.seq: one.step.object for one in todo.remaining()}
        group = todo.groups[0]
        found = [one.step.seq for one in todo.among(group, by_seq.values())]
        assert found == [2, 4, 6, 8], "those of the other container are not in it"

        todo.tick(4)

        assert [one.step.seq for one in todo.among(group, by_seq.values())] == [2, 6, 8]
        assert [one.step.seq for one in todo.remaining()] == [2, 3, 5, 6, 7, 8, 9]


async def test_what_was_deleted_is_left_to_be_looked_for_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    patch, other = changes(["a", "a"])
    deletion = replace(other, kind=Kind.DELETE, edits=())
    make_plan(path, [patch, deletion])
    async with RunLedger(path) as ledger:
        for seq in (2, 3):
            await ledger.intend(intent(seq)).durable()
            ledger.record(outcome(seq))
        await ledger.flush()

    with Checklist.opened(path) as todo:
        assert todo.groups == [Group("a", OFFER, 1)]
        assert [one.step.seq for one in todo.among(todo.groups[0], [patch.object, deletion.object])] == [2]
        assert [one.step.seq for one in todo.remaining()] == [2, 3]


async def test_the_list_stays_as_it_was_made_while_the_run_goes_on(tmp_path: Path) -> None:
    path = await ledger_of(tmp_path / "ledger.sqlite", range(2, 4))
    with Checklist.opened(path) as todo:
        async with RunLedger(path) as ledger:
            await ledger.intend(intent(4)).durable()
            ledger.record(outcome(4))
            await ledger.flush()
        assert [one.step.seq for one in todo.remaining()] == [2, 3]
        assert todo.summary.rows == {State.APPLIED: 2, State.PENDING: 18}


@pytest.mark.parametrize("dump", sorted(LEDGERS.glob("*/*.sql")), ids=lambda dump: f"{dump.parent.name}-{dump.stem}")
def test_a_ledger_of_an_earlier_format_can_be_read_back_and_stays_as_it_is(dump: Path, tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(dump.read_text(encoding="utf-8"))
        db.execute("PRAGMA journal_mode = WAL")
    before = hashlib.sha256(path.read_bytes()).hexdigest()

    with Checklist.opened(path) as todo:
        remaining = list(todo.remaining())
        assert sum(one.rows for one in remaining) == todo.summary.count(State.APPLIED)
        assert all(one.step.object for one in remaining if one.step.kind is Kind.CREATE), "as the receipt told it"
        based = [one for one in remaining if one.touched is not None]
        assert bool(based) == (dump.parent.name != "format-1"), "which had no bases"

    assert hashlib.sha256(path.read_bytes()).hexdigest() == before
