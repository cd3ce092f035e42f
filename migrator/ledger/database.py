"""Opening a ledger file, and the translation of what SQLite raises into what a person can act on."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from migrator.core.errors import LedgerFailed, UsageError
from migrator.ledger.schema import FORMAT

OLDEST_SQLITE = (3, 38, 0)
"""Every build has STRICT tables and the functions for JSON from it on."""

CACHE_KIB = 1024
"""Page cache per connection: bounds the memory of a run whatever the size of its ledger.

A plan has two files open, and what one thread frees another does not get, so that caches add up; and a larger one is no
faster, since rows are written in order and read in order."""

WHOLE_PAGES = 65_536
"""A ledger of so many pages, 256 MiB, is read in a part of a second."""

BUSY_S = 10.0
"""How long to wait for another process's short read or write before giving up."""

_ROOM = "make room on the disk; nothing was sent that is not in the ledger"
_RIGHTS = "check the permissions of the folder, or name another with --ledger"
_DISK = "the disk refuses it: is it full, over a quota, remote, or failing?"
_HELD = "another program holds the ledger open for writing; close it"
DAMAGED = "the file is damaged: put back a copy of it, and look at what was applied before the changes are sent anew"

_ADVICE_BY_CODE: Mapping[int, str] = {
    sqlite3.SQLITE_FULL: _ROOM,
    sqlite3.SQLITE_BUSY: _HELD,
    sqlite3.SQLITE_LOCKED: _HELD,
    sqlite3.SQLITE_READONLY: _RIGHTS,
    sqlite3.SQLITE_PERM: _RIGHTS,
    sqlite3.SQLITE_CANTOPEN: _RIGHTS,
    sqlite3.SQLITE_CORRUPT: DAMAGED,
    sqlite3.SQLITE_NOTADB: DAMAGED,
}

_ADVICE_BY_ERRNO: Mapping[int, str] = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EFBIG: _ROOM,
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EROFS: _RIGHTS,
}


@contextmanager
def ledger_errors(path: Path) -> Iterator[None]:
    """Turn an error of SQLite or of the disk into a `LedgerFailed` that says which file and what to do."""
    try:
        yield
    except sqlite3.Error as error:
        advice = _ADVICE_BY_CODE.get(_primary_code(error), _DISK)
        raise LedgerFailed(f"the ledger {path} cannot be used: {error}", advice) from error
    except OSError as error:
        advice = _ADVICE_BY_ERRNO.get(error.errno or 0, _DISK)
        raise LedgerFailed(f"the ledger {path} cannot be used: {error.strerror or error}", advice) from error


def _primary_code(error: sqlite3.Error) -> int:
    """Return SQLite's result code without its extension; 0 for an error of the module itself, which has none."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Open an existing ledger and check its format, which may be an earlier one than ours.

    Args:
        path: the file.
        read_only: open without any right to write.

    Raises:
        UsageError: the file is no ledger, or one of a later format.
        sqlite3.Error: it cannot be opened; put `ledger_errors` around.
    """
    # A read-only connection still needs the WAL's index file, which SQLite makes by itself.
    mode = "ro" if read_only else "rw"
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=BUSY_S,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        _check_format(connection, path)
        tune(connection)
    except BaseException:
        connection.close()
        raise
    return connection


LATER_TABLES: Mapping[int, str] = {
    2: "CREATE TEMP TABLE base (step INTEGER PRIMARY KEY, touched TEXT, body BLOB)",
    3: "CREATE TEMP TABLE held (step INTEGER PRIMARY KEY)",
    4: """
CREATE TEMP VIEW to_send AS
    SELECT s.container, s.seq AS step FROM step AS s LEFT JOIN progress AS p ON p.step = s.seq
    WHERE coalesce(p.state, 'PENDING') = 'PENDING';
CREATE TEMP VIEW tally AS
    SELECT p.state, count(*) AS steps, count(*) + coalesce(sum(r.more), 0) AS rows,
           sum(p.attempt - coalesce(a.unsent, 0)) AS attempts, sum(p.attempt > coalesce(a.unsent, 0)) AS tried,
           min(p.sent_at) FILTER (WHERE p.attempt > 0) AS first_sent_at, max(p.ended_at) AS ended_at
    FROM progress AS p
    LEFT JOIN (SELECT step, count(*) AS more FROM input_row WHERE step <> line GROUP BY step) AS r ON r.step = p.step
    LEFT JOIN (SELECT step, count(*) AS unsent FROM attempt WHERE error_class = '' GROUP BY step) AS a
        ON a.step = p.step
    WHERE p.state IN ('APPLIED', 'REJECTED', 'SKIPPED', 'UNCHANGED') GROUP BY p.state;
""",
}
"""By the format that they came with, what stands in for tables that whoever looks at a run asks for."""


@contextmanager
def read_only(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a ledger to look at it, also while its run is running.

    What came with a later format than its own is empty, or worked out.

    Raises:
        UsageError: the file is no ledger, or one of a later format.
        LedgerFailed: it cannot be read.
    """
    with ledger_errors(path), closing(connect(path, read_only=True)) as connection:
        found = format_of(connection)
        for format_, stand_in in LATER_TABLES.items():
            if found < format_:
                connection.executescript(stand_in)
        yield connection


def tune(connection: sqlite3.Connection) -> None:
    """Bound the memory of `connection` and keep what does not fit in files."""
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    connection.execute("PRAGMA temp_store = FILE")


def _check_format(connection: sqlite3.Connection, path: Path) -> None:
    found = format_of(connection)
    if not found:
        hint = "a ledger is made by `migrator apply`; `migrator runs` lists those there are"
        raise UsageError(f"{path} is not a ledger", hint)
    if not 0 < found <= FORMAT:
        hint = "use the version of migrator that wrote it"
        raise UsageError(f"{path} has ledger format {found}; this version reads formats 1 to {FORMAT}", hint)


def format_of(connection: sqlite3.Connection) -> int:
    """Return the format that the file names, or 0 if it names none, is empty, or is no SQLite file."""
    try:
        (found,) = connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.DatabaseError as error:
        if _primary_code(error) != sqlite3.SQLITE_NOTADB:
            raise
        return 0
    return int(found)


def check_whole(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a ledger that is damaged, before anything is sent on the strength of what is left of it.

    One that is too large to be read whole before the first request is checked where it says what is to be sent. Damage
    in the rest is found when it is needed, and nothing is sent on the strength of it: a step is read, and its intent
    written, before its request. That no row is missing is counted whatever the size (`Summary.lost`).

    Raises:
        LedgerFailed: it is.
        sqlite3.Error: it is so damaged that it cannot be read; put `ledger_errors` around.
    """
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    tables = ["1"] if pages <= WHOLE_PAGES else ["to_send", "held", "lease"]
    for table in tables:
        (found, *_) = connection.execute(f"PRAGMA quick_check({table})").fetchone()
        if found != "ok":
            raise LedgerFailed(f"the ledger {path} is damaged: {' '.join(found.split())}", DAMAGED)


def check_sqlite() -> None:
    """Refuse an SQLite that is too old for the ledger's tables.

    Raises:
        UsageError: it is.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        wanted = ".".join(map(str, OLDEST_SQLITE))
        raise UsageError(f"SQLite {sqlite3.sqlite_version} is too old for the ledger, which needs {wanted}")


def sync(path: Path) -> None:
    """Push a file or a folder to the disk; of a folder, that is which files are in it.

    Raises:
        OSError: the disk did not take it.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
