"""Saved plans as files: whole and as they were made, or refused, whatever was done to them."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from migrator.core.errors import UsageError
from migrator.core.model import Base, Change, EntityType, Kind, Operation, Row, Touched
from migrator.ledger import savedplan
from migrator.ledger.database import connect
from migrator.ledger.folder import RunFolder
from migrator.ledger.planfile import PlanFile
from migrator.ledger.reading import read_run, summarize
from migrator.ledger.records import RunRecord
from migrator.ledger.schema import FORMAT
from migrator.sources import InputShape

ROWS = 6


def surveyed(path: Path) -> Path:
    """Make the ledger of a plan of which every object was read: the last one is held back, the first not to be sent."""
    with PlanFile(path, "dps") as plan:
        for line in range(2, ROWS + 2):
            change = Change(
                line,
                "dev",
                EntityType.PERSONALIZED_OFFER,
                f"o{line}",
                Kind.PATCH,
                (Operation("replace", "/name", "B"),),
            )
            plan.add(Row(line, {}, '["x"]'), change)
        plan.merge()
        shape = msgspec.json.encode(InputShape("csv", ("id",), ",", "\n")).decode()
        plan.finish(RunRecord("r", 0.0, "dps", "in", "", shape, "f", "{}", ROWS, ROWS))
    with closing(connect(path)) as db:
        for line in range(3, ROWS + 2):
            touched = msgspec.json.encode([Touched("/name", "A", "B")]).decode()
            db.execute("INSERT INTO base VALUES (?, 4, ?, x'5b5d', 1, 'A')", (line, touched))
        db.execute(
            "INSERT INTO progress (step, state, attempt, request_id, sent_at, error_class)"
            " VALUES (2, 'REJECTED', 0, '', 1.0, 'conflict')"
        )
        db.execute("INSERT INTO held VALUES (?)", (ROWS + 1,))
    return path


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "monday.plan"
    savedplan.save(surveyed(tmp_path / "ledger.sqlite"), path, 5.0)
    return path


def refused(path: Path) -> str:
    with pytest.raises(UsageError) as caught:
        savedplan.check(path)
    assert caught.value.hint
    return str(caught.value)


def test_a_plan_is_good_as_long_as_nobody_touches_it(plan: Path) -> None:
    assert savedplan.is_saved_plan(plan)
    savedplan.check(plan)
    savedplan.check(plan)
    assert savedplan.count_changes(plan) == {("dev", EntityType.PERSONALIZED_OFFER): ROWS - 2}


def test_a_plan_is_good_in_a_folder_and_a_file_that_nobody_may_write(plan: Path) -> None:
    plan.chmod(0o444)
    plan.parent.chmod(0o555)
    try:
        savedplan.check(plan)
    finally:
        plan.parent.chmod(0o755)


def test_a_saved_plan_has_left_nothing_else(plan: Path) -> None:
    assert [path.name for path in plan.parent.iterdir() if path.name.startswith((plan.name, "."))] == [plan.name]


def cells(path: Path) -> Iterator[tuple[str, str]]:
    """Yield every table and column of a plan that has rows."""
    with closing(sqlite3.connect(path)) as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            if db.execute(f"SELECT count(*) FROM {table}").fetchone() != (0,):
                yield from ((table, row[1]) for row in db.execute(f"PRAGMA table_info({table})"))


def edit(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for (trigger,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            db.execute(f"DROP TRIGGER {trigger}")
        for statement in statements:
            db.execute(statement)


def test_a_plan_in_which_any_cell_was_edited_is_refused(plan: Path, tmp_path: Path) -> None:
    found = list(cells(plan))
    planned = {"run", "container", "input_row", "step", "stage", "review", "plan"}
    assert planned | {"progress", "tally", "to_send", "lease"} == {table for table, _ in found}
    for table, column in found:
        copy = Path(shutil.copy(plan, tmp_path / "edited.plan"))
        with closing(sqlite3.connect(copy, isolation_level=None)) as db:
            # The triggers have to stay, since what the tables are is part of the seal as well.
            triggers = db.execute("SELECT sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        edit(
            copy,
            f"UPDATE {table} SET {column} = CASE typeof({column}) WHEN 'text' THEN {column} || 'x' WHEN 'blob'"
            f" THEN CAST({column} || x'20' AS BLOB) WHEN 'null' THEN 7 ELSE {column} + 1000 END"
            if column != "touched"
            else f"UPDATE {table} SET {column} = {column} || ' '",
            *(sql for (sql,) in triggers),
        )
        assert "is not as it was made" in refused(copy), (table, column)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM review WHERE step = 3",
        "DELETE FROM progress",
        "INSERT INTO base SELECT step, etag, touched, x'5b5d', 1, name FROM review",
        "INSERT INTO held VALUES (3)",
        "UPDATE plan SET seal = 'x'",
        "INSERT INTO plan SELECT * FROM plan",
        "DELETE FROM plan",
        "CREATE TABLE more (a)",
        "CREATE TRIGGER t AFTER INSERT ON progress BEGIN DELETE FROM review; END",
    ],
)
def test_a_plan_that_was_edited_by_hand_is_refused(plan: Path, statement: str) -> None:
    with closing(sqlite3.connect(plan, isolation_level=None)) as db:
        if statement.startswith("DELETE FROM progress"):
            db.execute("DROP TRIGGER progress_stays")
        db.execute(statement)

    assert "is not as it was made" in refused(plan)


def test_a_plan_that_is_cut_at_any_length_is_refused(plan: Path, tmp_path: Path) -> None:
    octets = plan.read_bytes()
    lengths = {*range(len(savedplan.MAGIC), 600, 7), *range(600, len(octets), 509), len(octets) - 1}
    for length in sorted(lengths):
        cut = tmp_path / "cut.plan"
        cut.write_bytes(octets[:length])
        assert savedplan.is_saved_plan(cut)
        refused(cut)


def test_a_plan_of_which_any_page_was_overwritten_is_refused(plan: Path, tmp_path: Path) -> None:
    octets = plan.read_bytes()
    for begin in range(0, len(octets), 4096):
        torn = tmp_path / "torn.plan"
        # The header of the file says what it is; the test of formats is about that.
        kept = octets[: max(begin, 100)]
        torn.write_bytes(kept + b"\xa5" * (begin + 4096 - len(kept)) + octets[begin + 4096 :])
        refused(torn)


@pytest.mark.parametrize("other", [FORMAT - 1, FORMAT + 1, 99])
def test_a_plan_of_another_format_is_refused_and_told_to_be_made_anew(plan: Path, other: int) -> None:
    with closing(sqlite3.connect(plan)) as db:
        db.execute(f"PRAGMA user_version = {other}")

    assert f"is of format {other}, and this version carries out plans of format {FORMAT}" in refused(plan)


def test_what_is_no_plan_is_not_taken_for_one(tmp_path: Path) -> None:
    ledger = surveyed(tmp_path / "ledger.sqlite")
    stranger = tmp_path / "stranger.db"
    with closing(sqlite3.connect(stranger)) as db:
        db.execute("CREATE TABLE a (b)")
    (tmp_path / "csv.plan").write_text("id,/name\no1,B\n")
    (tmp_path / "empty.plan").touch()

    assert "is no saved plan" in refused(ledger)
    assert "is no saved plan" in refused(stranger)
    assert not savedplan.is_saved_plan(tmp_path / "csv.plan")
    assert not savedplan.is_saved_plan(tmp_path / "empty.plan")
    assert not savedplan.is_saved_plan(tmp_path / "missing.plan")
    assert not savedplan.is_saved_plan(tmp_path)


def test_a_pipe_is_not_read_to_find_out_whether_it_is_a_plan(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)  # opening it would wait for a writer for ever

    assert not savedplan.is_saved_plan(pipe)


def test_a_plan_may_replace_a_plan_and_nothing_else(plan: Path, tmp_path: Path) -> None:
    (tmp_path / "precious.csv").write_text("id,/name\n")
    ledger = surveyed(tmp_path / "other.sqlite")

    savedplan.check_place(plan)
    savedplan.check_place(tmp_path / "new.plan")
    savedplan.check_place(Path("new.plan"))
    for place, said in (
        (tmp_path / "precious.csv", "is there and is no saved plan"),
        (ledger, "is there and is no saved plan"),
        (tmp_path, "is a folder"),
        (Path(), "is a folder"),
        (tmp_path / "missing" / "new.plan", "there is no folder"),
        (plan / "new.plan", "there is no folder"),
    ):
        with pytest.raises(UsageError, match=said):
            savedplan.check_place(place)


def test_a_folder_that_may_not_be_written_is_told_before_all_the_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: not (path == tmp_path and mode & os.W_OK))

    with pytest.raises(UsageError, match="its folder is read-only"):
        savedplan.check_place(tmp_path / "new.plan")


def test_a_plan_that_cannot_be_written_leaves_the_old_one_and_no_piece_of_the_new_one(
    plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = plan.read_bytes()

    def full(source: Path, target: Path) -> None:
        target.write_bytes(source.read_bytes()[:1000])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(UsageError, match=r"cannot be written to .*: No space left on device"):
        savedplan.save(surveyed(tmp_path / "again.sqlite"), plan, 6.0)

    assert plan.read_bytes() == before
    assert not list(tmp_path.glob(".monday*"))


def test_a_run_of_a_plan_has_its_rows_and_what_was_reviewed(plan: Path, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    run.path.mkdir()
    record = msgspec.structs.replace(read_run(plan), id="run", created_at=9.0, settings='{"plan": "monday.plan"}')

    savedplan.carry(plan, run.ledger, record)

    summary = summarize(run.ledger)
    assert summary.run == record
    assert {state.value: count for state, count in summary.rows.items()} == {
        "REJECTED": 1,
        "PENDING": ROWS - 2,
        "SKIPPED": 1,
    }
    with closing(connect(run.ledger)) as db:
        assert db.execute("SELECT count(*) FROM review").fetchone() == (ROWS - 1,)
        assert db.execute("SELECT count(*) FROM base").fetchone() == (0,)
        assert db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'plan'").fetchone() == (0,)
    savedplan.check(plan)  # which stays as it is


def test_base_of_a_plan_is_what_was_before(plan: Path) -> None:
    base = Base(4, (Touched("/name", "A", "B"),), b"", guarded=False, name="A")
    with closing(connect(plan)) as db:
        (etag, touched, name) = db.execute("SELECT etag, touched, name FROM review WHERE step = 3").fetchone()
    assert Base(etag, msgspec.json.decode(touched, type=tuple[Touched, ...]), b"", guarded=False, name=name) == base
