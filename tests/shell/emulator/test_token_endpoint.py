"""Tokens: issued for client credentials, valid for their time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.shell.emulator.conftest import Answer, Client, Clock, Start


OFFERS = "/data/core/dps/offers?offer-type=personalized"
CREDENTIALS = {"client_id": "me", "client_secret": "mine", "grant_type": "client_credentials", "scope": "openid"}


async def ask(client: Client, form: Any) -> tuple[int, Any]:
    async with client.session.post(f"{client.server.url}/ims/token/v3", data=form) as response:
        return response.status, await response.json()


async def use(client: Client, token: str) -> Answer:
    return await client.send("GET", OFFERS, headers={"Authorization": f"Bearer {token}"})


async def test_any_credentials_get_a_token_of_their_own(start: Start) -> None:
    client = await start(access_token=None)
    status, first = await ask(client, CREDENTIALS)
    assert status == 200
    assert {name: first[name] for name in ("token_type", "expires_in")} == {"token_type": "bearer", "expires_in": 86399}
    _, second = await ask(client, CREDENTIALS)
    assert first["access_token"] != second["access_token"]
    for body in (first, second):
        assert (await use(client, body["access_token"])).status == 200
    assert (await client.state())["tokens_issued"] == 2


async def test_a_token_expires(start: Start, clock: Clock) -> None:
    client = await start(clock=clock, token_lifetime_s=60)
    _, body = await ask(client, CREDENTIALS)
    assert body["expires_in"] == 60
    clock.now_us += 59_999_999
    assert (await use(client, body["access_token"])).status == 200
    clock.now_us += 1
    expired = await use(client, body["access_token"])
    assert (expired.status, expired.body["error_code"]) == (401, "401013")
    _, renewed = await ask(client, CREDENTIALS)
    assert (await use(client, renewed["access_token"])).status == 200


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        ({"client_id": "someone"}, 401, "invalid_client"),
        ({"client_secret": "guessed"}, 401, "invalid_client"),
        ({"client_secret": ""}, 400, "invalid_request"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
    ],
)
async def test_wrong_credentials_get_an_oauth_error(
    start: Start, change: dict[str, Any], status: int, error: str
) -> None:
    client = await start(client_id="me", client_secret="mine")
    answer = await ask(client, CREDENTIALS | change)
    assert answer[0] == status
    assert answer[1]["error"] == error
    assert client.server.counters.tokens_issued == 0
    assert (await ask(client, CREDENTIALS))[0] == 200


async def test_a_form_is_needed(start: Start) -> None:
    client = await start()
    answer = await client.send("POST", "/ims/token/v3", CREDENTIALS, {"Content-Type": "application/json"})
    assert (answer.status, answer.body["error"]) == (400, "unsupported_grant_type")
