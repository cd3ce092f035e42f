"""What rows call by another name than the service's ids: it has to be looked up before they are merged."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from migrator.core.edit import edits_body, edits_of
from migrator.core.model import By, EntityType, Problem, TextChange
from migrator.core.values import quote
from migrator.ledger.database import ledger_errors

GROUPS = """
    SELECT container, type, sought, count(DISTINCT name) FROM draft.change WHERE sought <> ''
    GROUP BY 1, 2, 3 ORDER BY min(line)
"""

VALUES = """
    SELECT DISTINCT name FROM draft.change WHERE container = ? AND type = ? AND sought = ?
"""

FOUND = """
    INSERT OR IGNORE INTO draft.found SELECT ?1, ?2, ?3, ?4, ?5 WHERE EXISTS (
        SELECT 1 FROM draft.change WHERE container = ?1 AND type = ?2 AND sought = ?3 AND name = ?4
    )
"""

SETTLE = """
    UPDATE draft.change AS c SET identity = 'id:' || f.object
    FROM (
        SELECT container, type, sought, value, min(object) AS object FROM draft.found
        GROUP BY 1, 2, 3, 4 HAVING count(*) = 1
    ) AS f
    WHERE c.sought <> '' AND f.container = c.container AND f.type = c.type AND f.sought = c.sought AND f.value = c.name
"""

SETTLE_STEPS = """
    UPDATE main.step AS s SET object = substr(c.identity, 1 + length('id:')) FROM draft.change AS c
    WHERE c.line = s.seq AND c.sought <> '' AND c.identity LIKE 'id:%'
"""

ANYTHING = "SELECT EXISTS (SELECT 1 FROM draft.change WHERE sought <> '' OR placement <> '')"

NOT_FOUND = """
    SELECT c.line, c.type, c.sought, c.name, (
        SELECT group_concat(object, ', ') FROM draft.found AS f
        WHERE f.container = c.container AND f.type = c.type AND f.sought = c.sought AND f.value = c.name
    ) FROM draft.change AS c WHERE c.sought <> '' AND c.identity NOT LIKE 'id:%' ORDER BY line
"""


class Seeking(Struct, frozen=True):
    """Objects that are looked up in the same way.

    Attributes:
        container: where.
        type: of what.
        by: by what.
        count: how many.
    """

    container: str
    type: EntityType
    by: By
    count: int


class Sought:
    """What one plan seeks. It takes what is found."""

    def __init__(
        self,
        db: sqlite3.Connection,
        path: Path,
        containers: Mapping[str, int],
        complain: Callable[[Iterable[Problem]], None],
    ) -> None:
        """Say what is sought.

        Args:
            db: the plan, with its draft.
            path: what to call it in errors.
            containers: their numbers.
            complain: takes what is not found.
        """
        self._db = db
        self._path = path
        self._containers = containers
        self._names = {id_: name for name, id_ in containers.items()}
        self._complain = complain

    @property
    def anything(self) -> bool:
        """Whether anything has to be looked up before the rows of an object can be found."""
        with ledger_errors(self._path):
            (found,) = self._db.execute(ANYTHING).fetchone()
        return bool(found)

    def groups(self) -> list[Seeking]:
        """Return what objects are sought, by container, type and kind of name."""
        with ledger_errors(self._path):
            groups = self._db.execute(GROUPS).fetchall()
        return [Seeking(self._names[id_], EntityType(type_), By(by), count) for id_, type_, by, count in groups]

    def values(self, seeking: Seeking) -> list[str]:
        """Return the names or references of a group."""
        with ledger_errors(self._path):
            return [value for (value,) in self._db.execute(VALUES, self._group(seeking))]

    def found(self, seeking: Seeking, objects: Iterable[tuple[str, str]]) -> None:
        """Take in objects that were found: name or reference, and id. Those that nobody seeks are left out."""
        with ledger_errors(self._path):
            self._db.executemany(FOUND, [(*self._group(seeking), value, object_) for value, object_ in objects])

    def _group(self, seeking: Seeking) -> tuple[int, str, str]:
        return self._containers[seeking.container], seeking.type, seeking.by

    def settle(self) -> None:
        """Give each row the id of its object. Rows whose object was not found, or found twice, become problems."""
        with ledger_errors(self._path):
            self._db.execute(SETTLE)
            self._db.execute(SETTLE_STEPS)
            self._complain(_not_found(*columns) for columns in self._db.execute(NOT_FOUND))

    def text_containers(self) -> list[str]:
        """Return the containers in which placements have to be looked up."""
        with ledger_errors(self._path):
            found = self._db.execute("SELECT DISTINCT container FROM draft.change WHERE placement <> '' ORDER BY 1")
            return [self._names[id_] for (id_,) in found]

    def reword(self, container: str, change: Callable[[str, TextChange], TextChange | Problem]) -> None:
        """Change the texts of a container for which a placement was looked up.

        Args:
            container: where.
            change: makes of the placement that was sought and of the text the text that is meant, or a problem.
        """
        with ledger_errors(self._path):
            rows = self._db.execute(
                """SELECT c.line, c.placement, s.body FROM draft.change AS c JOIN main.step AS s ON s.seq = c.line
                   WHERE c.container = ? AND c.placement <> '' ORDER BY c.line""",
                (self._containers[container],),
            )
            for line, placement, body in rows:
                meant = [change(placement, edit) for edit in edits_of(body) if isinstance(edit, TextChange)]
                problems = [msgspec.structs.replace(one, line=line) for one in meant if isinstance(one, Problem)]
                self._complain(problems)
                texts = [one for one in meant if isinstance(one, TextChange)]
                self._db.execute("UPDATE main.step SET body = ? WHERE seq = ?", (edits_body(texts), line))


def _not_found(line: int, type_: str, by: str, value: str, found: str | None) -> Problem:
    """Say that a row's object was not found, or more than once."""
    column = "name" if by == By.NAME else "id"
    if found is None:
        which = f"named {quote(value)}" if by == By.NAME else quote(value)
        return Problem(line, column, f"there is no {type_} {which}", "see how it is spelled there, or give its id")
    hint = "name the one that is meant by its id"
    return Problem(line, column, f"several of type {type_} are called {quote(value)}: {found}", hint)
