"""The dps style over HTTP."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING, Any

import pytest

from migrator.emulator import ids, instants, seeded_offer_id, seeded_placement

if TYPE_CHECKING:
    from tests.shell.emulator.conftest import Client, Clock, Start


OFFER = {
    "name": "Spring loan",
    "status": "draft",
    "selectionConstraint": {"startDate": "2024-03-01T00:00:00Z", "endDate": "2024-06-01T00:00:00Z"},
    "rank": {"priority": 3},
    "characteristics": {"region": "NA"},
    "unknown": [1],
}
PATH = f"/offers/{seeded_offer_id(0)}"
RECEIPT_MEMBERS = {
    "etag",
    "id",
    "sandboxId",
    "createdBy",
    "lastModifiedBy",
    "createdDate",
    "lastModifiedDate",
    "createdByClientId",
    "lastModifiedByClientId",
}


def rename(name: str) -> list[dict[str, Any]]:
    return [{"op": "replace", "path": "/name", "value": name}]


@pytest.mark.parametrize(
    ("kind", "word", "version"), [("personalized", "personalized-offer", "0.15"), ("FALLBACK", "fallback-offer", "0.7")]
)
async def test_a_created_offer_is_receipted_and_read_back(
    start: Start, clock: Clock, kind: str, word: str, version: str
) -> None:
    client = await start(clock=clock)
    created = await client.dps("POST", "/offers", OFFER, kind)
    assert created.status == 201
    receipt = created.body
    assert receipt.keys() == RECEIPT_MEMBERS
    assert receipt["etag"] == 1
    assert receipt["createdDate"] == receipt["lastModifiedDate"] == "2027-01-15T08:00:00.123Z"
    assert receipt["createdByClientId"] == "the-client"
    assert receipt["id"].startswith(f"dps:{word}:")
    assert ids.entity_id_ms(receipt["id"]) == clock.now_us // 1000

    read = await client.dps("GET", f"/offers/{receipt['id']}", kind=kind)
    assert read.status == 200
    assert read.body == OFFER | {
        "created": "2027-01-15T08:00:00.123+00:00",
        "modified": "2027-01-15T08:00:00.123+00:00",
        "etag": 1,
        "schemas": [f"https://ns.adobe.com/experience/offer-management/{word};version={version}"],
        "createdBy": receipt["createdBy"],
        "lastModifiedBy": receipt["lastModifiedBy"],
        "id": receipt["id"],
    }


@pytest.mark.parametrize("colon", [":", "%3A"])
async def test_the_colons_of_an_id_may_be_encoded(client: Client, colon: str) -> None:
    path = PATH.replace(":", colon)
    assert (await client.dps("GET", path)).status == 200
    assert (await client.dps("PATCH", path, rename("New"))).body["id"] == seeded_offer_id(0)
    assert (await client.dps("DELETE", path)).status == 200


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        ({"status": "draft"}, 422, "/name"),
        ({"name": "A"}, 422, "/status"),
        (OFFER | {"id": "mine"}, 422, "/id"),
        (rename("New"), 422, ""),
        (OFFER | {"description": "x" * 310_000}, 422, ""),
        ("[", 400, None),
        ("", 400, None),
    ],
)
async def test_a_create_of_a_bad_object_has_no_effect(
    client: Client, body: Any, status: int, pointer: str | None
) -> None:
    answer = await client.dps("POST", "/offers", body)
    assert (answer.status, answer.body["report"].get("pointer")) == (status, pointer)
    assert client.server.effects == []


async def test_a_body_beyond_all_measure_is_not_read(client: Client) -> None:
    answer = await client.dps("POST", "/offers", io.BytesIO(b"[" * 5_000_000))
    assert answer.status == 413


async def test_the_same_create_twice_makes_two_offers(client: Client) -> None:
    first = await client.dps("POST", "/offers", OFFER)
    second = await client.dps("POST", "/offers", OFFER)
    assert first.body["id"] != second.body["id"]


async def test_a_patch_raises_the_etag_and_moves_the_date(start: Start, ticking: Clock) -> None:
    client = await start(clock=ticking, seed_offers=1)
    before = (await client.dps("GET", PATH)).body
    patched = await client.dps("PATCH", PATH, rename("New"))
    assert (patched.status, patched.body["etag"]) == (200, 2)
    assert patched.body.keys() == RECEIPT_MEMBERS
    assert patched.body["createdDate"] == "2025-02-27T05:12:42.130Z"
    assert instants.parse(patched.body["lastModifiedDate"]) > instants.parse(patched.body["createdDate"])
    after = (await client.dps("GET", PATH)).body
    assert after == before | {
        "name": "New",
        "etag": 2,
        "modified": after["modified"],
        "lastModifiedBy": "the-client",
    }


async def test_no_object_is_modified_before_it_was_created(start: Start, clock: Clock) -> None:
    client = await start(clock=clock)
    created = await client.dps("POST", "/offers", OFFER)
    clock.now_us -= 60_000_000
    patched = await client.dps("PATCH", f"/offers/{created.body['id']}", rename("New"))
    assert patched.body["lastModifiedDate"] == created.body["createdDate"]


async def test_a_patch_may_test_and_copy(client: Client) -> None:
    patch = [
        {"op": "test", "path": "/status", "value": "approved"},
        {"op": "copy", "from": "/representations/0/components/0", "path": "/representations/1/components/-"},
        {"op": "replace", "path": "/representations/0/components/0/content", "value": "<b>New</b>"},
    ]
    assert (await client.dps("PATCH", PATH, patch)).status == 200
    components = [one["components"] for one in (await client.dps("GET", PATH)).body["representations"]]
    assert components[0][0]["content"] == "<b>New</b>"
    assert components[1][2]["content"] == "<b>Your rate: 0 points</b>"


async def test_an_empty_patch_changes_nothing(client: Client) -> None:
    answer = await client.dps("PATCH", PATH, [])
    assert (answer.status, answer.body["etag"]) == (200, 1)
    assert client.server.effects == []


@pytest.mark.parametrize(
    ("operation", "status"),
    [
        ({"op": "test", "path": "/status", "value": "draft"}, 409),
        ({"op": "move", "from": "/name", "path": "/label"}, 400),
        ({"op": "add", "path": "/name"}, 400),
        ({"op": "replace", "path": "/absent", "value": 1}, 422),
        ({"op": "add", "path": "/etag", "value": 9}, 422),
        ({"op": "test", "path": "/etag", "value": 1}, 422),
        ({"op": "copy", "from": "/name", "path": "/id"}, 422),
        ({"op": "remove", "path": "/name"}, 422),
        ({"op": "replace", "path": "", "value": []}, 422),
        ({"op": "replace", "path": "", "value": OFFER | {"id": "mine"}}, 422),
        ({"op": "add", "path": "/description", "value": "x" * 310_000}, 422),
    ],
)
async def test_a_refused_patch_leaves_the_object_alone(client: Client, operation: Any, status: int) -> None:
    before = (await client.dps("GET", PATH)).body
    answer = await client.dps("PATCH", PATH, [*rename("half-way"), operation])
    assert answer.status == status
    assert (await client.dps("GET", PATH)).body == before
    assert client.server.effects == []


async def test_a_patch_may_replace_the_whole_object(client: Client) -> None:
    answer = await client.dps("PATCH", PATH, [{"op": "replace", "path": "", "value": OFFER}])
    assert answer.status == 200
    read = (await client.dps("GET", PATH)).body
    assert OFFER.items() <= read.items()
    assert read["id"] == seeded_offer_id(0)
    assert "representations" not in read


async def test_if_match_means_nothing_here(client: Client) -> None:
    assert (await client.dps("PATCH", PATH, rename("New"), headers={"If-Match": '"9"'})).status == 200


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ("application/json-patch+json", 200),
        ("text/plain", 415),
        ("application/merge-patch+json", 415),
        ("Content-Type: application/json", 415),
    ],
)
async def test_the_content_type_of_a_patch(client: Client, content_type: str, status: int) -> None:
    answer = await client.dps("PATCH", PATH, rename("New"), headers={"Content-Type": content_type})
    assert answer.status == status
    tolerated = (await client.state())["warnings"]
    assert bool(tolerated) == (content_type == "application/json-patch+json")


async def test_a_create_is_plain_json(client: Client) -> None:
    content_type = {"Content-Type": "application/json-patch+json"}
    assert (await client.dps("POST", "/offers", OFFER, headers=content_type)).status == 415


async def test_a_deleted_offer_is_gone(client: Client) -> None:
    deleted = await client.dps("DELETE", PATH, headers={"Content-Type": "application/json"})
    assert (deleted.status, deleted.body) == (200, "")
    assert (await client.dps("GET", PATH)).status == 404
    assert (await client.dps("DELETE", PATH)).status == 404
    assert (await client.dps("PATCH", PATH, rename("New"))).status == 404


@pytest.mark.parametrize(("kind", "status"), [("PERSONALIZED", 200), ("fallback", 404), ("other", 400), ("", 400)])
async def test_the_offer_type_is_required_and_has_to_fit(client: Client, kind: str, status: int) -> None:
    assert (await client.dps("GET", PATH, kind=kind)).status == status


async def test_sandboxes_do_not_see_each_other(client: Client) -> None:
    assert (await client.dps("GET", PATH, headers={"x-sandbox-name": "prod"})).status == 404
    assert (await client.dps("GET", "/offers", headers={"x-sandbox-name": "prod"})).body["total"] == 0


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [("POST", PATH, "GET, PATCH, DELETE"), ("PUT", PATH, "GET, PATCH, DELETE"), ("PATCH", "/offers", "GET, POST")],
)
async def test_other_verbs_are_not_allowed(client: Client, method: str, path: str, allow: str) -> None:
    answer = await client.dps(method, path, rename("New"))
    assert (answer.status, answer.headers["Allow"]) == (405, allow)


@pytest.mark.parametrize("path", ["/tagsX", "/nothing", "/offers/a/b"])
async def test_other_paths_are_not_found(client: Client, path: str) -> None:
    answer = await client.send("GET", f"/data/core/dps{path}")
    assert (answer.status, answer.body["type"]) == (404, "urn:offer-emulator:error:not-found")


async def walk(client: Client, path: str) -> list[Any]:
    """All pages from a path on, following next links the way the contract says."""
    pages, href = [], path
    while href:
        answer = await client.send("GET", f"/data/core/dps{href}")
        assert answer.status == 200
        pages.append(answer.body)
        href = answer.body["_links"].get("next", {}).get("href")
        assert href not in [page["_links"]["self"]["href"] for page in pages]
    return pages


def ids_of(pages: list[Any]) -> list[str]:
    return [entry["id"] for page in pages for entry in page["results"]]


@pytest.mark.parametrize(
    "orderby",
    [
        "",
        "orderby=,",
        "orderby=-modified",
        "orderBy=created",
        "orderby=id",
        "orderby=-id",
        "orderby=name",
        "orderby=-name",
    ],
)
async def test_a_walk_over_250_seeded_offers_loses_and_repeats_none(start: Start, orderby: str) -> None:
    client = await start(seed_offers=250)
    pages = await walk(client, f"/offers?offer-type=personalized&limit=40&{orderby}")
    assert [page["count"] for page in pages] == [40] * 6 + [10]
    assert {page["total"] for page in pages} == {250}
    assert len(ids_of(pages)) == 250
    assert set(ids_of(pages)) == {seeded_offer_id(index) for index in range(250)}


async def test_a_walk_over_250_created_offers_loses_none(start: Start, ticking: Clock) -> None:
    client = await start(clock=ticking)
    answers = await asyncio.gather(*(client.dps("POST", "/offers", OFFER, "fallback") for _ in range(250)))
    pages = await walk(client, "/offers?offer-type=fallback")
    assert set(ids_of(pages)) == {answer.body["id"] for answer in answers}


async def test_the_links_are_those_of_adobes_samples(start: Start) -> None:
    client = await start(seed_offers=5)
    pages = await walk(client, "/offers?offer-type=personalized&limit=2")
    assert ids_of(pages) == [seeded_offer_id(index) for index in (4, 3, 2, 1, 0)]
    self_link = "/offers?orderby=-modified&limit=2&offer-type=PERSONALIZED"
    next_link = "/offers?orderby=-modified&limit=2&start=2025-02-27T05:12:44.130Z&offer-type=PERSONALIZED"
    assert pages[0]["_links"] == {
        "self": {"href": self_link, "type": "application/json"},
        "next": {"href": next_link, "type": "application/json"},
    }
    assert pages[1]["_links"].keys() == {"self", "next", "prev"}
    assert "start=2025-02-27T05:12:46.130Z" in pages[1]["_links"]["prev"]["href"]
    assert "next" not in pages[2]["_links"]


async def test_offers_of_one_instant_come_again_on_the_next_page(start: Start, clock: Clock) -> None:
    client = await start(clock=clock)
    for name in ("a", "b", "c"):
        await client.dps("POST", "/offers", OFFER | {"name": name})
        clock.now_us += 1000 if name == "a" else 0
    # newest first: b and c share an instant, a is older; a page of one stands still on that instant
    first = await client.dps("GET", "/offers?limit=1")
    again = await client.send("GET", f"/data/core/dps{first.body['_links']['next']['href']}")
    assert again.body["results"] == first.body["results"]
    assert again.body["_links"]["next"] == first.body["_links"]["next"]
    assert {one["name"] for one in (await client.dps("GET", "/offers?limit=2")).body["results"]} == {"b", "c"}


async def test_without_a_limit_a_page_has_50(start: Start) -> None:
    client = await start(seed_offers=51)
    assert (await client.dps("GET", "/offers")).body["count"] == 50


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("property=name%3D%3DSeeded%20offer%201", {1}),
        ("property=status==approved,rank.priority==2", {2}),
        ("property=status==approved&property=rank.priority==2", {2}),
        ("property=id==x", set()),
    ],
)
async def test_lists_are_narrowed_down(client: Client, query: str, found: set[int]) -> None:
    pages = await walk(client, f"/offers?offer-type=personalized&limit=1&{query}")
    assert set(ids_of(pages)) == {seeded_offer_id(index) for index in found}


async def test_links_of_a_narrowed_list_keep_the_condition(client: Client) -> None:
    pages = await walk(client, "/offers?offer-type=personalized&limit=2&property=status==approved")
    assert len(ids_of(pages)) == 3
    assert "&property=status%3D%3Dapproved&" in pages[0]["_links"]["next"]["href"]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("limit=0", 400),
        ("start=yesterday", 400),
        ("start=2025-02-27T05:12:42", 400),
        ("orderby=name&start={", 400),
        ("property=name~(", 400),
        ("property=", 400),
        ("property=name=x", 400),
    ],
)
async def test_an_ill_asked_list_is_refused(client: Client, query: str, status: int) -> None:
    assert (await client.dps("GET", f"/offers?{query}")).status == status


async def test_concurrent_patches_each_raise_the_etag_by_one(client: Client) -> None:
    patches = (client.dps("PATCH", PATH, rename(f"Name {number}")) for number in range(40))
    answers = await asyncio.gather(*patches)
    assert sorted(answer.body["etag"] for answer in answers) == list(range(2, 42))


async def test_seeded_offers_have_two_representations_in_two_languages(client: Client) -> None:
    offer = (await client.dps("GET", PATH)).body
    placements = [one["placement"] for one in offer["representations"]]
    assert placements == [seeded_placement("dps"), seeded_placement("dps", 1)]
    for representation in offer["representations"]:
        assert [one["language"] for one in representation["components"]] == [["en"], ["fr"]]
