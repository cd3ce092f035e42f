"""A run is the same in a file and in the database, whichever way it was copied."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from migrator.core.errors import UsageError
from migrator.core.model import Base, Change, EntityType, Kind, Touched
from migrator.core.states import State
from migrator.fleet.copying import COLUMNS, RUN, copy_in, copy_out
from migrator.fleet.database import Pool
from migrator.fleet.runs import FleetRuns
from migrator.ledger.history import at_one_moment, refusals
from migrator.ledger.reading import outcome_rows, summarize
from migrator.ledger.runledger import RunLedger
from migrator.ports import Intent, Outcome
from tests.plans import changes, make_plan, written
from tests.waiting import soon

PLACE = "postgresql://test"

ODD = "Ä\u2028 'quoted' \\N \t\r\n"


def tables(path: Path) -> dict[str, list[Any]]:
    with closing(sqlite3.connect(path)) as db:
        named: dict[str, Sequence[str]] = {"run": RUN, **COLUMNS}
        return {
            table: db.execute(f"SELECT {', '.join(columns)} FROM {table} ORDER BY {columns[0]}").fetchall()
            for table, columns in named.items()
        }


async def half_done(path: Path) -> Path:
    """Make a ledger that has something of everything."""
    odd = Change(12, "prod", EntityType.TAG, "", Kind.CREATE, document={"name": ODD}, key="k")
    delete = Change(13, "prod", EntityType.TAG, "gone", Kind.DELETE)
    make_plan(path, [*changes(["dev", "prod"] * 4), odd, delete])
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("INSERT INTO held VALUES (5)")
        db.execute("INSERT INTO review VALUES (6, 3, '[]', 'A name')")
        db.execute("INSERT INTO origin VALUES (12, 'source', 'object', 'reference', NULL)")
    async with RunLedger(path) as ledger:
        ledger.keep(2, Base(7, (Touched("/name", "old", ODD),), b'[{"op":"test"}]', guarded=True, name=ODD))
        for seq, state in ((2, State.PENDING), (3, State.APPLIED), (4, State.DOUBT), (9, State.REJECTED)):
            await soon(written(ledger, Intent(seq, 1, f"request-{seq}", 1.5)))
            ledger.record(Outcome(seq, state, 2.5, 200, "some", ODD, 8, f"object-{seq}", f"reference-{seq}"))
    return path


async def test_a_run_comes_out_as_it_went_in(pool: Pool, tmp_path: Path) -> None:
    before = await half_done(tmp_path / "before.sqlite")

    run = await copy_in(pool, PLACE, before, size=3)
    await copy_out(pool, PLACE, run, tmp_path / "after.sqlite")

    assert all(rows for rows in tables(before).values()), "nothing is compared that is empty"
    assert tables(tmp_path / "after.sqlite") == tables(before)
    assert list(outcome_rows(tmp_path / "after.sqlite")) == list(outcome_rows(before))


async def test_the_database_counts_a_run_as_a_file_does(pool: Pool, tmp_path: Path) -> None:
    path = await half_done(tmp_path / "before.sqlite")
    run = await copy_in(pool, PLACE, path)

    summary, found = await FleetRuns(pool, PLACE).summary(run)
    with at_one_moment(path) as db:
        assert found == list(refusals(db)) != []
    assert summary == summarize(path)


async def test_a_copy_can_be_gone_on_with_on_one_machine(pool: Pool, tmp_path: Path) -> None:
    run = await copy_in(pool, PLACE, await half_done(tmp_path / "before.sqlite"))
    await copy_out(pool, PLACE, run, tmp_path / "after.sqlite")

    async with RunLedger(tmp_path / "after.sqlite") as ledger:
        assert [step.seq for step in await ledger.pending("dev", 0, 0, 9)] == [2, 6, 8]
        assert [doubt.step.seq for doubt in await ledger.doubts([State.DOUBT], 0, 9)] == [4]


async def test_a_run_is_added_once_or_not_at_all(pool: Pool, tmp_path: Path) -> None:
    path = make_plan(tmp_path / "ledger.sqlite", changes(["dev"]))
    run = await copy_in(pool, PLACE, path)

    with pytest.raises(UsageError, match="already a run a-run"):
        await copy_in(pool, PLACE, path)
    assert list(await FleetRuns(pool, PLACE).all()) == [run]


async def test_what_is_not_there_is_not_copied_out(pool: Pool, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run nowhere"):
        await copy_out(pool, PLACE, "nowhere", tmp_path / "after.sqlite")
    assert not (tmp_path / "after.sqlite").exists()


async def test_a_file_of_an_earlier_format_is_refused(pool: Pool, tmp_path: Path) -> None:
    path = make_plan(tmp_path / "ledger.sqlite", changes(["dev"]))
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 2")

    with pytest.raises(UsageError, match="earlier version"):
        await copy_in(pool, PLACE, path)
