"""What the tests of faults send, and what they ask the server afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from migrator.emulator import (
    seeded_container,
    seeded_offer_id,
)
from tests.shell.emulator.common import FIRST, SCHEMA

if TYPE_CHECKING:
    from tests.shell.emulator.conftest import Answer, Client


RENAME = [{"op": "replace", "path": "/name", "value": "B"}]

HEADERS = {
    "Authorization": "Bearer a-token-of-the-tests",
    "x-api-key": "the-client",
    "x-gw-ims-org-id": "org@AdobeOrg",
    "x-sandbox-name": "dev",
}


def did(client: Client) -> list[tuple[str, str, int | None]]:
    """What the log of effects says: method, who, etag afterwards."""
    return [(effect.method, effect.api_key, effect.etag) for effect in client.server.effects]


def seen(client: Client) -> list[tuple[int | None, tuple[str, ...]]]:
    """What the log of requests says: status, faults."""
    return [(one.status, one.faults) for one in client.server.requests]


OURS = [("PATCH", "the-client", 2)]
NOTHING: list[tuple[str, str, int | None]] = []


async def rename(client: Client, headers: Any = None) -> Answer:
    return await client.dps("PATCH", FIRST, RENAME, headers=headers)


# Lists


async def walk(client: Client, path: str, style: str = "dps") -> list[str]:
    """Follow the next links of a list, and return the ids in the order in which they come; gives up after 20 pages."""
    ids = []
    for _ in range(20):
        body = (await client.send("GET", f"/data/core/{style}{path}")).body
        ids += [entry.get("id") or entry["instanceId"] for entry in body.get("_embedded", body)["results"]]
        if "next" not in body["_links"]:
            break
        path = body["_links"]["next"]["href"]
    return ids


DPS_LIST = "/offers?offer-type=personalized&limit=2"
XCORE_LIST = f"/{seeded_container(0)}/instances?schema={SCHEMA}&limit=2"
NEWEST_FIRST = [seeded_offer_id(number) for number in (5, 4, 3, 2, 1, 0)]
