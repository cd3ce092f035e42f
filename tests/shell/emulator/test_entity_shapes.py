"""What a document of each entity may and must hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from migrator.emulator import Choices, seeded_offer_id, seeded_placement
from migrator.emulator.schemas import SCHEMAS
from migrator.emulator.shapes import Walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.shell.emulator.conftest import Client, Start
from tests.shell.emulator.common import FIRST, RENAME
from tests.shell.emulator.entities import CAP, CASES, DECIDED, EVERY, FALLBACK, PERSONALIZED, START, dps, in_xcore


@EVERY
async def test_the_required_members_are_enough_and_none_can_be_left_out(client: Client, word: str) -> None:
    least = {name: value for name, value in CASES[word].full.items() if name in CASES[word].least}
    assert (await dps(client, "POST", word, body=least)).status == 201
    for name in least:
        refused = await dps(client, "POST", word, body={other: least[other] for other in least if other != name})
        assert (refused.status, refused.body["report"]["pointer"]) == (422, f"/{name}")
        assert refused.body["type"].endswith(":required-member")


def leaves(value: Any, at: str = "") -> dict[str, Any]:
    """Every scalar in a JSON value, by its pointer."""
    if isinstance(value, dict):
        parts = {name.replace("/", "~1"): member for name, member in value.items()}
    elif isinstance(value, list):
        parts = {str(index): element for index, element in enumerate(value)}
    else:
        return {at: value}
    return {found: leaf for name, part in parts.items() for found, leaf in leaves(part, f"{at}/{name}").items()}


@EVERY
async def test_no_known_member_of_dps_may_hold_a_value_of_another_type(client: Client, word: str) -> None:
    document = CASES[word].full
    path = f"/{(await dps(client, 'POST', word, body=document)).body['id']}"
    for pointer in leaves(document):
        refused = await dps(client, "PATCH", word, path, [{"op": "replace", "path": pointer, "value": {"odd": []}}])
        assert (refused.status, refused.body["report"]["pointer"]) == (422, pointer)


@EVERY
async def test_no_known_member_of_xcore_may_hold_a_value_of_another_type(client: Client, word: str) -> None:
    document = in_xcore(word, CASES[word].full)
    path = f"/instances/{(await client.xcore('POST', '/instances', document, word=word)).body['instanceId']}"
    for pointer in leaves(document, "/_instance"):
        patch = [{"op": "replace", "path": pointer, "value": {"odd": []}}]
        refused = await client.xcore("PATCH", path, patch, word=word)
        assert (refused.status, refused.body["report"]["pointer"]) == (422, pointer)


@pytest.mark.parametrize(
    ("word", "pointer", "value", "status"),
    [
        (PERSONALIZED, "/status", "approved", 200),
        (PERSONALIZED, "/status", "pending", 200),
        (PERSONALIZED, "/status", "live", 422),
        (PERSONALIZED, "/status", "Approved", 422),
        (PERSONALIZED, "/rank/priority", 0, 200),
        (PERSONALIZED, "/rank/priority", -1, 422),
        (PERSONALIZED, "/rank/priority", 1.5, 422),
        (PERSONALIZED, "/rank/priority", True, 422),
        (PERSONALIZED, "/rank/priority", "1", 422),
        (PERSONALIZED, "/selectionConstraint/startDate", "2024-03-01T00:00:00Z", 200),
        (PERSONALIZED, "/selectionConstraint/startDate", "2024-03-01", 422),
        (PERSONALIZED, "/selectionConstraint/startDate", "2024-03-01T00:00:00", 422),
        (PERSONALIZED, "/selectionConstraint/startDate", None, 422),
        (PERSONALIZED, "/selectionConstraint/profileConstraintType", "eligibility-rule", 200),
        (PERSONALIZED, "/selectionConstraint/profileConstraintType", "anySegments", 200),
        (PERSONALIZED, "/selectionConstraint/profileConstraintType", "some-segments", 422),
        (PERSONALIZED, "/representations", [], 200),
        (PERSONALIZED, "/representations", {}, 422),
        (PERSONALIZED, "/representations/0/components/0/type", "text", 200),
        (PERSONALIZED, "/representations/0/components/0/type", "component-text", 200),
        (PERSONALIZED, "/representations/0/components/0/type", "", 422),
        (PERSONALIZED, "/representations/0/components/0/deliveryURL", "", 200),
        (PERSONALIZED, "/representations/0/components/0/language", "en", 422),
        (PERSONALIZED, "/characteristics/a~1b", 1, 422),
        (PERSONALIZED, "/characteristics/new", "x", 200),
        (PERSONALIZED, f"{CAP}/limit", 0, 422),
        (PERSONALIZED, f"{CAP}/scope", "profile", 200),
        (PERSONALIZED, f"{CAP}/scope", "everybody", 422),
        (PERSONALIZED, f"{CAP}/entity", "placement", 200),
        (PERSONALIZED, f"{CAP}/repeat/unit", "year", 422),
        (PERSONALIZED, "/cappingConstraint/globalCap", 1, 200),
        (PERSONALIZED, "/cappingConstraint/globalCap", 0, 422),
        (FALLBACK, "/rank", {"priority": 1}, 200),
        (FALLBACK, "/rank", {}, 200),
        (FALLBACK, "/selectionConstraint", {"startDate": START}, 200),
        (FALLBACK, "/selectionConstraint", {"startDate": "soon"}, 422),
        ("offer-placement", "/componentType", "json", 200),
        ("offer-placement", "/returnMetaData/offerName", "yes", 422),
        ("eligibility-rule", "/condition", {}, 200),
        ("eligibility-rule", "/segmentModel", {"any": ["thing"]}, 200),
        ("eligibility-rule", "/definedOn//referencePaths", ["a"], 200),
        ("eligibility-rule", "/definedOn/profile", [], 422),
        ("offer-filter", "/filterType", "all-tags", 200),
        ("offer-filter", "/filterType", "anyTags", 200),
        ("offer-filter", "/filterType", "some-tags", 422),
        (DECIDED, "/status", "live", 200),
        (DECIDED, "/status", "completed", 200),
        (DECIDED, "/status", "approved", 422),
        (DECIDED, "/criteria/0/placements", [], 422),
        (DECIDED, "/criteria/0/rank/order/orderEvaluationType", "scoringFunction", 200),
        (DECIDED, "/criteria/0/rank/order/orderEvaluationType", "at-random", 422),
    ],
)
async def test_a_value_has_to_fit_its_member(client: Client, word: str, pointer: str, value: Any, status: int) -> None:
    path = f"/{(await dps(client, 'POST', word, body=CASES[word].full)).body['id']}"
    answer = await dps(client, "PATCH", word, path, [{"op": "add", "path": pointer, "value": value}])
    assert answer.status == status


@pytest.mark.parametrize(
    ("word", "member", "value", "status"),
    [
        ("offer-filter", "xdm:filterType", "anyTags", 201),
        ("offer-filter", "xdm:filterType", "any-tags", 422),
        (DECIDED, "xdm:placement", seeded_placement("xcore"), 201),
        (DECIDED, "xdm:filter", "xcore:offer-filter:0", 422),
    ],
)
async def test_xcore_spells_words_in_camel_case_and_knows_an_older_form(
    client: Client, word: str, member: str, value: str, status: int
) -> None:
    document = in_xcore(word, CASES[word].full) | {member: value}
    assert (await client.xcore("POST", "/instances", document, word=word)).status == status


@pytest.mark.parametrize("condition", ["condition", "xdm:condition"])
@pytest.mark.parametrize("description", ["description", "xdm:description"])
async def test_a_rule_of_xcore_is_spelt_in_two_ways(client: Client, condition: str, description: str) -> None:
    prefix = condition.removesuffix("condition")
    rule = {
        "xdm:name": "R",
        description: "d",
        condition: {f"{prefix}type": "PQL", f"{prefix}format": "pql/text", f"{prefix}value": "a = 1"},
        "xdm:definedOn": {},
    }
    created = await client.xcore("POST", "/instances", rule, word="eligibility-rule")
    assert created.status == 201
    read = await client.xcore("GET", f"/instances/{created.body['instanceId']}")
    assert read.body["_instance"] == rule | {"@id": created.body["@id"]}
    bad = [{"op": "replace", "path": f"/_instance/{condition}/{prefix}value", "value": 1}]
    path = f"/instances/{created.body['instanceId']}"
    assert (await client.xcore("PATCH", path, bad, word="eligibility-rule")).status == 422


async def test_an_object_without_members_is_read_and_listed(start: Start) -> None:
    client = await start(choices=Choices(dps_validation="off"))
    created = await dps(client, "POST", "tag", body={})
    read = await dps(client, "GET", "tag", f"/{created.body['id']}")
    assert (read.body["id"], read.body["etag"]) == (created.body["id"], 1)
    assert (await dps(client, "GET", "tag")).body["results"] == [read.body]


async def test_what_passes_at_first_sight_is_what_a_closer_look_lets_through(start: Start) -> None:
    client = await start(seed_offers=1)
    surely = passed = 0
    for record in client.server.store:
        shape = SCHEMAS[record.word]
        document = msgspec.json.decode(record.document)
        first, closer = Walk(record.style), Walk(record.style)
        assert first.passes(document, shape), record
        shape.check(document, "", closer)
        assert sorted(one.identifier for one in first.references) == sorted(one.identifier for one in closer.references)
        for altered in alterations(document):
            surely += 1
            if Walk(record.style).passes(altered, shape):
                passed += 1
                shape.check(altered, "", Walk(record.style))
    assert 0 < passed < surely


def alterations(value: Any) -> Iterator[Any]:
    """A JSON value with one value in it replaced or left out, in all ways that may matter."""
    yield from (None, True, -1, 0, 1.0, 10**30, "", "2024", "none", [], [1], {}, {"type": "x"})
    if isinstance(value, dict):
        for name in value:
            rest = {other: one for other, one in value.items() if other != name}
            yield rest
            yield from (rest | {name: one} for one in alterations(value[name]))
    if isinstance(value, list):
        yield value * 2
        for index in range(len(value)):
            yield from ([*value[:index], one, *value[index + 1 :]] for one in alterations(value[index]))


async def test_only_what_a_patch_touches_can_have_it_refused(client: Client) -> None:
    wrong = [
        {"op": "replace", "path": "/rank/priority", "value": "high"},
        {"op": "replace", "path": "/representations/1/placement", "value": "gone"},
    ]
    client.server.edit("dps", "dev", seeded_offer_id(0), wrong)
    assert (await client.dps("PATCH", FIRST, RENAME)).status == 200
    for touched, pointer in (
        ("/rank/order", "/rank/priority"),
        ("/representations/0/components", "/representations/1/placement"),
    ):
        patch = [*RENAME, {"op": "add", "path": touched, "value": {} if "order" in touched else []}]
        answer = await client.dps("PATCH", FIRST, patch)
        assert (answer.status, answer.body["report"]["pointer"]) == (422, pointer)
