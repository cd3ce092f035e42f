"""What it takes to go on with a run, and to look at it, does not grow with what is done of it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from migrator.core.errors import LedgerFailed
from migrator.core.states import State
from migrator.ledger import choosing, database, history, reading, statements
from migrator.ledger.runledger import RunLedger
from tests.plans import changes, make_plan
from tests.shell.ledgers import read

STATEMENTS = {
    "counting": (reading.STAND, ()),
    "last error": (reading.LAST_ERROR, ()),
    "errors": (history.ERRORS, ()),
    "held": (reading.COUNT_HELD, ()),
    "all steps": (reading.COUNT_STEPS, ()),
    "drifted": (reading.COUNT_DRIFTED, ()),
    "first try": (choosing._TRYING, ()),
    "open intents": (statements.DOUBT_INTENTS, ()),
    "reviewed bases": (statements.FORGET_BASES, ()),
    "stages": (statements.STAGES, ()),
    "containers": (statements.CONTAINERS, (0,)),
    "doubts": (statements.UNSETTLED_DOUBTS, ('["DOUBT"]', 0, 500)),
    "bases to read": (statements.UNBASED, ("dev", 0, '["patch"]')),
    "steps to send": (statements.PENDING, ("dev", 0, 0, 500)),
}

LEFT = 7
"""The step that is left."""


def nearly_done(path: Path, rows: int) -> Path:
    """Make a run of which all steps but one are done."""
    made = make_plan(path, changes(["dev"] * rows))
    with closing(sqlite3.connect(made)) as db, db:
        db.execute(
            f"""INSERT INTO progress (step, state, attempt, request_id, sent_at)
                SELECT seq, 'INTENT', 1, 'r', 1.0 FROM step WHERE seq <> {LEFT}"""
        )
        db.execute("UPDATE progress SET state = 'APPLIED', ended_at = 2.0")
    return made


def effort(path: Path, statement: str, parameters: tuple[object, ...]) -> int:
    """Return how many instructions SQLite carries out for a statement."""
    instructions = 0

    def one_more() -> None:
        nonlocal instructions
        instructions += 1

    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA schema_version").fetchall()
        db.set_progress_handler(one_more, 1)
        db.execute(statement, parameters).fetchall()
    return instructions


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A small and a large run."""
    folder = tmp_path_factory.mktemp("runs")
    return nearly_done(folder / "small.sqlite", 20), nearly_done(folder / "large.sqlite", 2_000)


@pytest.mark.parametrize("name", STATEMENTS)
def test_it_takes_as_much_as_in_a_run_a_hundredth_as_large(runs: tuple[Path, Path], name: str) -> None:
    small, large = runs

    assert effort(large, *STATEMENTS[name]) == effort(small, *STATEMENTS[name])


def test_all_of_it_is_counted_all_the_same(runs: tuple[Path, Path]) -> None:
    found = reading.summarize(runs[1])

    assert found.rows == {State.APPLIED: 1_999, State.PENDING: 1}
    assert (found.attempts, found.tried, found.started_at, found.ended_at) == (1_999, 1_999, 1.0, 2.0)


async def test_a_large_ledger_that_is_damaged_where_it_says_what_is_to_be_sent_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "WHOLE_PAGES", 1)
    path = nearly_done(tmp_path / "ledger.sqlite", 20)
    async with RunLedger(path) as ledger:
        assert list(await ledger.containers(0)) == ["dev"]
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    (root,) = read(path, "SELECT rootpage FROM sqlite_master WHERE name = 'to_send'")[0]
    with path.open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xa5" * 4096)

    with pytest.raises(LedgerFailed, match=r"malformed|damaged"):
        async with RunLedger(path):
            pass


def test_where_each_container_stands_leaves_out_what_is_not_sent_at_all(tmp_path: Path) -> None:
    path = make_plan(tmp_path / "ledger.sqlite", changes(["dev", "prod"] * 6))
    moves = {3: ["INTENT", "APPLIED"], 4: ["SKIPPED"], 5: ["INTENT", "REJECTED"], 7: ["INTENT", "DOUBT"], 9: ["INTENT"]}
    moves |= {2: ["INTENT", "DOUBT", "PENDING"], 6: ["UNCHANGED"], 8: ["INTENT", "DOUBT", "UNRESOLVED"]}
    with closing(sqlite3.connect(path)) as db, db:
        for step, states in moves.items():
            first, *later = states
            db.execute(
                "INSERT INTO progress (step, state, attempt, request_id, sent_at) VALUES (?, ?, 1, 'r', 1.0)",
                (step, first),
            )
            for state in later:
                db.execute("UPDATE progress SET state = ? WHERE step = ?", (state, step))
        db.execute("INSERT INTO held VALUES (12), (13)")

    found = {one.name: (one.steps, one.ended) for one in reading.containers(path)}

    # dev has lines 2, 4, … 12: one is skipped, one held; unchanged and unresolved are ended. prod has 3, 5, … 13.
    assert found == {"dev": (4, 2), "prod": (5, 2)}
    assert reading.count_steps(path) == 4 + 5
