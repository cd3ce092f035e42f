"""The file itself refuses illegal moves, and what is no ledger is refused with a reason."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from itertools import product
from pathlib import Path

import pytest

from migrator.core.errors import LedgerFailed, UsageError
from migrator.core.states import FINAL, LEGAL, State
from migrator.ledger.reading import outcome_rows, read_run, summarize
from migrator.ledger.runledger import RunLedger
from tests.shell.ledgers import read, states

WAYS: dict[State, list[State]] = {
    State.PENDING: [State.INTENT, State.PENDING],
    State.INTENT: [State.INTENT],
    State.DOUBT: [State.INTENT, State.DOUBT],
    State.APPLIED: [State.INTENT, State.APPLIED],
    State.REJECTED: [State.INTENT, State.REJECTED],
    State.UNRESOLVED: [State.INTENT, State.DOUBT, State.UNRESOLVED],
    State.UNCHANGED: [State.UNCHANGED],
    State.SKIPPED: [State.SKIPPED],
}
"""How a step comes to each state by legal moves."""

BEGIN = "INSERT INTO progress (step, state, attempt, request_id, sent_at) VALUES (2, ?, 1, 'r', 1.0)"

ILLEGAL = sorted(set(product(State, State)) - LEGAL)


def bring_to(state: State, path: Path) -> sqlite3.Connection:
    """Bring step 2 to `state` with statements of anybody's."""
    db = sqlite3.connect(path, isolation_level=None)
    first, *others = WAYS[state]
    db.execute(BEGIN, (first,))
    for other in others:
        db.execute("UPDATE progress SET state = ? WHERE step = 2", (other,))
    return db


class TestMoves:
    @pytest.mark.parametrize(("before", "after"), sorted(LEGAL))
    def test_the_file_takes_a_legal_move(self, path: Path, before: State, after: State) -> None:
        with closing(bring_to(before, path)) as db:
            db.execute("UPDATE progress SET state = ? WHERE step = 2", (after,))

        assert states(path) == {2: after}

    @pytest.mark.parametrize(
        "way", ["UPDATE progress SET state = ? WHERE step = 2", BEGIN.replace("T", "T OR REPLACE", 1)]
    )
    @pytest.mark.parametrize(("before", "after"), ILLEGAL)
    def test_the_file_refuses_every_other_move(self, path: Path, before: State, after: State, way: str) -> None:
        with closing(bring_to(before, path)) as db, pytest.raises(sqlite3.IntegrityError, match="illegal move"):
            db.execute(way, (after,))

        assert states(path) == {2: before}

    @pytest.mark.parametrize(
        "state", sorted(set(State) - {after for before, after in LEGAL if before is State.PENDING})
    )
    def test_a_step_begins_with_an_intent_or_is_dismissed(self, path: Path, state: State) -> None:
        with (
            closing(sqlite3.connect(path, isolation_level=None)) as db,
            pytest.raises(sqlite3.IntegrityError, match="illegal move"),
        ):
            db.execute(BEGIN, (state,))

    @pytest.mark.parametrize("state", sorted(State))
    def test_what_is_known_of_a_step_is_never_forgotten(self, path: Path, state: State) -> None:
        with closing(bring_to(state, path)) as db, pytest.raises(sqlite3.IntegrityError, match="illegal move"):
            db.execute("DELETE FROM progress")

    def test_a_legal_move_cannot_make_the_row_another_steps(self, path: Path) -> None:
        with (
            closing(bring_to(State.INTENT, path)) as db,
            pytest.raises(sqlite3.IntegrityError, match="illegal move"),
        ):
            db.execute("UPDATE progress SET step = 3, state = 'APPLIED'")

    @pytest.mark.parametrize("change", ["etag = 1", "message = 'x'", "step = 3", "state = state"])
    @pytest.mark.parametrize("state", sorted(FINAL))
    def test_a_final_row_is_never_changed(self, path: Path, state: State, change: str) -> None:
        with closing(bring_to(state, path)) as db, pytest.raises(sqlite3.IntegrityError, match="illegal move"):
            db.execute(f"UPDATE progress SET {change}")


def make_other_format(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")


def make_other_database(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE t (x)")


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def overwrite(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xa5" * (len(content) - 4096))


STRANGE: list[tuple[Callable[[Path], object], type[Exception], str]] = [
    (lambda path: path.unlink(), LedgerFailed, "cannot be used: unable to open"),
    (lambda path: path.write_bytes(b""), UsageError, "is not a ledger"),
    (lambda path: path.write_text("line,step\n" * 500), UsageError, "is not a ledger"),
    (make_other_database, UsageError, "is not a ledger"),
    (make_other_format, UsageError, "has ledger format 99; this version reads formats 1 to 5"),
    (truncate, LedgerFailed, "malformed|damaged"),
    (overwrite, LedgerFailed, "malformed|damaged"),
]


class TestStrangeFiles:
    @pytest.mark.parametrize(("spoil", "error", "message"), STRANGE)
    async def test_what_is_no_ledger_of_ours_is_refused_in_a_sentence(
        self, path: Path, spoil: Callable[[Path], object], error: type[Exception], message: str
    ) -> None:
        spoil(path)

        def look() -> None:
            read_run(path)
            summarize(path)
            list(outcome_rows(path))

        async def run() -> None:
            async with RunLedger(path) as ledger:
                await ledger.containers(0)

        with pytest.raises(error, match=message):
            look()
        with pytest.raises(error, match=message):
            await run()

    async def test_damage_where_nothing_has_to_be_read_yet_is_found_before_anything_is_sent(self, path: Path) -> None:
        (root,) = read(path, "SELECT rootpage FROM sqlite_master WHERE name = 'input_row'")[0]
        with path.open("r+b") as file:
            file.seek((root - 1) * 4096)
            file.write(b"\xa5" * 4096)

        with pytest.raises(LedgerFailed, match=r"malformed|damaged") as caught:
            async with RunLedger(path):
                pass

        assert "put back a copy" in caught.value.hint
        assert states(path) == {}

    async def test_a_ledger_that_another_program_holds_is_named_so(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("migrator.ledger.database.BUSY_S", 0.0)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(LedgerFailed, match="locked") as caught:
                async with RunLedger(path):
                    pass

        assert "another program" in caught.value.hint
