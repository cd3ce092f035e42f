"""Making the steps of a plan: one for each object, of all the changes that are for it.

Each row is a step of its own so far, and for nearly all that is right. Those of which several are for one object go
through `core.plan.merge`, one object at a time, and become one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping

from migrator.core import plan
from migrator.core.edit import edits_of
from migrator.core.model import Change, EntityType, Kind, Problem, Step
from migrator.core.values import MAX_OBJECT_BYTES
from migrator.ledger import statements

SHARED = (
    statements.INDEX_OBJECTS,
    """INSERT INTO draft.shared
           SELECT container, type, 'id:' || object, seq FROM main.step
           WHERE object IN (SELECT object FROM main.step WHERE object <> '' GROUP BY object HAVING count(*) > 1)""",
    """INSERT INTO draft.shared
           SELECT container, type, identity, line FROM draft.change
           WHERE (container, type, identity) IN (
               SELECT container, type, identity FROM draft.change WHERE identity NOT LIKE 'id:%'
               GROUP BY 1, 2, 3 HAVING count(*) > 1
           )""",
)
"""Find the rows of objects that several rows are for: by the ids of objects, and by what else they are told by."""

OBJECTS = "SELECT container, type, identity FROM draft.shared GROUP BY 1, 2, 3 HAVING count(*) > 1"
"""One id may be that of several objects, each in a container of its own."""

_LINES = "SELECT line FROM draft.shared WHERE container = ?1 AND type = ?2 AND identity = ?3"

CHANGES = f"""
    SELECT seq, object, kind, CASE WHEN kind IN ('patch', 'edit') THEN body ELSE x'' END
    FROM main.step WHERE seq IN ({_LINES}) ORDER BY seq
"""
"""The changes of one object. Only patches merge, so that what several rows create need not be loaded to refuse it."""

MERGED = "UPDATE step SET key = ?, kind = ?, body = ? WHERE seq = ?"

ROWS_OF_MERGED = f"UPDATE input_row SET step = ?4 WHERE line IN ({_LINES})"

LATER_STEPS = f"DELETE FROM step WHERE seq <> ?4 AND seq IN ({_LINES})"

ALIKE = """
    SELECT line, type, name, first FROM (
        SELECT line, type, name, identity, first_value(line) OVER names AS first,
               first_value(identity) OVER names AS first_identity
        FROM draft.change WHERE kind = 'create' WINDOW names AS (PARTITION BY container, type, name ORDER BY line)
    ) WHERE line <> first AND identity <> first_identity ORDER BY line
"""
"""Find the creates of which an earlier one has the same name."""

CROSSING = f"""
    SELECT seq, size FROM (
        SELECT seq, 1 + sum(length(body) - 1) OVER (ORDER BY seq) AS size
        FROM main.step WHERE seq IN ({_LINES}) AND kind IN ('patch', 'edit')
    ) WHERE size > ?4 ORDER BY seq LIMIT 1
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
    for statement in SHARED:
        db.execute(statement)
    names = {id_: name for name, id_ in containers.items()}
    for shared in db.execute(OBJECTS):
        yield from _merge_object(db, style, names, shared)
    if not marks:
        yield from (_alike(*columns) for columns in db.execute(ALIKE))


def _merge_object(db: sqlite3.Connection, style: str, names: Mapping[int, str], shared: Shared) -> Iterator[Problem]:
    """Make one step of all the rows of an object; none if they cannot be merged."""
    merged = _merged(db, style, names, shared)
    if isinstance(merged, Step):
        db.execute(MERGED, (merged.key, merged.kind, merged.body, merged.seq))
        db.execute(ROWS_OF_MERGED, (*shared, merged.seq))
        db.execute(LATER_STEPS, (*shared, merged.seq))
    else:
        db.execute(LATER_STEPS, (*shared, NO_STEP))
        yield from merged


def _merged(db: sqlite3.Connection, style: str, names: Mapping[int, str], shared: Shared) -> Step | list[Problem]:
    """Merge all the rows of an object, unless they are too much for one request: then none is loaded."""
    if problem := _size_problem(db, shared):
        return [problem]
    container, type_, _ = shared
    rows = db.execute(CHANGES, shared)
    return plan.merge(style, [_change(names[container], EntityType(type_), *columns) for columns in rows])


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


def _change(container: str, type_: EntityType, line: int, object_: str, kind: str, body: bytes) -> Change:
    """Read a change back from its columns."""
    edits = edits_of(body) if kind in plan.PATCHES else ()
    return Change(line, container, type_, object_, Kind(kind), edits)
