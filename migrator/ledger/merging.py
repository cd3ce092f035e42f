"""Making the steps of a plan: one for each object, of all the changes that are for it.

Each row is a step of its own so far, and for nearly all that is right. Those of which several are for one object go
through `core.plan.merge`, one object at a time, and become one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping

import msgspec

from migrator.core import plan
from migrator.core.edit import edits_of
from migrator.core.model import Change, EntityType, Kind, Problem, Step
from migrator.core.values import MAX_OBJECT_BYTES

MERGE = (
    "CREATE INDEX draft.change_by_object ON change (container, type, identity)",
    "CREATE TABLE draft.shared (container INTEGER, type TEXT, identity TEXT)",
    """INSERT INTO draft.shared
           SELECT container, type, identity FROM draft.change GROUP BY 1, 2, 3 HAVING count(*) > 1""",
)
"""Find the objects that several rows are for."""

CHANGES = """
    SELECT c.line, s.object, c.kind, c.create_key, CASE WHEN c.kind IN ('patch', 'edit') THEN s.body ELSE x'' END
    FROM draft.change AS c JOIN main.step AS s ON s.seq = c.line
    WHERE c.container = ? AND c.type = ? AND c.identity = ? ORDER BY c.line
"""
"""The changes of one object. Only patches merge, so that what several rows create need not be loaded to refuse it."""

MERGED = "UPDATE step SET key = ?, kind = ?, body = ? WHERE seq = ?"

_OF_OBJECT = "SELECT line FROM draft.change WHERE container = :container AND type = :type AND identity = :identity"

ROWS_OF_MERGED = f"UPDATE input_row SET step = :step WHERE line IN ({_OF_OBJECT})"

LATER_STEPS = f"DELETE FROM step WHERE seq <> :step AND seq IN ({_OF_OBJECT})"

ALIKE = """
    SELECT line, type, name, first FROM (
        SELECT line, type, name, identity, first_value(line) OVER names AS first,
               first_value(identity) OVER names AS first_identity
        FROM draft.change WHERE kind = 'create' WINDOW names AS (PARTITION BY container, type, name ORDER BY line)
    ) WHERE line <> first AND identity <> first_identity ORDER BY line
"""
"""Find the creates of which an earlier one has the same name."""

CROSSING = """
    SELECT line, size FROM (
        SELECT c.line, 1 + sum(length(s.body) - 1) OVER (ORDER BY c.line) AS size
        FROM draft.change AS c JOIN main.step AS s ON s.seq = c.line
        WHERE c.container = ? AND c.type = ? AND c.identity = ? AND c.kind IN ('patch', 'edit')
    ) WHERE size > ? ORDER BY line LIMIT 1
"""
"""Find the first row with which the patch of one object is too large. Of each further list of operations the patch
gains all bytes but one: the brackets go and a comma comes."""


NO_STEP = -1
"""The number of no step."""

Shared = tuple[int, str, str]
"""An object that several rows are for: its container by number, its type, and its identity."""


def merge_rows(db: sqlite3.Connection, style: str, containers: Mapping[str, int], *, marks: bool) -> Iterator[Problem]:
    """Make the steps; yield what is wrong with rows that are to be merged, or with what they create.

    Args:
        db: the plan, with its draft.
        style: name of the endpoint style.
        containers: their numbers.
        marks: whether each create has a marker, by which it is told from others of the same name.
    """
    for statement in MERGE:
        db.execute(statement)
    names = {id_: name for name, id_ in containers.items()}
    for shared in db.execute("SELECT container, type, identity FROM draft.shared"):
        yield from _merge_object(db, style, names, shared)
    if not marks:
        yield from (_alike(*columns) for columns in db.execute(ALIKE))


def _merge_object(db: sqlite3.Connection, style: str, names: Mapping[int, str], shared: Shared) -> Iterator[Problem]:
    """Make one step of all the rows of an object; none if they cannot be merged."""
    merged = _merged(db, style, names, shared)
    if isinstance(merged, Step):
        db.execute(MERGED, (merged.key, merged.kind, merged.body, merged.seq))
        db.execute(ROWS_OF_MERGED, {"step": merged.seq} | _named(shared))
        db.execute(LATER_STEPS, {"step": merged.seq} | _named(shared))
    else:
        db.execute(LATER_STEPS, {"step": NO_STEP} | _named(shared))
        yield from merged


def _merged(db: sqlite3.Connection, style: str, names: Mapping[int, str], shared: Shared) -> Step | list[Problem]:
    """Merge all the rows of an object, unless they are too much for one request: then none is loaded."""
    if problem := _size_problem(db, shared):
        return [problem]
    container, type_, _ = shared
    rows = db.execute(CHANGES, shared)
    return plan.merge(style, [_change(names[container], EntityType(type_), *columns) for columns in rows])


def _named(shared: Shared) -> dict[str, int | str]:
    return dict(zip(("container", "type", "identity"), shared, strict=True))


def _size_problem(db: sqlite3.Connection, shared: Shared) -> Problem | None:
    """Name the row with which the patch of an object gets larger than an object may be."""
    crossing = db.execute(CROSSING, (*shared, MAX_OBJECT_BYTES)).fetchone()
    if crossing is None:
        return None
    line, size = crossing
    message = (
        f"with the earlier rows of this object the request would have {_kilobytes(size)};"
        f" the limit is {_kilobytes(MAX_OBJECT_BYTES)}"
    )
    return Problem(line, "", message, "leave some rows for a second run")


def _alike(line: int, type_: str, name: str, first: int) -> Problem:
    """Refuse a create that could not be told from another one if the answer to it were lost."""
    message = f"creates a {type_} named '{name}', and so does line {first}: if an answer is lost, which is which?"
    hint = "give them different names, or let each be marked: --marker /characteristics/migrator"
    return Problem(line, "create", message, hint)


def _kilobytes(size: int) -> str:
    """Spell a size, rounded up so that what is over a limit also reads so."""
    return f"{-(-size // 1024):,} KB"


def _change(container: str, type_: EntityType, line: int, object_: str, kind: str, key: str, body: bytes) -> Change:
    """Read a change back from its columns."""
    patch = kind in plan.PATCHES
    return Change(
        line=line,
        container=container,
        type=type_,
        object=object_,
        kind=Kind(kind),
        edits=edits_of(body) if patch else (),
        document=None if patch or not body else msgspec.json.decode(body),
        key=key,
    )
