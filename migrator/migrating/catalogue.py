"""All objects of one side of a migration, found by type and id or name."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Self

import msgspec
from msgspec import Struct

from migrator.core.model import EntityType, Json
from migrator.core.plan import name_in
from migrator.core.snapshot import document_of
from migrator.exporting.snapshots import Exported, Spool

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Json]).decode


class Entry(Struct, frozen=True):
    """An object in a catalogue.

    Attributes:
        container: where it is.
        object: the id that its URL takes.
        reference: the id by which others refer to it.
        name: its name.
        etag: its version.
        created_by: who made it.
        channel: of a placement.
        document: its own members, as JSON text.
    """

    container: str
    object: str
    reference: str
    name: str
    etag: int
    created_by: str
    channel: str
    document: bytes

    @property
    def members(self) -> dict[str, Json]:
        """What `document` says."""
        return _decode(self.document)


class Fate(StrEnum):
    """What becomes of an object that was chosen."""

    MAKE = "to create"
    THERE = "there already"
    LEFT = "left alone"
    REFUSED = "refused"

    @property
    def lost(self) -> bool:
        """Whether the target will not have the object for others to refer to."""
        return self in (Fate.LEFT, Fate.REFUSED)


class Catalogue:
    """All objects of one side, found by type and id or name. Use as a context manager."""

    def __init__(self, path: Path, spool: Spool) -> None:
        """List what is in `spool` in the file `path`."""
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.create_function("matches", 2, fnmatchcase, deterministic=True)
        self._db.executescript(
            """PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA temp_store = FILE;
               CREATE TABLE entry (
                   type TEXT, container TEXT, object TEXT, reference TEXT, name TEXT, etag INTEGER,
                   created_by TEXT, channel TEXT, document BLOB
               ) STRICT;"""
        )
        self._db.execute("BEGIN")
        self._db.executemany("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", map(_columns, spool.objects()))
        self._db.execute("COMMIT")
        self._db.executescript(
            """CREATE INDEX by_reference ON entry (type, reference); CREATE INDEX by_name ON entry (type, name);
               CREATE TABLE chosen (
                   type TEXT, reference TEXT, fate TEXT NOT NULL, why TEXT NOT NULL DEFAULT '',
                   PRIMARY KEY (type, reference)
               ) STRICT, WITHOUT ROWID;
               CREATE TABLE need (
                   by_type TEXT, by_reference TEXT, number INTEGER, type TEXT, reference TEXT,
                   PRIMARY KEY (by_type, by_reference, number)
               ) STRICT, WITHOUT ROWID;"""
        )
        self._types = {type_ for (type_,) in self._db.execute("SELECT DISTINCT type FROM entry")}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._db.close()

    def _find(self, condition: str, *parameters: object) -> Iterator[Entry]:
        columns = ", ".join(Entry.__struct_fields__)
        for row in self._db.execute(f"SELECT {columns} FROM entry WHERE {condition} ORDER BY rowid", parameters):  # noqa: S608 (our own)
            yield Entry(*row)

    def of_type(self, type_: EntityType) -> Iterator[Entry]:
        """Yield the objects of a type."""
        return self._find("type = ?", type_.value)

    def called(self, type_: EntityType, name: str) -> list[Entry]:
        """Return the objects of a type that have a name."""
        return list(self._find("type = ? AND name = ?", type_.value, name))

    def referred(self, type_: str, reference: str) -> Entry | None:
        """Return the object that others refer to by an id, or `None`."""
        return next(self._find("type = ? AND reference = ?", type_, reference), None)

    def alike(self, type_: EntityType, other: Entry) -> list[Entry]:
        """Return the objects of a type that have the id of an object elsewhere, or its name; that of its id first."""
        condition = "type = ? AND (reference = ? OR name = ? AND name <> '')"
        found = self._find(condition, type_.value, other.reference, other.name) if type_ in self._types else ()
        return sorted(found, key=lambda one: one.reference != other.reference)

    def channel_of(self, placement: str) -> str | None:
        """Return the channel of a placement, by the id that others refer to it by, or `None` if that is not known."""
        entry = self.referred(EntityType.PLACEMENT, placement)
        return entry.channel if entry is not None and entry.channel else None

    def names(self, type_: EntityType) -> list[str]:
        """Return the names of a type's objects."""
        return [name for (name,) in self._db.execute("SELECT name FROM entry WHERE type = ?", (type_.value,))]

    def choose(self, type_: str, reference: str) -> bool:
        """Choose an object, to be made; return whether it was not chosen before."""
        insert = "INSERT OR IGNORE INTO chosen (type, reference, fate) VALUES (?, ?, ?)"
        return self._db.execute(insert, (type_, reference, Fate.MAKE)).rowcount == 1

    def choose_called(self, type_: EntityType, pattern: str) -> None:
        """Choose the objects of a type that have names like a pattern of `fnmatch`."""
        self._db.execute(
            "INSERT OR IGNORE INTO chosen (type, reference, fate)"
            " SELECT type, reference, ? FROM entry WHERE type = ? AND matches(name, ?)",
            (Fate.MAKE, type_.value, pattern),
        )

    def settle(self, type_: str, reference: str, fate: Fate, why: str) -> None:
        """Note what else becomes of a chosen object, and why."""
        values = (fate, why, type_, reference)
        self._db.execute("UPDATE chosen SET fate = ?, why = ? WHERE type = ? AND reference = ?", values)

    def note_needs(self, type_: str, reference: str, needs: Iterable[tuple[str, str]]) -> None:
        """Note what a chosen object needs: types and ids, which may be of what is not here."""
        rows = ((type_, reference, number, *need) for number, need in enumerate(dict.fromkeys(needs)))
        self._db.executemany("INSERT INTO need VALUES (?, ?, ?, ?, ?)", rows)

    def needs_of(self, type_: str, reference: str) -> list[tuple[str, str]]:
        """Return what an object was noted to need."""
        found = "SELECT type, reference FROM need WHERE by_type = ? AND by_reference = ? ORDER BY number"
        return self._db.execute(found, (type_, reference)).fetchall()

    def settled(self, type_: str, reference: str) -> tuple[Fate, str]:
        """Return what becomes of a chosen object, and why if it is not made."""
        found = self._db.execute("SELECT fate, why FROM chosen WHERE type = ? AND reference = ?", (type_, reference))
        fate, why = found.fetchone()
        return Fate(fate), why

    def fate(self, type_: str, reference: str) -> Fate | None:
        """Return what becomes of an object, `None` if it was not chosen."""
        found = self._db.execute("SELECT fate FROM chosen WHERE type = ? AND reference = ?", (type_, reference))
        row = found.fetchone()
        return None if row is None else Fate(row[0])


def _columns(one: Exported) -> tuple[object, ...]:
    line = _decode(one.line)
    document = document_of(one.line)
    channel = member(document, "channel", "")
    return (
        *(one.type.value, one.container, one.id, line["reference"], name_in(document)),
        *(line["etag"], line["created_by"], channel if isinstance(channel, str) else "", _encode(document)),
    )


def member(document: Mapping[str, Json], name: str, default: Json) -> Json:
    """Return a member in the spelling of either style."""
    return document.get(name, document.get(f"xdm:{name}", default))
