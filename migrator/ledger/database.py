"""Opening a ledger file, and the translation of what SQLite raises into what a person can act on."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from migrator.core.errors import LedgerFailed, UsageError
from migrator.ledger.schema import FORMAT

OLDEST_SQLITE = (3, 37, 0)
"""STRICT tables came with it."""

CACHE_KIB = 4096
"""Page cache per connection: bounds the memory of a run whatever the size of its ledger."""

BUSY_S = 10.0
"""How long to wait for another process's short read or write before giving up."""


@contextmanager
def ledger_errors(path: Path) -> Iterator[None]:
    """Turn an error of SQLite or of the disk into a `LedgerFailed` that says which file and what to do."""
    try:
        yield
    except sqlite3.Error as error:
        raise LedgerFailed(f"the ledger {path} cannot be used: {error}", _advice(error)) from error
    except OSError as error:
        raise LedgerFailed(f"the ledger {path} cannot be used: {error.strerror or error}", _advice(error)) from error


def _advice(error: Exception) -> str:
    text = str(error)
    if "full" in text or "No space" in text:
        return "make room on the disk; nothing was sent that is not in the ledger"
    if "locked" in text:
        return "another program holds the ledger open for writing; close it"
    if "readonly" in text or "Permission" in text or "unable to open" in text:
        return "check the permissions of the folder, or name another with --ledger"
    return "the ledger must be on a local disk that works"


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Open an existing ledger and check its format.

    Args:
        path: the file.
        read_only: open without any right to write; for `status`, `results` and the like, also while a run is running.

    Raises:
        UsageError: the file is no ledger, or one of another format.
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
    except BaseException:
        connection.close()
        raise
    tune(connection)
    return connection


def tune(connection: sqlite3.Connection) -> None:
    """Bound the memory of `connection` and keep what does not fit in files."""
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    connection.execute("PRAGMA temp_store = FILE")


def _check_format(connection: sqlite3.Connection, path: Path) -> None:
    try:
        (found,) = connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.DatabaseError as error:
        raise UsageError(f"{path} is not a ledger: {error}") from error
    if found != FORMAT:
        hint = "use the version of migrator that wrote it"
        raise UsageError(f"{path} has ledger format {found}; this version reads format {FORMAT}", hint)


def check_sqlite() -> None:
    """Refuse an SQLite that is too old for the ledger's tables.

    Raises:
        UsageError: it is.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        wanted = ".".join(map(str, OLDEST_SQLITE))
        raise UsageError(f"SQLite {sqlite3.sqlite_version} is too old for the ledger, which needs {wanted}")
