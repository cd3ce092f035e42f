"""The program that people write who have an afternoon: a task a row, a semaphore, json, a line of a ledger a row.

It has no guard, no intents and no retries; what it had sent when it is killed, nobody knows. It is here for its speed.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from pathlib import Path
from typing import Any

import aiohttp

from migrator.settings import Settings
from tests.bench.bare import identity_of
from tests.bench.watch import Watch


async def send(path: Path, settings: Settings, watch: Watch) -> None:
    """Send the rows of the file `path`."""
    with path.open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    places = asyncio.Semaphore(settings.concurrency)
    ledger_file = settings.runs / "naive.jsonl"
    with ledger_file.open("w", encoding="utf-8") as ledger:
        async with aiohttp.ClientSession(headers=identity_of(settings)) as session:

            async def one(row: dict[str, Any]) -> None:
                async with places:
                    watch.write()
                    async with session.patch(
                        url_of(row, settings), json=row["patch"], headers={"x-request-id": str(uuid.uuid4())}
                    ) as response:
                        receipt = await response.json()
                ledger.write(json.dumps({"id": row["id"], "status": response.status, "receipt": receipt}) + "\n")
                ledger.flush()

            await asyncio.gather(*(one(row) for row in rows))
    watch.stop()


def url_of(row: dict[str, Any], settings: Settings) -> str:
    """Return where a row is to be sent."""
    if settings.style == "dps":
        return f"{settings.base_url}/data/core/dps/offers/{row['id']}"
    return f"{settings.base_url}/data/core/xcore/{row['container']}/instances/{row['id']}"
