"""The HTTP transport against real sockets on loopback: what leaves, what comes back, and through which proxy."""

from __future__ import annotations

import asyncio
import gzip
import ssl
from contextlib import AsyncExitStack

import pytest
from yarl import URL

from migrator.core.errors import UsageError
from migrator.core.model import EntityType, FailureKind, Kind, Response, Step
from migrator.core.styles import STYLES
from migrator.emulator import Emulator, EmulatorSettings, seeded_offer_id
from migrator.transport.proxies import proxy_for
from tests.wire import (
    PASSWORD,
    PATCH,
    TOKEN,
    Received,
    Server,
    answer_of,
    answers,
    kind_of,
    request,
    says,
    sent_to,
    stalls,
    transport_to,
    with_password,
)

pytestmark = pytest.mark.usefixtures("no_proxies")


# --- what leaves -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["PATCH", "POST", "PUT", "DELETE", "GET"])
async def test_exactly_the_headers_of_the_style_and_the_identity_leave(method: str) -> None:
    written = {"x-sandbox-name": "dev", "x-request-id": "r-1"}
    body = PATCH if method in ("PATCH", "POST", "PUT") else None
    async with Server(answers()) as server:
        await sent_to(server.url, request(method, headers=written, body=body))

    (received,) = server.requests
    length = {"Content-Length": str(len(body or b""))} if method != "GET" else {}
    assert received.headers == {
        **written,
        **length,
        "Host": URL(server.url).authority,
        "User-Agent": "tests/1",
        "Authorization": f"Bearer {TOKEN}",
        "x-api-key": "the-key",
        "x-gw-ims-org-id": "org@AdobeOrg",
    }
    assert (received.method, received.body) == (method, body or b"")


@pytest.mark.parametrize(
    "target",
    [
        "/data/core/dps/offers/dps%3Aoffer%3A1",
        "/a%2Fb%3Fc%23d%20e%25f",
        "/a//b/./c/../d",
        "/%C3%BC%e2%82%AC",
        "/q?schema=https%3A%2F%2Fns.adobe.com%2Fx%3Bversion%3D0.5&limit=1&x=a+b%2Bc",
        "/q?property=name==a%2Cb",
    ],
)
async def test_the_target_goes_on_the_wire_byte_for_byte(target: str) -> None:
    async with Server(answers()) as server:
        await sent_to(server.url + "/", request(target=target))

    assert server.requests[0].target == target


@pytest.mark.parametrize("style", ["xcore", "dps"])
@pytest.mark.parametrize(
    ("object_id", "spelled"),
    [("a/b", "a%2Fb"), ("a?b#c", "a%3Fb%23c"), ("a b", "a%20b"), ("dps:o:ü", "dps%3Ao%3A%C3%BC"), ("50%", "50%25")],
)
async def test_an_id_of_any_characters_is_one_segment_of_the_path(style: str, object_id: str, spelled: str) -> None:
    step = Step(1, "k", "dev", EntityType.PERSONALIZED_OFFER, object_id, Kind.PATCH, PATCH)
    async with Server(answers()) as server:
        await sent_to(server.url, STYLES[style].render(step, sandbox="dev", request_id="r"))

    assert server.requests[0].target.partition("?")[0].endswith(f"/{spelled}")


async def test_the_emulator_takes_what_leaves() -> None:
    step = Step(1, "k", "dev", EntityType.PERSONALIZED_OFFER, seeded_offer_id(0), Kind.PATCH, PATCH)
    async with Emulator(EmulatorSettings(seed_offers=1, access_token=TOKEN)) as server:
        (answer,) = await sent_to(server.url, STYLES["dps"].render(step, sandbox="dev", request_id="r"))

    assert isinstance(answer, Response)
    assert (answer.status, len(server.effects)) == (200, 1)


# --- what comes back -------------------------------------------------------------------------------------------------


async def test_an_answer_is_its_status_the_headers_that_are_read_and_its_body() -> None:
    answer = await answer_of(answers("429 Slow down", b'{"a":1}', "Retry-After: 7", "X-Request-Id: r", "X-Other: o"))

    assert answer == Response(429, {"retry-after": "7"}, b'{"a":1}')


async def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    async with Server(answers("307 Elsewhere", b"", "Location: /other")) as server:
        (answer,) = await sent_to(server.url)

    assert answer == Response(307, {"location": "/other"}, b"")
    assert len(server.requests) == 1


async def test_a_compressed_answer_that_nobody_asked_for_is_read() -> None:
    body = gzip.compress(b'{"id":"x","etag":2}')

    answer = await answer_of(answers("200 OK", body, "Content-Encoding: gzip"))

    assert answer == Response(200, {}, b'{"id":"x","etag":2}')


async def test_an_error_page_that_prints_the_request_does_not_show_the_token() -> None:
    async def prints(received: Received, writer: asyncio.StreamWriter) -> None:
        await answers("403 No", received.headers["Authorization"].encode())(received, writer)

    assert await answer_of(prints) == Response(403, {}, b"Bearer ***")


async def test_cookies_are_not_kept() -> None:
    async with Server(answers("200 OK", b"", "Set-Cookie: a=b")) as server:
        await sent_to(server.url, request(), request())

    assert "Cookie" not in server.requests[1].headers


async def test_a_header_that_is_no_text_can_still_be_written_to_a_file() -> None:
    answer = await answer_of(says(b"HTTP/1.1 302 x\r\nContent-Length: 0\r\nLocation: /caf\xe9\r\n\r\n"))

    assert answer == Response(302, {"location": "/caf?"}, b"")


async def test_connections_are_kept_alive() -> None:
    async with Server(answers()) as server:
        await sent_to(server.url, *[request()] * 5)

    assert (len(server.requests), server.connections) == (5, 1)


# --- one session -----------------------------------------------------------------------------------------------------


async def test_a_request_that_is_cancelled_leaves_the_session_usable() -> None:
    async with Server(stalls, answers()) as server, transport_to(server.url) as transport:
        sending = asyncio.create_task(transport.send(request()))
        while not server.requests:  # noqa: ASYNC110 (it is the socket that is waited for)
            await asyncio.sleep(0.001)
        sending.cancel()
        await asyncio.wait([sending])

        assert sending.cancelled()
        assert await transport.send(request()) == Response(200, {}, b"")
        assert server.connections == 2


# --- proxies ---------------------------------------------------------------------------------------------------------


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
