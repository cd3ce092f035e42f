"""Reading a plan back: every step with its rows, in the order of sending, at a cost that grows with the plan alone."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from migrator.core.model import Change, EntityType, Kind, Operation, Row
from migrator.core.states import State
from migrator.ledger.database import connect
from migrator.ledger.planfile import PlanFile
from migrator.ledger.reading import PLANNED, planned_steps
from migrator.ledger.records import RunRecord


def plan_of(path: Path, rows: int, rows_per_object: int = 1) -> Path:
    """Make the ledger of a plan that has sent nothing yet; the first of its objects is deleted."""
    with PlanFile(path, "dps") as plan:
        for line in range(2, rows + 2):
            number = (line - 2) // rows_per_object
            operations = (Operation("replace", f"/m{line}", line),)
            kind, edits = (Kind.DELETE, ()) if number == 0 else (Kind.PATCH, operations)
            change = Change(line, "dev", EntityType.PERSONALIZED_OFFER, f"o{number}", kind, edits)
            if number or line == 2:
                plan.add(Row(line, {}, "[]"), change)
        plan.merge()
        assert not list(plan.problems())
        plan.finish(RunRecord("r", 0.0, "dps", "in", "", "{}", "", "{}", rows, rows))
    return path


def test_steps_come_as_they_are_sent_each_with_all_its_lines(tmp_path: Path) -> None:
    ledger = plan_of(tmp_path / "l.sqlite", 9, rows_per_object=3)
    with closing(connect(ledger)) as db:
        db.execute("INSERT INTO held VALUES (5)")

    found = list(planned_steps(ledger))

    assert [(step.seq, step.lines, step.kind, step.state) for step in found] == [
        (5, (5, 6, 7), Kind.PATCH, State.SKIPPED),
        (8, (8, 9, 10), Kind.PATCH, State.PENDING),
        (2, (2,), Kind.DELETE, State.PENDING),
    ]


def test_reading_a_plan_ten_times_as_long_takes_ten_times_as_much_work(tmp_path: Path) -> None:
    small, large = (work(plan_of(tmp_path / f"{rows}.sqlite", rows)) for rows in (400, 4000))

    assert large < 15 * small


def work(ledger: Path) -> int:
    """Return how many steps of SQLite's machine it takes to read a plan, in hundreds."""
    done = 0

    def count() -> int:
        nonlocal done
        done += 1
        return 0

    with closing(connect(ledger)) as db:
        db.set_progress_handler(count, 100)
        db.execute(PLANNED).fetchall()
    return done
