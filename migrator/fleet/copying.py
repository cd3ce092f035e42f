"""Copying a run between a ledger file and the fleet's database, all of it or nothing.

A plan is always made as a file; what goes into the database is that file. And what reads a run reads a file: to report
on a run of the fleet, or to plan its rollback, is to copy it out first. So all that is said of a run is said the same
way, wherever it was carried out.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from migrator.core.errors import UsageError
from migrator.fleet.database import Connection, Pool, postgres_errors
from migrator.fleet.schema import PARTITIONED
from migrator.fleet.shards import STEPS, Counted, Pieces, cut
from migrator.ledger.database import format_of, ledger_errors, read_only, sync
from migrator.ledger.schema import DERIVED, FORMAT, PLAN, PROGRESS, VIEW, results_view, triggers

COLUMNS: Mapping[str, Sequence[str]] = {
    "container": ("id", "name"),
    "input_row": ("line", "step", "raw"),
    "step": ("seq", "key", "container", "type", "object", "kind", "body", "stage"),
    "origin": ("step", "container", "object", "reference", "etag"),
    "review": ("step", "etag", "touched", "name"),
    "progress": (
        "step",
        "state",
        "attempt",
        "request_id",
        "sent_at",
        "ended_at",
        "http_status",
        "error_class",
        "message",
        "etag",
        "object",
        "reference",
        "misses",
        "first_sent_at",
        "how",
    ),
    "attempt": ("step", "number", "request_id", "sent_at", "ended_at", "http_status", "error_class", "message"),
    "base": ("step", "etag", "touched", "body", "guarded", "name"),
    "held": ("step",),
}
"""What both have, by table."""

RUN = (
    "id",
    "created_at",
    "style",
    "input",
    "input_sha256",
    "shape",
    "fingerprint",
    "settings",
    "rows",
    "steps",
)

Row = tuple[Any, ...]

PAGE = 5_000
"""Rows read from the database at a time."""


async def copy_in(pool: Pool, place: str, path: Path, *, size: int = STEPS) -> str:
    """Copy the run whose ledger is the file `path` into the database, cut into shards.

    Args:
        pool: connections to the database.
        place: names it in messages.
        path: a ledger that nobody writes to.
        size: steps of a shard.

    Returns:
        The run's id.

    Raises:
        UsageError: there is a run of that name already, or the file is of an earlier format.
        LedgerFailed: one of them cannot be used.
    """
    with read_only(path) as db, postgres_errors(place):
        if format_of(db) != FORMAT:
            raise UsageError(f"the ledger {path} was written by an earlier version", "`migrator resume` it as a file")
        db.execute("BEGIN")
        pieces = cut(_counts(db), size)
        async with pool.acquire() as connection, connection.transaction():
            run, number = await _add_run(connection, db, place)
            for table in PARTITIONED:
                await connection.execute(f"CREATE TABLE {table}_{number} (LIKE {table} INCLUDING ALL)")
            for table, columns in COLUMNS.items():
                rows = _rows(db, run, table, columns)
                if table == "step":
                    await _copy(connection, f"{table}_{number}", (*columns, "shard"), _sharded(rows, pieces))
                else:
                    await _copy(connection, f"{table}_{number}", columns, rows)
            # Only now: what is written from here on obeys the triggers, and what has happened need not happen again.
            for table in PARTITIONED:
                attach = f"ALTER TABLE {table} ATTACH PARTITION {table}_{number}"
                await connection.execute(f"{attach} FOR VALUES IN ('{run}')")
            await connection.execute(COUNT_SHARDS, run)
        return run


COUNT_SHARDS = """
INSERT INTO shard (run, number, stage, steps)
SELECT run, shard, stage, count(*) FROM step WHERE run = $1 GROUP BY run, shard, stage
"""


def _counts(db: sqlite3.Connection) -> Iterator[Counted]:
    found = db.execute("SELECT stage, container, count(*) FROM step GROUP BY 1, 2 ORDER BY 1, 2")
    return (Counted(*row) for row in found)


async def _add_run(connection: Connection, db: sqlite3.Connection, place: str) -> tuple[str, int]:
    """Add the run; return its id, and the number that its partitions are called by."""
    record = db.execute(f"SELECT {', '.join(RUN)} FROM run").fetchone()
    run = str(record[0])
    marks = ", ".join(f"${number}" for number in range(1, len(RUN) + 1))
    number = await connection.fetchval(
        f"INSERT INTO run ({', '.join(RUN)}) VALUES ({marks}) ON CONFLICT (id) DO NOTHING RETURNING number", *record
    )
    if number is None:
        raise UsageError(f"there is already a run {run} in {place}", "choose another --run-id, or drop that one")
    return run, number


def _rows(db: sqlite3.Connection, run: str, table: str, columns: Sequence[str]) -> Iterator[Row]:
    return ((run, *row) for row in db.execute(f"SELECT {', '.join(columns)} FROM {table}"))


def _sharded(rows: Iterator[Row], pieces: Mapping[tuple[int, int], Pieces]) -> Iterator[Row]:
    for row in rows:
        _, _, key, container, _, object_, _, _, stage = row
        yield (*row, pieces[stage, container].shard_of(object_ or key))


async def _copy(connection: Connection, table: str, columns: Sequence[str], rows: Iterator[Row]) -> None:
    await connection.copy_records_to_table(
        table, records=rows, columns=["run", *columns], schema_name="migrator", timeout=None
    )


async def copy_out(pool: Pool, place: str, run: str, path: Path) -> None:
    """Copy a run out of the database into the ledger file `path`, as it is at one moment.

    Args:
        pool: connections to the database.
        place: names it in messages.
        run: its id.
        path: the file, which is not there yet.

    Raises:
        UsageError: there is no such run.
        LedgerFailed: one of them cannot be used.
    """
    draft = path.with_name(path.name + ".part")
    draft.unlink(missing_ok=True)
    with postgres_errors(place), ledger_errors(path):
        async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
            with closing(sqlite3.connect(draft, isolation_level=None)) as db:
                await _fill(connection, db, run, place)
        sync(draft)
        draft.rename(path)


async def _fill(connection: Connection, db: sqlite3.Connection, run: str, place: str) -> None:
    record = await connection.fetchrow(f"SELECT {', '.join(RUN)} FROM run WHERE id = $1", run)
    if record is None:
        raise UsageError(f"there is no run {run} in {place}", "`migrator runs` lists those there are")
    db.executescript(f"PRAGMA synchronous = OFF; {PLAN}{PROGRESS}")
    db.execute("BEGIN")
    db.execute(_insert("run", RUN), tuple(record))
    for table, columns in COLUMNS.items():
        query = f"SELECT {', '.join(columns)} FROM {table} WHERE run = $1"
        cursor = await connection.cursor(query, run)
        while page := await cursor.fetch(PAGE):
            db.executemany(_insert(table, columns), [tuple(row) for row in page])
    db.execute("COMMIT")
    shape = str(record["shape"])
    db.executescript(
        f"{DERIVED}{VIEW}{results_view(shape)}{triggers()} PRAGMA user_version = {FORMAT}; PRAGMA journal_mode = WAL;"
    )


def _insert(table: str, columns: Sequence[str]) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
