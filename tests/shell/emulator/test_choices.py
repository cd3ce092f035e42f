"""Every open question, answered both ways: what is seen over HTTP with each value of each choice."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest

from migrator.emulator import (
    Choices,
    EmulatorSettings,
    seeded_companion,
    seeded_container,
    seeded_placement,
    seeded_reference,
    seeded_tag,
)
from migrator.emulator.choices import CHOICES, help_lines
from migrator.emulator.entities import FALLBACK_OFFER
from tests.shell.emulator.common import FIRST, INSTANCE, OFFER, RENAME, SCHEMA, XCORE_RENAME

if TYPE_CHECKING:
    from tests.shell.emulator.conftest import Client, Start


RECEIPT = "application/vnd.adobe.platform.xcore.xdm.receipt+json; version=1"
DOUBLED = f'Content-Type: application/vnd.adobe.platform.xcore.patch.hal+json; version=1; schema="{SCHEMA}"'

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
    return sends("PATCH", FIRST, list(operations))


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
        (await client.dps("PATCH", FIRST, RENAME, headers=stale)).status,
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
    answer = await client.dps("POST", FIRST, OFFER)
    return [answer.status, answer.headers.get("Allow")]


async def offers_of_no_type(client: Client) -> list[Any]:
    answer = await client.send("GET", f"/data/core/dps{FIRST}")
    other = await client.dps("GET", FIRST, kind="fallback")
    return [answer.status, (await client.dps("GET", FIRST, kind="odd")).status, other.status]


async def an_xcore_offer_in_dps(client: Client) -> list[Any]:
    path = f"/offers/{seeded_reference(0)}"
    return [(await client.dps("GET", path)).status, (await client.dps("GET", "/offers")).body["total"]]


async def a_half_good_patch(client: Client) -> list[Any]:
    failing = {"op": "remove", "path": "/absent"}
    status = (await client.dps("PATCH", FIRST, [*RENAME, failing])).status
    read = (await client.dps("GET", FIRST)).body
    return [status, read["name"], read["etag"]]


async def a_replace_of_nothing(client: Client) -> list[Any]:
    status = await patches({"op": "replace", "path": "/characteristics", "value": {"a": "b"}})(client)
    return [status, (await client.dps("GET", FIRST)).body.get("characteristics")]


async def writes_to_service_members(client: Client) -> list[Any]:
    patch = [{"op": "replace", "path": "/etag", "value": 9}, *RENAME]
    patched = await client.dps("PATCH", FIRST, patch)
    created = await client.dps("POST", "/offers", OFFER | {"id": "mine"})
    return [patched.status, created.status, (await client.dps("GET", FIRST)).body["name"]]


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
    await client.dps("PATCH", FIRST, patch)
    word: str = (await client.dps("GET", FIRST)).body["selectionConstraint"]["profileConstraintType"]
    return word


async def an_empty_patch(client: Client) -> list[int]:
    return [
        (await client.dps("PATCH", FIRST, [])).status,
        (await client.xcore("PATCH", INSTANCE, [])).status,
    ]


async def a_patch_that_changes_nothing(client: Client) -> list[int]:
    same = {"op": "replace", "path": "/name", "value": "Seeded offer 0"}
    return [(await client.dps("PATCH", FIRST, [same])).body["etag"], len(client.server.effects)]


async def the_date_of_a_read(client: Client) -> str:
    created: str = (await client.dps("GET", FIRST)).body["created"]
    return created


async def the_same_create_twice(client: Client) -> list[int]:
    first, second, other = [
        (await client.dps("POST", "/offers", OFFER, headers={"x-api-key": key})).body["id"] for key in ("a", "a", "b")
    ]
    return [len({first, second}), len({first, second, other}), len(client.server.effects)]


BOTH_SIDES: list[tuple[str, Ask, dict[str, Any]]] = [
    (
        "C-01",
        sends("GET", FIRST, Authorization="Bearer  a-token-of-the-tests"),
        {"any": 200, "one": 401},
    ),
    ("C-02", sends("GET", "/offers", x_sandbox_name=None), {"prod": 200, "require": 400}),
    ("C-03", sends("GET", FIRST, Accept="*, image/png"), {"ignored": 200, "strict": 406}),
    ("C-03", sends_xcore("PATCH", INSTANCE, XCORE_RENAME, Accept="text/html"), {"ignored": 200, "strict": 406}),
    ("C-03", sends_xcore("PATCH", INSTANCE, XCORE_RENAME, Accept=RECEIPT), {"ignored": 200, "strict": 200}),
    ("C-03", sends("GET", FIRST, Accept="*,application/json"), {"ignored": 200, "strict": 200}),
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
        sends("PATCH", FIRST, RENAME, Content_Type="application/json-patch+json"),
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


async def test_c23_a_rule_is_asked_only_of_what_a_write_touches(client: Client) -> None:
    late = {"startDate": "2024-06-02T00:00:00Z", "endDate": "2024-06-01T00:00:00Z"}
    client.server.edit(
        "dps", "dev", FIRST.removeprefix("/offers/"), [{"op": "add", "path": "/selectionConstraint", "value": late}]
    )
    assert await patches({"op": "replace", "path": "/status", "value": "archived"}, *RENAME)(client) == 200
    assert (await client.state())["warnings"] == {}
    assert (
        await patches({"op": "replace", "path": "/selectionConstraint/startDate", "value": late["startDate"]})(client)
        == 200
    )
    assert (await client.state())["warnings"] == {"dates out of order": 1}


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
