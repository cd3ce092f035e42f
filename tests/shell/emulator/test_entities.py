"""The life of each of the seven entities, in both styles, and what an object of each has to look like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import pytest

from migrator.emulator import Choices, seeded_companion, seeded_offer_id, seeded_placement, seeded_tag
from migrator.emulator.documents import references
from migrator.emulator.entities import (
    COLLECTION,
    ENTITIES,
    FALLBACK_OFFER,
    RULE,
    Entity,
)
from migrator.emulator.schemas import SCHEMAS
from migrator.emulator.shapes import Rewriting, Walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.shell.emulator.conftest import Answer, Client, Clock, Start

NAMESPACE = "https://ns.adobe.com/experience/offer-management/"
JSON = {"Content-Type": "application/json"}
START, END = "2024-03-01T00:00:00.000+00:00", "2024-06-01T00:00:00.000+00:00"
WEB = "https://ns.adobe.com/xdm/channel-types/web"
PROFILE = "https://ns.adobe.com/xdm/context/profile_union"


class Case(NamedTuple):
    """A full object of one entity in the spelling of dps, and its least form: the required members only."""

    full: dict[str, Any]
    least: frozenset[str]


def offer(**more: Any) -> dict[str, Any]:
    return {
        "name": "Spring loan",
        "status": "draft",
        "representations": [
            {
                "channel": WEB,
                "placement": seeded_placement("dps"),
                "components": [{"type": "html", "format": "text/html", "language": ["en"], "content": "<b>2.9 %</b>"}],
            }
        ],
        "characteristics": {"region": "NA", "a/b": "c"},
        "tags": [seeded_tag("dps")],
        **more,
    }


CASES = {
    "personalized-offer": Case(
        offer(
            selectionConstraint={
                "startDate": START,
                "endDate": END,
                "profileConstraintType": "eligibilityRule",
                "eligibilityRule": seeded_companion("dps", RULE),
            },
            rank={"priority": 3},
            cappingConstraint={},
            frequencyCappingConstraints=[
                {
                    "enabled": True,
                    "limit": 150,
                    "scope": "global",
                    "entity": "offer",
                    "startDate": START,
                    "endDate": END,
                    "repeat": {"enabled": False, "unit": "month", "unitCount": 1},
                }
            ],
        ),
        frozenset({"name", "status", "selectionConstraint", "rank"}),
    ),
    "fallback-offer": Case(offer(), frozenset({"name", "status"})),
    "offer-placement": Case(
        {
            "name": "Top",
            "description": "At the top",
            "componentType": "html",
            "channel": WEB,
            "itemCount": 1,
            "allowDuplicatePlacements": False,
            "returnContent": True,
            "returnMetaData": {"decisionName": False, "offerName": True},
        },
        frozenset({"name", "componentType", "channel"}),
    ),
    "eligibility-rule": Case(
        {
            "name": "Women",
            "description": "Half of them",
            "condition": {"type": "PQL", "format": "pql/text", "value": 'person.gender = "female"'},
            "definedOn": {
                "profile": {"schema": {"ref": PROFILE, "version": "1"}, "referencePaths": ["person.gender"]},
                "": {"schema": {"altId": "_x"}, "referencePaths": []},
            },
        },
        frozenset({"name", "condition"}),
    ),
    "tag": Case({"name": "Loans"}, frozenset({"name"})),
    "offer-filter": Case(
        {"name": "All loans", "filterType": "any-tags", "ids": [seeded_tag("dps")]}, frozenset({"name"})
    ),
    "offer-activity": Case(
        {
            "name": "Home page",
            "status": "draft",
            "startDate": START,
            "endDate": END,
            "fallback": seeded_companion("dps", FALLBACK_OFFER),
            "criteria": [
                {
                    "placements": [seeded_placement("dps")],
                    "rank": {
                        "priority": 0,
                        "order": {"orderEvaluationType": "ranking-strategy", "rankingStrategy": "x"},
                    },
                    "profileConstraint": {"profileConstraintType": "none"},
                    "optionSelection": {"filter": seeded_companion("dps", COLLECTION)},
                }
            ],
        },
        frozenset({"name", "fallback"}),
    ),
}

EVERY = pytest.mark.parametrize("word", list(CASES))


ONLY_IN_DPS = {
    "profileConstraintType",
    "itemCount",
    "allowDuplicatePlacements",
    "returnContent",
    "returnMetaData",
}


def without_dps(value: Any) -> Any:
    """A value without the members that only dps knows."""
    if isinstance(value, dict):
        return {name: without_dps(member) for name, member in value.items() if name not in ONLY_IN_DPS}
    return [without_dps(element) for element in value] if isinstance(value, list) else value


def in_xcore(word: str, document: dict[str, Any]) -> dict[str, Any]:
    """A document in the spelling of xcore, with xcore's references."""
    to_xcore = Rewriting("dps", "xcore", drop_unknown=False, respell=True)
    spelt = SCHEMAS[word].rewrite(without_dps(document), to_xcore)
    text = msgspec.json.encode(spelt).decode()
    for entity in ENTITIES.values():
        if entity.word != "personalized-offer":
            text = text.replace(seeded_companion("dps", entity), seeded_companion("xcore", entity))
    decoded: dict[str, Any] = msgspec.json.decode(text)
    return decoded


async def dps(client: Client, method: str, word: str, path: str = "", body: Any = None) -> Answer:
    """A request about an entity in dps; the path may have a query."""
    entity = ENTITIES[word]
    url = f"/data/core/dps/{entity.resource}{path}"
    if entity.offer_type:
        url += f"{'&' if '?' in path else '?'}offer-type={entity.offer_type}"
    return await client.send(method, url, body, JSON)


# --- life -------------------------------------------------------------------------------------------------------------


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


async def put(client: Client, path: str, word: str, body: Any, **headers: str) -> Answer:
    content_type = f'application/vnd.adobe.platform.xcore.hal+json; schema="{NAMESPACE}{word}"'
    return await client.xcore("PUT", path, body, headers={"Content-Type": content_type} | headers)


async def test_a_put_is_checked_like_a_create_and_guarded_by_if_match(client: Client) -> None:
    created = await client.xcore("POST", "/instances", {"xdm:name": "T"}, word="tag")
    path = f"/instances/{created.body['instanceId']}"
    assert (await put(client, path, "tag", {"_instance": {}})).status == 422
    assert (await put(client, path, "tag", {"_instance": {"xdm:name": "U"}}, **{"If-Match": '"2"'})).status == 409
    assert (await put(client, path, "tag", {"_instance": {"xdm:name": "U"}}, **{"If-Match": '"1"'})).status == 200
    assert (await client.xcore("PUT", path, {"xdm:name": "U"}, headers=JSON)).status == 415


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


# --- shape ------------------------------------------------------------------------------------------------------------


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


PERSONALIZED, FALLBACK, DECIDED = "personalized-offer", "fallback-offer", "offer-activity"
CAP = "/frequencyCappingConstraints/0"


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


# --- references -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "pointer", "value"),
    [
        (PERSONALIZED, "/representations/0/placement", "dps:offer-placement:0"),
        (PERSONALIZED, "/representations/0/placement", seeded_tag("dps")),
        (PERSONALIZED, "/representations/0/placement", seeded_placement("xcore")),
        (PERSONALIZED, "/tags/-", "dps:tag:0"),
        (PERSONALIZED, "/selectionConstraint/eligibilityRule", "dps:eligibility-rule:0"),
        (PERSONALIZED, f"{CAP}/placement", "dps:offer-placement:0"),
        ("offer-filter", "/ids/-", "dps:tag:0"),
        ("offer-filter", "/ids/-", seeded_offer_id(0)),
        (DECIDED, "/fallback", seeded_offer_id(0)),
        (DECIDED, "/criteria/0/placements/0", "dps:offer-placement:0"),
        (DECIDED, "/criteria/0/optionSelection/filter", "dps:offer-filter:0"),
        (DECIDED, "/criteria/0/profileConstraint/eligibilityRule", "dps:eligibility-rule:0"),
    ],
)
async def test_what_is_referred_to_has_to_exist_and_to_be_of_the_right_kind(
    client: Client, word: str, pointer: str, value: str
) -> None:
    path = f"/{(await dps(client, 'POST', word, body=CASES[word].full)).body['id']}"
    refused = await dps(client, "PATCH", word, path, [{"op": "add", "path": pointer, "value": value}])
    assert (refused.status, refused.body["type"]) == (422, "urn:offer-emulator:error:unresolved-reference")
    at = pointer.replace("/tags/-", "/tags/1").replace("/ids/-", "/ids/1")
    assert refused.body["report"]["pointer"] == at
    assert value in refused.body["detail"]


async def test_the_filter_type_decides_what_a_collection_holds(client: Client) -> None:
    tags, offers = [seeded_tag("dps")], [seeded_offer_id(0)]
    statuses = {
        (kind, ids is tags): (
            await dps(
                client, "POST", "offer-filter", body={"name": "C", "ids": ids} | ({"filterType": kind} if kind else {})
            )
        ).status
        for kind in ("offers", "any-tags", "allTags", "")
        for ids in (tags, offers)
    }
    assert {key for key, status in statuses.items() if status == 201} == {
        ("offers", False),
        ("any-tags", True),
        ("allTags", True),
        ("", True),
        ("", False),
    }
    collection = f"/{seeded_companion('dps', COLLECTION)}"
    patch = [{"op": "replace", "path": "/filterType", "value": "offers"}]
    assert (await dps(client, "PATCH", "offer-filter", collection, patch)).status == 422


async def test_a_placement_has_one_representation_at_most(client: Client) -> None:
    path = f"/{seeded_offer_id(0)}"
    for number, status in ((0, 422), (1, 422), (2, 200), (2, 422)):
        one = {"placement": seeded_placement("dps", number), "components": []}
        patch = [{"op": "add", "path": "/representations/-", "value": one}]
        answer = await dps(client, "PATCH", PERSONALIZED, path, patch)
        assert answer.status == status
    assert answer.body["type"].endswith(":not-unique")
    assert answer.body["report"]["pointer"] == "/representations/3/placement"


async def test_tag_names_are_unique_in_their_sandbox(client: Client) -> None:
    first = await dps(client, "POST", "tag", body={"name": "A"})
    assert (await dps(client, "POST", "tag", body={"name": "A"})).status == 409
    elsewhere = await client.send("POST", "/data/core/dps/tags", {"name": "A"}, JSON | {"x-sandbox-name": "prod"})
    assert elsewhere.status == 201
    rename = [{"op": "replace", "path": "/name", "value": "A"}]
    assert (await dps(client, "PATCH", "tag", f"/{first.body['id']}", rename)).status == 200
    assert (await dps(client, "PATCH", "tag", f"/{seeded_tag('dps')}", rename)).status == 409


async def test_objects_are_deleted_in_the_order_of_their_references(client: Client) -> None:
    async def delete(word: str, identifier: str) -> int:
        return (await dps(client, "DELETE", word, f"/{identifier}")).status

    def ids(word: str) -> list[str]:
        return [record.key for record in client.server.store.shelf("dps", "dev", word)]

    used = ("offer-filter", FALLBACK, "offer-placement", "eligibility-rule", "tag")
    for word in used:
        assert await delete(word, ids(word)[0]) == 409
    for word in reversed(ENTITIES):
        assert {await delete(word, identifier) for identifier in ids(word)} == {200}
    assert not [record for record in client.server.store if record.style == "dps"]


async def test_a_refusal_names_what_was_to_be_made(start: Start) -> None:
    client = await start(seed_offers=1, choices=Choices(duplicate_names="all"))
    refused = await dps(client, "POST", FALLBACK, body=[])
    assert refused.body["detail"] == "the offer is not a JSON object"
    answers = [await dps(client, "POST", FALLBACK, body={"name": "F", "status": "draft"}) for _ in range(2)]
    assert answers[1].body["detail"] == "another offer is named F already"


async def test_an_object_without_members_is_read_and_listed(start: Start) -> None:
    client = await start(choices=Choices(dps_validation="off"))
    created = await dps(client, "POST", "tag", body={})
    read = await dps(client, "GET", "tag", f"/{created.body['id']}")
    assert (read.body["id"], read.body["etag"]) == (created.body["id"], 1)
    assert (await dps(client, "GET", "tag")).body["results"] == [read.body]


# --- size, guardrails, asynchronous deletes ---------------------------------------------------------------------------


@pytest.mark.parametrize("status", [422, 413])
async def test_an_object_has_300_kilobytes_at_most(start: Start, status: int) -> None:
    client = await start(too_large_status=status)
    frame = len(msgspec.json.encode({"name": "R", "condition": {"value": ""}}))

    async def create(size: int) -> Answer:
        document = {"name": "R", "condition": {"value": "x" * (size - frame)}}
        return await dps(client, "POST", "eligibility-rule", body=document)

    assert (await create(300 * 1024)).status == 201
    refused = await create(300 * 1024 + 1)
    assert (refused.status, refused.body["status"]) == (status, status)


@pytest.mark.parametrize(
    ("word", "more", "what"),
    [
        (FALLBACK, {"characteristics": {str(number): "" for number in range(31)}}, "31 attributes of an offer"),
        (
            FALLBACK,
            {"frequencyCappingConstraints": [{"limit": 1, "scope": "global", "entity": "offer"}] * 11},
            "11 capping",
        ),
        (FALLBACK, {"tags": [seeded_tag("dps")] * 21}, "21 collection qualifiers of an offer"),
        ("offer-filter", {"filterType": "any-tags", "ids": [seeded_tag("dps")] * 21}, "21 collection qualifiers"),
        ("offer-filter", {"filterType": "offers", "ids": [seeded_offer_id(0)] * 501}, "501 offers of a collection"),
        (DECIDED, {"criteria": [{"placements": [seeded_placement("dps")] * 16}] * 2}, "32 placements of a decision"),
        (
            DECIDED,
            {"criteria": [{"optionSelection": {"filter": seeded_companion("dps", COLLECTION)}}] * 31},
            "31 collections of a decision",
        ),
    ],
)
async def test_guardrails_bite_when_they_are_on(start: Start, word: str, more: dict[str, Any], what: str) -> None:
    document = {name: value for name, value in CASES[word].full.items() if name in CASES[word].least} | more
    for guarded, status in ((False, 201), (True, 422)):
        client = await start(seed_offers=1, guardrails=guarded)
        answer = await dps(client, "POST", word, body=document)
        assert answer.status == status
    assert what in answer.body["detail"]


async def test_a_full_sandbox_takes_no_more_tags(start: Start) -> None:
    client = await start(guardrails=True)
    answers = [await dps(client, "POST", "tag", body={"name": str(number)}) for number in range(1001)]
    assert [answer.status for answer in answers] == [201] * 1000 + [422]
    assert answers[-1].body["detail"] == "1001 tags are more than 1000"
    rename = [{"op": "replace", "path": "/name", "value": "x"}]
    assert (await dps(client, "PATCH", "tag", f"/{answers[0].body['id']}", rename)).status == 200


async def test_a_thousand_decisions_can_be_live(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("migrator.emulator.guardrails.MOST_LIVE_DECISIONS", 2)
    client = await start(seed_offers=1, guardrails=True)  # one decision is live already
    live = CASES[DECIDED].full | {"status": "live"}
    assert [(await dps(client, "POST", DECIDED, body=live)).status for _ in range(2)] == [201, 422]
    assert (await dps(client, "POST", DECIDED, body=CASES[DECIDED].full)).status == 201


async def test_a_capping_rule_for_all_placements_counts_for_each(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("migrator.emulator.guardrails.MOST_CAPPINGS", 5)
    client = await start(seed_offers=1, guardrails=True)
    placements = [record.reference for record in client.server.store.shelf("dps", "dev", "offer-placement")]
    everywhere = {"limit": 1, "scope": "global", "entity": "offer"}
    at_one = everywhere | {"entity": "placement", "placement": placements[0]}
    document = {
        "name": "F",
        "status": "draft",
        "representations": [{"placement": placement} for placement in placements[:2]],
        "frequencyCappingConstraints": [everywhere, at_one],
    }
    first, second = [await dps(client, "POST", FALLBACK, body=document) for _ in range(2)]  # 2 + 1 each
    assert (first.status, second.status) == (201, 422)
    assert second.body["detail"] == "6 capping configurations are more than 5"
    path = f"/{first.body['id']}"
    for added, status in ((everywhere, 200), (at_one, 422)):  # 3 + 2, 5 + 1
        patch = [{"op": "add", "path": "/frequencyCappingConstraints/-", "value": added}]
        assert (await dps(client, "PATCH", FALLBACK, path, patch)).status == status


async def test_an_asynchronous_delete_is_polled(start: Start, clock: Clock) -> None:
    client = await start(clock=clock, delete_async=True)
    created = await client.xcore("POST", "/instances", {"xdm:name": "T"}, word="tag")
    path = f"/instances/{created.body['instanceId']}"
    accepted = await client.xcore("DELETE", path)
    assert (accepted.status, accepted.body) == (202, "")
    location = accepted.headers["Location"]
    assert (await client.send("GET", location)).status == 202
    assert (await client.xcore("GET", path)).status == 200
    clock.now_us += 1_000_000
    assert (await client.xcore("GET", path)).status == 404
    outcome = await client.send("GET", location)
    assert (outcome.status, outcome.body["status"]) == (200, "confirmed")
    assert (await client.send("GET", f"{location}0")).status == 404


async def test_an_asynchronous_delete_may_be_rejected(start: Start, clock: Clock) -> None:
    client = await start(clock=clock, delete_async=True, seed_offers=1)
    schema = f"{NAMESPACE}tag"
    found = await client.xcore("GET", f"/instances?schema={schema}&id={seeded_tag('xcore')}")
    path = f"/instances/{found.body['_embedded']['results'][0]['instanceId']}"
    location = (await client.xcore("DELETE", path)).headers["Location"]
    clock.now_us += 1_000_000
    outcome = (await client.send("GET", location)).body
    assert outcome["status"] == "rejected"
    assert seeded_tag("xcore") in outcome["detail"]
    assert (await client.xcore("GET", path)).status == 200


# --- containers and seeds ---------------------------------------------------------------------------------------------


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
