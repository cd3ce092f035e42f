"""A disk that loses what was not synced, or refuses to go on: a VFS of SQLite's under the real ledger.

The ledger talks to the standard library's `sqlite3`, which cannot be given a file system of one's own; `apsw` can. So
`FaultyDisk.connect` takes the place of `database.connect` and returns a connection of `apsw` that behaves like the
other as far as the ledger uses it: its statements, its thread and its batches are the real ones.
"""

from __future__ import annotations

import random
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import apsw

Image = Mapping[str, bytes]
"""What is on the disk after a power cut: contents by the name's ending, "" for the ledger itself."""


class FaultyDisk(apsw.VFS):
    """Notes what was synced and what was not, and fails when it is told to.

    Attributes:
        before: called before each write, sync and truncation, with its name; raises to refuse it.
    """

    def __init__(self, path: Path, seed: int = 0) -> None:
        """Take the file `path` for synced as it is."""
        self.before: Callable[[str], None] = lambda _: None
        self.synced: dict[str, bytearray] = defaultdict(bytearray, {"": bytearray(path.read_bytes())})
        self.unsynced: dict[str, list[tuple[int, bytes | None]]] = defaultdict(list)
        self._path = path
        self._random = random.Random(seed)
        self._name = f"faulty-{id(self)}"
        super().__init__(self._name, "")

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 (SQLite's name for it)
        return _File(self, name, flags)

    def ending(self, name: Any) -> str:
        """Tell the ledger from its log."""
        full = name.filename() if isinstance(name, apsw.URIFilename) else name or "temporary"
        return str(full).removeprefix(str(self._path))

    def sync(self, ending: str) -> None:
        for offset, octets in self.unsynced.pop(ending, []):
            _apply(self.synced[ending], offset, octets)

    def cut(self) -> Image:
        """Return what is left if the power goes now: of what was not synced anything, whole or torn or not at all."""
        image = {ending: bytearray(octets) for ending, octets in self.synced.items()}
        for ending, writes in self.unsynced.items():
            for offset, octets in writes:
                match self._random.randrange(3):
                    case 0:
                        _apply(image.setdefault(ending, bytearray()), offset, octets)
                    case 1 if octets:
                        torn = octets[: self._random.randrange(len(octets))]
                        _apply(image.setdefault(ending, bytearray()), offset, torn)
        return {ending: bytes(octets) for ending, octets in image.items()}

    def connect(self, path: Path) -> Any:
        return Connection(apsw.Connection(str(path), vfs=self._name))


class _File(apsw.VFSFile):
    def __init__(self, disk: FaultyDisk, name: Any, flags: list[int]) -> None:
        super().__init__("", name, flags)
        self._disk = disk
        self._ending = disk.ending(name)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        self._disk.before("write")
        super().xWrite(data, offset)
        self._disk.unsynced[self._ending].append((offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        self._disk.before("truncate")
        super().xTruncate(newsize)
        self._disk.unsynced[self._ending].append((newsize, None))

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._disk.before("sync")
        super().xSync(flags)
        self._disk.sync(self._ending)


def _apply(content: bytearray, offset: int, octets: bytes | None) -> None:
    """Carry out a write; that of `None` is a truncation."""
    if octets is None:
        del content[offset:]
        return
    content.extend(bytes(max(0, offset - len(content))))
    content[offset : offset + len(octets)] = octets


def restore(image: Image, path: Path) -> Path:
    """Put what a power cut left into the file `path` and its log."""
    for ending, octets in image.items():
        path.with_name(path.name + ending).write_bytes(octets)
    return path


class Connection:
    """A connection of `apsw` in the clothes of one of `sqlite3` without an isolation level."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db
        self._found: list[Any] = []
        self.rowcount = -1

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> Self:
        """Carry out `statement`. The connection is its own cursor: the ledger reads what it asked for at once."""
        plain = [str(one) if isinstance(one, str) else one for one in parameters]
        try:
            self._found = self._db.execute(statement, plain).fetchall()
        except apsw.Error as error:
            said = sqlite3.OperationalError(str(error))
            said.sqlite_errorcode = getattr(error, "extendedresult", 0)
            raise said from error
        self.rowcount = self._db.changes()
        return self

    def executescript(self, script: str) -> None:
        self.execute(script)

    def fetchone(self) -> Any:
        return self._found[0] if self._found else None

    def fetchall(self) -> list[Any]:
        return self._found

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._db.in_transaction:
            self.execute("ROLLBACK" if kind else "COMMIT")
