"""An identity service that says no, or nothing: the failure says why, and never shows a secret."""

from __future__ import annotations

import traceback

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from migrator.core.model import Failure, FailureKind, Request
from migrator.transport.credentials import (
    CredentialsRefused,
    CredentialsUnreachable,
    ReadyToken,
)
from migrator.transport.http import HttpTransport
from migrator.transport.session import SessionClient
from tests.shell.identity import (
    INVALID_CLIENT,
    SECRET,
    Answer,
    IdentityService,
    client_credentials,
    credentials_at,
    cuts,
    hangs_up,
    page,
    says,
)

pytestmark = pytest.mark.usefixtures("clock")


def everything_printed(error: BaseException) -> str:
    """Return all that a traceback would show, and more: the causes, their arguments and their forms as text."""
    words = traceback.format_exception(error)
    seen: BaseException | None = error
    while seen is not None:
        words += [str(seen), repr(seen), repr(seen.args)]
        seen = seen.__cause__ or seen.__context__
    return "\n".join(words)


# --- a no, and no answer ---------------------------------------------------------------------------------------------


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
        transport = HttpTransport(SessionClient(credentials._session, "http://127.0.0.1:1"), credentials, "org")
        told = await transport.send(Request("PATCH", "/x", {}, b"", "r"))

    assert isinstance(told, Failure)
    assert told.kind is kind
    assert told.message.startswith("the identity service ")


async def test_ready_has_the_token_that_send_uses_or_says_why_there_is_none() -> None:
    service = IdentityService(says(401, INVALID_CLIENT))
    async with credentials_at(service) as credentials:
        transport = HttpTransport(SessionClient(credentials._session, "http://127.0.0.1:1"), credentials, "org")

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
        transport = HttpTransport(SessionClient(credentials._session, "http://127.0.0.1:1"), credentials, "org")

        for holder in (credentials, ReadyToken("the-id", token), transport):
            assert SECRET not in repr(holder)
            assert token not in repr(holder)
