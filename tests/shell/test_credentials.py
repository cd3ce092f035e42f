"""Tokens: fetched once for everybody, renewed in time, and never shown."""

from __future__ import annotations

import asyncio
import gc
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from migrator.core.model import Failure, FailureKind, Request, Response
from migrator.emulator import Emulator, EmulatorSettings
from migrator.transport import credentials as module
from migrator.transport.credentials import (
    ClientCredentials,
    Credentials,
    CredentialsRefused,
    CredentialsUnreachable,
    ReadyToken,
    renew_after_s,
)
from migrator.transport.http import HttpTransport, open_session

SECRET = "p8e-the-secret-of-the-tests"
DAY_S = 86_400

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Clock:
    """Stands still until it is put on."""

    def __init__(self) -> None:
        self.now_s = 5000.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


class IdentityService:
    """Gives out `token-1`, `token-2`, …, or whatever `answers` has in store first. Waits while `open` is not set."""

    def __init__(self, *answers: web.Response | Answer, expires_in: Any = DAY_S) -> None:
        self.answers = list(answers)
        self.expires_in = expires_in
        self.asked: list[dict[str, str]] = []
        self.open = asyncio.Event()
        self.open.set()

    async def token(self, request: web.Request) -> web.StreamResponse:
        self.asked.append({name: str(value) for name, value in (await request.post()).items()})
        number = len(self.asked)
        await self.open.wait()
        if not self.answers:
            return web.json_response({"access_token": f"token-{number}", "expires_in": self.expires_in})
        answer = self.answers.pop(0)
        return answer if isinstance(answer, web.Response) else await answer(request)

    async def until_asked(self, times: int) -> None:
        while len(self.asked) < times:  # noqa: ASYNC110 (it is the socket that is waited for)
            await asyncio.sleep(0.001)


@asynccontextmanager
async def credentials_at(service: IdentityService) -> AsyncIterator[ClientCredentials]:
    app = web.Application()
    app.router.add_post("/ims/token/v3", service.token)
    async with TestServer(app) as server, client_credentials(str(server.make_url("/"))) as credentials:
        yield credentials


@asynccontextmanager
async def client_credentials(ims_url: str, *, timeout_s: float = 30) -> AsyncIterator[ClientCredentials]:
    async with open_session(timeout_s=timeout_s, connect_timeout_s=30, user_agent="tests/1") as session:
        yield ClientCredentials(session, ims_url, client_id="the-id", client_secret=SECRET, scopes="openid,session")


async def landed(credentials: ClientCredentials) -> None:
    """Wait for a renewal behind the scenes."""
    if credentials._renewal is not None:
        await asyncio.wait([credentials._renewal])


def everything_printed(error: BaseException) -> str:
    """Return all that a traceback would show, and more: the causes, their arguments and their forms as text."""
    words = traceback.format_exception(error)
    seen: BaseException | None = error
    while seen is not None:
        words += [str(seen), repr(seen), repr(seen.args)]
        seen = seen.__cause__ or seen.__context__
    return "\n".join(words)


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
        transport = HttpTransport(credentials._session, str(server.make_url("/")), credentials, "org")
        told = [await transport.send(Request("PATCH", "/x", {}, b"", "r")) for _ in range(2)]

    assert transport.renewable
    assert [answer.status for answer in told if isinstance(answer, Response)] == [status, 200]
    assert seen == ["Bearer token-1", "Bearer token-2"]


# --- a no, and no answer ---------------------------------------------------------------------------------------------

INVALID_CLIENT = {"error": "invalid_client", "error_description": "invalid client_secret\nparameter"}


def page(status: int, body: bytes) -> web.Response:
    return web.Response(status=status, body=body)


def says(status: int, body: object) -> web.Response:
    return web.json_response(body, status=status)


async def hangs_up(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def cuts(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "100"})
    await response.prepare(request)
    await response.write(b'{"access_token": "tok')
    return await hangs_up(request)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            says(401, INVALID_CLIENT),
            "the identity service refuses the credentials: HTTP 401: invalid_client: invalid client_secret parameter",
        ),
        (
            says(400, {"error": "invalid_scope"}),
            "the identity service refuses the credentials: HTTP 400: invalid_scope",
        ),
        (says(403, {"error": "no"}), "the identity service refuses the credentials: HTTP 403: no"),
        (
            says(400, {"error": "x", "error_description": f"the secret {SECRET} is wrong"}),
            "the identity service refuses the credentials: HTTP 400: x: the secret *** is wrong",
        ),
    ],
)
async def test_an_oauth_error_is_a_no(answer: web.Response, message: str) -> None:
    async with credentials_at(IdentityService(answer)) as credentials:
        with pytest.raises(CredentialsRefused) as caught:
            await credentials.token()

    assert str(caught.value) == message


async def test_a_long_explanation_is_cut() -> None:
    answer = says(400, {"error": "x", "error_description": "long " * 10_000})
    async with credentials_at(IdentityService(answer)) as credentials:
        with pytest.raises(CredentialsRefused) as caught:
            await credentials.token()

    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (page(429, b""), "answers HTTP 429"),
        (says(429, {"error": "slow_down"}), "answers HTTP 429"),
        (page(500, b"<html>"), "answers HTTP 500"),
        (page(503, b""), "answers HTTP 503"),
        (web.Response(status=307, headers={"Location": "/ims/token/v3"}), "answers HTTP 307"),
        (page(404, b"not found"), "answers HTTP 404"),
        (page(403, b"<html>blocked</html>"), "answers HTTP 403"),
        (page(401, b'{"error": "\xff"}'), "answers HTTP 401"),
        (says(400, {"error": {"code": 1}}), "answers HTTP 400"),
        (says(401, {"error": ""}), "answers HTTP 401"),
        (page(200, b"<html>log in</html>"), "answered 200 without a token"),
        (page(200, b""), "answered 200 without a token"),
        (page(200, b'{"access_token": "\xff", "expires_in": 1}'), "answered 200 without a token"),
        (page(200, b'{"x":' * 100_000), "answered 200 without a token"),
        (says(200, INVALID_CLIENT), "answered 200 without a token"),
        (says(200, {"access_token": "", "expires_in": 1}), "answered 200 without a token"),
        (says(200, {"access_token": "two words", "expires_in": 1}), "answered 200 without a token"),
        (says(200, {"access_token": "a\r\nX-Injected: b", "expires_in": 1}), "answered 200 without a token"),
        (says(200, {"access_token": "t", "expires_in": 0}), "answered 200 without a token"),
        (says(200, {"access_token": "t", "expires_in": -5}), "answered 200 without a token"),
        (says(200, {"access_token": "t"}), "answered 200 without a token"),
        (hangs_up, "cannot be reached: ServerDisconnectedError: Server disconnected"),
        (cuts, "cannot be reached: ClientPayloadError"),
    ],
)
async def test_anything_else_is_no_answer_and_may_be_better_later(answer: web.Response | Answer, message: str) -> None:
    async with credentials_at(IdentityService(answer)) as credentials:
        with pytest.raises(CredentialsUnreachable) as caught:
            await credentials.token()
        assert await credentials.token() == "token-2"

    assert str(caught.value).startswith(f"the identity service {message}")


async def test_an_identity_service_that_is_down_or_silent_gives_no_answer() -> None:
    service = IdentityService()
    service.open.clear()
    app = web.Application()
    app.router.add_post("/ims/token/v3", service.token)
    async with TestServer(app) as server:
        url = str(server.make_url("/"))
        async with client_credentials(url, timeout_s=0.2) as silent:
            with pytest.raises(CredentialsUnreachable, match="no answer within the time-out"):
                await silent.token()
        service.open.set()
    async with client_credentials(url) as down:
        with pytest.raises(CredentialsUnreachable, match="ClientConnectorError: Cannot connect to host"):
            await down.token()


@pytest.mark.parametrize(
    ("answer", "kind"),
    [(says(401, INVALID_CLIENT), FailureKind.NO_CREDENTIALS), (page(503, b""), FailureKind.NOT_SENT)],
)
async def test_without_a_token_nothing_is_sent_and_the_failure_says_why(
    answer: web.Response, kind: FailureKind
) -> None:
    async with credentials_at(IdentityService(answer)) as credentials:
        transport = HttpTransport(credentials._session, "http://127.0.0.1:1", credentials, "org")
        told = await transport.send(Request("PATCH", "/x", {}, b"", "r"))

    assert isinstance(told, Failure)
    assert told.kind is kind
    assert told.message.startswith("the identity service ")


async def test_ready_has_the_token_that_send_uses_or_says_why_there_is_none() -> None:
    service = IdentityService(says(401, INVALID_CLIENT))
    async with credentials_at(service) as credentials:
        transport = HttpTransport(credentials._session, "http://127.0.0.1:1", credentials, "org")

        at_hand = [transport.ready]
        refused = await transport.make_ready()
        at_hand += [transport.ready]
        assert await transport.make_ready() is None
        at_hand += [transport.ready]
        await transport.send(Request("PATCH", "/x", {}, b"", "r"))

    assert refused is not None
    assert refused.kind is FailureKind.NO_CREDENTIALS
    assert at_hand == [False, False, True]
    assert len(service.asked) == 2


# --- secrets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        says(401, {"error": "invalid_client", "error_description": SECRET}),
        says(200, {"access_token": "token-9 of the tests", "expires_in": "?"}),
        page(200, b'{"access_token": "token-9\xff'),
        page(500, SECRET.encode()),
        hangs_up,
        cuts,
    ],
)
async def test_neither_the_secret_nor_a_token_is_in_what_an_error_prints(answer: web.Response | Answer) -> None:
    async with credentials_at(IdentityService(answer)) as credentials:
        with pytest.raises((CredentialsRefused, CredentialsUnreachable)) as caught:
            await credentials.token()

    printed = everything_printed(caught.value)
    assert SECRET not in printed
    assert "token-9" not in printed


async def test_neither_the_secret_nor_the_token_is_in_the_repr_of_what_holds_them() -> None:
    async with credentials_at(IdentityService()) as credentials:
        token = await credentials.token()
        transport = HttpTransport(credentials._session, "http://127.0.0.1:1", credentials, "org")

        for holder in (credentials, ReadyToken("the-id", token), transport):
            assert SECRET not in repr(holder)
            assert token not in repr(holder)


# --- a ready token ---------------------------------------------------------------------------------------------------


async def test_a_ready_token_is_used_as_it_is_and_cannot_be_replaced() -> None:
    ready: Credentials = ReadyToken("the-id", "a-token\n")

    ready.reject("a-token")

    assert await ready.token() == "a-token"
    assert not ready.renewable
