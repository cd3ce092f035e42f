"""Making the steps of a plan: one for each object, of all the changes that are for it.

Each row is a step of its own so far, and for nearly all that is right. Those of which several are for one object go
through `core.plan.merge`, one object at a time, and become one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, groupby
from operator import itemgetter

from migrator.core import plan
from migrator.core.edit import edits_of
from migrator.core.model import Change, Problem, Step
from migrator.core.values import MAX_OBJECT_BYTES
from migrator.ledger import statements
from migrator.ledger.columns import KINDS, TYPES

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

CHANGES = """
    SELECT m.container, m.type, m.identity, s.seq, s.object, s.kind,
           CASE WHEN s.kind IN ('patch', 'edit') THEN s.body ELSE x'' END
    FROM draft.shared AS m CROSS JOIN main.step AS s ON s.seq = m.line
    ORDER BY m.container, m.type, m.identity, m.line
"""
"""The changes of these objects, one object after the other. Only patches merge, so that what several rows create need
not be loaded to refuse it."""

MERGED = "UPDATE step SET key = ?, kind = ?, body = ? WHERE seq = ?"

UNMERGED = "DELETE FROM step WHERE seq = ?"

_LATER = """
    SELECT line, first FROM (
        SELECT line, min(line) OVER (PARTITION BY container, type, identity) AS first FROM draft.shared
    ) WHERE line <> first
"""

LATER_ROWS = (
    f"UPDATE input_row SET step = later.first FROM ({_LATER}) AS later WHERE input_row.line = later.line",
    f"DELETE FROM step WHERE seq IN (SELECT line FROM ({_LATER}))",
)
"""Let the rows of an object belong to the step of the first one."""

ALIKE = """
    SELECT line, type, name, first FROM (
        SELECT line, type, name, identity, first_value(line) OVER names AS first,
               first_value(identity) OVER names AS first_identity
        FROM draft.change WHERE kind = 'create' WINDOW names AS (PARTITION BY container, type, name ORDER BY line)
    ) WHERE line <> first AND identity <> first_identity ORDER BY line
"""
"""Find the creates of which an earlier one has the same name."""

Columns = tuple[int, str, str, int, str, str, bytes]
"""Of a change: its container by number, its type, the identity of its object; its line, object, kind and body."""


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
    # Meanwhile steps change: only those of objects that have been read.
    for (container, _, _), rows in groupby(db.execute(CHANGES), itemgetter(0, 1, 2)):
        yield from _merge_object(db, style, names[container], rows)
    for statement in LATER_ROWS:
        db.execute(statement)
    if not marks:
        yield from (_alike(*columns) for columns in db.execute(ALIKE))


def _merge_object(db: sqlite3.Connection, style: str, container: str, rows: Iterator[Columns]) -> Iterator[Problem]:
    """Make one step of all the rows of an object; none if they cannot be merged."""
    first = next(rows)
    changes = _loaded(container, chain([first], rows))
    merged = [changes] if isinstance(changes, Problem) else plan.merge(style, changes)
    if isinstance(merged, Step):
        db.execute(MERGED, (merged.key, merged.kind, merged.body, merged.seq))
    else:
        db.execute(UNMERGED, (first[3],))
        yield from merged


def _loaded(container: str, rows: Iterable[Columns]) -> list[Change] | Problem:
    """Load the changes of one object, but no more than one request takes: then return the row that is too much.

    Of each further list of operations the patch gains all bytes but one: the brackets go and a comma comes.
    """
    changes, size = [], 1
    for _, type_, _, line, object_, kind, body in rows:
        size += len(body) - 1 if kind in plan.PATCHES else 0
        if size > MAX_OBJECT_BYTES:
            return _too_large(line, size)
        edits = edits_of(body) if kind in plan.PATCHES else ()
        changes.append(Change(line, container, TYPES[type_], object_, KINDS[kind], edits))
    return changes


def _too_large(line: int, size: int) -> Problem:
    """Name the row with which the patch of an object gets larger than an object may be."""
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
