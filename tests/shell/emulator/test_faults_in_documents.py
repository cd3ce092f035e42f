"""Faults that meddle with what is stored and listed: walks that shift, lists that lag, others who edit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from migrator.emulator import (
    Choices,
    seeded_offer_id,
    seeded_tag,
)
from migrator.emulator.faults.disguises import respelled
from tests.shell.emulator.common import FIRST, INSTANCE, OFFER, SCHEMA, XCORE_OFFER

if TYPE_CHECKING:
    from tests.shell.emulator.conftest import Clock, Start
from tests.shell.emulator.faults import DPS_LIST, NEWEST_FIRST, OURS, RENAME, XCORE_LIST, did, rename, seen, walk


@pytest.mark.parametrize(("style", "path"), [("dps", DPS_LIST), ("xcore", XCORE_LIST)])
async def test_repeat_page(start: Start, style: str, path: str) -> None:
    expected = await walk(await start(seed_offers=6), path, style)
    assert len(expected) == 6
    once = await start(seed_offers=6, faults=("repeat-page:GET:n=2",))
    assert await walk(once, path, style) == [*expected[:4], *expected[2:4], *expected[4:]]
    at_the_end = await start(seed_offers=6, faults=("repeat-page:GET:n=3",))
    assert await walk(at_the_end, path, style) == [*expected, *expected[4:]]
    always = await start(seed_offers=6, faults=("repeat-page",))
    assert await walk(always, path, style) == expected[:2] * 20


@pytest.mark.parametrize(("style", "path"), [("dps", DPS_LIST), ("xcore", XCORE_LIST)])
async def test_shift_page(start: Start, style: str, path: str) -> None:
    expected = await walk(await start(seed_offers=6), path, style)
    client = await start(seed_offers=6, faults=("shift-page:GET:n=1",))
    assert await walk(client, path, style) == [*expected[:2], *expected[3:]]


async def test_walk_edit_hides_an_object_from_a_walk(start: Start) -> None:
    client = await start(seed_offers=6, faults=("walk-edit:GET:n=1:count=1",))
    # the oldest moves to the front behind the walker's back
    assert await walk(client, DPS_LIST) == NEWEST_FIRST[:-1]
    assert [(effect.api_key, effect.id) for effect in client.server.effects] == [("somebody-else", seeded_offer_id(0))]
    assert (await walk(client, DPS_LIST))[0] == seeded_offer_id(0)


async def test_walk_edit_can_tie_more_objects_than_a_page_holds(start: Start) -> None:
    client = await start(seed_offers=6, faults=("walk-edit:GET:n=1:count=3",))
    await client.dps("GET", "/offers?limit=2")
    tied = {seeded_offer_id(number) for number in (0, 1, 2)}
    walked = await walk(client, DPS_LIST)
    # three at one time, two on a page, and a cursor that is a time: the walk turns on the spot
    assert set(walked) < tied
    assert len(walked) == 40
    assert len({record.modified_us for record in client.server.store if record.key in tied}) == 1


async def test_others_delete_what_is_referred_to_although_the_client_may_not(start: Start) -> None:
    tag = f"/tags/{seeded_tag('dps')}"
    client = await start(seed_offers=1, faults=("foreign-delete:DELETE:n=2",))
    assert (await client.dps("DELETE", tag)).status == 409
    assert (await client.dps("DELETE", tag)).status == 404
    assert did(client) == [("DELETE", "somebody-else", None)]
    client = await start(seed_offers=1, faults=("walk-edit:GET:count=1:do=delete",))
    answer = await client.dps("GET", "/placements?limit=1")
    assert (answer.status, answer.body["total"]) == (200, 4)
    assert did(client) == [("DELETE", "somebody-else", None)]


async def test_walk_edit_can_delete(start: Start) -> None:
    client = await start(seed_offers=6, faults=("walk-edit:GET:n=1:count=2:do=delete",))
    assert await walk(client, DPS_LIST) == NEWEST_FIRST[:-2]
    assert did(client) == [("DELETE", "somebody-else", None)] * 2


async def test_search_lag(start: Start, clock: Clock) -> None:
    client = await start(clock=clock, seed_offers=2, faults=("search-lag:GET:seconds=5",))
    await client.dps("DELETE", f"/offers/{seeded_offer_id(1)}")
    await rename(client)
    created = (await client.dps("POST", "/offers", OFFER | {"name": "Z"})).body["id"]
    await client.dps("PATCH", f"/offers/{created}", [{"op": "replace", "path": "/name", "value": "A"}])

    async def listed(query: str = "") -> dict[str, str]:
        results = (await client.dps("GET", f"/offers{query}")).body["results"]
        return {entry["id"]: entry["name"] for entry in results}

    before = {seeded_offer_id(1): "Seeded offer 1", seeded_offer_id(0): "Seeded offer 0"}
    after = {created: "A", seeded_offer_id(0): "B"}
    assert await listed() == before
    assert await listed("?property=name==A") == {}
    assert (await client.dps("GET", f"/offers/{created}")).status == 200  # reading by id does not lag
    assert len(client.server.effects) == 4
    clock.now_us += 4_999_999
    assert await listed() == before
    clock.now_us += 1
    assert await listed() == after
    assert await listed("?property=name==A") == {created: "A"}


async def test_search_lag_in_xcore_lets_a_look_up_by_name_find_nothing(start: Start) -> None:
    client = await start(faults=("search-lag:GET:n=1",))
    await client.xcore("POST", "/instances", XCORE_OFFER)
    totals = [
        (await client.xcore("GET", f"/instances?schema={SCHEMA}&name=A")).body["_embedded"]["total"] for _ in range(2)
    ]
    assert totals == [0, 1]


# Others, and the service itself


async def test_foreign_edit_moves_the_etag_under_a_write(start: Start) -> None:
    client = await start(seed_offers=1, faults=("foreign-edit:PATCH:n=1",))
    answer = await rename(client)
    assert (answer.status, answer.body["etag"]) == (200, 3)
    assert did(client) == [("PATCH", "somebody-else", 2), ("PATCH", "the-client", 3)]
    assert client.server.effects[0].request == 0
    read = (await client.dps("GET", FIRST)).body
    assert read["name"] == "B"
    assert read["description"].startswith("Edited by somebody else")


async def test_foreign_edit_makes_if_match_fail(start: Start) -> None:
    client = await start(seed_offers=1, faults=("foreign-edit:PATCH:n=1",))
    patch = [{"op": "replace", "path": "/_instance/xdm:name", "value": "B"}]
    answer = await client.xcore("PATCH", INSTANCE, patch, headers={"If-Match": '"1"'})
    assert (answer.status, did(client)) == (409, [("PATCH", "somebody-else", 2)])
    assert (await client.xcore("PATCH", INSTANCE, patch, headers={"If-Match": '"2"'})).status == 200


async def test_foreign_edit_makes_a_test_operation_fail(start: Start) -> None:
    client = await start(seed_offers=1, faults=("foreign-edit:PATCH:n=1:member=name:value=Theirs",))
    guarded = [{"op": "test", "path": "/name", "value": "Seeded offer 0"}, *RENAME]
    assert (await client.dps("PATCH", FIRST, guarded)).status == 409
    assert did(client) == [("PATCH", "somebody-else", 2)]
    assert (await client.dps("GET", FIRST)).body["name"] == "Theirs"


async def test_foreign_delete(start: Start) -> None:
    client = await start(seed_offers=1, faults=("foreign-delete:PATCH:n=1",))
    assert (await rename(client)).status == 404
    assert did(client) == [("DELETE", "somebody-else", None)]
    assert (await rename(client)).status == 404


async def test_twin(start: Start) -> None:
    client = await start(faults=("twin:POST:n=1",))
    ours = (await client.dps("POST", "/offers", OFFER)).body["id"]
    assert did(client) == [("POST", "the-client", 1), ("POST", "somebody-else", 1)]
    results = (await client.dps("GET", "/offers?property=name==A")).body["results"]
    assert {(entry["createdBy"], entry["id"] == ours) for entry in results} == {
        ("the-client", True),
        ("somebody-else", False),
    }


async def test_a_create_that_is_refused_has_no_twin(start: Start) -> None:
    client = await start(faults=("twin:POST",))
    await client.dps("POST", "/offers", OFFER)
    assert (await client.dps("POST", "/offers", {"name": ""})).status == 422
    assert len(did(client)) == 2


async def test_a_create_that_makes_nothing_new_has_no_twin(start: Start) -> None:
    client = await start(choices=Choices.from_texts({"C-31": "deduplicate"}), faults=("twin:POST:n=2",))
    receipts = [(await client.dps("POST", "/offers", OFFER)).body["id"] for _ in range(2)]
    assert receipts[0] == receipts[1]
    assert seen(client) == [(201, ()), (201, ("twin",))]
    assert did(client) == [("POST", "the-client", 1)]


@pytest.mark.parametrize(
    ("keys", "lost"), [("", {"priority", "note"}), (":member=*ote", {"note"}), (":member=n*", {"note"})]
)
async def test_drop_unknown(start: Start, keys: str, lost: set[str]) -> None:
    client = await start(faults=(f"drop-unknown:POST,PATCH{keys}",))
    offer = OFFER | {"note": "x", "priority": 1, "characteristics": {"note": "kept"}}
    created = (await client.dps("POST", "/offers", offer)).body["id"]
    read = (await client.dps("GET", f"/offers/{created}")).body
    assert offer.keys() - read.keys() == lost
    assert (read["name"], read["characteristics"]) == ("A", {"note": "kept"})
    await client.dps("PATCH", f"/offers/{created}", [{"op": "add", "path": "/note", "value": "again"}])
    assert "note" not in (await client.dps("GET", f"/offers/{created}")).body
    assert did(client) == [("POST", "the-client", 1), ("PATCH", "the-client", 2)]


async def test_reformat_dates_on_a_read_shows_them_otherwise(start: Start) -> None:
    client = await start(seed_offers=1, faults=("reformat-dates:GET:n=1",))
    path = ("selectionConstraint", "startDate")
    odd, plain = [(await client.dps("GET", FIRST)).body for _ in range(2)]
    assert odd[path[0]][path[1]] == "2024-03-01T00:00:00.000Z"
    assert plain[path[0]][path[1]] == "2024-03-01T00:00:00.000+00:00"
    assert odd["created"].removesuffix("Z") == plain["created"].removesuffix("+00:00")


async def test_reformat_dates_on_a_write_keeps_them_otherwise(start: Start) -> None:
    client = await start(faults=("reformat-dates:POST:spelling=micros",))
    offer = OFFER | {
        "selectionConstraint": {"startDate": "2024-03-01T02:00:00+02:00", "endDate": "2025-03-01T00:00:00Z"}
    }
    created = (await client.dps("POST", "/offers", offer)).body["id"]
    kept = (await client.dps("GET", f"/offers/{created}")).body["selectionConstraint"]
    assert kept == {"startDate": "2024-03-01T00:00:00.000000Z", "endDate": "2025-03-01T00:00:00.000000Z"}


def test_what_is_no_date_is_not_respelled() -> None:
    kept = {"a": ["2024-03-01", "soon", 5, None, "2024-02-31T00:00:00Z"], "2024-03-01T00:00:00Z": True}
    assert respelled(kept, "other") == kept
    assert respelled(["2024-03-01T00:00:00.5+00:00"], "z") == ["2024-03-01T00:00:00.500Z"]


async def test_faults_amend_a_document_one_after_the_other(start: Start) -> None:
    client = await start(faults=("drop-unknown:POST", "reformat-dates:POST:spelling=offset"))
    created = (await client.dps("POST", "/offers", OFFER | {"note": 1})).body["id"]
    read = (await client.dps("GET", f"/offers/{created}")).body
    assert (read["selectionConstraint"]["startDate"], "note" in read) == ("2024-03-01T00:00:00.000+00:00", False)


async def test_partial_patch(start: Start) -> None:
    client = await start(seed_offers=1, faults=("partial-patch:PATCH",))
    patch = [
        *({"op": "replace", "path": f"/_instance/{member}", "value": "B"} for member in ("xdm:name", "xdm:status")),
    ]
    assert (await client.xcore("PATCH", INSTANCE, patch)).status == 500
    assert did(client) == OURS
    instance = (await client.xcore("GET", INSTANCE)).body["_instance"]
    assert (instance["xdm:name"], instance["xdm:status"]) == ("B", "approved")
    assert (await rename(client)).status == 200  # one operation has no half


async def test_a_patch_that_breaks_keeps_to_the_rules_of_its_door(start: Start) -> None:
    client = await start(seed_offers=1, faults=("partial-patch:PATCH",))
    broken = [{"op": "remove", "path": "/name"}, {"op": "add", "path": "/name", "value": "B"}]
    assert (await client.dps("PATCH", FIRST, broken)).status == 422  # the half has no name
    tested = [{"op": "test", "path": "/status", "value": "approved"}, *RENAME]
    assert (await client.dps("PATCH", FIRST, tested)).status == 500  # the half changes nothing
    failing = [*RENAME, {"op": "remove", "path": "/nowhere"}, *RENAME, *RENAME]
    assert (await client.dps("PATCH", FIRST, failing)).status == 422  # the half fails by itself
    assert did(client) == OURS
