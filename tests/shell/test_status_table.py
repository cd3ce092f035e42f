"""The way of every status from the HTTP client to the verdict.

This is the only use of aioresponses: it stands in for the inside of the session, so what really goes over the wire is
proved in `test_http.py`. The lean client has no such inside, so a server answers it. The verdicts themselves have their
tables in `tests/core/test_verdict.py`; here it is shown that status, body and headers reach them whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from inspect import signature
from typing import Any
from unittest.mock import Mock

import msgspec
import pytest
from aiohttp import ClientResponse
from aioresponses import aioresponses

from migrator.core.model import Answer, EntityType, Kind, Step
from migrator.core.styles import DPS
from migrator.core.verdict import Again, Attempt, Halt, Policy, Settled, Verdict, judge
from migrator.transport.credentials import ReadyToken
from migrator.transport.http import HttpTransport
from migrator.transport.session import SessionClient, open_session
from tests.wire import answer_of, answers

BASE_URL = "https://service.example"
STEP = Step(1, "k", "dev", EntityType.PERSONALIZED_OFFER, "offer-1", Kind.PATCH, b"[]")
REQUEST = DPS.render(STEP, sandbox="dev", request_id="r")
NOW = datetime(2026, 11, 22, 18, 0, 0, tzinfo=UTC).timestamp()

Says = Callable[..., None]


# What aioresponses builds lacks an argument that aiohttp 3.14 has added.
MISSING = {"stream_writer": Mock()} if "stream_writer" in signature(ClientResponse).parameters else {}


class _Response(ClientResponse):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**MISSING, **kwargs})


@pytest.fixture
def service_says() -> Iterator[Says]:
    """Let the service answer every PATCH of the step as told."""
    with aioresponses() as mocked:

        def says(status: int, **more: Any) -> None:
            mocked.patch(BASE_URL + REQUEST.target, status=status, response_class=_Response, **more)

        yield says


async def answer() -> Answer:
    async with open_session(timeout_s=30, connect_timeout_s=30, user_agent="tests/1") as session:
        return await HttpTransport(SessionClient(session, BASE_URL), ReadyToken("id", "token"), "org").send(REQUEST)


def outline(verdict: Verdict) -> str:
    """Spell a verdict as the table below does."""
    match verdict:
        case Settled(move, error):
            return f"{move} {error}".rstrip()
        case Again(error, _, delay_s, scope):
            return f"again {error} {delay_s:g} s, {scope}"
        case Halt(error, _, _, refused):
            return f"{'refused' if refused else 'halt'} {error}"


DATES = {"Date": "Sun, 22 Nov 2026 19:00:00 GMT", "Retry-After": "Sun, 22 Nov 2026 19:00:30 GMT"}


TABLE = pytest.mark.parametrize(
    ("status", "more", "verdict"),
    [
        # Without Retry-After the delay is chance × base = 0.5 × 1 s.
        (200, {"payload": {"id": "offer-1", "etag": 2}}, "apply"),
        (200, {"payload": {"etag": 2}}, "lose unreadable_answer"),
        (200, {"payload": {"status": 422, "title": "no"}}, "reject validation"),
        (204, {}, "lose unreadable_answer"),
        (302, {"headers": {"Location": "https://login.example"}}, "refused redirect"),
        (400, {"body": b"<html>"}, "reject validation"),
        (401, {"payload": {"error_code": "401013"}}, "again credentials 0 s, step"),
        (403, {}, "refused permission"),
        (403, {"payload": {"error_code": "403020"}}, "again credentials 0 s, step"),
        (404, {}, "reject not_found"),
        (409, {}, "reject conflict"),
        (412, {}, "reject conflict"),
        (413, {}, "reject too_large"),
        (422, {"payload": {"title": "Unprocessable"}}, "reject validation"),
        (423, {}, "again conflict 0.5 s, step"),
        (429, {"headers": {"Retry-After": "38"}}, "again rate_limited 38 s, run"),
        (429, {"headers": DATES}, "again rate_limited 30 s, run"),  # 19:00:30 − 19:00:00
        (429, {}, "again rate_limited 0.5 s, run"),
        (500, {}, "lose server"),
        (502, {"body": b"<html>bad gateway</html>"}, "lose server"),
        (503, {"payload": {"error_code": "503010"}}, "again unavailable 0.5 s, run"),
        (503, {"headers": {"Retry-After": "5"}}, "lose server"),
        (504, {}, "lose server"),
    ],
)


def judged(answer: Answer) -> str:
    return outline(judge(answer, Kind.PATCH, DPS, Attempt(1, 0.0, renewable=True), Policy(), now=NOW, chance=0.5))


@TABLE
async def test_a_status_comes_through_aiohttp_to_its_verdict(
    service_says: Says, status: int, more: dict[str, Any], verdict: str
) -> None:
    service_says(status, **more)

    assert judged(await answer()) == verdict


@TABLE
@pytest.mark.usefixtures("no_proxies", "client")
@pytest.mark.parametrize("client", ["lean"], indirect=True)
async def test_a_status_comes_through_the_lean_client_to_its_verdict(
    status: int, more: dict[str, Any], verdict: str
) -> None:
    body = more.get("body") or (msgspec.json.encode(more["payload"]) if "payload" in more else b"")
    headers = [f"{name}: {value}" for name, value in more.get("headers", {}).items()]

    assert judged(await answer_of(answers(f"{status} x", body, *headers))) == verdict
