"""The gateway: every request of both styles passes it before the service sees it, and every answer after.

It checks the headers that both styles share (contract 2), holds the rate limit, turns refusals into answers, counts,
keeps the log of requests, and holds answers back when the settings say so. Where rules of misbehaviour are in force,
this is where they get hold of a request::

    arrival faults ( credentials, rate limit, sandbox, gateway to after faults ( latency ( world faults ( service ))))
"""

from __future__ import annotations

import secrets
from asyncio import sleep
from collections.abc import Awaitable, Callable
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

from aiohttp import web

from migrator.emulator.errors import ConnectionLostError, GatewayError, ProblemError, Refusals
from migrator.emulator.library import Caller
from migrator.emulator.limits import Buckets, retry_after, take_all
from migrator.emulator.observation import EXCHANGE, Exchange

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler

    from migrator.emulator.faults import Faults
    from migrator.emulator.faults.strikes import Proceed
    from migrator.emulator.ims import Ims
    from migrator.emulator.observation import Counters, Requests
    from migrator.emulator.settings import EmulatorSettings

Serve = Callable[[web.Request], Awaitable[web.Response]]
"""A handler of the service."""

_REFUSALS = (GatewayError, ProblemError, web.HTTPException)
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_BASE = "/data/core"
"""What lies below this stands behind the gateway, whether it exists or not."""
_STYLES = ("/data/core/dps", "dps"), ("/data/core/xcore", "xcore"), ("/ims/", "ims")
_SERVED = ("gateway", "before", "late", "after", "world")
"""Phases of the faults that strike a request with valid credentials and within the rate limit."""


def caller_of(request: web.Request) -> Caller:
    """Who sends a request that the gateway has let through."""
    exchange = request[EXCHANGE]
    request_id = request.headers.get("x-request-id", "")
    return Caller(exchange.api_key, request_id, exchange.number, exchange.amend, exchange.breaks)


def sandbox_of(request: web.Request) -> str:
    """The sandbox a request is for: production when it names none (C-02)."""
    return request.headers.get("x-sandbox-name", "prod")


def lag_of(request: web.Request) -> int:
    """How far a list is made to lag behind, in microseconds, beyond what C-28 says."""
    return request[EXCHANGE].behind_us


def scope_of(request: web.Request) -> str:
    """The container or, where the path names none, the sandbox that a request is for."""
    return request.match_info.get("container") or sandbox_of(request)


def _is_behind(path: str) -> bool:
    """Whether a path, as the router reads it, leads to the service."""
    return path.startswith(f"{_BASE}/") or path == _BASE


def style_of(path: str) -> str:
    """The endpoint style that a path belongs to, ``ims`` for the token endpoint, "" for none."""
    for prefix, style in _STYLES:
        if path.startswith(prefix):
            return style
    return ""


class Gateway:
    """What stands before both styles.

    Args:
        settings: limits and latency.
        ims: knows the tokens.
        counters: where requests are counted.
        requests: where requests are kept.
        faults: the rules of misbehaviour.
        now_us: the clock, microseconds since 1970.

    Attributes:
        sandboxes: names that a request may name.
    """

    def __init__(
        self,
        settings: EmulatorSettings,
        ims: Ims,
        counters: Counters,
        requests: Requests,
        faults: Faults,
        now_us: Callable[[], int],
    ) -> None:
        self.sandboxes = set(settings.sandboxes)
        self._settings = settings
        self._ims = ims
        self._counters = counters
        self._requests = requests
        self._faults = faults
        self._now_us = now_us
        self._refusals = Refusals(settings.choices, settings.too_large_status)
        self._keys = Buckets(settings.rate, settings.burst)
        self._scopes = Buckets(settings.container_rate, settings.burst)

    def clear(self) -> None:
        """Go back to the start: full buckets, the sandboxes of the settings."""
        self.sandboxes = set(self._settings.sandboxes)
        self._keys.clear()
        self._scopes.clear()

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer a request of either style, or refuse it. Other requests pass unseen."""
        if not _is_behind(request.rel_url.path_safe):
            return await handler(request)
        exchange = self._begin(request)
        serve: Serve = cast("Serve", handler)  # what lies behind the gateway streams nothing
        response = await self._watched(request, partial(self._arrived, request, serve))
        self._counters.answered(exchange.method, exchange.status)
        return response

    async def token(self, request: web.Request) -> web.StreamResponse:
        """``POST /ims/token/v3``. It does not stand behind the gateway, but is watched and can misbehave as well."""
        self._begin(request)
        issue: Proceed = partial(self._ims.issue, request)
        if self._faults:
            issue = self._faults.around(self._faults.draw(request, *_SERVED), request, issue)
        return await self._watched(request, issue)

    def _begin(self, request: web.Request) -> Exchange:
        headers = request.headers
        exchange = Exchange(
            number=self._requests.begin(),
            arrived_us=self._now_us(),
            method=request.method,
            path=request.raw_path,
            style=style_of(request.rel_url.path_safe),
            api_key=headers.get("x-api-key", ""),
            request_id=headers.get("x-request-id") or secrets.token_hex(16),
        )
        request[EXCHANGE] = exchange
        return exchange

    async def _watched(self, request: web.Request, answer: Proceed) -> web.StreamResponse:
        """Get an answer, whatever happens to it on the way, and keep what happened."""
        exchange = request[EXCHANGE]
        try:
            response = await answer()
        except _REFUSALS as raised:
            response = self._refused(raised, exchange)
        except ConnectionLostError:
            return web.Response()  # goes nowhere
        finally:
            exchange.answered_us = self._now_us()
            self._requests.end(exchange)
        exchange.status = response.status
        response.headers["X-Request-Id"] = exchange.request_id
        return response

    async def _arrived(self, request: web.Request, serve: Serve) -> web.Response:
        if self._faults:
            admitted = partial(self._admitted, request, serve)
            return await self._faults.around(self._faults.draw(request, "arrival"), request, admitted)()
        self._admit(request)
        if self._settings.latency_s:
            return await self._held(partial(serve, request))
        return await serve(request)

    async def _admitted(self, request: web.Request, serve: Serve) -> web.Response:
        """Go on with a request that faults may strike; from here on a refusal is an answer like any other."""
        self._admit(request)
        due = self._faults.draw(request, *_SERVED)
        within = [fault for fault in due if fault.rule.kind.phase == "world"]
        without = [fault for fault in due if fault.rule.kind.phase != "world"]
        served = self._faults.around(within, request, partial(serve, request))
        settled = partial(self._settled, request, partial(self._held, served))
        return await self._faults.around(without, request, settled)()

    async def _settled(self, request: web.Request, answer: Proceed) -> web.Response:
        """Get an answer, also where the answer is a refusal."""
        try:
            return await answer()
        except _REFUSALS as raised:
            return self._refused(raised, request[EXCHANGE])

    def _refused(self, raised: web.HTTPException | GatewayError | ProblemError, exchange: Exchange) -> web.Response:
        refusal = _routing_problem(raised) if isinstance(raised, web.HTTPException) else raised
        return self._refusals.answer(refusal, exchange.request_id)

    async def _held(self, answer: Proceed) -> web.Response:
        try:
            return await answer()
        finally:
            if self._settings.latency_s:
                await sleep(self._settings.latency_s)

    def _admit(self, request: web.Request) -> None:
        now_us = self._now_us()
        self._authenticate(request, now_us)
        self._limit(request, now_us)
        self._check_sandbox(request)

    def _authenticate(self, request: web.Request, now_us: int) -> None:
        headers = request.headers
        api_key = headers.get("x-api-key")
        if api_key is not None:
            self._counters.peaks.arrived(api_key, now_us)
        if "Authorization" not in headers:
            raise GatewayError("403010")
        if api_key is None:
            raise GatewayError("403000")
        token = self._ims.token_of(request)
        if token is None or not self._ims.is_valid(token):
            raise GatewayError("401013")
        if "x-gw-ims-org-id" not in headers:
            raise GatewayError("400003")

    def _limit(self, request: web.Request, now_us: int) -> None:
        scope = scope_of(request)
        self._counters.container_peaks.arrived(scope, now_us)
        if not (self._settings.rate or self._settings.container_rate):
            return
        limits = (self._keys, request.headers["x-api-key"]), (self._scopes, scope)
        wait_us = take_all(limits, now_us)
        if wait_us:
            self._note_violation(limits, now_us)
            headers = retry_after(self._settings.retry_after, wait_us, now_us)
            raise GatewayError("429050", headers)

    def _note_violation(self, limits: tuple[tuple[Buckets, str], ...], now_us: int) -> None:
        violations = self._counters.key_violations, self._counters.container_violations
        for (buckets, whom), violated in zip(limits, violations, strict=True):
            if buckets.wait_us(whom, now_us):
                violated.add(whom, now_us)

    def _check_sandbox(self, request: web.Request) -> None:
        if self._settings.choices.no_sandbox == "require" and "x-sandbox-name" not in request.headers:
            raise ProblemError(HTTPStatus.BAD_REQUEST, "missing-sandbox", "x-sandbox-name is required")
        sandbox = sandbox_of(request)
        if sandbox not in self.sandboxes:
            raise ProblemError(HTTPStatus.FORBIDDEN, "unknown-sandbox", f"no access to sandbox {sandbox}")


def _routing_problem(refusal: web.HTTPException) -> ProblemError:
    """What aiohttp has to say about a request that no handler wants: no such path, no such method, too large."""
    headers = {}
    if isinstance(refusal, web.HTTPMethodNotAllowed):
        headers["Allow"] = ", ".join(method for method in _METHODS if method in refusal.allowed_methods)
    kind = refusal.reason.lower().replace(" ", "-")
    return ProblemError(refusal.status, kind, refusal.reason, headers=headers)
