"""Proxies: which one the environment names, and what goes through it."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import AsyncExitStack

import pytest
from yarl import URL

from migrator.core.errors import UsageError
from migrator.core.model import FailureKind, Response
from migrator.transport.proxies import proxy_for
from tests.wire import (
    PASSWORD,
    TOKEN,
    Received,
    Server,
    answer_of,
    answers,
    kind_of,
    request,
    sent_to,
    with_password,
)

pytestmark = pytest.mark.usefixtures("no_proxies")


async def test_a_proxy_of_the_environment_is_used_and_alone_sees_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Server(answers()) as proxy:
        monkeypatch.setenv("http_proxy", with_password(proxy.url))
        (answer,) = await sent_to("http://service.invalid:81", request(target="/a%2Fb?c=d%3Ae"))

    assert isinstance(answer, Response)
    (received,) = proxy.requests
    assert received.target == "http://service.invalid:81/a%2Fb?c=d%3Ae"
    # "user:pass-of-the-proxy", coded as RFC 7617 has it
    assert received.headers["Proxy-Authorization"] == "Basic dXNlcjpwYXNzLW9mLXRoZS1wcm94eQ=="
    assert received.headers["Authorization"] == f"Bearer {TOKEN}"


async def test_the_service_behind_a_tunnel_does_not_see_the_proxys_password_nor_the_proxy_our_token(
    monkeypatch: pytest.MonkeyPatch, self_signed: ssl.SSLContext
) -> None:
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(Server(answers(), tls=self_signed))

        async def tunnel(_: Received, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
            await writer.drain()
            writer.write(b"this is not the service")  # the handshake fails, whatever is said here
            writer.close()

        proxy = await stack.enter_async_context(Server(tunnel))
        monkeypatch.setenv("HTTPS_PROXY", with_password(proxy.url))
        (answer,) = await sent_to(service.url)

    assert kind_of(answer) is FailureKind.NOT_SENT
    assert PASSWORD not in str(answer)
    (received,) = proxy.requests
    assert (received.method, received.target) == ("CONNECT", URL(service.url).authority)
    assert "Proxy-Authorization" in received.headers
    assert "Authorization" not in received.headers


async def test_a_host_in_no_proxy_is_reached_straight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    assert await answer_of(answers()) == Response(200, {}, b"")


@pytest.mark.parametrize(
    ("url", "environment", "proxy"),
    [
        ("https://service", {}, None),
        ("https://service", {"https_proxy": "http://proxy:8080"}, "http://proxy:8080"),
        ("https://service", {"HTTPS_PROXY": "http://proxy:8080"}, "http://proxy:8080"),
        ("https://service", {"http_proxy": "http://proxy:8080"}, None),
        ("https://service", {"https_proxy": "proxy:8080"}, "http://proxy:8080"),
        ("https://service", {"https_proxy": ""}, None),
        ("https://service", {"https_proxy": "http://proxy", "no_proxy": "*"}, None),
        ("https://a.service", {"https_proxy": "http://proxy", "no_proxy": "other, .service"}, None),
        ("https://a.service", {"https_proxy": "http://proxy", "no_proxy": "b.service"}, "http://proxy"),
        ("https://service:8443", {"https_proxy": "http://proxy", "no_proxy": "service:8443"}, None),
        ("https://service", {"https_proxy": "http://proxy", "no_proxy": "service:8443"}, "http://proxy"),
        ("http://[::1]:80", {"http_proxy": "http://proxy", "no_proxy": "::1"}, None),
    ],
)
def test_the_environment_names_the_proxy(
    monkeypatch: pytest.MonkeyPatch, url: str, environment: dict[str, str], proxy: str | None
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert proxy_for(URL(url)) == (proxy and URL(proxy))


@pytest.mark.parametrize("value", ["socks5://user:secret@proxy:1080", "http://user:secret@proxy:port", "http://"])
async def test_a_proxy_that_cannot_be_used_is_said_before_anything_is_sent(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("https_proxy", value)

    with pytest.raises(UsageError, match="https_proxy does not name an HTTP proxy") as caught:
        await sent_to("https://service")

    assert "secret" not in str(caught.value) + caught.value.hint
