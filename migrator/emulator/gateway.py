"""The gateway: every request of both styles passes it before the service sees it, and every answer after.

It checks the headers that both styles share (contract 2), holds the rate limit, turns refusals into answers, counts,
keeps the log of requests, and holds answers back when the settings say so. Where rules of misbehaviour are in force,
this is where they get hold of a request::

    arrival faults ( credentials, rate limit, sandbox, gateway to after faults ( latency ( world faults ( service ))))
"""

from __future__ import annotations

import secrets
from asyncio import sleep
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

from migrator.emulator.errors import ConnectionLostError, GatewayError, ProblemError, Refusals
from migrator.emulator.http import HttpError, Response, answered
from migrator.emulator.library import Caller
from migrator.emulator.limits import Buckets, retry_after, take_all
from migrator.emulator.observation import Exchange

if TYPE_CHECKING:
    from collections.abc import Callable

    from migrator.emulator.faults import Faults
    from migrator.emulator.faults.strikes import Proceed
    from migrator.emulator.http import Answer, Request
    from migrator.emulator.ims import Ims
    from migrator.emulator.observation import Counters, Requests
    from migrator.emulator.settings import EmulatorSettings

_REFUSALS = (GatewayError, ProblemError, HttpError)
_STYLES = ("dps", "xcore")
_BASE = ["", "data", "core"]
"""What lies below this stands behind the gateway, whether it exists or not."""
_SERVED = ("gateway", "before", "late", "after", "world")
"""Phases of the faults that strike a request with valid credentials and within the rate limit."""


def caller_of(request: Request) -> Caller:
    """Who sends a request that the gateway has let through."""
    exchange = request.exchange
    request_id = request.headers.get("x-request-id", "")
    return Caller(exchange.api_key, request_id, exchange.number, exchange.amend, exchange.breaks)


def sandbox_of(request: Request) -> str:
    """The sandbox a request is for: production when it names none (C-02)."""
    return request.headers.get("x-sandbox-name", "prod")


def lag_of(request: Request) -> int:
    """How far a list is made to lag behind, in microseconds, beyond what C-28 says."""
    return request.exchange.behind_us


def scope_of(request: Request) -> str:
    """The container or, where the path names none, the sandbox that a request is for."""
    return request.params.get("container") or sandbox_of(request)


def is_behind(request: Request) -> bool:
    """Whether a request goes to what stands behind the gateway."""
    return request.segments[:3] == _BASE


def style_of(request: Request) -> str:
    """The endpoint style that a request is of, ``ims`` if it does not go behind the gateway, "" for none."""
    if not is_behind(request):
        return "ims"
    style = request.segments[3] if len(request.segments) > 3 else ""
    return style if style in _STYLES else ""


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

    def answer(self, request: Request) -> Answer:
        """Answer a request of either style, or refuse it: on the spot, if there is nothing that could make it wait."""
        exchange = self._begin(request)
        if self._faults or self._settings.latency_s:
            return self._watched(exchange, partial(self._arrived, request))
        try:
            return self._labelled(self._admitted(request), exchange)
        except _REFUSALS as raised:
            return self._labelled(self._refused(raised, exchange), exchange)
        finally:
            self._end(exchange)

    def token(self, request: Request) -> Answer:
        """``POST /ims/token/v3``. It does not stand behind the gateway, but is watched and can misbehave as well."""
        exchange = self._begin(request)
        issue: Proceed = partial(answered, self._ims.issue, request)
        if self._faults:
            issue = self._faults.around(self._faults.draw(request, *_SERVED), request, issue)
        return self._watched(exchange, issue)

    def _begin(self, request: Request) -> Exchange:
        headers = request.headers
        request.exchange = exchange = Exchange(
            number=self._requests.begin(),
            arrived_us=self._now_us(),
            method=request.method,
            path=request.target,
            style=style_of(request),
            api_key=headers.get("x-api-key", ""),
            request_id=headers.get("x-request-id") or secrets.token_hex(16),
        )
        return exchange

    def _end(self, exchange: Exchange) -> None:
        exchange.answered_us = self._now_us()
        self._requests.end(exchange)
        if exchange.style != "ims":
            self._counters.answered(exchange.method, exchange.status)

    async def _watched(self, exchange: Exchange, answer: Proceed) -> Response:
        """Get an answer, whatever happens to it on the way, and keep what happened."""
        try:
            return self._labelled(await self._settled(exchange, answer), exchange)
        except ConnectionLostError:
            return Response()  # goes nowhere
        finally:
            self._end(exchange)

    async def _arrived(self, request: Request) -> Response:
        due = self._faults.draw(request, "arrival")
        return await self._faults.around(due, request, partial(self._struck, request))()

    def _admitted(self, request: Request) -> Response:
        self._admit(request)
        return cast("Response", request.handler(request))  # what lies behind the gateway waits for nothing

    async def _struck(self, request: Request) -> Response:
        """Go on with a request that faults may strike; from here on a refusal is an answer like any other."""
        self._admit(request)
        due = self._faults.draw(request, *_SERVED)
        within = [fault for fault in due if fault.rule.kind.phase == "world"]
        without = [fault for fault in due if fault.rule.kind.phase != "world"]
        served = self._faults.around(within, request, partial(answered, request.handler, request))
        settled = partial(self._settled, request.exchange, partial(self._held, served))
        return await self._faults.around(without, request, settled)()

    async def _settled(self, exchange: Exchange, answer: Proceed) -> Response:
        """Get an answer, also where the answer is a refusal."""
        try:
            return await answer()
        except _REFUSALS as raised:
            return self._refused(raised, exchange)

    def _refused(self, raised: HttpError | GatewayError | ProblemError, exchange: Exchange) -> Response:
        refusal = _as_problem(raised) if isinstance(raised, HttpError) else raised
        return self._refusals.answer(refusal, exchange.request_id)

    def _labelled(self, response: Response, exchange: Exchange) -> Response:
        exchange.status = response.status
        response.headers["X-Request-Id"] = exchange.request_id
        return response

    async def _held(self, answer: Proceed) -> Response:
        try:
            return await answer()
        finally:
            if self._settings.latency_s:
                await sleep(self._settings.latency_s)

    def _admit(self, request: Request) -> None:
        now_us = self._now_us()
        self._authenticate(request, now_us)
        self._limit(request, now_us)
        self._check_sandbox(request)

    def _authenticate(self, request: Request, now_us: int) -> None:
        headers = request.headers
        api_key = headers.get("x-api-key")
        if api_key is not None:
            self._counters.peaks.arrived(api_key, now_us)
        if "authorization" not in headers:
            raise GatewayError("403010")
        if api_key is None:
            raise GatewayError("403000")
        token = self._ims.token_of(request)
        if token is None or not self._ims.is_valid(token):
            raise GatewayError("401013")
        if "x-gw-ims-org-id" not in headers:
            raise GatewayError("400003")

    def _limit(self, request: Request, now_us: int) -> None:
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

    def _check_sandbox(self, request: Request) -> None:
        if self._settings.choices.no_sandbox == "require" and "x-sandbox-name" not in request.headers:
            raise ProblemError(HTTPStatus.BAD_REQUEST, "missing-sandbox", "x-sandbox-name is required")
        sandbox = sandbox_of(request)
        if sandbox not in self.sandboxes:
            raise ProblemError(HTTPStatus.FORBIDDEN, "unknown-sandbox", f"no access to sandbox {sandbox}")


def _as_problem(error: HttpError) -> ProblemError:
    """What the service says of a request that no handler wants: no such path, no such method, too large."""
    phrase = error.status.phrase
    return ProblemError(error.status, phrase.lower().replace(" ", "-"), phrase, headers=dict(error.headers))
