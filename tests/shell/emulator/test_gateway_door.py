"""Credentials, limits and sandboxes: what is checked before the service sees a request."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from aiohttp import ServerDisconnectedError

from migrator.emulator import Emulator, EmulatorSettings, Proceed, Request, Response, seeded_container, seeded_offer_id
from tests.shell.emulator.common import OFFER

if TYPE_CHECKING:
    from tests.shell.emulator.conftest import Client, Clock, Start


OFFERS = "/data/core/dps/offers?offer-type=personalized"


@pytest.mark.parametrize(
    ("headers", "status", "code", "message"),
    [
        ({"Authorization": None}, 403, "403010", "Oauth token is missing."),
        ({"Authorization": "Bearer unheard-of"}, 401, "401013", "Oauth token is not valid"),
        ({"Authorization": "Basic YTpi"}, 401, "401013", "Oauth token is not valid"),
        ({"x-api-key": None}, 403, "403000", "Api Key is required"),
        ({"x-gw-ims-org-id": None}, 400, "400003", "Missing header"),
    ],
)
@pytest.mark.parametrize("path", [OFFERS, "/data/core/nothing", f"/data/core/xcore/{seeded_container(9)}/instances"])
async def test_missing_and_wrong_headers_are_refused_first(
    client: Client, path: str, headers: dict[str, str | None], status: int, code: str, message: str
) -> None:
    answer = await client.send("GET", path, headers=headers)
    assert (answer.status, answer.body) == (status, {"error_code": code, "message": message})
    assert answer.headers["X-Request-Id"]


@pytest.mark.parametrize("blanks", [" ", "  ", "\t "])
async def test_any_blanks_may_follow_bearer(client: Client, blanks: str) -> None:
    headers = {"Authorization": f"Bearer{blanks}a-token-of-the-tests"}
    assert (await client.send("GET", OFFERS, headers=headers)).status == 200


async def test_an_unknown_sandbox_is_forbidden_by_the_service(client: Client) -> None:
    answer = await client.send("GET", OFFERS, headers={"x-sandbox-name": "elsewhere"})
    assert (answer.status, answer.headers["Content-Type"]) == (403, "application/problem+json")
    assert "error_code" not in answer.body


async def test_no_sandbox_means_production(client: Client) -> None:
    content = {"Content-Type": "application/json"}
    await client.send("POST", OFFERS, OFFER, content | {"x-sandbox-name": None})
    assert [effect.scope for effect in client.server.effects] == ["prod"]


async def test_the_request_id_comes_back_and_is_logged(client: Client) -> None:
    headers = {"x-request-id": "11-22", "Content-Type": "application/json"}
    answer = await client.send("POST", OFFERS, OFFER, headers)
    assert answer.headers["X-Request-Id"] == "11-22"
    assert client.server.effects[0].request_id == "11-22"
    refused = await client.send("POST", OFFERS, {}, headers)
    assert refused.body["report"]["requestId"] == "11-22"


async def test_beyond_the_rate_requests_are_refused_without_effect(start: Start, clock: Clock) -> None:
    client = await start(clock=clock, rate=0.4, burst=2)
    content = {"Content-Type": "application/json"}
    answers = [await client.send("POST", OFFERS, OFFER, content) for _ in range(3)]
    assert [answer.status for answer in answers] == [201, 201, 429]
    assert answers[2].body == {"error_code": "429050", "message": "Too many requests"}
    # one token in 1 / 0.4 = 2.5 s, in whole seconds rounded up
    assert answers[2].headers["Retry-After"] == "3"
    assert len(client.server.effects) == 2
    assert client.server.counters.rejected_by_rate_limit == 1

    assert (await client.send("GET", OFFERS, headers={"x-api-key": "another"})).status == 200
    clock.now_us += 2_500_000
    assert (await client.send("GET", OFFERS)).status == 200


async def test_the_rate_is_looked_at_before_the_service_is(start: Start, clock: Clock) -> None:
    client = await start(clock=clock, rate=1, burst=1)
    nowhere = {"x-sandbox-name": "elsewhere"}
    assert [(await client.send("GET", OFFERS, headers=nowhere)).status for _ in range(2)] == [403, 429]


async def test_a_429_may_come_without_retry_after(start: Start, clock: Clock) -> None:
    client = await start(clock=clock, rate=1, burst=1, retry_after="none")
    await client.send("GET", OFFERS)
    answer = await client.send("GET", OFFERS)
    assert answer.status == 429
    assert "Retry-After" not in answer.headers


async def test_containers_have_limits_of_their_own(start: Start, clock: Clock) -> None:
    client = await start(clock=clock, container_rate=1, burst=1, containers=2, seed_offers=2)
    schema = "https://ns.adobe.com/experience/offer-management/personalized-offer"

    async def status(container: str) -> int:
        return (await client.send("GET", f"/data/core/xcore/{container}/instances?schema={schema}")).status

    assert await status(seeded_container(0)) == 200
    assert await status(seeded_container(0)) == 429
    assert await status(seeded_container(1)) == 200
    assert (await client.send("GET", OFFERS)).status == 200
    assert (await client.send("GET", OFFERS)).status == 429


async def test_the_busiest_second_is_remembered_per_key(start: Start, clock: Clock) -> None:
    client = await start(clock=clock)
    for _ in range(3):
        await client.send("GET", OFFERS)
        clock.now_us += 400_000
    await client.send("GET", OFFERS)
    await client.send("GET", OFFERS, headers={"x-api-key": "another"})
    # readings at 0, 0.4, 0.8 and 1.2 s: any second holds three
    assert (await client.state())["peak_requests_per_second"] == {"the-client": 3, "another": 1}


async def test_latency_comes_after_the_effect(start: Start) -> None:
    client = await start(latency_s=30.0)
    content = {"Content-Type": "application/json"}
    sending = asyncio.create_task(client.send("POST", OFFERS, OFFER, content))
    while not (await client.state())["writes"]:
        assert not sending.done()
    assert not sending.done()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending


async def test_a_dropped_connection_hides_an_effect(start: Start) -> None:
    async def drop_writes(request: Request, proceed: Proceed) -> Response:
        response = await proceed(request)
        if request.method == "PATCH":
            request.hang_up()
        return response

    client = await start(middlewares=[drop_writes], seed_offers=1)
    patch = [{"op": "replace", "path": "/name", "value": "Changed"}]
    with pytest.raises(ServerDisconnectedError):
        await client.dps("PATCH", f"/offers/{seeded_offer_id(0)}", patch)
    assert [effect.etag for effect in client.server.effects] == [2]
    assert (await client.dps("GET", f"/offers/{seeded_offer_id(0)}")).body["name"] == "Changed"


async def test_a_taken_port_is_an_os_error(client: Client) -> None:
    second = Emulator(EmulatorSettings(port=client.server.port))
    with pytest.raises(OSError, match="address already in use"):
        await second.start()
    with pytest.raises(RuntimeError, match="not running"):
        _ = second.port


async def test_an_ipv6_address_stands_in_brackets(start: Start) -> None:
    client = await start(host="::1")
    assert client.server.url == f"http://[::1]:{client.server.port}"
    assert (await client.dps("GET", "/offers")).status == 200
