"""What refers to what: which references are checked, and in which order objects go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from migrator.emulator import Choices, seeded_companion, seeded_offer_id, seeded_placement, seeded_tag
from migrator.emulator.entities import (
    COLLECTION,
    ENTITIES,
)

if TYPE_CHECKING:
    from tests.shell.emulator.conftest import Client, Start
from tests.shell.emulator.entities import CAP, CASES, DECIDED, FALLBACK, JSON, PERSONALIZED, dps


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
