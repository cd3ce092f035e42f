"""The client and the event loop that are asked for are used, when they are there and can do what is needed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import structlog
import uvloop
from pydantic import SecretStr

from migrator.api.service import transport_of
from migrator.cli import eventloop
from migrator.core.errors import UsageError
from migrator.settings import Settings
from migrator.transport.lean import LeanClient
from migrator.transport.session import SessionClient
from tests.wire import Server, answers, request

pytestmark = pytest.mark.usefixtures("no_proxies")

PLAIN = "http://127.0.0.1:1"
OVER_TLS = "https://127.0.0.1:1"


def settings(**given: Any) -> Settings:
    return Settings(**{"base_url": PLAIN, "client_id": "id", "access_token": SecretStr("token"), **given})


async def kind_of_client(given: Settings) -> type[object]:
    async with transport_of(given) as transport:
        return type(transport._client)


async def test_the_client_is_the_one_that_is_asked_for() -> None:
    assert await kind_of_client(settings()) is SessionClient
    assert await kind_of_client(settings(transport="lean")) is LeanClient


async def test_where_there_is_a_proxy_the_usual_client_goes_through_it_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with Server(answers()) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        with structlog.testing.capture_logs() as events:
            async with transport_of(settings(base_url="http://service.invalid", transport="lean")) as transport:
                await transport.send(request())

    assert [received.target.partition("/data")[0] for received in proxy.requests] == ["http://service.invalid"]
    assert [event["event"] for event in events] == ["transport.aiohttp"]


async def loop_in_use() -> type[asyncio.AbstractEventLoop]:
    return type(asyncio.get_running_loop())


@pytest.mark.parametrize(
    ("given", "on_uvloop"),
    [
        ({}, True),
        ({"base_url": OVER_TLS}, False),  # by aiohttp, uvloop is slower there
        ({"base_url": OVER_TLS, "transport": "lean"}, True),
        ({"event_loop": "asyncio"}, False),
        ({"event_loop": "uvloop", "base_url": OVER_TLS}, True),
    ],
)
def test_the_event_loop_is_the_faster_one_unless_one_is_asked_for(given: dict[str, Any], on_uvloop: bool) -> None:
    found = eventloop.run(loop_in_use(), settings(**given))

    assert issubclass(found, uvloop.Loop) == on_uvloop


def test_without_uvloop_the_standard_loop_is_used_unless_the_other_one_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(eventloop, "find_spec", lambda name: None)

    assert not issubclass(eventloop.run(loop_in_use(), settings()), uvloop.Loop)
    with pytest.raises(UsageError, match="uvloop is not installed"):
        eventloop.run(loop_in_use(), settings(event_loop="uvloop"))
