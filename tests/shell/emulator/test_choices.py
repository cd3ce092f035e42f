"""Every open question, answered both ways: what is seen over HTTP with each value of each choice."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest

from migrator.emulator import (
    Choices,
    EmulatorSettings,
    seeded_companion,
    seeded_container,
    seeded_instance_id,
    seeded_offer_id,
    seeded_placement,
    seeded_reference,
    seeded_tag,
)
from migrator.emulator.choices import CHOICES, help_lines
from migrator.emulator.entities import FALLBACK_OFFER, RULE, TAG

if TYPE_CHECKING:
    from tests.shell.emulator.conftest import Answer, Client, Clock, Start

NAMESPACE = "https://ns.adobe.com/experience/offer-management/"
SCHEMA = f"{NAMESPACE}personalized-offer"
OFFER = {
    "name": "A",
    "status": "draft",
    "selectionConstraint": {"startDate": "2024-03-01T00:00:00Z", "endDate": "2024-06-01T00:00:00Z"},
    "rank": {"priority": 3},
}
PATH = f"/offers/{seeded_offer_id(0)}"
INSTANCE = f"/instances/{seeded_instance_id(0)}"
RENAME = [{"op": "replace", "path": "/name", "value": "New"}]
XCORE_RENAME = [{"op": "replace", "path": "/_instance/xdm:name", "value": "New"}]
RECEIPT = "application/vnd.adobe.platform.xcore.xdm.receipt+json; version=1"
DOUBLED = f'Content-Type: application/vnd.adobe.platform.xcore.patch.hal+json; version=1; schema="{SCHEMA}"'

NOT_FOUND = "404 Not Found"

Ask = Callable[["Client"], Awaitable[Any]]
"""Does something, and returns what it saw."""


def sends(method: str, path: str, body: Any = None, **headers: str | None) -> Ask:
    """Send a request in dps; what is seen is the status."""

    async def ask(client: Client) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return (await client.dps(method, path, body, headers=named)).status

    return ask


def sends_xcore(method: str, path: str, body: Any = None, **headers: str | None) -> Ask:
    """Send a request in xcore; what is seen is the status."""

    async def ask(client: Client) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return (await client.xcore(method, path, body, headers=named)).status

    return ask


def patches(*operations: dict[str, Any]) -> Ask:
    """Patch the first offer in dps; what is seen is the status."""
    return sends("PATCH", PATH, list(operations))


async def a_patch_of_an_unknown_container(client: Client) -> int:
    path = f"/data/core/xcore/{seeded_container(7)}{INSTANCE}"
    return (await client.send("GET", path)).status


async def a_move(client: Client) -> list[int]:
    move = {"op": "move", "from": "/description", "path": "/characteristics"}
    in_dps = await patches({"op": "add", "path": "/description", "value": "d"}, move | {"path": "/label"})(client)
    test = {"op": "test", "path": "/_instance/xdm:status", "value": "approved"}
    return [in_dps, await sends_xcore("PATCH", INSTANCE, [test])(client)]


async def stale_writes(client: Client) -> list[int]:
    stale = {"If-Match": '"9"'}
    return [
        (await client.xcore("PATCH", INSTANCE, XCORE_RENAME, headers=stale)).status,
        (await client.dps("PATCH", PATH, RENAME, headers=stale)).status,
    ]


async def bad_queries(client: Client) -> list[int]:
    queries = ("limit=1", f"schema={SCHEMA}&id=a&name=b", f"schema={SCHEMA}&start=a,b,c")
    return [(await client.xcore("GET", f"/instances?{query}")).status for query in queries]


async def page_sizes(client: Client) -> list[int]:
    return [(await client.dps("GET", f"/offers?limit={limit}")).body["count"] for limit in (2, 1000)]


async def deletes_of_what_is_used(client: Client) -> list[int]:
    fallback = f"/offers/{seeded_companion('dps', FALLBACK_OFFER)}"
    statuses = [
        (await client.send("DELETE", f"/data/core/dps/{path}")).status
        for path in (f"tags/{seeded_tag('dps')}", f"placements/{seeded_placement('dps')}")
    ]
    return [*statuses, (await client.dps("DELETE", fallback, kind="fallback")).status]


async def other_verbs(client: Client) -> list[Any]:
    answer = await client.dps("POST", PATH, OFFER)
    return [answer.status, answer.headers.get("Allow")]


async def offers_of_no_type(client: Client) -> list[Any]:
    answer = await client.send("GET", f"/data/core/dps{PATH}")
    other = await client.dps("GET", PATH, kind="fallback")
    return [answer.status, (await client.dps("GET", PATH, kind="odd")).status, other.status]


async def an_xcore_offer_in_dps(client: Client) -> list[Any]:
    path = f"/offers/{seeded_reference(0)}"
    return [(await client.dps("GET", path)).status, (await client.dps("GET", "/offers")).body["total"]]


async def a_half_good_patch(client: Client) -> list[Any]:
    failing = {"op": "remove", "path": "/absent"}
    status = (await client.dps("PATCH", PATH, [*RENAME, failing])).status
    read = (await client.dps("GET", PATH)).body
    return [status, read["name"], read["etag"]]


async def a_replace_of_nothing(client: Client) -> list[Any]:
    status = await patches({"op": "replace", "path": "/characteristics", "value": {"a": "b"}})(client)
    return [status, (await client.dps("GET", PATH)).body.get("characteristics")]


async def writes_to_service_members(client: Client) -> list[Any]:
    patch = [{"op": "replace", "path": "/etag", "value": 9}, *RENAME]
    patched = await client.dps("PATCH", PATH, patch)
    created = await client.dps("POST", "/offers", OFFER | {"id": "mine"})
    return [patched.status, created.status, (await client.dps("GET", PATH)).body["name"]]


async def a_bad_object(client: Client) -> list[int]:
    xcore = await client.xcore("POST", "/instances", {"xdm:name": "A"})
    return [(await client.dps("POST", "/offers", {"name": "A"})).status, xcore.status]


async def unknown_members(client: Client) -> list[Any]:
    odd = {"odd": 1, "rank": {"priority": 3, "odder": 2}}
    created = await client.dps("POST", "/offers", OFFER | odd)
    if created.status != 201:
        return [created.status, created.body["report"]["pointer"]]
    read = (await client.dps("GET", f"/offers/{created.body['id']}")).body
    return [created.status, read.get("odd"), read["rank"].get("odder")]


async def soft_rules(client: Client) -> list[Any]:
    late = {"startDate": "2024-06-02T00:00:00Z", "endDate": "2024-06-01T00:00:00Z"}
    statuses = [
        (await client.dps("POST", "/offers", OFFER | {"selectionConstraint": late})).status,
        await patches({"op": "replace", "path": "/status", "value": "draft"})(client),
        await patches({"op": "replace", "path": "/representations/0/channel", "value": "urn:elsewhere"})(client),
    ]
    return [statuses, sum((await client.state())["warnings"].values())]


async def namesakes(client: Client) -> list[int]:
    tag = {"name": "Seeded tag 0"}
    json_type = {"Content-Type": "application/json"}
    return [
        (await client.send("POST", "/data/core/dps/tags", tag, json_type)).status,
        (await client.dps("POST", "/offers", OFFER | {"name": "Seeded offer 0"})).status,
        (await client.xcore("POST", "/instances", {"xdm:name": "Seeded tag 0"}, word="tag")).status,
    ]


async def a_camel_case_word(client: Client) -> str:
    patch = [{"op": "replace", "path": "/selectionConstraint/profileConstraintType", "value": "anySegments"}]
    await client.dps("PATCH", PATH, patch)
    word: str = (await client.dps("GET", PATH)).body["selectionConstraint"]["profileConstraintType"]
    return word


async def an_empty_patch(client: Client) -> list[int]:
    return [
        (await client.dps("PATCH", PATH, [])).status,
        (await client.xcore("PATCH", INSTANCE, [])).status,
    ]


async def a_patch_that_changes_nothing(client: Client) -> list[int]:
    same = {"op": "replace", "path": "/name", "value": "Seeded offer 0"}
    return [(await client.dps("PATCH", PATH, [same])).body["etag"], len(client.server.effects)]


async def the_date_of_a_read(client: Client) -> str:
    created: str = (await client.dps("GET", PATH)).body["created"]
    return created


async def the_same_create_twice(client: Client) -> list[int]:
    first, second, other = [
        (await client.dps("POST", "/offers", OFFER, headers={"x-api-key": key})).body["id"] for key in ("a", "a", "b")
    ]
    return [len({first, second}), len({first, second, other}), len(client.server.effects)]


BOTH_SIDES: list[tuple[str, Ask, dict[str, Any]]] = [
    (
        "C-01",
        sends("GET", PATH, Authorization="Bearer  a-token-of-the-tests"),
        {"any": 200, "one": 401},
    ),
    ("C-02", sends("GET", "/offers", x_sandbox_name=None), {"prod": 200, "require": 400}),
    ("C-03", sends("GET", PATH, Accept="*, image/png"), {"ignored": 200, "strict": 406}),
    ("C-03", sends_xcore("PATCH", INSTANCE, XCORE_RENAME, Accept="text/html"), {"ignored": 200, "strict": 406}),
    ("C-03", sends_xcore("PATCH", INSTANCE, XCORE_RENAME, Accept=RECEIPT), {"ignored": 200, "strict": 200}),
    ("C-03", sends("GET", PATH, Accept="*,application/json"), {"ignored": 200, "strict": 200}),
    ("C-04", a_patch_of_an_unknown_container, {"404": 404, "403": 403}),
    ("C-05", sends_xcore("PATCH", INSTANCE, XCORE_RENAME, Content_Type=DOUBLED), {"lenient": 200, "strict": 415}),
    ("C-06", sends("POST", "/offers", OFFER), {"201": 201, "200": 200}),
    ("C-07", a_move, {"400": [400, 400], "rfc6902": [200, 200]}),
    ("C-08", stale_writes, {"xcore-409": [409, 200], "dps-412": [409, 412], "dps-409": [409, 409]}),
    ("C-09", bad_queries, {"400": [400] * 3, "422": [422] * 3}),
    ("C-10", page_sizes, {"cap:100": [2, 100], "cap:20": [2, 20], "ignore-limit": [50, 50]}),
    ("C-11", deletes_of_what_is_used, {"409": [409] * 3, "allow": [200] * 3}),
    ("C-12", other_verbs, {"405": [405, "GET, PATCH, DELETE"], "404": [404, None]}),
    ("C-13", offers_of_no_type, {"400": [400, 400, 404], "default-personalized": [200, 200, 404]}),
    ("C-14", an_xcore_offer_in_dps, {"separate": [404, 120], "mirrored": [200, 240]}),
    (
        "C-15",
        sends("PATCH", PATH, RENAME, Content_Type="application/json-patch+json"),
        {"accept": 200, "415": 415},
    ),
    (
        "C-16",
        patches({"op": "test", "path": "/name", "value": "?"}),
        {"409": 409, "412": 412, "422": 422, "400": 400},
    ),
    ("C-17", a_half_good_patch, {"atomic": [422, "Seeded offer 0", 1], "partial": [422, "New", 2]}),
    ("C-18", a_replace_of_nothing, {"422": [422, None], "upsert": [200, {"a": "b"}]}),
    ("C-19", writes_to_service_members, {"422": [422, 422, "Seeded offer 0"], "ignore": [200, 201, "New"]}),
    ("C-21", a_bad_object, {"422": [422, 422], "400": [400, 422], "off": [201, 422]}),
    ("C-22", unknown_members, {"keep": [201, 1, 2], "drop": [201, None, None], "reject": [422, "/rank/odder"]}),
    ("C-23", soft_rules, {"warn": [[201, 200, 200], 3], "enforce": [[422, 422, 422], 0]}),
    ("C-24", namesakes, {"tags": [409, 201, 409], "all": [409, 409, 409], "none": [201, 201, 201]}),
    ("C-25", a_camel_case_word, {"echo": "anySegments", "kebab": "any-segments"}),
    ("C-26", an_empty_patch, {"200": [200, 200], "400": [400, 400]}),
    ("C-27", a_patch_that_changes_nothing, {"write": [2, 1], "nothing": [1, 0]}),
    ("C-29", the_date_of_a_read, {"offset": "2025-02-27T05:12:42.130+00:00", "z": "2025-02-27T05:12:42.130Z"}),
    ("C-31", the_same_create_twice, {"create": [2, 3, 3], "deduplicate:60": [1, 2, 2]}),
]
"""For each choice: what to do, and what is then seen, by value."""

IN_TESTS_OF_THEIR_OWN = {"C-20", "C-28", "C-30"}


@pytest.mark.parametrize(
    ("choice", "value", "ask", "seen"),
    [
        pytest.param(choice, value, ask, seen, id=f"{choice}={value}-{number}")
        for number, (choice, ask, sides) in enumerate(BOTH_SIDES)
        for value, seen in sides.items()
    ],
)
async def test_a_choice_is_seen_over_http(start: Start, choice: str, value: str, ask: Ask, seen: Any) -> None:
    client = await start(seed_offers=120, choices=Choices.from_texts({choice: value}))
    assert await ask(client) == seen


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: choice.id)
def test_every_value_of_every_choice_is_tried(choice: Any) -> None:
    if choice.id in IN_TESTS_OF_THEIR_OWN:
        return
    tried = {value for identifier, _, sides in BOTH_SIDES if identifier == choice.id for value in sides}
    assert {str(value) for value in choice.values} <= tried
    assert len(tried) > 1


async def test_a_choice_that_is_not_made_has_its_default(start: Start) -> None:
    client = await start(seed_offers=120)
    for choice, ask, sides in BOTH_SIDES[:8]:
        assert await ask(client) == next(iter(sides.values())), choice


# --- the choices that need more room ----------------------------------------------------------------------------------


async def walk(client: Client, path: str, most: int = 20) -> list[list[str]]:
    """The names on each page."""
    pages: list[list[str]] = []
    href = path
    while href and len(pages) < most:
        answer = await client.send("GET", f"/data/core/dps{href}")
        pages.append([one["name"] for one in answer.body["results"]])
        href = answer.body["_links"].get("next", {}).get("href")
    return pages


@pytest.mark.parametrize("orderby", ["", "&orderby=status,-rank.priority", "&orderby=status", "&orderby=-id"])
async def test_c20_a_tie_safe_cursor_leads_through_offers_of_one_instant(
    start: Start, clock: Clock, orderby: str
) -> None:
    client = await start(clock=clock, choices=Choices(dps_cursor="tie-safe"))
    names = {f'{number}, "so"' for number in range(7)}
    for number, name in enumerate(sorted(names)):
        await client.dps("POST", "/offers", OFFER | {"name": name, "rank": {"priority": number % 2}})
    pages = await walk(client, f"/offers?offer-type=personalized&limit=2{orderby}")
    assert [len(page) for page in pages] == [2, 2, 2, 1]
    assert {name for page in pages for name in page} == names


async def test_c20_a_tie_safe_walk_can_be_walked_back(start: Start, clock: Clock) -> None:
    client = await start(clock=clock, choices=Choices(dps_cursor="tie-safe"))
    for number in range(5):
        await client.dps("POST", "/offers", OFFER | {"name": f'{number}"'})
    there: list[list[str]] = []
    back: list[list[str]] = []
    href = "/offers?offer-type=personalized&limit=2&orderby=-name"
    for rel, pages in (("next", there), ("prev", back)):
        while True:
            body = (await client.send("GET", f"/data/core/dps{href}")).body
            pages.append([one["name"] for one in body["results"]])
            if rel not in body["_links"]:
                break
            href = body["_links"][rel]["href"]
    assert there == back[::-1] == [['4"', '3"'], ['2"', '1"'], ['0"']]


async def test_c20_a_time_cursor_is_blind_to_ties(start: Start, clock: Clock) -> None:
    client = await start(clock=clock)
    for number in range(3):
        await client.dps("POST", "/offers", OFFER | {"name": str(number)})
    pages = await walk(client, "/offers?offer-type=personalized&limit=1")
    assert len(pages) == 20
    assert len({name for page in pages for name in page}) == 1


async def test_c20_a_cursor_that_does_not_fit_is_refused(start: Start) -> None:
    client = await start(choices=Choices(dps_cursor="tie-safe"))
    for cursor in ("x", "yesterday,x", "2025-02-27T05:12:42.130Z,1,x"):
        assert (await client.dps("GET", f"/offers?start={cursor}")).status == 400


async def test_c28_lists_lag_behind_and_reads_do_not(start: Start, clock: Clock) -> None:
    client = await start(clock=clock, seed_offers=2, choices=Choices.from_texts({"C-28": "lag:2"}))
    created = await client.dps("POST", "/offers", OFFER)
    await client.dps("PATCH", PATH, RENAME)
    await client.dps("DELETE", f"/offers/{seeded_offer_id(1)}")

    async def seen() -> set[str]:
        return {one["name"] for one in (await client.dps("GET", "/offers")).body["results"]}

    assert (await client.dps("GET", f"/offers/{created.body['id']}")).status == 200
    assert (await client.dps("GET", PATH)).body["name"] == "New"
    assert await seen() == {"Seeded offer 0", "Seeded offer 1"}
    clock.now_us += 1_999_999
    assert await seen() == {"Seeded offer 0", "Seeded offer 1"}
    clock.now_us += 1
    assert await seen() == {"New", "A"}


async def test_c28_without_lag_lists_show_what_is(client: Client) -> None:
    await client.dps("PATCH", PATH, RENAME)
    found = await client.dps("GET", "/offers?property=name==New")
    assert found.body["total"] == 1


async def test_c28_xcore_lags_too(start: Start, clock: Clock) -> None:
    client = await start(clock=clock, seed_offers=1, choices=Choices.from_texts({"C-28": "lag:0.5"}))
    await client.xcore("PATCH", INSTANCE, XCORE_RENAME)
    query = f"/instances?schema={SCHEMA}&name=New"
    assert (await client.xcore("GET", query)).body["_embedded"]["total"] == 0
    clock.now_us += 500_000
    assert (await client.xcore("GET", query)).body["_embedded"]["total"] == 1


@pytest.mark.parametrize(
    ("shape", "content_type", "body"),
    [
        ("problem", "application/problem+json", None),
        ("gateway", "application/json", '{"error_code":"404999","message":"there is no such offer as x"}'),
        ("error-message", "application/json", '{"errorMessage":"there is no such offer as x"}'),
        (
            "html",
            "text/html",
            f"<html><head><title>{NOT_FOUND}</title></head><body><center><h1>{NOT_FOUND}</h1></center></body></html>",
        ),
        ("empty", "", ""),
        ("wrong-type", "text/html", None),
    ],
)
async def test_c30_error_bodies_have_the_chosen_shape(
    start: Start, shape: str, content_type: str, body: str | None
) -> None:
    client = await start(choices=Choices(error_bodies=shape))
    status, text, kind = await raw(client, "/data/core/dps/offers/x?offer-type=personalized")
    assert status == 404
    assert kind.partition(";")[0] in (content_type, content_type or "application/octet-stream")
    if body is None:
        assert json.loads(text)["type"] == "urn:offer-emulator:error:unknown-object"
    else:
        assert text == body


async def test_c30_a_cut_body_is_no_json(start: Start) -> None:
    client = await start(choices=Choices(error_bodies="cut"))
    _, text, kind = await raw(client, "/data/core/dps/offers/x?offer-type=personalized")
    assert kind == "application/problem+json"
    assert text.startswith('{"type":"urn:offer-emulator:error:unknown-object"')
    with pytest.raises(json.JSONDecodeError):
        json.loads(text)


async def test_c30_the_gateways_own_bodies_stay(start: Start) -> None:
    client = await start(choices=Choices(error_bodies="html"))
    answer = await client.send("GET", "/data/core/dps/offers", headers={"Authorization": None})
    assert answer.body == {"error_code": "403010", "message": "Oauth token is missing."}


async def raw(client: Client, path: str) -> tuple[int, str, str]:
    headers = {
        "Authorization": "Bearer a-token-of-the-tests",
        "x-api-key": "k",
        "x-gw-ims-org-id": "o",
        "x-sandbox-name": "dev",
    }
    async with client.session.get(f"{client.server.url}{path}", headers=headers) as response:
        return response.status, await response.text(), response.headers.get("Content-Type", "")


async def test_c31_after_its_time_the_same_create_makes_a_second_object(start: Start, clock: Clock) -> None:
    client = await start(clock=clock, choices=Choices.from_texts({"C-31": "deduplicate:10"}))
    first = await client.dps("POST", "/offers", OFFER)
    clock.now_us += 9_999_999
    again = await client.dps("POST", "/offers", OFFER)
    clock.now_us += 1
    later = await client.dps("POST", "/offers", OFFER)
    assert (again.status, again.body) == (201, first.body)
    assert later.body["id"] != first.body["id"]


async def test_c01_the_refusal_is_the_gateways(start: Start) -> None:
    client = await start(choices=Choices(bearer_blanks="one"))
    answer = await client.send("GET", "/data/core/dps/tags", headers={"Authorization": "Bearer  a-token-of-the-tests"})
    assert answer.body["error_code"] == "401013"


async def test_c05_the_doubling_is_counted(client: Client) -> None:
    await client.xcore("PATCH", INSTANCE, XCORE_RENAME, headers={"Content-Type": DOUBLED})
    assert (await client.state())["warnings"] == {"doubled Content-Type": 1}


async def test_c17_a_patch_whose_first_operation_fails_is_no_write(start: Start) -> None:
    client = await start(seed_offers=1, choices=Choices(failed_patch="partial"))
    assert await patches({"op": "remove", "path": "/absent"}, *RENAME)(client) == 422
    assert client.server.effects == []


async def test_c17_a_part_that_makes_no_valid_object_is_not_kept(start: Start) -> None:
    client = await start(seed_offers=1, choices=Choices(failed_patch="partial"))
    assert await patches({"op": "remove", "path": "/name"}, {"op": "remove", "path": "/absent"})(client) == 422
    assert client.server.effects == []


async def test_c22_unknown_members_are_dropped_in_xcore_too(start: Start) -> None:
    client = await start(choices=Choices(unknown_members="drop"))
    created = await client.xcore("POST", "/instances", {"xdm:name": "T", "xdm:odd": 1}, word="tag")
    read = await client.xcore("GET", f"/instances/{created.body['instanceId']}")
    assert read.body["_instance"] == {"xdm:name": "T", "@id": created.body["@id"]}


# --- one store behind two doors (C-14) --------------------------------------------------------------------------------


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


# --- the table itself -------------------------------------------------------------------------------------------------


def test_the_ids_are_those_of_the_contract() -> None:
    assert [choice.id for choice in CHOICES] == [f"C-{number:02}" for number in range(1, 32)]


@pytest.mark.parametrize("label", ["C-16", "c-16", "failed_test", "failed-test", " FAILED_TEST "])
def test_a_choice_is_made_by_id_or_by_name(label: str) -> None:
    assert Choices.from_texts({label: "412"}) == Choices(failed_test="412")


def test_a_value_may_have_a_number() -> None:
    chosen = Choices.from_texts({"C-10": "cap:20", "C-28": "lag:0.5", "C-31": "deduplicate"})
    assert (chosen.largest_page, chosen.search_lag_s, chosen.deduplicate_s) == (20, 0.5, 60)
    assert (Choices().largest_page, Choices().search_lag_s, Choices().deduplicate_s) == (100, 0, None)
    assert Choices(page_size="ignore-limit").largest_page is None


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        ({"C-16": "418"}, r"C-16 \(failed_test\) cannot be '418'; it can be 409 or 412 or 422 or 400"),
        ({"C-10": "cap:many"}, r"it can be cap:NUMBER or ignore-limit"),
        ({"C-16": "409:1"}, "C-16"),
        ({"C-10": ""}, "C-10"),
        ({"failed_tests": "409"}, r"the nearest is C-16 \(failed_test\)"),
        ({"C-32": "x"}, r"there is no choice 'C-32'; the nearest is C-"),
        ({"C-16": "409", "failed_test": "412"}, "chosen twice"),
    ],
)
def test_what_cannot_be_chosen_is_explained(texts: dict[str, str], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Choices.from_texts(texts)


def test_choices_made_in_code_are_checked_too() -> None:
    with pytest.raises(ValueError, match="C-14"):
        Choices(stores="both")
    with pytest.raises(ValueError, match="C-14"):
        EmulatorSettings(choices=Choices(stores=""))


def test_the_help_names_every_choice_and_every_value() -> None:
    lines = list(help_lines())
    text = " ".join(map(str.strip, lines))
    for choice in CHOICES:
        assert f"{choice.id}  {choice.name}: {choice.question} {choice.default}: " in text
        assert all(f"{value}: {value.meaning}" in text for value in choice.values)
    assert text.count("(default)") == len(CHOICES)
    assert max(map(len, lines)) <= 80
