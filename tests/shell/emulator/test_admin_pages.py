"""What a rehearsal can learn from the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from migrator.emulator import (
    instants,
    seeded_container,
    seeded_instance_id,
    seeded_offer_id,
    seeded_reference,
)
from tests.shell.emulator.common import OFFER

if TYPE_CHECKING:
    from tests.shell.emulator.conftest import Client, Clock, Start


async def test_the_state_counts_objects_and_requests(client: Client) -> None:
    await client.dps("POST", "/offers", OFFER, "fallback")
    await client.dps("POST", "/offers", {})
    await client.dps("GET", "/offers")
    state = await client.state()
    companions = {"offer-placement": 4, "eligibility-rule": 1, "tag": 2, "offer-filter": 1, "offer-activity": 1}
    assert state["objects"] == {
        "xcore": companions | {"personalized-offer": 3, "fallback-offer": 2},
        "dps": companions | {"personalized-offer": 3, "fallback-offer": 3},
    }
    assert state["requests"] == {"GET": {"200": 1}, "POST": {"201": 1, "422": 1}}
    assert (state["writes"], state["rejected_by_rate_limit"], state["tokens_issued"]) == (1, 0, 0)


async def test_effects_are_numbered_lines(client: Client) -> None:
    instance = f"/instances/{seeded_instance_id(0)}"
    patch = [{"op": "replace", "path": "/_instance/xdm:name", "value": "B"}]
    created = await client.dps("POST", "/offers", OFFER, headers={"x-request-id": "r1"})
    await client.xcore("PATCH", instance, patch)
    await client.xcore("DELETE", instance)
    first, second, third = await client.lines("/_emulator/effects")
    assert instants.parse(first.pop("time")) > 0
    assert first == {
        "seq": 1,
        "style": "dps",
        "method": "POST",
        "container": "dev",
        "type": "personalized-offer",
        "id": created.body["id"],
        "etag": 1,
        "etag_before": None,
        "api_key": "the-client",
        "request_id": "r1",
        "request": 1,
    }
    assert (second["seq"], second["container"], second["etag_before"], second["etag"]) == (2, seeded_container(0), 1, 2)
    assert (third["seq"], third["id"], third["etag_before"], third["etag"]) == (3, seeded_instance_id(0), 2, None)
    assert [one["request"] for one in (second, third)] == [2, 3]


async def test_objects_are_lines_that_can_be_narrowed_down(start: Start) -> None:
    client = await start(seed_offers=4, containers=3)
    # 4 offers in each style; 11 companions in dps and in each of 3 containers
    assert len(await client.lines("/_emulator/objects")) == 4 + 4 + 4 * 11
    assert len(await client.lines("/_emulator/objects?style=dps&container=dev&type=personalized-offer")) == 4
    assert await client.lines("/_emulator/objects?type=unheard-of") == []
    # offers 0 to 3 are dealt out to containers 0, 1, 2, 0
    query = f"style=xcore&type=personalized-offer&container={seeded_container(0)}"
    in_first = await client.lines(f"/_emulator/objects?{query}")
    assert [one["id"] for one in in_first] == [seeded_instance_id(0), seeded_instance_id(3)]
    assert in_first[1]["reference"] == seeded_reference(3)
    assert (in_first[1]["name"], in_first[1]["etag"]) == ("Seeded offer 3", 1)
    assert in_first[1]["document"]["xdm:status"] == "approved"


async def test_a_reset_goes_back_to_the_seeds(client: Client) -> None:
    before = await client.lines("/_emulator/objects")
    await client.dps("DELETE", f"/offers/{seeded_offer_id(0)}")
    await client.dps("POST", "/offers", OFFER)
    assert (await client.send("POST", "/_emulator/reset")).status == 204
    assert await client.lines("/_emulator/objects") == before
    assert await client.lines("/_emulator/effects") == []
    state = await client.state()
    assert (state["requests"], state["writes"], state["peak_requests_per_second"]) == ({}, 0, {})


async def test_a_reset_gives_the_rate_back(start: Start, clock: Clock) -> None:
    client = await start(clock=clock, rate=1, burst=1)
    assert [(await client.dps("GET", "/offers")).status for _ in range(2)] == [200, 429]
    await client.send("POST", "/_emulator/reset")
    assert (await client.dps("GET", "/offers")).status == 200


async def test_the_admin_pages_need_no_credentials(client: Client) -> None:
    async with client.session.get(f"{client.server.url}/_emulator/state") as response:
        assert response.status == 200
