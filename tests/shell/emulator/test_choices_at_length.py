"""The choices that need more room than a row of a table."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from migrator.emulator import (
    Choices,
    seeded_offer_id,
)
from tests.shell.emulator.common import FIRST, INSTANCE, OFFER, RENAME, SCHEMA, XCORE_RENAME

if TYPE_CHECKING:
    from tests.shell.emulator.conftest import Client, Clock, Start


NOT_FOUND = "404 Not Found"


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
    await client.dps("PATCH", FIRST, RENAME)
    await client.dps("DELETE", f"/offers/{seeded_offer_id(1)}")

    async def seen() -> set[str]:
        return {one["name"] for one in (await client.dps("GET", "/offers")).body["results"]}

    assert (await client.dps("GET", f"/offers/{created.body['id']}")).status == 200
    assert (await client.dps("GET", FIRST)).body["name"] == "New"
    assert await seen() == {"Seeded offer 0", "Seeded offer 1"}
    clock.now_us += 1_999_999
    assert await seen() == {"Seeded offer 0", "Seeded offer 1"}
    clock.now_us += 1
    assert await seen() == {"New", "A"}


async def test_c28_without_lag_lists_show_what_is(client: Client) -> None:
    await client.dps("PATCH", FIRST, RENAME)
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
