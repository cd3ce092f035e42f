"""Tokens: fetched once for everybody, and renewed in time."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from migrator.core.model import Request, Response
from migrator.emulator import Emulator, EmulatorSettings
from migrator.transport.credentials import (
    ClientCredentials,
    Credentials,
    CredentialsUnreachable,
    ReadyToken,
    renew_after_s,
)
from migrator.transport.http import HttpTransport
from migrator.transport.session import SessionClient
from tests.shell.identity import (
    DAY_S,
    SECRET,
    Clock,
    IdentityService,
    client_credentials,
    credentials_at,
)

pytestmark = pytest.mark.usefixtures("clock")


async def landed(credentials: ClientCredentials) -> None:
    """Wait for a renewal behind the scenes."""
    if credentials._renewal is not None:
        await asyncio.wait([credentials._renewal])


# --- asking ----------------------------------------------------------------------------------------------------------


async def test_a_token_is_asked_for_as_the_identity_service_documents_it() -> None:
    service = IdentityService()

    async with credentials_at(service) as credentials:
        assert await credentials.token() == "token-1"

    assert service.asked == [
        {
            "client_id": "the-id",
            "client_secret": SECRET,
            "grant_type": "client_credentials",
            "scope": "openid,session",
        }
    ]


async def test_the_emulator_gives_a_token_that_it_then_accepts() -> None:
    async with (
        Emulator(EmulatorSettings(client_id="the-id", client_secret=SECRET)) as server,
        client_credentials(server.url) as credentials,
    ):
        assert server.ims.is_valid(await credentials.token())
        assert server.counters.tokens_issued == 1


async def test_fifty_who_ask_at_once_share_one_request() -> None:
    service = IdentityService()
    async with credentials_at(service) as credentials:
        tokens = await asyncio.gather(*(credentials.token() for _ in range(50)))
        later = await credentials.token()

    assert {*tokens, later} == {"token-1"}
    assert len(service.asked) == 1


async def test_fifty_who_wait_for_a_request_that_fails_share_the_failure_and_do_not_ask_one_by_one() -> None:
    service = IdentityService(web.Response(status=503))
    async with credentials_at(service) as credentials:
        told = await asyncio.gather(*(credentials.token() for _ in range(50)), return_exceptions=True)
        assert len(service.asked) == 1
        assert await credentials.token() == "token-2"  # the failure is not remembered

    assert {type(each) for each in told} == {CredentialsUnreachable}


async def test_a_caller_that_is_cancelled_leaves_the_request_to_the_others() -> None:
    service = IdentityService()
    service.open.clear()
    async with credentials_at(service) as credentials:
        first, second = (asyncio.create_task(credentials.token()) for _ in range(2))
        await service.until_asked(1)
        first.cancel()
        await asyncio.wait([first])
        service.open.set()

        assert await second == "token-1"
        assert first.cancelled()
        assert len(service.asked) == 1


# --- renewing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expires_in", "renew_after"),
    [
        (86_400, 82_080),  # 86400 − 5 % of 86400
        (86_399, 82_079.05),
        (86_399_992, 82_079.9924),  # milliseconds: 86399.992 × 0.95
        (6_000, 5_700),  # 300 s and 5 % are the same
        (3_600, 3_300),  # 3600 − 300
        (600, 300),
        (400, 200),  # half of a short life, not 400 − 300
        (60, 30),
        (1, 0.5),
        (10_000_000, 9_500_000),  # the largest that is seconds
        (10_000_001, 9_500.00095),  # the smallest that is milliseconds: 10000.001 × 0.95
    ],
)
def test_a_token_is_renewed_well_before_its_end(expires_in: float, renew_after: float) -> None:
    assert renew_after_s(expires_in) == pytest.approx(renew_after)


async def test_a_token_that_is_due_is_renewed_while_everybody_goes_on_with_it(clock: Clock) -> None:
    service = IdentityService()
    async with credentials_at(service) as credentials:
        assert await credentials.token() == "token-1"
        clock.now_s += 82_079
        assert await credentials.token() == "token-1"
        assert len(service.asked) == 1  # a second before it is due
        clock.now_s += 1
        service.open.clear()
        assert [await credentials.token() for _ in range(50)] == ["token-1"] * 50
        service.open.set()
        await landed(credentials)

        assert await credentials.token() == "token-2"
        assert len(service.asked) == 2


async def test_a_token_that_has_ended_is_not_used(clock: Clock) -> None:
    async with credentials_at(IdentityService()) as credentials:
        assert await credentials.token() == "token-1"
        clock.now_s += DAY_S

        assert await credentials.token() == "token-2"


async def test_a_renewal_that_fails_is_tried_again_now_and_then_and_the_old_token_serves_on(clock: Clock) -> None:
    service = IdentityService()
    async with credentials_at(service) as credentials:
        await credentials.token()
        service.answers = [web.Response(status=503) for _ in range(3)]
        due_at_s = clock.now_s + 82_080
        for after_s, asked in [(0, 2), (29, 2), (30, 3), (59, 3), (60, 4), (89, 4)]:
            clock.now_s = due_at_s + after_s
            assert await credentials.token() == "token-1"
            await landed(credentials)
            assert len(service.asked) == asked
        clock.now_s = due_at_s + 90
        await credentials.token()
        await landed(credentials)

        assert await credentials.token() == "token-5"


async def test_nobody_is_told_of_a_renewal_that_fails_behind_the_scenes(clock: Clock) -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, complaint: complaints.append(complaint))
    service = IdentityService()
    async with credentials_at(service) as credentials:
        await credentials.token()
        service.answers = [web.Response(status=503)]
        clock.now_s += 82_080
        await credentials.token()
        await landed(credentials)
        credentials._renewal = None
        gc.collect()  # asyncio complains of a failure that nobody has looked at when it is thrown away

    assert complaints == []


@pytest.mark.parametrize(
    ("expires_in", "is_renewed_at"), [("86399", 82_079.05), (86_399_992, 82_079.9924), (60, 30), (0.5, 0.25)]
)
async def test_the_life_of_a_token_is_read_in_any_form(clock: Clock, expires_in: Any, is_renewed_at: float) -> None:
    service = IdentityService(expires_in=expires_in)
    async with credentials_at(service) as credentials:
        await credentials.token()
        clock.now_s += is_renewed_at * 0.99
        await credentials.token()
        assert credentials._renewal is None or credentials._renewal.done()
        assert len(service.asked) == 1
        clock.now_s += is_renewed_at * 0.02
        await credentials.token()
        await landed(credentials)

        assert len(service.asked) == 2


# --- rejecting -------------------------------------------------------------------------------------------------------


async def test_a_token_that_the_service_refuses_is_replaced() -> None:
    async with credentials_at(IdentityService()) as credentials:
        credentials.reject(await credentials.token())

        assert await credentials.token() == "token-2"


async def test_fifty_whose_token_was_refused_fetch_one_new_one() -> None:
    service = IdentityService()
    async with credentials_at(service) as credentials:
        used = await credentials.token()

        async def refused() -> str:
            credentials.reject(used)
            return await credentials.token()

        assert set(await asyncio.gather(*(refused() for _ in range(50)))) == {"token-2"}

    assert len(service.asked) == 2


async def test_a_late_refusal_of_an_old_token_does_not_touch_the_new_one() -> None:
    service = IdentityService()
    async with credentials_at(service) as credentials:
        old = await credentials.token()
        credentials.reject(old)
        await credentials.token()
        credentials.reject(old)

        assert await credentials.token() == "token-2"

    assert len(service.asked) == 2


@pytest.mark.parametrize("status", [401, 403])
async def test_the_transport_rejects_the_token_of_a_request_that_was_refused(status: int) -> None:
    seen: list[str] = []

    async def patch(request: web.Request) -> web.Response:
        seen.append(request.headers["Authorization"])
        return web.Response(status=200 if len(seen) > 1 else status)

    app = web.Application()
    app.router.add_patch("/x", patch)
    async with TestServer(app) as server, credentials_at(IdentityService()) as credentials:
        transport = HttpTransport(SessionClient(credentials._session, str(server.make_url("/"))), credentials, "org")
        told = [await transport.send(Request("PATCH", "/x", {}, b"", "r")) for _ in range(2)]

    assert transport.renewable
    assert [answer.status for answer in told if isinstance(answer, Response)] == [status, 200]
    assert seen == ["Bearer token-1", "Bearer token-2"]


# --- a ready token ---------------------------------------------------------------------------------------------------


async def test_a_ready_token_is_used_as_it_is_and_cannot_be_replaced() -> None:
    ready: Credentials = ReadyToken("the-id", "a-token\n")

    ready.reject("a-token")

    assert await ready.token() == "a-token"
    assert not ready.renewable
