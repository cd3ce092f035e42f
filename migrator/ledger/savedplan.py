"""Saved plans: a plan that people have looked at, to be carried out as it was shown, or not at all.

A saved plan is a ledger without a run: the same tables, with what every object was when the plan was made in `review`
instead of `base`, and a seal over all of it. Carrying it out copies it into the folder of a run. Each object is then
read once more, and refused if it has changed.

The seal is a hash, and not a signature: it tells a file that was cut, mixed up or edited, not a forger.
"""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec

from migrator import __version__
from migrator.core.errors import LedgerFailed, UsageError
from migrator.ledger.choosing import skip_held
from migrator.ledger.database import connect, format_of, ledger_errors, sync
from migrator.ledger.planfile import RunRecord
from migrator.ledger.schema import FORMAT

MAGIC = b"SQLite format 3\0"

_SEALED = ("run", "container", "input_row", "step", "progress", "review")

_KEEP_REVIEW = """
INSERT INTO review SELECT step, etag, touched, name FROM base;
DELETE FROM base;
CREATE TABLE plan (seal TEXT NOT NULL, version TEXT NOT NULL) STRICT;
"""

HINT = "make it anew with `migrator plan FILE --out PLAN`"


def is_saved_plan(path: Path) -> bool:
    """Whether a file looks like a plan that was saved, and not like an input."""
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def save(ledger: Path, path: Path, now: float) -> None:
    """Make a plan of a ledger that was surveyed and of which nothing was sent. The ledger is gone after that.

    Args:
        ledger: the ledger.
        path: where the plan goes. A file that is there already is replaced.
        now: seconds since the epoch.

    Raises:
        UsageError: it cannot be written there.
    """
    with ledger_errors(ledger), closing(connect(ledger)) as db:
        db.execute("BEGIN IMMEDIATE")
        skip_held(db, now)
        db.execute("COMMIT")
        db.executescript(_KEEP_REVIEW)
        db.execute("INSERT INTO plan VALUES (?, ?)", (_seal(db), __version__))
        db.execute("PRAGMA journal_mode = DELETE")
        db.execute("VACUUM")
    beside = path.with_name(path.name + ".new")
    try:
        shutil.copyfile(ledger, beside)
        sync(beside)
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise UsageError(f"the plan cannot be written to {path}: {error.strerror}", "name another file") from error


def _seal(db: sqlite3.Connection) -> str:
    digest = hashlib.sha256(f"{FORMAT}".encode())
    for table in _SEALED:
        for row in db.execute(f"SELECT * FROM {table} ORDER BY 1"):
            digest.update(msgspec.json.encode([table, *row]))
    return digest.hexdigest()


def check(path: Path) -> None:
    """See whether a saved plan is whole, as it was made, and ours to carry out.

    Raises:
        UsageError: it is not.
    """
    with _readable(path) as db:
        found = format_of(db)
        if found != FORMAT:
            message = f"{path} is of format {found}, and this version carries out plans of format {FORMAT}"
            raise UsageError(message, HINT)
        tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if "plan" not in tables:
            message = f"{path} is no saved plan"
            raise UsageError(message, "is it the ledger of a run? `migrator resume RUN` goes on with one")
        seals = db.execute("SELECT seal FROM plan").fetchall()
        if seals != [(_seal(db),)]:
            raise UsageError(f"{path} is not as it was made: somebody has edited it, or it is mixed up", HINT)


@contextmanager
def _readable(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        with ledger_errors(path), closing(connect(path, read_only=True)) as db:
            yield db
    except LedgerFailed as error:
        raise UsageError(f"{path} cannot be read as a plan: it is cut or damaged ({error})", HINT) from error


def carry(path: Path, ledger: Path, run: RunRecord) -> None:
    """Copy a plan that `check` has found good into the ledger of a run.

    Args:
        path: the plan.
        ledger: the ledger, which must not be there yet.
        run: what its record is.

    Raises:
        LedgerFailed: the disk does not take it.
    """
    copy = ledger.with_suffix(".planning")
    members = msgspec.structs.asdict(run)
    try:
        with ledger_errors(ledger):
            shutil.copyfile(path, copy)
            with closing(connect(copy)) as db:
                db.execute(f"UPDATE run SET {', '.join(f'{name} = :{name}' for name in members)}", members)
                db.execute("DROP TABLE plan")
                db.execute("PRAGMA journal_mode = WAL")
            sync(copy)
            copy.rename(ledger)
            sync(ledger.parent)
    finally:
        copy.unlink(missing_ok=True)
