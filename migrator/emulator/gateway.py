"""The gateway: every request of both styles passes it before the service sees it, and every answer after.

It checks the headers that both styles share (contract 2), holds the rate limit, turns refusals into answers, counts,
and holds answers back when the settings say so.
"""

from __future__ import annotations

import re
import secrets
from asyncio import sleep
from http import HTTPStatus
from typing import TYPE_CHECKING

from aiohttp import web

from migrator.emulator.errors import GatewayError, ProblemError, RefusalError, Refusals
from migrator.emulator.library import Caller
from migrator.emulator.limits import Buckets, take_all

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp.typedefs import Handler

    from migrator.emulator.ims import Ims
    from migrator.emulator.observation import Counters
    from migrator.emulator.settings import EmulatorSettings

_SECOND_US = 1_000_000
_BEARERS = {
    "any": re.compile(r"Bearer\s+(\S+)", re.IGNORECASE),
    "one": re.compile(r"Bearer (\S+)", re.IGNORECASE),
}
"""How a token is given, by the value of C-01."""
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def caller_of(request: web.Request) -> Caller:
    """Who sends a request that the gateway has let through."""
    return Caller(request.headers["x-api-key"], request.headers.get("x-request-id", ""))


def sandbox_of(request: web.Request) -> str:
    """The sandbox a request is for: production when it names none (C-02)."""
    return request.headers.get("x-sandbox-name", "prod")


class Gateway:
    """What stands before both styles.

    Args:
        settings: limits, sandboxes and latency.
        ims: knows the tokens.
        counters: where requests are counted.
        now_us: the clock, microseconds since 1970.
    """

    def __init__(self, settings: EmulatorSettings, ims: Ims, counters: Counters, now_us: Callable[[], int]) -> None:
        self._settings = settings
        self._ims = ims
        self._counters = counters
        self._now_us = now_us
        self._bearer = _BEARERS[settings.choices.bearer_blanks]
        self._refusals = Refusals(settings.choices, settings.too_large_status)
        self._keys = Buckets(settings.rate, settings.burst)
        self._scopes = Buckets(settings.container_rate, settings.burst)

    def clear(self) -> None:
        """Fill all buckets of the rate limits."""
        self._keys.clear()
        self._scopes.clear()

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer a request, or refuse it."""
        request_id = request.headers.get("x-request-id") or secrets.token_hex(16)
        try:
            response = await self._admitted(request, handler)
        except RefusalError as refusal:
            response = self._refusals.answer(refusal, request_id)
        self._counters.requests[request.method, response.status] += 1
        response.headers["X-Request-Id"] = request_id
        return response

    async def _admitted(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._authenticate(request)
        self._limit(request)
        self._check_sandbox(request)
        try:
            return await handler(request)
        except web.HTTPException as refusal:
            raise _routing_problem(refusal) from refusal
        finally:
            if self._settings.latency_s:
                await sleep(self._settings.latency_s)

    def _authenticate(self, request: web.Request) -> None:
        headers = request.headers
        if "x-api-key" in headers:
            self._counters.peaks.arrived(headers["x-api-key"], self._now_us())
        if "Authorization" not in headers:
            raise GatewayError(HTTPStatus.FORBIDDEN, "403010", "Oauth token is missing.")
        if "x-api-key" not in headers:
            raise GatewayError(HTTPStatus.FORBIDDEN, "403000", "Api Key is required")
        bearer = self._bearer.fullmatch(headers["Authorization"].strip())
        if bearer is None or not self._ims.is_valid(bearer[1]):
            raise GatewayError(HTTPStatus.UNAUTHORIZED, "401013", "Oauth token is not valid")
        if "x-gw-ims-org-id" not in headers:
            raise GatewayError(HTTPStatus.BAD_REQUEST, "400003", "Missing header")

    def _limit(self, request: web.Request) -> None:
        scope = request.match_info.get("container") or sandbox_of(request)
        wanted = (self._keys, request.headers["x-api-key"]), (self._scopes, scope)
        wait_us = take_all(wanted, self._now_us())
        if wait_us:
            raise GatewayError(
                HTTPStatus.TOO_MANY_REQUESTS, "429050", "Too many requests", headers=self._retry_after(wait_us)
            )

    def _retry_after(self, wait_us: int) -> dict[str, str]:
        whole_s = -(-wait_us // _SECOND_US)
        return {"Retry-After": str(whole_s)} if self._settings.retry_after == "seconds" else {}

    def _check_sandbox(self, request: web.Request) -> None:
        if self._settings.choices.no_sandbox == "require" and "x-sandbox-name" not in request.headers:
            raise ProblemError(HTTPStatus.BAD_REQUEST, "missing-sandbox", "x-sandbox-name is required")
        sandbox = sandbox_of(request)
        if sandbox not in self._settings.sandboxes:
            raise ProblemError(HTTPStatus.FORBIDDEN, "unknown-sandbox", f"no access to sandbox {sandbox}")


def _routing_problem(refusal: web.HTTPException) -> ProblemError:
    """What aiohttp has to say about a request that no handler wants: no such path, no such method, too large."""
    headers = {}
    if isinstance(refusal, web.HTTPMethodNotAllowed):
        headers["Allow"] = ", ".join(method for method in _METHODS if method in refusal.allowed_methods)
    kind = refusal.reason.lower().replace(" ", "-")
    return ProblemError(refusal.status, kind, refusal.reason, headers=headers)
