"""An identity service on loopback that gives out tokens or anything else, and credentials that ask it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from migrator.transport.credentials import ClientCredentials
from migrator.transport.session import open_session

SECRET = "p8e-the-secret-of-the-tests"
DAY_S = 86_400

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Clock:
    """Stands still until it is put on."""

    def __init__(self) -> None:
        self.now_s = 5000.0

    def monotonic(self) -> float:
        return self.now_s


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
