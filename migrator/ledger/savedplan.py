"""Saved plans: a plan that people have looked at, to be carried out as it was shown, or not at all.

A saved plan is a ledger without a run: the same tables, with what every object was when the plan was made in `review`
instead of `base`, and a seal over all of it. Carrying it out copies it into the folder of a run. Each object is then
read once more, and refused if it has changed.

The seal is a hash, and not a signature: it tells a file that was cut, mixed up or edited, not a forger.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec

from migrator import __version__
from migrator.core.errors import LedgerFailed, UsageError
from migrator.core.model import EntityType
from migrator.ledger.choosing import skip_held
from migrator.ledger.database import connect, format_of, ledger_errors, sync, tune
from migrator.ledger.records import RunRecord
from migrator.ledger.schema import FORMAT

MAGIC = b"SQLite format 3\0"

_KEEP_REVIEW = """
INSERT INTO review SELECT step, etag, touched, name FROM base;
DELETE FROM base;
CREATE TABLE plan (seal TEXT NOT NULL, version TEXT NOT NULL) STRICT;
"""

HINT = "make it anew with `migrator plan FILE --out PLAN`"


def is_saved_plan(path: Path) -> bool:
    """Whether a file looks like a plan that was saved, and not like an input. A pipe is left as it is."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def check_place(path: Path) -> None:
    """See whether a plan can be written to `path`, before all that it takes to make one.

    Raises:
        UsageError: it cannot, or something is there that is no plan.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder", "name a file for the plan")
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent} for the plan", "make it first")
    if path.exists() and not _is_plan(path):
        raise UsageError(f"{path} is there and is no saved plan", "name another file for the plan, or delete that one")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise UsageError(f"the plan cannot be written to {path}: its folder is read-only", "name another file")


def _is_plan(path: Path) -> bool:
    try:
        with _opened(path) as db:
            return "plan" in _tables(db)
    except UsageError:
        return False


def save(ledger: Path, path: Path, now: float) -> None:
    """Make a plan of a ledger that was surveyed and of which nothing was sent. The ledger is gone after that.

    Args:
        ledger: the ledger.
        path: where the plan goes. A plan that is there already is replaced.
        now: seconds since the epoch.

    Raises:
        UsageError: it cannot be written there.
    """
    with ledger_errors(ledger), closing(connect(ledger)) as db:
        db.execute("BEGIN IMMEDIATE")
        skip_held(db, now)
        db.execute("COMMIT")
        db.executescript(_KEEP_REVIEW)
        db.execute("INSERT INTO plan VALUES ('', ?)", (__version__,))
        db.execute("UPDATE plan SET seal = ?", (_seal(db),))
        db.execute("PRAGMA journal_mode = DELETE")
        db.execute("VACUUM")
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        shutil.copyfile(ledger, beside)
        sync(beside)
        beside.replace(path)
        sync(path.parent)
    except OSError as error:
        raise UsageError(f"the plan cannot be written to {path}: {error.strerror}", "name another file") from error
    finally:
        beside.unlink(missing_ok=True)


def _seal(db: sqlite3.Connection) -> str:
    """Hash what the tables are and all that is in them, but for the seal itself."""
    digest = hashlib.sha256(f"{FORMAT}".encode())
    for name, sql in db.execute("SELECT name, sql FROM sqlite_master ORDER BY name"):
        digest.update(msgspec.json.encode([name, sql]))
    for table in sorted(_tables(db)):
        columns = "version" if table == "plan" else "*"
        for row in db.execute(f"SELECT {columns} FROM {table} ORDER BY 1"):
            digest.update(msgspec.json.encode([table, *row]))
    return digest.hexdigest()


def check(path: Path) -> None:
    """See whether a saved plan is whole, as it was made, and ours to carry out.

    Raises:
        UsageError: it is not.
    """
    with _opened(path) as db:
        found = format_of(db)
        if not found:
            raise UsageError(f"{path} is no saved plan, or only a piece of one", HINT)
        if found != FORMAT:
            message = f"{path} is of format {found}, and this version carries out plans of format {FORMAT}"
            raise UsageError(message, HINT)
        if "plan" not in _tables(db):
            message = f"{path} is no saved plan"
            raise UsageError(message, "is it the ledger of a run? `migrator resume RUN` goes on with one")
        if not _is_whole(db, path):
            raise UsageError(f"{path} is cut or damaged", HINT)
        if db.execute("SELECT seal FROM plan").fetchall() != [(_seal(db),)]:
            raise UsageError(f"{path} is not as it was made: somebody has edited it, or it is mixed up", HINT)


def _is_whole(db: sqlite3.Connection, path: Path) -> bool:
    """Whether nothing of the file is missing, and the indexes, which the seal does not cover, fit the tables."""
    (size,) = db.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size").fetchone()
    return bool(size == path.stat().st_size) and db.execute("PRAGMA integrity_check(1)").fetchone() == ("ok",)


def _tables(db: sqlite3.Connection) -> set[str]:
    return {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Open what may be a plan, of whatever format, for reading."""
    try:
        with (
            ledger_errors(path),
            closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)) as db,
        ):
            tune(db)
            yield db
    except LedgerFailed as error:
        raise UsageError(f"{path} cannot be read as a plan: it is cut or damaged ({error.__cause__})", HINT) from error


def containers(path: Path) -> list[str]:
    """Return the containers that a plan which `check` has found good is for."""
    with _opened(path) as db:
        return [name for (name,) in db.execute("SELECT name FROM container ORDER BY id")]


def count_changes(path: Path) -> dict[tuple[str, EntityType], int]:
    """Count the objects that a plan changes or deletes, by container and type."""
    with _opened(path) as db:
        found = db.execute(
            """SELECT c.name, s.type, count(*) FROM step AS s JOIN container AS c ON c.id = s.container
               WHERE s.kind <> 'create' AND s.seq NOT IN (SELECT step FROM progress) GROUP BY 1, 2"""
        )
        return {(container, EntityType(type_)): count for container, type_, count in found}


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
