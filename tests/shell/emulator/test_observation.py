"""The log of requests, the counts of violations, and what a rehearsal can do while it runs."""

from __future__ import annotations

import asyncio
import json
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import ClientSession

import migrator.emulator
from migrator.emulator import (
    Choices,
    Emulator,
    EmulatorSettings,
    instants,
    seeded_container,
    seeded_instance_id,
    seeded_offer_id,
)
from migrator.emulator.limits import retry_after
from tests.shell.emulator.common import FIRST, OFFER

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.shell.emulator.conftest import Client, Clock, Start


async def test_the_example_of_the_package_works() -> None:
    text = migrator.emulator.__doc__ or ""
    example = text[text.index("    import aiohttp\n") : text.index("`faults.rules`")]
    names: dict[str, Any] = {}
    exec("\n".join(line.removeprefix("    ") for line in example.splitlines()), names)
    test: Callable[[], Awaitable[None]] = names["test_a_lost_answer_hides_an_effect"]
    await test()


async def test_requests_are_lines_with_what_became_of_them(start: Start, clock: Clock) -> None:
    client = await start(clock=clock, seed_offers=1, faults=("slow:GET:seconds=0",))
    arrived = instants.micros_z(clock.now_us)
    await client.dps("GET", FIRST, headers={"x-request-id": "r1"})
    clock.now_us += 1_000_000
    await client.send("GET", "/data/core/nowhere", headers={"x-request-id": "r2", "x-api-key": None})
    first, second = await client.lines("/_emulator/requests")
    assert first == {
        "number": 1,
        "arrived": arrived,
        "answered": arrived,
        "method": "GET",
        "path": f"/data/core/dps{FIRST}?offer-type=personalized",
        "style": "dps",
        "status": 200,
        "api_key": "the-client",
        "request_id": "r1",
        "faults": ["slow"],
    }
    assert instants.parse(second["arrived"]) - instants.parse(arrived) == 1_000_000
    assert (second["number"], second["style"], second["status"], second["api_key"]) == (2, "", 403, "")


async def test_only_the_newest_requests_are_kept_and_the_pages_about_them_are_not_among_them(start: Start) -> None:
    client = await start(request_log=3)
    for _ in range(5):
        await client.dps("GET", "/offers")
        await client.state()
    assert [one["number"] for one in await client.lines("/_emulator/requests")] == [3, 4, 5]
    assert [one["number"] for one in await client.lines("/_emulator/requests?last=2")] == [4, 5]
    assert [one["number"] for one in await client.lines("/_emulator/requests?last=9")] == [3, 4, 5]
    await client.send("POST", "/_emulator/reset")
    await client.dps("GET", "/offers")
    assert [one["number"] for one in await client.lines("/_emulator/requests")] == [1]


async def test_a_request_that_was_minted_an_id_is_found_by_it(client: Client) -> None:
    answer = await client.dps("GET", "/offers")
    assert client.server.requests[0].request_id == answer.headers["X-Request-Id"]


async def test_what_is_in_flight_is_counted(start: Start) -> None:
    client = await start(latency_s=0.1)
    sending = [asyncio.create_task(client.dps("GET", "/offers")) for _ in range(3)]
    while (await client.state())["in_flight"] < 3:
        assert not any(task.done() for task in sending)
    await asyncio.gather(*sending)
    state = await client.state()
    assert (state["in_flight"], state["most_in_flight"]) == (0, 3)


async def test_violations_are_counted_by_whose_limit_it_was(start: Start, clock: Clock) -> None:
    client = await start(clock=clock, rate=1, container_rate=1, burst=1)

    async def ask(*, key: str = "a", sandbox: str = "dev") -> int:
        headers = {"x-api-key": key, "x-sandbox-name": sandbox}
        return (await client.dps("GET", "/offers", headers=headers)).status

    assert await ask() == 200
    assert await ask() == 429  # beyond both limits
    assert await ask(sandbox="prod") == 429  # the key's
    assert await ask(key="b") == 429  # the container's
    clock.now_us += 1_000_000
    assert await ask() == 200
    assert await ask() == 429
    assert (await client.state())["violations"] == {
        # three refusals of the key, two of them in one second; the same for the container
        "api_keys": {"a": {"refused": 3, "worst_second": 2}},
        "containers": {"dev": {"refused": 3, "worst_second": 2}},
    }
    assert (await client.state())["peak_requests_per_second_by_container"] == {"dev": 3, "prod": 1}
    await client.send("POST", "/_emulator/reset")
    assert (await client.state())["violations"] == {"api_keys": {}, "containers": {}}


@pytest.mark.parametrize(("form", "value"), [("seconds", "3"), ("empty", ""), ("none", None)])
async def test_a_429_of_the_limit_says_when_to_come_back_as_it_is_told(
    start: Start, clock: Clock, form: str, value: str | None
) -> None:
    client = await start(clock=clock, rate=0.4, burst=1, retry_after=form)
    await client.dps("GET", "/offers")
    # one token in 1 / 0.4 = 2.5 s
    assert (await client.dps("GET", "/offers")).headers.get("Retry-After") == value


def test_a_date_to_come_back_at_is_never_too_early() -> None:
    # 10.4 s and 2.5 s make 12.9 s: the 13th second since 1970
    header = retry_after("date", 2_500_000, 10_400_000)
    assert parsedate_to_datetime(header["Retry-After"]).timestamp() == 13


async def test_an_effect_knows_the_request_that_had_it(client: Client) -> None:
    await client.dps("GET", "/offers")
    await client.dps("POST", "/offers", OFFER, headers={"x-request-id": "same"})
    await client.dps("POST", "/offers", OFFER, headers={"x-request-id": "same"})
    await client.dps("POST", "/offers", OFFER, headers={"x-request-id": "other"})
    await client.dps("POST", "/offers", OFFER)
    assert [effect.request for effect in client.server.effects] == [2, 3, 4, 5]
    assert (await client.send("GET", "/_emulator/repeats")).body == {"same": 2}


@pytest.mark.parametrize(
    ("style", "container", "key", "pointer"),
    [
        ("dps", "dev", seeded_offer_id(0), "/name"),
        ("xcore", seeded_container(0), seeded_instance_id(0), "/_instance/xdm:name"),
    ],
)
async def test_a_foreign_edit_now(client: Client, style: str, container: str, key: str, pointer: str) -> None:
    patch = [{"op": "replace", "path": pointer, "value": "Theirs"}]
    edit = {"style": style, "container": container, "id": key, "patch": patch}
    answer = await client.send("POST", "/_emulator/edit", edit)
    assert (answer.status, answer.body["api_key"], answer.body["etag"]) == (200, "somebody-else", 2)
    record = next(one for one in client.server.store if one.key == key)
    assert (record.name, record.etag, record.modified_by) == ("Theirs", 2, "somebody-else")
    assert json.loads(record.document).get("xdm:name" if style == "xcore" else "name") == "Theirs"


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"id": "dps:personalized-offer:0"}, 404),
        ({"container": "prod"}, 404),
        ({"style": "decisioning"}, 400),
        ({"patches": []}, 400),
        ({"patch": "rename it"}, 400),
        ({"patch": [{"op": "replace", "path": "/nowhere", "value": 1}]}, 422),
        ({"patch": [{"op": "increase", "path": "/name"}]}, 400),
        ({"patch": [{"op": "remove", "path": "/name"}]}, 422),
    ],
)
async def test_a_foreign_edit_that_cannot_be_made_changes_nothing(
    client: Client, change: dict[str, Any], status: int
) -> None:
    edit = {"style": "dps", "container": "dev", "id": seeded_offer_id(0), "patch": []}
    assert (await client.send("POST", "/_emulator/edit", edit | change)).status == status
    assert client.server.effects == []


async def test_a_foreign_edit_from_a_test() -> None:
    nothing_twice = Choices(same_values="nothing")
    async with Emulator(EmulatorSettings(seed_offers=1, choices=nothing_twice)) as server:
        rename = [{"op": "replace", "path": "/name", "value": "B"}]
        effect = server.edit("dps", "dev", seeded_offer_id(0), rename)
        assert (effect.etag_before, effect.etag, effect.request_id, effect.request) == (1, 2, "", 0)
        assert server.edit("dps", "dev", seeded_offer_id(0), rename).etag == 3  # somebody else always writes


async def test_nothing_strikes_the_admin_pages(start: Start) -> None:
    client = await start(faults=("drop-before", "forbidden"))
    async with ClientSession() as session, session.get(f"{client.server.url}/_emulator/state") as response:
        assert response.status == 200
