"""One store behind two doors (C-14)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from migrator.emulator import (
    Choices,
    seeded_companion,
    seeded_container,
    seeded_instance_id,
    seeded_reference,
    seeded_tag,
)
from migrator.emulator.entities import RULE, TAG
from tests.shell.emulator.common import INSTANCE, OFFER, RENAME, SCHEMA

if TYPE_CHECKING:
    from tests.shell.emulator.conftest import Answer, Client, Start


@pytest.fixture
async def mirrored(start: Start) -> Client:
    return await start(seed_offers=2, choices=Choices(stores="mirrored"))


async def read_dps(client: Client, resource: str, identifier: str) -> Answer:
    return await client.send("GET", f"/data/core/dps/{resource}/{identifier}")


async def test_c14_an_xcore_object_is_spelt_as_dps_does(mirrored: Client) -> None:
    rule = (await read_dps(mirrored, "offer-rules", seeded_companion("xcore", RULE))).body
    assert rule["condition"] == {"type": "PQL", "format": "pql/text", "value": 'homeAddress.city = "Basel"'}
    assert rule["definedOn"]["profile"]["schema"]["ref"] == "https://ns.adobe.com/xdm/context/profile_union"
    offer = (await mirrored.dps("GET", f"/offers/{seeded_reference(0)}")).body
    assert offer["representations"][1]["components"][0]["type"] == "component-text"
    assert offer["tags"] == [seeded_tag("xcore")]
    assert not [name for name in offer if ":" in name]


async def test_c14_a_write_through_either_door_is_seen_through_the_other(mirrored: Client) -> None:
    twin = f"/offers/{seeded_reference(0)}"
    patched = await mirrored.dps("PATCH", twin, RENAME)
    assert (patched.status, patched.body["etag"]) == (200, 2)
    read = (await mirrored.xcore("GET", INSTANCE)).body
    assert (read["_instance"]["xdm:name"], read["repo:etag"]) == ("New", 2)
    assert read["_instance"]["xdm:representations"][0]["xdm:components"][0]["@type"].endswith("content-component-html")

    await mirrored.xcore("PATCH", INSTANCE, [{"op": "replace", "path": "/_instance/xdm:status", "value": "archived"}])
    assert (await mirrored.dps("GET", twin)).body["status"] == "archived"
    assert [effect.style for effect in mirrored.server.effects] == ["dps", "xcore"]


async def test_c14_twins_may_be_namesakes_as_long_as_nobody_renames_one(mirrored: Client) -> None:
    path = f"/data/core/dps/tags/{seeded_tag('dps')}"  # in dps there are now two tags of this name
    describe = [{"op": "add", "path": "/description", "value": "d"}]
    json_type = {"Content-Type": "application/json"}
    assert (await mirrored.send("PATCH", path, describe, json_type)).status == 200
    rename = [{"op": "replace", "path": "/name", "value": "Seeded tag 1"}]
    assert (await mirrored.send("PATCH", path, rename, json_type)).status == 409


async def test_c14_a_twin_is_deleted_with_its_object(mirrored: Client) -> None:
    assert (await mirrored.dps("DELETE", f"/offers/{seeded_reference(0)}")).status == 200
    assert (await mirrored.xcore("GET", INSTANCE)).status == 404
    await mirrored.xcore("DELETE", f"/instances/{seeded_instance_id(1)}")
    assert (await mirrored.dps("GET", f"/offers/{seeded_reference(1)}")).status == 404


async def test_c14_what_is_made_in_dps_stays_there(mirrored: Client) -> None:
    created = await mirrored.dps("POST", "/offers", OFFER | {"tags": [seeded_tag("xcore", 1)]})
    assert created.status == 201
    found = await mirrored.xcore("GET", f"/instances?schema={SCHEMA}")
    assert found.body["_embedded"]["total"] == 2
    tag = mirrored.server.store.shelf("xcore", seeded_container(0), TAG.word).referenced(seeded_tag("xcore", 1))
    assert tag is not None
    assert (await mirrored.xcore("DELETE", f"/instances/{tag.key}")).status == 409, "an offer of dps refers to it"


async def test_c14_what_is_made_in_xcore_is_in_the_sandbox_of_the_container(mirrored: Client) -> None:
    created = await mirrored.xcore("POST", "/instances", {"xdm:name": "T"}, word="tag")
    path = f"/data/core/dps/tags/{created.body['@id']}"
    assert (await mirrored.send("GET", path)).body["name"] == "T"
    assert (await mirrored.send("GET", path, headers={"x-sandbox-name": "prod"})).status == 404
