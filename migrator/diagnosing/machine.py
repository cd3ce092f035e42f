"""This machine: the interpreter, and the folder of runs."""

from __future__ import annotations

import platform
import sqlite3
from pathlib import Path

from migrator import __version__
from migrator.core.errors import MigratorError, UsageError
from migrator.diagnosing.finding import Finding, fail, ok, warn
from migrator.ledger.database import check_sqlite
from migrator.ledger.place import FileSystem, file_system, free_octets, nearest, try_out

LITTLE_ROOM = 200_000_000
"""Octets: a run of 100,000 rows leaves a ledger of some 100 MB."""


def python() -> Finding:
    """Name the versions; an interpreter that is too old cannot have come this far."""
    versions = f"migrator {__version__}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    try:
        check_sqlite()
    except MigratorError as error:
        return fail("python", error)
    return ok("python", f"{versions}, {platform.system()}")


def ledger(folder: Path) -> Finding:
    """See whether the folder of runs is a place for ledgers."""
    if folder.exists() and not folder.is_dir():
        return fail("ledger", UsageError(f"{folder} is not a folder", "name another with --ledger (MIGRATOR_LEDGER)"))
    there = nearest(folder)
    found = file_system(there)
    try:
        try_out(there)
    except MigratorError as error:
        return fail("ledger", error)
    room = free_octets(there)
    if found is not None and (found.remote or found.fleeting):
        return _unfit(folder, found)
    if room < LITTLE_ROOM:
        return warn("ledger", f"{folder} has {room / 1e6:,.0f} MB left", "make room, or name another with --ledger")
    can = "can be written" if there == folder.absolute() else "is not there yet and can be made"
    kind = f" on {found.kind}" if found else "; what it lies on cannot be told here, a local disk is needed"
    return ok("ledger", f"{folder} {can}, {room / 1e9:,.1f} GB left{kind}")


def _unfit(folder: Path, found: FileSystem) -> Finding:
    where = f"{folder} is on {found.kind}, mounted at {found.mount}"
    if found.remote:
        hint = "name a folder on a local disk with --ledger (MIGRATOR_LEDGER), and copy finished runs away"
        return warn("ledger", f"{where}: locks and syncs over a network are not to be relied on", hint)
    hint = "name a folder that stays with --ledger (MIGRATOR_LEDGER), or mount a volume there"
    return warn("ledger", f"{where}: a restart takes the ledgers away, and with them what may have been sent", hint)
