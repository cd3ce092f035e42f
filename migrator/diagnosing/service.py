"""The service: whether it gives us a token, answers us, and has the same time as we."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from email.utils import parsedate_to_datetime
from types import SimpleNamespace
from typing import Any

from aiohttp import TraceConfig, TraceRequestEndParams
from msgspec import Struct

from migrator.core.errors import ServiceRefused, Stopped, UsageError
from migrator.core.model import Answer, Response
from migrator.core.reconcile import SKEW_S
from migrator.core.states import Move
from migrator.core.styles import Style
from migrator.core.verdict import Attempt, Halt, Policy, Scope, Settled, Verdict, judge_read
from migrator.diagnosing.finding import Finding, Grade, ok, warn
from migrator.logs import redact
from migrator.transport.credentials import Credentials
from migrator.transport.http import HttpTransport

SKEW_SEEN_S = 5.0
"""What a clock may differ by before it is worth a word: the header has whole seconds, and was some time on the way."""

SHORT_LIFE_S = 3600.0


class Exchange(Struct):
    """What is seen of one request and its answer.

    Attributes:
        began_at: wall-clock seconds since the epoch.
        seconds: until the head of the answer was there.
        headers: of the answer, named in lower case.
    """

    began_at: float
    seconds: float
    headers: Mapping[str, str]

    def skew_s(self) -> float | None:
        """Return by how much the service's clock is ahead of ours, or `None` if the answer has no time in it."""
        try:
            date = parsedate_to_datetime(self.headers["date"]).timestamp()
        except (KeyError, ValueError):
            return None
        # Rounded down to a second, and made somewhere between the two ends.
        return date + 0.5 - (self.began_at + self.seconds / 2)


def watch(seen: list[Exchange]) -> TraceConfig:
    """Make what notes each exchange of a session in `seen`."""

    async def begin(_: Any, context: SimpleNamespace, __: Any) -> None:
        context.began_at, context.began = time.time(), time.monotonic()

    async def end(_: Any, context: SimpleNamespace, told: TraceRequestEndParams) -> None:
        # What stands on the way may print what it got.
        headers = {name.lower(): redact(value) for name, value in told.response.headers.items()}
        seen.append(Exchange(context.began_at, time.monotonic() - context.began, headers))

    trace = TraceConfig()
    trace.on_request_start.append(begin)
    trace.on_request_end.append(end)
    return trace


async def token(transport: HttpTransport, credentials: Credentials) -> Finding:
    """Get a token, and say how long it lives."""
    began = time.monotonic()
    failure = await transport.make_ready()
    seconds = time.monotonic() - began
    if failure is not None:
        return _unanswered("token", failure.message, failure, "MIGRATOR_IMS_URL")
    life_s = credentials.life_s
    if not credentials.renewable:
        return _ready_token(life_s)
    return ok("token", f"obtained in {seconds:.1f} s; lives {_span(life_s or 0.0)} and is renewed before that")


def _ready_token(life_s: float | None) -> Finding:
    if life_s is None:
        return ok("token", "a ready one, which does not say when it ends; the run stops then")
    if life_s <= 0:
        return _failed("token", f"the ready one ended {_span(-life_s)} ago", "get a new access token")
    if life_s < SHORT_LIFE_S:
        hint = "a run that takes longer stops then and can be resumed; client credentials are renewed by themselves"
        return warn("token", f"the ready one ends in {_span(life_s)}", hint)
    return ok("token", f"a ready one, which ends in {_span(life_s)}; the run stops then")


async def answers(
    transport: HttpTransport, style: Style, sandbox: str, seen: list[Exchange], request_id: str
) -> AsyncIterator[Finding]:
    """Send one GET, and say what the answer shows of the service, the sandbox, the clocks and the limits."""
    request = style.home(sandbox=sandbox, request_id=request_id)
    name = f"GET {request.target.partition('?')[0]}"
    before = len(seen)
    answer = await transport.send(request)
    verdict = _judged(answer)
    if not (isinstance(answer, Response) and isinstance(verdict, Settled) and verdict.move is Move.APPLY):
        yield _unanswered("service", f"{name}: {verdict.message}", answer, "MIGRATOR_BASE_URL")
    else:
        yield ok("service", f"{name}: HTTP {answer.status} in {seen[-1].seconds:.2f} s")
        yield _sandbox(style, answer, sandbox)
    if len(seen) > before:
        yield _clock(seen[-1])
        yield _limits(seen[-1])


_ONCE = Policy(max_attempts=1)


def _judged(answer: Answer) -> Verdict:
    """Judge an answer of which nothing is tried twice."""
    attempt = Attempt(1, 0.0, renewable=False)
    return judge_read(answer, attempt, _ONCE, scope=Scope.RUN, now=time.time(), chance=0.0)


def _unanswered(check: str, message: str, answer: Answer, setting: str) -> Finding:
    """Say what to do about an answer that is a refusal, or none: a run would be refused by it, or stop and go on later.

    Args:
        check: what was looked at.
        message: what was found.
        answer: the answer.
        setting: what may be wrong.
    """
    verdict = _judged(answer)
    if isinstance(verdict, Settled):
        return _failed(check, message, f"check {setting}, --style and --sandbox")
    if isinstance(verdict, Halt) and verdict.refused:
        return _failed(check, message, verdict.hint)
    hint = f"try again later; if it stays so, check {setting}, the network and https_proxy"
    return Finding(check, Grade.FAIL, message, hint, exit_code=Stopped.exit_code)


def _sandbox(style: Style, answer: Response, sandbox: str) -> Finding:
    containers = style.containers(answer, sandbox=sandbox)
    if containers is None:
        return _failed("sandbox", "the answer is not the document that it should be", "check MIGRATOR_BASE_URL")
    if not containers:
        hint = "check the name of the sandbox, and the product profile of the API credentials"
        return _failed("sandbox", f"{sandbox} has no container that we may see", hint)
    if not style.needs_container:
        return ok("sandbox", f"{sandbox} answers")
    return ok("sandbox", f"{sandbox} has the container {', '.join(containers)}")


def _clock(exchange: Exchange) -> Finding:
    skew_s = exchange.skew_s()
    if skew_s is None:
        return ok("clock", "the service does not tell the time")
    if abs(skew_s) <= SKEW_SEEN_S:
        return ok("clock", "as the service's, to within a few seconds")
    message = f"our clock is {_span(abs(skew_s))} {'behind' if skew_s > 0 else 'ahead of'} the service's"
    hint = "set it by NTP: what was created since a run began is told by it"
    if abs(skew_s) > SKEW_S:
        return Finding("clock", Grade.FAIL, message, hint, exit_code=UsageError.exit_code)
    return warn("clock", message, hint)


def _limits(exchange: Exchange) -> Finding:
    said = {
        name: value
        for name, value in exchange.headers.items()
        if "ratelimit" in name or "rate-limit" in name or name == "retry-after"
    }
    if not said:
        return ok("limits", "the service names no rate limit; --rate is ours to choose, and a 429 pauses everybody")
    return ok("limits", "the service names a rate limit; keep --rate below it", **said)


def _failed(check: str, message: str, hint: str) -> Finding:
    return Finding(check, Grade.FAIL, message, hint, exit_code=ServiceRefused.exit_code)


def _span(seconds: float) -> str:
    """Write a time with the two units that matter: `23 h 59 min`, `4 min`, `12 s`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = int(seconds // 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
