"""What the live view counts while a run loses answers, is told to wait, and has rows refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from migrator import api
from migrator.cli.live import Sight, View
from migrator.clock import SystemClock
from migrator.emulator import Emulator, EmulatorSettings, seeded_container, seeded_instance_id
from migrator.ledger.reading import summarize

HEADER = ("container", "id", "op", "path", "value")
FAULTS = ("drop-after:PATCH:every=9", "drop-before:PATCH:every=11", "429:PATCH:n=20:retry-after=0")


def rows() -> list[tuple[str, ...]]:
    there = [(seeded_container(i % 3), seeded_instance_id(i), "replace", "/_instance/xdm:name", "x") for i in range(60)]
    return [*there, (seeded_container(0), "nobody", "replace", "/_instance/xdm:name", "x")]


async def seen_of_a_run(path: Path, url: str) -> tuple[Sight, Sight]:
    """Run the changes at `path` and return what there was to see at its beginning and at its end."""
    settings = api.load(
        {"base_url": url, "ims_url": url, "ledger": path.parent / "runs", "style": "xcore", "quiet_period": 1}
        | {"org_id": "o", "client_id": "c", "sandbox": "dev", "client_secret": "s", "rate": 0, "backoff_cap": 0.1}
    )
    with api.plan(api.Input(path, path.name), settings) as (run, draft):
        draft.merge()
        draft.accept(run.id, path.name, settings.remembered(), SystemClock.now())
    seen: list[Sight] = []

    @asynccontextmanager
    async def around(running: api.Running) -> AsyncIterator[None]:
        view = View(running)
        seen.append(view.look())
        yield
        seen.append(view.look())

    await api.execute(run, settings, around=around)
    assert summarize(run.ledger).complete
    first, last = seen
    return first, last


async def test_each_container_is_full_when_all_is_done_whatever_happened_on_the_way(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=60, containers=3, faults=FAULTS)) as server:
        first, last = await seen_of_a_run(migrator.write("c.csv", HEADER, rows()), server.url)
        struck = {name for request in server.requests for name in request.faults}

    assert struck == {"drop-after", "drop-before", "429"}
    assert [(bar.done, bar.total) for bar in first.bars] == [(0, 21), (0, 20), (0, 20)]
    assert [(bar.done, bar.total) for bar in last.bars] == [(21, 21), (20, 20), (20, 20)]
    assert (last.standing.applied, last.standing.failed, last.standing.in_doubt, last.total) == (60, 1, 0, 61)
