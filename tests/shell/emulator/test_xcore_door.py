"""The xcore style over HTTP."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from migrator.emulator import ids, instants, seeded_container, seeded_instance_id, seeded_reference
from tests.shell.emulator.common import INSTANCE, NAMESPACE

if TYPE_CHECKING:
    from tests.shell.emulator.conftest import Client, Clock, Start

SCHEMA = f"{NAMESPACE}personalized-offer;version=0.5"


OFFER = {
    "xdm:name": "Spring loan",
    "xdm:status": "draft",
    "xdm:selectionConstraint": {"xdm:startDate": "2024-03-01T00:00:00Z", "xdm:endDate": "2024-06-01T00:00:00Z"},
    "xdm:rank": {"xdm:priority": 3},
    "xdm:unknown": {"kept": True},
}
SEARCH = "/queries/core/search"
RECEIPT_MEMBERS = {
    "instanceId",
    "@id",
    "repo:etag",
    "repo:createdDate",
    "repo:lastModifiedDate",
    "repo:createdBy",
    "repo:lastModifiedBy",
    "repo:createdByClientId",
    "repo:lastModifiedByClientId",
}


def rename(name: str) -> list[dict[str, Any]]:
    return [{"op": "replace", "path": "/_instance/xdm:name", "value": name}]


async def test_a_created_offer_is_receipted_and_read_back(start: Start, clock: Clock) -> None:
    client = await start(clock=clock)
    created = await client.xcore("POST", "/instances", OFFER)
    assert created.status == 201
    assert created.headers["Content-Type"].startswith("application/vnd.adobe.platform.xcore.xdm.receipt+json")
    receipt = created.body
    assert receipt.keys() == RECEIPT_MEMBERS
    assert receipt["repo:etag"] == 1
    assert receipt["repo:createdDate"] == receipt["repo:lastModifiedDate"] == "2027-01-15T08:00:00.123456Z"
    assert receipt["repo:createdByClientId"] == receipt["repo:lastModifiedByClientId"] == "the-client"
    assert ids.instance_id_us(receipt["instanceId"]) == clock.now_us
    assert receipt["@id"].startswith("xcore:personalized-offer:")
    assert ids.entity_id_ms(receipt["@id"]) == clock.now_us // 1000

    read = await client.xcore("GET", f"/instances/{receipt['instanceId']}")
    assert read.status == 200
    assert read.body.pop("_instance") == OFFER | {"@id": receipt["@id"]}
    assert read.body["schemas"] == [SCHEMA]
    assert read.body["productContexts"] == ["acp"]
    assert read.body["_links"]["self"] == {
        "name": f"{SCHEMA}#{receipt['instanceId']}",
        "href": f"/{seeded_container(0)}/instances/{receipt['instanceId']}",
        "@type": SCHEMA,
    }
    assert {name: value for name, value in receipt.items() if name != "@id"}.items() <= read.body.items()


async def test_the_sandbox_is_named_where_one_object_is_read_and_not_in_lists(client: Client) -> None:
    assert (await client.xcore("GET", INSTANCE)).body["sandboxName"] == "dev"
    listed = await client.xcore("GET", f"{SEARCH}?schema={SCHEMA}")
    assert not [one for one in listed.body["_embedded"]["results"] if "sandboxName" in one]


async def test_a_wrapped_body_and_the_hal_media_type_create_too(client: Client) -> None:
    content_type = f'application/vnd.adobe.platform.xcore.hal+json; schema="{NAMESPACE}fallback-offer"'
    body = {"_instance": OFFER, "_links": {}}
    created = await client.xcore("POST", "/instances", body, headers={"Content-Type": content_type})
    assert created.status == 201
    assert created.body["@id"].startswith("xcore:fallback-offer:")


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        ({"xdm:status": "draft"}, 422, "/_instance/xdm:name"),
        ({"xdm:name": "A"}, 422, "/_instance/xdm:status"),
        (OFFER | {"xdm:name": ""}, 422, "/_instance/xdm:name"),
        (OFFER | {"xdm:name": 1}, 422, "/_instance/xdm:name"),
        (OFFER | {"@id": "xcore:personalized-offer:1"}, 422, "/_instance/@id"),
        ([], 422, "/_instance"),
        (OFFER | {"xdm:characteristics": {"long": "x" * 310_000}}, 422, "/_instance"),
        ("{", 400, None),
    ],
)
async def test_a_create_of_a_bad_object_has_no_effect(
    client: Client, body: Any, status: int, pointer: str | None
) -> None:
    answer = await client.xcore("POST", "/instances", body)
    assert (answer.status, answer.body["report"].get("pointer")) == (status, pointer)
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert client.server.effects == []


async def test_a_patch_raises_the_etag_and_moves_the_date(start: Start, ticking: Clock) -> None:
    client = await start(clock=ticking, seed_offers=1)
    before = (await client.xcore("GET", INSTANCE)).body
    patched = await client.xcore("PATCH", INSTANCE, rename("New"))
    assert patched.status == 200
    assert patched.body.keys() == RECEIPT_MEMBERS
    assert patched.body["repo:etag"] == 2
    assert patched.body["repo:createdDate"] == before["repo:createdDate"]
    assert instants.parse(patched.body["repo:lastModifiedDate"]) > instants.parse(before["repo:lastModifiedDate"])
    after = (await client.xcore("GET", INSTANCE)).body
    assert after["_instance"] == before["_instance"] | {"xdm:name": "New"}


async def test_an_empty_patch_changes_nothing(client: Client) -> None:
    answer = await client.xcore("PATCH", INSTANCE, [])
    assert (answer.status, answer.body["repo:etag"]) == (200, 1)
    assert client.server.effects == []


async def test_a_patch_with_the_same_values_is_a_write(client: Client) -> None:
    name = (await client.xcore("GET", INSTANCE)).body["_instance"]["xdm:name"]
    answer = await client.xcore("PATCH", INSTANCE, rename(name))
    assert answer.body["repo:etag"] == 2


@pytest.mark.parametrize(
    ("operation", "status"),
    [
        ({"op": "test", "path": "/_instance/xdm:name", "value": "x"}, 400),
        ({"op": "copy", "from": "/_instance/xdm:name", "path": "/_instance/x"}, 400),
        ({"op": "replace", "path": "/_instance/absent", "value": 1}, 422),
        ({"op": "add", "path": "/_instance/absent/-", "value": 1}, 422),
        ({"op": "replace", "path": "/xdm:name", "value": "x"}, 422),
        ({"op": "replace", "path": "/repo:etag", "value": 9}, 422),
        ({"op": "remove", "path": "/_instance/@id"}, 422),
        ({"op": "remove", "path": "/_instance/xdm:status"}, 422),
        ({"op": "remove", "path": "/_instance"}, 422),
        ({"op": "replace", "path": "/_instance", "value": {"@id": "mine"}}, 422),
    ],
)
async def test_a_refused_patch_leaves_the_object_alone(client: Client, operation: Any, status: int) -> None:
    before = (await client.xcore("GET", INSTANCE)).body
    answer = await client.xcore("PATCH", INSTANCE, [*rename("half-way"), operation])
    assert answer.status == status
    assert (await client.xcore("GET", INSTANCE)).body == before
    assert client.server.effects == []


@pytest.mark.parametrize(
    ("tag", "status"),
    [('"1"', 200), ('W/"1"', 200), ("1", 200), ("*", 200), ('"7", "1"', 200), ('"2"', 409), ('W/"0"', 409)],
)
@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
async def test_if_match_guards_a_write(client: Client, method: str, tag: str, status: int) -> None:
    body = rename("New") if method == "PATCH" else None
    answer = await client.xcore(method, INSTANCE, body, headers={"If-Match": tag})
    assert answer.status == (202 if (method, status) == ("DELETE", 200) else status)
    assert len(client.server.effects) == (status == 200)


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json-patch+json",
        "application/vnd.adobe.platform.xcore.patch.hal+json; version=1",
        f'application/schema-instance+json; schema="{SCHEMA}"',
        f'application/vnd.adobe.platform.xcore.patch.hal+json; schema="{NAMESPACE}fallback-offer"',
        f'application/vnd.adobe.platform.xcore.patch.hal+json; schema="{NAMESPACE}unheard-of"',
        f"application/vnd.adobe.platform.xcore.patch.hal+json; schema={SCHEMA}",
    ],
)
async def test_a_patch_with_another_content_type_is_refused(client: Client, content_type: str) -> None:
    answer = await client.xcore("PATCH", INSTANCE, rename("New"), headers={"Content-Type": content_type})
    assert answer.status == 415
    assert client.server.effects == []


async def test_a_body_without_a_content_type_is_refused(client: Client) -> None:
    path = f"{client.server.url}/data/core/xcore/{seeded_container(0)}/instances"
    answer = await client.send("POST", path, OFFER, skip_auto_headers=["Content-Type"])
    assert answer.status == 415


@pytest.mark.parametrize("schema", [f"{NAMESPACE}personalized-offer", f"{NAMESPACE}personalized-offer;version=0.9"])
async def test_the_version_of_a_schema_is_a_hint(client: Client, schema: str) -> None:
    content_type = f'application/vnd.adobe.platform.xcore.patch.hal+json;schema="{schema}";version=1'
    answer = await client.xcore("PATCH", INSTANCE, rename("New"), headers={"Content-Type": content_type})
    assert answer.status == 200


async def test_a_deleted_offer_is_gone(client: Client) -> None:
    deleted = await client.xcore("DELETE", INSTANCE)
    assert (deleted.status, deleted.body) == (202, "")
    assert (await client.xcore("GET", INSTANCE)).status == 404
    assert (await client.xcore("DELETE", INSTANCE)).status == 404
    assert (await client.xcore("PATCH", INSTANCE, rename("New"))).status == 404


@pytest.mark.parametrize("path", ["/instances", SEARCH, INSTANCE])
async def test_an_unknown_container_is_not_found(client: Client, path: str) -> None:
    answer = await client.send("GET", f"/data/core/xcore/{seeded_container(1)}{path}?schema={SCHEMA}")
    assert (answer.status, answer.body["type"]) == (404, "urn:offer-emulator:error:unknown-container")


async def test_the_container_is_looked_at_before_the_object(client: Client) -> None:
    answer = await client.send("PATCH", f"/data/core/xcore/{seeded_container(1)}{INSTANCE}", rename("New"))
    assert (answer.status, answer.body["type"]) == (404, "urn:offer-emulator:error:unknown-container")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", INSTANCE, "GET, PUT, PATCH, DELETE"),
        ("PUT", "/instances", "GET, POST"),
        ("DELETE", SEARCH, "GET"),
    ],
)
async def test_other_verbs_are_not_allowed(client: Client, method: str, path: str, allow: str) -> None:
    answer = await client.xcore(method, path)
    assert (answer.status, answer.headers["Allow"]) == (405, allow)


async def walk(client: Client, path: str) -> list[Any]:
    """All pages from a path on, following next links the way the contract says."""
    pages, container = [], f"/{seeded_container(0)}"
    href = container + path
    while href:
        answer = await client.send("GET", f"/data/core/xcore{href}")
        assert answer.status == 200
        pages.append(answer.body)
        href = answer.body["_links"].get("next", {}).get("href")
    return pages


def instance_ids(pages: list[Any]) -> list[str]:
    return [entry["instanceId"] for page in pages for entry in page["_embedded"]["results"]]


@pytest.mark.parametrize(
    "orderby",
    [
        "",
        "orderby=instanceId",
        "orderBy=-repo:createdDate",
        "orderby=repo:lastModifiedDate,instanceId",
        "orderby=-_instance.xdm:name",
        "orderby=_instance.xdm:status",
        "orderby=-_instance.xdm:rank.xdm:priority,_instance.xdm:name",
        "orderby=_instance.absent",
    ],
)
async def test_a_walk_over_250_offers_loses_and_repeats_none(start: Start, orderby: str) -> None:
    client = await start(seed_offers=250)
    pages = await walk(client, f"{SEARCH}?schema={SCHEMA}&limit=40&{orderby}")
    assert [page["_embedded"]["count"] for page in pages] == [40] * 6 + [10]
    assert {page["_embedded"]["total"] for page in pages} == {250}
    seen = instance_ids(pages)
    assert len(seen) == 250
    assert set(seen) == {seeded_instance_id(index) for index in range(250)}


async def test_the_default_walk_is_by_instance_id_and_its_cursor_is_the_last_one(start: Start) -> None:
    client = await start(seed_offers=60)
    first, second = await walk(client, f"{SEARCH}?schema={SCHEMA}")
    seen = instance_ids([first, second])
    assert seen == sorted(seen)
    assert first["_links"]["next"]["href"] == (
        f"/{seeded_container(0)}{SEARCH}?start={seen[49]}&orderby=instanceId&schema={SCHEMA}"
    )
    assert "next" not in second["_links"]
    assert first["schemaNs"] == SCHEMA


async def test_a_cursor_by_date_is_milliseconds_and_the_instance_id(start: Start) -> None:
    client = await start(seed_offers=3)
    pages = await walk(client, f"{SEARCH}?schema={SCHEMA}&limit=1&orderby=-repo:createdDate")
    assert instance_ids(pages) == [seeded_instance_id(index) for index in (2, 1, 0)]
    last_ms = ids.instance_id_us(seeded_instance_id(2)) // 1000
    next_page = pages[0]["_links"]["next"]["href"]
    assert f"?start={last_ms}%2C{seeded_instance_id(2)}&orderby=-repo:createdDate%2CinstanceId&" in next_page


async def test_what_is_written_during_a_walk_does_not_disturb_it(start: Start) -> None:
    client = await start(seed_offers=30)
    first = await client.xcore("GET", f"{SEARCH}?schema={SCHEMA}&limit=20")
    seen = instance_ids([first.body])
    await client.xcore("DELETE", f"/instances/{seen[-1]}")
    await client.xcore("PATCH", f"/instances/{seen[0]}", rename("New"))
    rest = await client.send("GET", f"/data/core/xcore{first.body['_links']['next']['href']}")
    assert len(set(seen) | set(instance_ids([rest.body]))) == 30


async def test_an_offer_is_looked_up_by_id_or_name(client: Client) -> None:
    by_id = await client.xcore("GET", f"/instances?schema={SCHEMA}&id={seeded_reference(1)}")
    by_name = await client.xcore("GET", f"/instances?schema={SCHEMA}&name=Seeded%20offer%201")
    for answer in (by_id, by_name):
        entries = answer.body["_embedded"]["results"]
        assert [entry["instanceId"] for entry in entries] == [seeded_instance_id(1)]
        assert entries[0]["_score"] == 0
    nothing = await client.xcore("GET", f"/instances?schema={SCHEMA}&name=seeded%20offer%201")
    assert nothing.status == 200
    assert nothing.body["_embedded"] == {"results": [], "total": 0, "count": 0}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("name=Seeded*", {0, 1, 2}),
        ("name=*offer ?", {0, 1, 2}),
        ("name=?", set()),
        ("property=_instance.xdm:name==Seeded offer 2", {2}),
        ("property=_instance.xdm:rank.xdm:priority==1", {1}),
        ("property=_instance.xdm:status==approved&property=_instance.xdm:rank.xdm:priority==0", {0}),
        ("property=_instance.xdm:status==draft", set()),
    ],
)
@pytest.mark.parametrize("path", ["/instances", SEARCH])
async def test_lists_are_narrowed_down(client: Client, path: str, query: str, found: set[int]) -> None:
    pages = await walk(client, f"{path}?schema={SCHEMA}&limit=2&{query}")
    assert set(instance_ids(pages)) == {seeded_instance_id(index) for index in found}


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("limit=1", 400),
        ("schema=nonsense", 400),
        (f"schema={SCHEMA}&id=a&name=b", 400),
        (f"schema={SCHEMA}&limit=none", 400),
        (f"schema={SCHEMA}&start=a,b,c", 400),
        (f"schema={SCHEMA}&orderby=_instance.xdm:name&start=a", 400),
        (f"schema={SCHEMA}&q=spring&qop=NOT", 400),
        (f"schema={SCHEMA}&q=!", 400),
        (f"schema={SCHEMA}&property=!_instance.xdm:name", 400),
    ],
)
async def test_an_ill_asked_search_is_refused(client: Client, query: str, status: int) -> None:
    assert (await client.xcore("GET", f"{SEARCH}?{query}")).status == status


async def test_concurrent_patches_each_raise_the_etag_by_one(client: Client) -> None:
    patches = (client.xcore("PATCH", INSTANCE, rename(f"Name {number}")) for number in range(40))
    answers = await asyncio.gather(*patches)
    assert sorted(answer.body["repo:etag"] for answer in answers) == list(range(2, 42))
    assert [effect.etag for effect in client.server.effects] == list(range(2, 42))
