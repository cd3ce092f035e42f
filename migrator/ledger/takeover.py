"""Taking steps over from the ledger of an earlier run, with the rows they were made of, instead of from an input."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from migrator.core import plan
from migrator.core.errors import UsageError
from migrator.core.undo import Lasting, Undo
from migrator.ledger.conditions import Chosen
from migrator.ledger.schema import FORMAT

COPY_FAILED = """
    INSERT INTO main.step
        SELECT s.* FROM earlier.step AS s JOIN earlier.progress AS p ON p.step = s.seq
        WHERE {condition} ORDER BY s.seq
"""

COPY_REVIEWS = "INSERT INTO main.review SELECT * FROM earlier.review WHERE step IN (SELECT seq FROM main.step)"
"""What may only be sent as it was reviewed is not freed of that by having failed."""

UNDO = """
    INSERT INTO main.step
        SELECT seq, :key, container, type, :object, :kind, :body, :stage FROM earlier.step WHERE seq = :seq
"""

COPY_ROWS = (
    """INSERT INTO main.container
           SELECT * FROM earlier.container WHERE id IN (SELECT container FROM main.step) ORDER BY id""",
    """INSERT INTO main.input_row
           SELECT * FROM earlier.input_row WHERE step IN (SELECT seq FROM main.step) ORDER BY line""",
)
"""Take over from the ledger `earlier` what belongs to steps that are taken over."""


def take_failed(db: sqlite3.Connection, earlier: Path, chosen: Chosen) -> None:
    """Take over steps as they are.

    Args:
        db: the plan that takes them.
        earlier: the ledger. It is only read.
        chosen: which of its steps.

    Raises:
        UsageError: it is of an earlier format.
    """
    with _attached(db, earlier):
        db.execute(COPY_FAILED.format(condition=chosen.condition), chosen.parameters)
        db.execute(COPY_REVIEWS)


def take_undone(db: sqlite3.Connection, style: str, earlier: Path, undone: Iterable[Undo | Lasting]) -> None:
    """Take in what undoes steps.

    Args:
        db: the plan that takes it.
        style: name of the endpoint style.
        earlier: the ledger of the steps. It is only read.
        undone: what undoes each of them, or why nothing can.

    Raises:
        UsageError: it is of an earlier format.
    """
    with _attached(db, earlier):
        for one in undone:
            if isinstance(one, Lasting):
                db.execute("INSERT INTO draft.lasting VALUES (?, ?, ?, ?)", msgspec.structs.astuple(one))
            else:
                _take_undo(db, style, one)


def _take_undo(db: sqlite3.Connection, style: str, undo: Undo) -> None:
    step = plan.step_of(style, [undo.change])
    stage = plan.restoring_stage_of(undo.change)
    db.execute(UNDO, msgspec.structs.asdict(step) | {"stage": stage})
    if undo.version is not None:
        db.execute("INSERT INTO main.review (step, etag) VALUES (?, ?)", (step.seq, undo.version))


def containers(db: sqlite3.Connection) -> dict[str, int]:
    """Return the containers of the steps that were taken over, with their numbers."""
    return dict(db.execute("SELECT name, id FROM main.container ORDER BY id"))


@contextmanager
def _attached(db: sqlite3.Connection, earlier: Path) -> Iterator[None]:
    """Let steps be taken over from the ledger `earlier`, and then take over what belongs to them."""
    db.execute("ATTACH DATABASE ? AS earlier", (f"{earlier.absolute().as_uri()}?mode=ro",))
    ((found,),) = db.execute("PRAGMA earlier.user_version")
    if found != FORMAT:
        message = f"{earlier} was written by an earlier version of migrator (format {found})"
        raise UsageError(message, "use that version for it")
    yield
    for statement in COPY_ROWS:
        db.execute(statement)
