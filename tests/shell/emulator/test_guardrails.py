"""How much there may be of everything, and deletions that take their time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from migrator.emulator import seeded_companion, seeded_offer_id, seeded_placement, seeded_tag
from migrator.emulator.entities import (
    COLLECTION,
)
from tests.shell.emulator.common import NAMESPACE

if TYPE_CHECKING:
    from tests.shell.emulator.conftest import Answer, Clock, Start
from tests.shell.emulator.entities import CASES, DECIDED, FALLBACK, dps


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
