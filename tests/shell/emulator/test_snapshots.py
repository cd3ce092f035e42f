"""All objects as lines, and back."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from migrator.emulator import (
    Choices,
    Emulator,
    EmulatorSettings,
    seeded_container,
    seeded_instance_id,
    seeded_reference,
)
from tests.shell.emulator.common import OFFER

if TYPE_CHECKING:
    from tests.shell.emulator.conftest import Client, Start

SNAPSHOT = "/_emulator/snapshot"
LINE: dict[str, Any] = {
    "style": "dps",
    "container": "dev",
    "type": "tag",
    "id": "dps:tag:1",
    "reference": "dps:tag:1",
    "etag": 7,
    "created": "2023-05-31T15:09:11.771000Z",
    "modified": "2023-05-31T15:09:12.771001Z",
    "created_by": "me",
    "modified_by": "you",
    "document": {"name": "T"},
}


def lines(*changes: dict[str, Any]) -> str:
    return "\n".join(json.dumps(LINE | change) for change in changes)


async def test_a_line_has_everything_and_nothing_else(start: Start) -> None:
    client = await start(seed_offers=1)
    (line,) = [one for one in await client.lines(SNAPSHOT) if one["id"] == seeded_instance_id(0)]
    document = line.pop("document")
    assert line == {
        "style": "xcore",
        "container": seeded_container(0),
        "type": "personalized-offer",
        "id": seeded_instance_id(0),
        "reference": seeded_reference(0),
        "etag": 1,
        "created": "2020-10-21T20:50:32.018624Z"[:19] + line["created"][19:],
        "modified": line["created"],
        "created_by": "offer-emulator",
        "modified_by": "offer-emulator",
    }
    assert document["xdm:name"] == "Seeded offer 0"
    assert "@id" not in document


async def test_what_is_saved_here_is_the_same_there(start: Start) -> None:
    client = await start(seed_offers=4, containers=2)
    created = (await client.dps("POST", "/offers", OFFER)).body["id"]
    await client.dps("PATCH", f"/offers/{created}", [{"op": "replace", "path": "/status", "value": "approved"}])
    saved = (await client.send("GET", SNAPSHOT)).body
    read = (await client.dps("GET", f"/offers/{created}")).body
    listed = (await client.dps("GET", "/offers")).body

    other = await start(seed_offers=1)
    assert (await other.send("PUT", SNAPSHOT, saved)).status == 204
    assert (await other.send("GET", SNAPSHOT)).body == saved
    assert (await other.dps("GET", f"/offers/{created}")).body == read
    assert (await other.dps("GET", "/offers")).body == listed
    # what comes next goes on from there
    patched = await other.dps("PATCH", f"/offers/{created}", [{"op": "replace", "path": "/name", "value": "B"}])
    assert patched.body["etag"] == 3
    assert other.server.effects[0].etag_before == 2


async def test_containers_and_sandboxes_of_a_snapshot_exist_until_a_reset(client: Client) -> None:
    xcore = {"style": "xcore", "container": "theirs", "type": "personalized-offer", "id": "i"}
    body = lines(xcore | {"document": {"xdm:name": "X"}}, {"container": "stage", "type": "personalized-offer"})
    assert (await client.send("PUT", SNAPSHOT, body)).status == 204
    stage = {"x-sandbox-name": "stage"}
    assert (await client.send("GET", "/data/core/xcore/theirs/instances/i")).body["_instance"]["xdm:name"] == "X"
    assert (await client.dps("GET", "/offers/dps:tag:1", headers=stage)).body["etag"] == 7
    await client.send("POST", "/_emulator/reset")
    assert (await client.send("GET", "/data/core/xcore/theirs/instances/i")).status == 404
    assert (await client.dps("GET", "/offers", headers=stage)).status == 403


async def test_loading_begins_a_new_story(client: Client) -> None:
    await client.dps("POST", "/offers", OFFER)
    assert (await client.send("PUT", SNAPSHOT, lines({}) + "\n\n")).status == 204
    state = await client.state()
    assert (state["objects"], state["writes"], state["requests"]) == ({"dps": {"tag": 1}}, 0, {})
    assert [one["document"] for one in await client.lines(SNAPSHOT)] == [{"name": "T"}]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"etag": "7"}, "Expected `int`, got `str` - at `$.etag`"),
        ({"style": "decisioning"}, "Invalid enum value 'decisioning' - at `$.style`"),
        ({"type": "label"}, "type is one of offer-placement, eligibility-rule, tag, "),
        ({"name": "T"}, "Object contains unknown field `name`"),
        ({"created": "yesterday"}, "Invalid isoformat string: 'yesterday'"),
        ({"modified": "2023-05-31T15:09:11"}, "'2023-05-31T15:09:11' has no offset"),
        ({"document": {"xdm:name": "T"}}, "document is an object with a name"),
        ({"document": []}, "document is an object with a name"),
        ({}, "dps:tag:1 is there twice"),
    ],
)
async def test_wrong_lines_are_all_named_and_nothing_is_loaded(
    client: Client, change: dict[str, Any], complaint: str
) -> None:
    before = (await client.send("GET", SNAPSHOT)).body
    answer = await client.send("PUT", SNAPSHOT, lines({}, change, {"id": "fine"}) + "\n{")
    assert answer.status == 422
    assert [error["line"] for error in answer.body["errors"]] == [2, 4]
    assert answer.body["errors"][0]["error"].startswith(complaint)
    assert (await client.send("GET", SNAPSHOT)).body == before


async def test_a_large_snapshot_goes_in_whole(client: Client) -> None:
    # 40 objects of 100 kB are more than a request to the styles may carry
    document = {"name": "T", "text": "x" * 100_000}
    body = lines(*({"id": f"dps:tag:{number}", "document": document} for number in range(40)))
    assert len(body) > 4_000_000
    assert (await client.send("PUT", SNAPSHOT, io.BytesIO(body.encode()))).status == 204
    assert (await client.state())["objects"] == {"dps": {"tag": 40}}


async def test_a_snapshot_from_a_test() -> None:
    async with Emulator(EmulatorSettings(seed_offers=2)) as server:
        saved = server.snapshot()
        assert {line.etag for line in saved} == {1}
        assert [line.type for line in saved].count("personalized-offer") == 4
        assert server.load([b"{}"])[0].line == 1
        assert server.load([json.dumps(LINE).encode()]) == []
        assert [(line.id, line.etag) for line in server.snapshot()] == [("dps:tag:1", 7)]


async def test_a_mirrored_library_comes_back_with_both_sides(start: Start) -> None:
    mirrored = Choices.from_texts({"C-14": "mirrored"})
    client = await start(seed_offers=1, containers=2, choices=mirrored)
    tag = (await client.xcore("POST", "/instances", {"xdm:name": "T"}, word="tag")).body
    saved = (await client.send("GET", SNAPSHOT)).body
    other = await start(choices=mirrored)
    assert (await other.send("PUT", SNAPSHOT, saved)).status == 204
    assert sorted((await other.send("GET", SNAPSHOT)).body.splitlines()) == sorted(saved.splitlines())
    # the second container is there because the snapshot has it, and so is its sandbox's side
    patched = await other.send(
        "PATCH",
        f"/data/core/dps/tags/{tag['@id']}",
        [{"op": "replace", "path": "/name", "value": "U"}],
        {"Content-Type": "application/json"},
    )
    assert patched.status == 200
    read = await other.xcore("GET", f"/instances/{tag['instanceId']}")
    assert (read.body["_instance"]["xdm:name"], read.body["repo:etag"]) == ("U", 2)
    await other.send("POST", "/_emulator/reset")
    assert (await other.send("GET", SNAPSHOT)).body == ""
