"""A database of its own for each test of the fleet, and runs in it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from migrator.core.model import Change
from migrator.fleet.copying import copy_in
from migrator.fleet.database import Pool, connected
from migrator.fleet.runs import FleetRuns
from tests.plans import make_plan, run_record
from tests.postgres import Server

PLACE = "postgresql://test"

Add = Callable[..., Awaitable[str]]


@pytest.fixture
async def pool(postgres: Server) -> AsyncIterator[Pool]:
    async with connected(postgres.database()) as pool:
        yield pool


@pytest.fixture
def runs(pool: Pool) -> FleetRuns:
    return FleetRuns(pool, PLACE)


@pytest.fixture
def add(pool: Pool, tmp_path: Path) -> Add:
    """Put a run of changes into the database, cut into shards of about so many steps."""

    async def add(changes: Sequence[Change], run: str = "a-run", size: int = 1_000) -> str:
        path = make_plan(tmp_path / f"{run}.sqlite", changes, run_record(run, rows=len(changes)))
        return await copy_in(pool, PLACE, path, size=size)

    return add
