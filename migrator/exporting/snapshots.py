"""What objects were when they were exported: one SQLite file, which grows while they are read and is kept with a CSV.

While an export is read, the file is what keeps memory flat and repeated entries of a list from being there twice.
Beside a CSV it stays, as `FILE.snapshot`, to tell what of the CSV was edited.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import msgspec
from msgspec import Struct

from migrator.core.errors import InputError, UsageError
from migrator.core.model import EntityType, Json
from migrator.core.snapshot import document_of, placed
from migrator.core.styles import STYLES

FORMAT = 1
"""Version of the tables, kept in `PRAGMA user_version`."""

BATCH = 500
"""Objects kept in memory before they are written."""

TABLES = f"""
CREATE TABLE export (
    id         TEXT NOT NULL,
    created_at REAL NOT NULL,  -- seconds since the epoch
    style      TEXT NOT NULL,
    base_url   TEXT NOT NULL,
    org_id     TEXT NOT NULL,
    sandbox    TEXT NOT NULL,
    columns    TEXT NOT NULL   -- JSON array of pointers
) STRICT;
CREATE TABLE object (
    number    INTEGER PRIMARY KEY,  -- in the order of the lists
    container TEXT NOT NULL,
    type      TEXT NOT NULL,
    id        TEXT NOT NULL,
    line      BLOB,                 -- see core.snapshot; NULL if it was read and not wanted
    UNIQUE (id, container, type)
) STRICT;
PRAGMA user_version = {FORMAT};
"""

ADD = """
INSERT INTO object (container, type, id, line) VALUES (?, ?, ?, ?)
ON CONFLICT (id, container, type) DO UPDATE SET line = excluded.line
"""

OBJECTS = "SELECT container, type, id, line FROM object WHERE line IS NOT NULL ORDER BY number"


class Origin(Struct, frozen=True):
    """Which export it is, and of what.

    Attributes:
        id: names it, in the CSV too.
        created_at: seconds since the epoch.
        style: endpoint style.
        base_url: the service.
        org_id: the organisation.
        sandbox: the sandbox.
    """

    id: str
    created_at: float
    style: str
    base_url: str
    org_id: str
    sandbox: str


class Exported(Struct, frozen=True):
    """One object as it was exported.

    Attributes:
        container: where it is.
        type: what it is.
        id: the id that the URL addresses.
        line: see `core.snapshot`.
    """

    container: str
    type: EntityType
    id: str
    line: bytes


def beside(path: Path) -> Path:
    """Return where the snapshot of a CSV is looked for."""
    return path.with_name(path.name + ".snapshot")


def new_export_id(now: float) -> str:
    """Return an id that sorts by time and that no spreadsheet takes for a number or a date."""
    return f"export-{datetime.fromtimestamp(now, UTC):%Y%m%d-%H%M%S}-{os.urandom(2).hex()}"


class Spool:
    """A snapshot that is being made. Use as a context manager; the file is its caller's to keep or to remove."""

    def __init__(self, path: Path, origin: Origin) -> None:
        """Make the file `path`, which must not be there yet.

        Raises:
            UsageError: it cannot be made.
        """
        self.origin = origin
        self.path = path
        self._batch: list[tuple[str, str, str, bytes | None]] = []
        with self._errors():
            self._db = sqlite3.connect(path, isolation_level=None)
            # Until the export is whole, nobody needs the file; then it is renamed.
            self._db.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {TABLES}")
            self._db.execute("INSERT INTO export VALUES (?, ?, ?, ?, ?, ?, '[]')", msgspec.structs.astuple(origin))
            self._db.execute("BEGIN")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._db.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            hint = "is there room on the disk, and may you write there?"
            raise UsageError(f"{self.path} cannot be written: {error}", hint) from error

    def add(self, container: str, type_: EntityType, object_: str, line: bytes | None) -> None:
        """Take in an object that was read, in the place of an earlier reading of it.

        Args:
            container: where it is.
            type_: what it is.
            object_: its id.
            line: see `core.snapshot`; `None` if it is not wanted.
        """
        self._batch.append((container, type_.value, object_, line))
        if len(self._batch) >= BATCH:
            self._write()

    def _write(self) -> None:
        with self._errors():
            self._db.executemany(ADD, self._batch)
        self._batch.clear()

    def count(self, container: str, type_: EntityType) -> int:
        """Return how many different objects of a type were read, wanted or not."""
        self._write()
        with self._errors():
            (count,) = self._db.execute(
                "SELECT count(*) FROM object WHERE container = ? AND type = ?", (container, type_.value)
            ).fetchone()
        return int(count)

    def objects(self) -> Iterator[Exported]:
        """Yield the objects that are wanted, in the order in which they were read first."""
        self._write()
        with self._errors():
            for container, type_, object_, line in self._db.execute(OBJECTS):
                yield Exported(container, EntityType(type_), object_, line)

    def finish(self, columns: Sequence[str]) -> None:
        """Make it a snapshot: durable, and with nothing in it that is not wanted.

        Args:
            columns: the pointers that the CSV has columns for.
        """
        with self._errors():
            self._db.execute("DELETE FROM object WHERE line IS NULL")
            self._db.execute("UPDATE export SET columns = ?", (msgspec.json.encode(columns).decode(),))
            self._db.execute("COMMIT")
            self._db.close()
            with self.path.open("rb") as file:
                os.fsync(file.fileno())


class Snapshot:
    """A snapshot that is read. It is the `core.edited.Export` of its CSV; use as a context manager."""

    def __init__(self, path: Path) -> None:
        """Open the file `path`.

        Raises:
            InputError: it is no snapshot.
        """
        self.path = path
        with self._errors():
            # Nothing ever writes to it, so that it may also stand where nobody can write.
            self._db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            if version != FORMAT:
                raise InputError(f"{path} is a snapshot of format {version}, or none", "export anew")
            *origin, columns = self._db.execute("SELECT * FROM export").fetchone()
        self.origin = Origin(*origin)
        self.columns: Collection[str] = frozenset(msgspec.json.decode(columns))
        self._style = STYLES[self.origin.style]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._db.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            hint = "is it the file that was written beside the export? If it is damaged, export anew"
            raise InputError(f"{self.path} is no snapshot of an export: {error}", hint) from error

    @property
    def id(self) -> str:
        """What each row of the CSV says."""
        return self.origin.id

    def check(self, style: str, sandbox: str) -> None:
        """See whether what was exported is what is to be changed.

        Args:
            style: the endpoint style that the changes are for.
            sandbox: the profile's sandbox; "" if nothing names one.

        Raises:
            InputError: it is not.
        """
        if style != self.origin.style:
            message = f"{self.id} was exported in the style {self.origin.style}, and the style is {style}"
            raise InputError(message, f"add --style {self.origin.style}")
        if sandbox not in ("", self.origin.sandbox):
            message = f"{self.id} was exported from sandbox {self.origin.sandbox}, and the sandbox is {sandbox}"
            raise InputError(message, f"add --sandbox {self.origin.sandbox}, or export from {sandbox}")

    def document(self, container: str, type_: EntityType, object_: str) -> Json | None:
        """Return an object as it was exported, as pointers lead into it; `None` if it was not exported."""
        with self._errors():
            found = self._db.execute(
                "SELECT line FROM object WHERE id = ? AND container = ? AND type = ?",
                (object_, container, type_.value),
            ).fetchone()
        return placed(document_of(found[0]), self._style) if found else None
