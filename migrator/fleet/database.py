"""Reaching PostgreSQL, and the translation of what it raises into what a person can act on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import asyncpg

from migrator.core.errors import LedgerFailed, UsageError
from migrator.fleet import commit, permits, schema

Pool: TypeAlias = Any
"""An `asyncpg.Pool`, which has no types."""

Connection: TypeAlias = Any

CONNECTIONS = 10
"""Connections of one process at the most. Whoever needs one more waits."""

AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InterfaceError,
    asyncpg.TooManyConnectionsError,
    OSError,
    TimeoutError,
)
"""What is raised while the database is not there, or has just gone: it may be back in a moment."""


class LedgerAway(LedgerFailed):
    """The database of the fleet cannot be reached now."""


def where(url: str) -> str:
    """Name the database of `url` without what nobody needs to read."""
    parts = urlsplit(url)
    return f"postgresql://{parts.hostname or 'localhost'}:{parts.port or 5432}{parts.path}"


@contextmanager
def postgres_errors(place: str) -> Iterator[None]:
    """Turn an error of PostgreSQL or of the way to it into a `LedgerFailed` that says where and what to do.

    Args:
        place: the database, as `where` names it.
    """
    try:
        yield
    except AWAY as error:
        raise LedgerAway(f"the ledger {place} cannot be reached: {_said(error)}", "is PostgreSQL running?") from error
    except asyncpg.PostgresError as error:
        raise LedgerFailed(f"the ledger {place} cannot be used: {_said(error)}", _advice(error)) from error


def _said(error: BaseException) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


def _advice(error: asyncpg.PostgresError) -> str:
    match error:
        case asyncpg.InvalidAuthorizationSpecificationError() | asyncpg.InsufficientPrivilegeError():
            return "check PGUSER and PGPASSWORD, or ~/.pgpass, and the rights of that user"
        case asyncpg.InvalidCatalogNameError():
            return "make it with `createdb`, or name another with --ledger"
        case asyncpg.DiskFullError():
            return "make room on its disk; nothing was sent that is not in the ledger"
    return "nothing was sent that is not in the ledger"


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Pool]:
    """Open a pool of connections to the fleet's database; its tables are made if there are none.

    Args:
        url: `postgresql://[user@]host[:port]/database`; the password comes from PGPASSWORD or ~/.pgpass.

    Raises:
        LedgerFailed: it cannot be reached, or refuses us.
        UsageError: its tables are of another version.
    """
    with postgres_errors(where(url)):
        pool = await asyncpg.create_pool(
            url,
            min_size=0,
            max_size=CONNECTIONS,
            timeout=10,
            server_settings={"search_path": "migrator", "synchronous_commit": "on"},
            reset=_as_it_is,
        )
    try:
        with postgres_errors(where(url)):
            async with pool.acquire() as connection:
                await _prepare(connection, where(url))
        yield pool
    finally:
        await _closed(pool)


async def _as_it_is(connection: Connection) -> None:
    """Give a connection back without a question to the server: nothing here leaves a mark on one."""


async def _closed(pool: Pool) -> None:
    """Close the pool; of connections whose server is gone, nobody waits for a goodbye."""
    try:
        await asyncio.wait_for(pool.close(), timeout=5)
    except (*AWAY, asyncpg.PostgresError):
        pool.terminate()


LOCK = 0x6D69_6772_6174_6F72
"""Held while the tables are made, so that two processes do not make them at once: `migrator` in ASCII."""


async def _prepare(connection: Connection, place: str) -> None:
    """Make the tables if there are none, or see that they are ours."""
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
        if await connection.fetchval("SELECT to_regclass('migrator.format') IS NULL"):
            await connection.execute(schema.TABLES + schema.protections() + commit.COMMIT + permits.PERMITS)
            await connection.execute("INSERT INTO migrator.format VALUES ($1)", schema.FORMAT)
            return
        found = await connection.fetchval("SELECT version FROM migrator.format")
    if found != schema.FORMAT:
        message = f"the ledger {place} has format {found}, and this version of migrator knows {schema.FORMAT}"
        hint = "use one version of migrator for all of the fleet, or another database"
        raise UsageError(message, hint)
