"""The life of each of the seven entities, in both styles, and what an object of each has to look like."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from migrator.emulator import seeded_companion, seeded_placement, seeded_tag
from migrator.emulator.documents import references
from migrator.emulator.entities import (
    ENTITIES,
    RULE,
    Entity,
)
from migrator.emulator.schemas import SCHEMAS
from migrator.emulator.shapes import Walk
from tests.shell.emulator.common import NAMESPACE

if TYPE_CHECKING:
    from tests.shell.emulator.conftest import Client, Start
from tests.shell.emulator.entities import CASES, EVERY, JSON, dps, in_xcore, put


@EVERY
async def test_the_life_of_an_object_in_dps(client: Client, word: str) -> None:
    document = CASES[word].full
    created = await dps(client, "POST", word, body=document)
    assert (created.status, created.body["etag"]) == (201, 1)
    identifier = created.body["id"]
    assert identifier.startswith(f"dps:{word}:")

    read = await dps(client, "GET", word, f"/{identifier}")
    assert document.items() <= read.body.items()
    assert read.body["schemas"] == [ENTITIES[word].dps_schema]

    found = await dps(client, "GET", word, f"?property=name=={document['name']}")
    assert [one["id"] for one in found.body["results"]] == [identifier]
    assert found.body["_links"]["self"]["href"].startswith(f"/{ENTITIES[word].resource}?orderby=-modified&limit=50")

    patch = [{"op": "test", "path": "/name", "value": document["name"]}, {"op": "add", "path": "/name", "value": "New"}]
    patched = await dps(client, "PATCH", word, f"/{identifier}", patch)
    assert (patched.status, patched.body["etag"]) == (200, 2)

    assert (await dps(client, "DELETE", word, f"/{identifier}")).status == 200
    assert (await dps(client, "GET", word, f"/{identifier}")).status == 404
    assert [effect.method for effect in client.server.effects] == ["POST", "PATCH", "DELETE"]


@EVERY
async def test_the_life_of_an_object_in_xcore(client: Client, word: str) -> None:
    document = in_xcore(word, CASES[word].full)
    schema = f"{NAMESPACE}{word}"
    created = await client.xcore("POST", "/instances", document, word=word)
    assert (created.status, created.body["repo:etag"]) == (201, 1)
    assert created.body["@id"].startswith(f"xcore:{word}:")
    path = f"/instances/{created.body['instanceId']}"
    assert created.headers["Location"] == f"e0bd8463-0913-4ca1-bd84-6309134ca1f6{path}"

    read = await client.xcore("GET", path)
    assert read.body["_instance"] == document | {"@id": created.body["@id"]}
    assert read.body["schemas"] == [ENTITIES[word].xcore_schema]

    for query in (f"id={created.body['@id']}", f"name={document['xdm:name']}"):
        found = await client.xcore("GET", f"/instances?schema={schema}&{query}")
        assert [one["instanceId"] for one in found.body["_embedded"]["results"]] == [created.body["instanceId"]]

    patch = [{"op": "replace", "path": "/_instance/xdm:name", "value": "New"}]
    patched = await client.xcore("PATCH", path, patch, word=word)
    assert (patched.status, patched.body["repo:etag"]) == (200, 2)
    assert (await client.xcore("PATCH", path, patch, word="tag" if word != "tag" else "offer-filter")).status == 415

    replaced = await put(client, path, word, {"_instance": document, "_links": {}})
    assert (replaced.status, replaced.body["repo:etag"]) == (200, 3)
    assert (await client.xcore("GET", path)).body["_instance"]["xdm:name"] == document["xdm:name"]

    assert (await client.xcore("DELETE", path)).status == 202
    assert (await client.xcore("GET", path)).status == 404
    assert [effect.method for effect in client.server.effects] == ["POST", "PATCH", "PUT", "DELETE"]


async def test_a_put_is_checked_like_a_create_and_guarded_by_if_match(client: Client) -> None:
    created = await client.xcore("POST", "/instances", {"xdm:name": "T"}, word="tag")
    path = f"/instances/{created.body['instanceId']}"
    assert (await put(client, path, "tag", {"_instance": {}})).status == 422
    assert (await put(client, path, "tag", {"_instance": {"xdm:name": "U"}}, **{"If-Match": '"2"'})).status == 409
    assert (await put(client, path, "tag", {"_instance": {"xdm:name": "U"}}, **{"If-Match": '"1"'})).status == 200
    assert (await client.xcore("PUT", path, {"xdm:name": "U"}, headers=JSON)).status == 415


@EVERY
async def test_an_object_can_be_put_back_in_xcore_as_it_was_read(client: Client, word: str) -> None:
    created = await client.xcore("POST", "/instances", in_xcore(word, CASES[word].full), word=word)
    path = f"/instances/{created.body['instanceId']}"
    read = await client.xcore("GET", path)

    assert (await put(client, path, word, read.body)).status == 200
    again = await client.xcore("GET", path)
    assert (again.body["_instance"], again.body["repo:etag"]) == (read.body["_instance"], 2)

    read.body["_instance"]["@id"] = "xcore:tag:1"
    assert (await put(client, path, word, read.body)).status == 422


async def test_rules_alone_can_be_put_in_dps(client: Client) -> None:
    rule = f"/{seeded_companion('dps', RULE)}"
    document = CASES["eligibility-rule"].full
    replaced = await dps(client, "PUT", "eligibility-rule", rule, document)
    assert (replaced.status, replaced.body["etag"]) == (200, 2)
    assert document.items() <= (await dps(client, "GET", "eligibility-rule", rule)).body.items()
    assert (await dps(client, "PATCH", "eligibility-rule", rule, document)).status == 400
    assert (await dps(client, "PUT", "tag", f"/{seeded_tag('dps')}", {"name": "U"})).status == 405


async def test_an_entity_is_not_found_under_the_resource_of_another(client: Client) -> None:
    assert (await dps(client, "GET", "tag", f"/{seeded_placement('dps')}")).status == 404


@pytest.mark.parametrize(("tag", "status"), [('"1"', 304), ("*", 304), ('W/"1"', 304), ('"2"', 200)])
async def test_a_known_version_is_not_sent_again(client: Client, tag: str, status: int) -> None:
    created = await client.xcore("POST", "/instances", {"xdm:name": "T"}, word="tag")
    path = f"/instances/{created.body['instanceId']}"
    answer = await client.xcore("GET", path, headers={"If-None-Match": tag})
    assert (answer.status, answer.headers["ETag"]) == (status, '"1"')


@pytest.mark.parametrize(
    ("query", "sandboxes"),
    [
        ("product=acp&property=_instance.containerType==decisioning", ["dev", "prod", "sandbox-2"]),
        ("product=acp&property=_instance.containerType==decisioning&property=_instance.parentName==prod", ["prod"]),
        ("product=dma_offers&product=acp&property=_instance.parentName==dev", ["dev"]),
        ("product=dma_offers", []),
        ("property=_instance.containerType==other", []),
        ("", ["dev", "prod", "sandbox-2"]),
    ],
)
async def test_a_client_finds_its_container(start: Start, query: str, sandboxes: list[str]) -> None:
    client = await start(containers=3)
    accept = {"Accept": "application/vnd.adobe.platform.xcore.home.hal+json"}
    answer = await client.send("GET", f"/data/core/xcore/?{query}", headers=accept)
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("application/vnd.adobe.platform.xcore.home.hal+json")
    entries = answer.body["_embedded"]["https://ns.adobe.com/experience/xcore/container"]
    assert [entry["_instance"]["parentName"] for entry in entries] == sandboxes
    for entry in entries:
        path = f"/data/core/xcore/{entry['instanceId']}/instances?schema={NAMESPACE}tag"
        assert (await client.send("GET", path)).status == 200


async def test_a_home_query_that_makes_no_sense_is_refused(client: Client) -> None:
    assert (await client.send("GET", "/data/core/xcore/?property=a=b")).status == 400


async def test_what_the_seeds_refer_to_is_seeded(start: Start) -> None:
    client = await start(seed_offers=5, containers=3)
    store = client.server.store
    checked = 0
    for record in store:
        SCHEMAS[record.word].check(msgspec.json.decode(record.document), "", Walk(record.style, reject_unknown=True))
        for reference in references(record):
            shelves = [store.shelf(record.style, record.scope, word) for word in reference.words]
            assert any(shelf.referenced(reference.identifier) for shelf in shelves), reference
            checked += 1
    # an offer refers to 2 placements and a tag; a fallback offer to one of each; a collection to a tag; a decision to a
    # fallback offer, a placement, a collection and a rule: in dps and in each of 3 containers
    assert checked == (5 + 5) * 3 + 4 * (2 * 2 + 1 + 4)


async def test_companions_of_containers_share_their_references_only(start: Start) -> None:
    client = await start(seed_offers=1, containers=2)
    tags = [record for record in client.server.store if record.reference == seeded_tag("xcore")]
    assert len({record.scope for record in tags}) == len({record.key for record in tags}) == 2


@pytest.mark.parametrize("entity", ENTITIES.values(), ids=lambda entity: entity.word)
async def test_a_walk_over_each_entity_meets_all_of_them(client: Client, entity: Entity) -> None:
    found = await client.xcore("GET", f"/queries/core/search?schema={NAMESPACE}{entity.word}")
    listed = await dps(client, "GET", entity.word)
    seeded = client.server.store.shelf("dps", "dev", entity.word)
    assert found.body["_embedded"]["total"] == listed.body["total"] == len(seeded) > 0
