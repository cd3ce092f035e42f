"""The steps of a run to be read back, ticked off one after the other.

The ledger is only read, and may be written by its run meanwhile: what is to be done is noted once, as the ledger is at
that moment, in a table of the reader's own, which is in a file and leaves with the connection.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from msgspec import Struct

from migrator.core.model import EntityType, Kind, Step
from migrator.core.plan import NO_EDITS
from migrator.core.states import State
from migrator.core.verify import Written
from migrator.ledger.columns import listed, touched
from migrator.ledger.conditions import NOTHING, OBJECT
from migrator.ledger.database import read_only
from migrator.ledger.reading import Summary, summary_of

PAGE = 100
"""Steps that are in memory at a time."""

TODO = """
CREATE TEMP TABLE todo (
    seq INTEGER PRIMARY KEY, container TEXT, type TEXT, kind TEXT,
    object TEXT,  -- as the receipt of a create tells it; '' if it does not
    rows INTEGER
)
"""

FILL_TODO = f"""
INSERT INTO todo
SELECT s.seq, c.name, s.type, s.kind, {OBJECT}, r.rows
FROM progress AS p JOIN step AS s ON s.seq = p.step JOIN container AS c ON c.id = s.container
JOIN (SELECT step, count(*) AS rows FROM input_row GROUP BY step) AS r ON r.step = s.seq
WHERE p.state IN ('{State.APPLIED}', '{State.UNCHANGED}')
"""

COUNT_UNTOUCHED = f"SELECT count(*) FROM step JOIN input_row ON step = seq WHERE {NOTHING}"

LEAVE_UNTOUCHED = f"DELETE FROM todo WHERE seq IN (SELECT seq FROM step WHERE {NOTHING})"

INDEX_TODO = "CREATE INDEX temp.todo_by_object ON todo (object)"

GROUPS = f"""
SELECT container, type, count(*) FROM todo WHERE kind <> '{Kind.DELETE}' AND object <> '' GROUP BY container, type
"""

BODY = f"CASE t.kind WHEN '{Kind.COPY}' THEN coalesce(b.body, x'7B7D') ELSE s.body END"
"""What was sent: of a copy that is in its base. What was there already may be anything, which `{}` says."""

WRITTEN = f"""
SELECT t.seq, s.key, t.container, t.type, t.object, t.kind, {BODY}, p.state, b.touched, t.rows
FROM todo AS t CROSS JOIN step AS s ON s.seq = t.seq JOIN progress AS p ON p.step = t.seq
LEFT JOIN base AS b ON b.step = t.seq
"""

AMONG = f"""
{WRITTEN} WHERE t.object IN (SELECT value FROM json_each(?)) AND t.container = ? AND t.type = ?
  AND t.kind <> '{Kind.DELETE}'
"""

REMAINING = f"{WRITTEN} WHERE t.seq > ? ORDER BY t.seq LIMIT ?"

TICK = "DELETE FROM todo WHERE seq = ?"


class Group(Struct, frozen=True):
    """Objects that one list shows.

    Attributes:
        container: where.
        type: of what.
        objects: how many are to be read back.
    """

    container: str
    type: EntityType
    objects: int


class Checklist:
    """What is still to be read back of one run.

    Attributes:
        summary: where the run stood when the list was made.
        untouched: rows that wanted nothing, such as those of an export that nobody has edited. Whatever has become of
            their objects, nothing was written to them.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        """Make the list in `db`, a ledger that is open for reading."""
        self._db = db
        db.execute(TODO)
        # One transaction, so that a running run does not move between the counts and the list.
        db.execute("BEGIN")
        self.summary: Summary = summary_of(db)
        db.execute(FILL_TODO)
        (self.untouched,) = db.execute(COUNT_UNTOUCHED, (NO_EDITS,)).fetchone()
        db.execute(LEAVE_UNTOUCHED, (NO_EDITS,))
        db.execute("COMMIT")
        db.execute(INDEX_TODO)

    @classmethod
    @contextmanager
    def opened(cls, path: Path) -> Iterator[Self]:
        """Make the list of the run whose ledger is `path`.

        Raises:
            LedgerFailed: the ledger cannot be read.
        """
        with read_only(path) as db:
            yield cls(db)

    @property
    def containers(self) -> list[str]:
        """The containers that there is anything to read of."""
        return [name for (name,) in self._db.execute("SELECT DISTINCT container FROM todo ORDER BY 1")]

    @property
    def groups(self) -> list[Group]:
        """What may be read from lists: everything but what should be gone, which no list can show."""
        return [Group(container, EntityType(type_), count) for container, type_, count in self._db.execute(GROUPS)]

    def among(self, group: Group, objects: Collection[str]) -> list[Written]:
        """Return the steps of a group that are for `objects`."""
        found = self._db.execute(AMONG, (listed(objects), group.container, group.type))
        return [_written(*row) for row in found]

    def remaining(self) -> Iterator[Written]:
        """Yield the steps that are not ticked off, in the order of their rows."""
        after = 0
        while rows := self._db.execute(REMAINING, (after, PAGE)).fetchall():
            yield from (_written(*row) for row in rows)
            after = rows[-1][0]

    def tick(self, seq: int) -> None:
        """Take a step from the list."""
        self._db.execute(TICK, (seq,))


def _written(
    seq: int,
    key: str,
    container: str,
    type_: str,
    object_: str,
    kind: str,
    body: bytes,
    state: str,
    places: str | None,
    rows: int,
) -> Written:
    step = Step(seq, key, container, EntityType(type_), object_, Kind(kind), body)
    return Written(step, State(state), touched(places), rows)
