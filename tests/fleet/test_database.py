"""Reaching the database of a fleet."""

from __future__ import annotations

import asyncio

import pytest

from migrator.core.errors import LedgerFailed, UsageError
from migrator.fleet.database import connected, where
from migrator.fleet.schema import FORMAT
from tests.postgres import Server


async def test_the_tables_are_made_once_however_many_come_first(postgres: Server) -> None:
    url = postgres.database()

    async def come() -> int:
        async with connected(url) as pool:
            return int(await pool.fetchval("SELECT version FROM format"))

    assert await asyncio.gather(*(come() for _ in range(4))) == [FORMAT] * 4


async def test_tables_of_another_version_are_refused(postgres: Server) -> None:
    url = postgres.database()
    async with connected(url) as pool:
        await pool.execute("UPDATE format SET version = version + 1")

    with pytest.raises(UsageError, match=f"has format {FORMAT + 1}, and this version of migrator knows {FORMAT}"):
        async with connected(url):
            pass


@pytest.mark.parametrize(
    ("url", "said"),
    [("postgresql://me@127.0.0.1:1/fleet", "cannot be reached"), ("{server}/nowhere", "does not exist")],
)
async def test_what_cannot_be_used_is_named_with_what_to_do(postgres: Server, url: str, said: str) -> None:
    with pytest.raises(LedgerFailed, match=said) as raised:
        async with connected(url.replace("{server}", postgres.url("").rstrip("/"))):
            pass
    assert raised.value.hint


def test_a_database_is_named_without_its_user() -> None:
    assert where("postgresql://me:secret@db.example.com/fleet") == "postgresql://db.example.com:5432/fleet"


async def test_a_commit_is_on_the_disk_whatever_the_database_is_set_to(postgres: Server) -> None:
    url = postgres.database()
    async with connected(url) as pool:
        await pool.execute(f"ALTER DATABASE {url.rpartition('/')[2]} SET synchronous_commit = off")
    async with connected(url) as pool:
        assert await pool.fetchval("SHOW synchronous_commit") == "on"
