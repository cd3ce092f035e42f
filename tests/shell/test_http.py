"""The HTTP transport against real sockets on loopback: what leaves, what comes back, and what a failure proves."""

from __future__ import annotations

import asyncio
import gzip
import inspect
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Self

import aiohttp
import pytest
from aiohttp import client_exceptions
from yarl import URL

from migrator.core.errors import UsageError
from migrator.core.model import Answer, EntityType, Failure, FailureKind, Kind, Request, Response, Step
from migrator.core.styles import STYLES
from migrator.emulator import Emulator, EmulatorSettings, seeded_offer_id
from migrator.transport.credentials import ReadyToken
from migrator.transport.failures import BROKEN, NEVER_SENT, describe
from migrator.transport.http import HttpTransport, open_session
from migrator.transport.proxies import proxy_for

TOKEN = "eyJ-the-token-of-the-tests"
PATCH = b'[{"op":"replace","path":"/name","value":"x"}]'

Deed = Callable[["Received", asyncio.StreamWriter], Awaitable[None]]
"""What a server does with a connection when it has read a whole request."""


class Received:
    """One request as it came over the wire."""

    def __init__(self, head: bytes, body: bytes) -> None:
        self.line, *fields = head.decode().rstrip().split("\r\n")
        self.method, self.target, _ = self.line.split(" ")
        self.headers = dict(field.split(": ", 1) for field in fields)
        self.body = body


class Server:
    """Reads whole requests and does with each what it was told; counts requests and connections."""

    def __init__(self, *deeds: Deed, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Received] = []
        self.connections = 0
        self._deeds = list(deeds)
        self._tls = tls
        self._serving: set[asyncio.Task[None] | None] = set()
        self.url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        serving = [task for task in self._serving if task is not None]
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._serving.add(asyncio.current_task())
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = next((int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length:")), 0)
                self.requests.append(Received(head, await reader.readexactly(size)))
                await self._deeds[min(len(self.requests), len(self._deeds)) - 1](self.requests[-1], writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the other side has closed
        finally:
            writer.transport.abort()


def says(octets: bytes) -> Deed:
    async def deed(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(octets)
        await writer.drain()

    return deed


def answers(status: str = "200 OK", body: bytes = b"", *headers: str) -> Deed:
    head = "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers))
    return says(f"{head}\r\n".encode() + body)


async def hangs_up(_: Received, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def resets(_: Received, writer: asyncio.StreamWriter) -> None:
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a close becomes a reset
    writer.transport.abort()


async def stalls(_: Received, __: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3600)


def then(*deeds: Deed) -> Deed:
    async def deed(received: Received, writer: asyncio.StreamWriter) -> None:
        for one in deeds:
            await one(received, writer)

    return deed


def request(method: str = "PATCH", target: str = "/data/core/dps/offers/x", **more: Any) -> Request:
    values = {"headers": {"Content-Type": "application/json"}, "body": PATCH, "request_id": "r", **more}
    return Request(method=method, target=target, **values)


@asynccontextmanager
async def transport_to(
    url: str, *, timeout_s: float = 30, connect_timeout_s: float = 30
) -> AsyncIterator[HttpTransport]:
    async with open_session(timeout_s=timeout_s, connect_timeout_s=connect_timeout_s, user_agent="tests/1") as session:
        yield HttpTransport(session, url, ReadyToken("the-key", TOKEN), "org@AdobeOrg")


async def sent_to(url: str, *requests: Request, **timeouts: float) -> list[Answer]:
    """Send `requests` one after the other."""
    async with transport_to(url, **timeouts) as transport:
        return [await transport.send(each) for each in requests or (request(),)]


async def answer_of(*deeds: Deed, **timeouts: float) -> Answer:
    async with Server(*deeds) as server:
        (answer,) = await sent_to(server.url, **timeouts)
        return answer


def kind_of(answer: Answer) -> FailureKind:
    assert isinstance(answer, Failure)
    assert TOKEN not in answer.message
    assert "\n" not in answer.message
    return answer.kind


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


# --- what leaves -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["PATCH", "POST", "DELETE", "GET"])
async def test_exactly_the_headers_of_the_style_and_the_identity_leave(method: str) -> None:
    written = {"x-sandbox-name": "dev", "x-request-id": "r-1"}
    body = PATCH if method in ("PATCH", "POST") else None
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


# --- nothing was sent ------------------------------------------------------------------------------------------------


async def test_a_refused_connection_proves_that_nothing_was_sent() -> None:
    async with Server(answers()) as server:
        pass

    (answer,) = await sent_to(server.url)

    assert kind_of(answer) is FailureKind.NOT_SENT


async def test_a_name_that_cannot_be_looked_up_proves_that_nothing_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    async def getaddrinfo(*_: object, **__: object) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)

    (answer,) = await sent_to("https://the-service.invalid")

    assert kind_of(answer) is FailureKind.NOT_SENT


async def test_a_connection_that_does_not_come_to_stand_in_time_proves_that_nothing_was_sent() -> None:
    async with Server(answers()) as server:  # waits for a request, while we wait for its half of the TLS handshake
        (answer,) = await sent_to(server.url.replace("http:", "https:"), connect_timeout_s=0.1)

    assert kind_of(answer) is FailureKind.NOT_SENT
    assert server.requests == []


async def test_a_server_that_does_not_speak_tls_proves_that_nothing_was_sent() -> None:
    async def speak(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    async with server:
        (answer,) = await sent_to(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}")

    assert kind_of(answer) is FailureKind.NOT_SENT


@pytest.fixture(scope="session")
def self_signed(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """A server's TLS context with a certificate that nobody trusts."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("makes its certificate with openssl")
    key, certificate = (tmp_path_factory.mktemp("tls") / name for name in ("key.pem", "certificate.pem"))
    order = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=127.0.0.1"
    subprocess.run(
        [openssl, *order.split(), "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


async def test_a_certificate_that_nobody_vouches_for_is_refused_before_anything_is_sent(
    self_signed: ssl.SSLContext,
) -> None:
    async with Server(answers(), tls=self_signed) as server:
        (answer,) = await sent_to(server.url)

    assert kind_of(answer) is FailureKind.NOT_SENT
    assert server.requests == []


# --- nobody knows ----------------------------------------------------------------------------------------------------

HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    "deed",
    [
        pytest.param(hangs_up, id="closes before it answers"),
        pytest.param(resets, id="resets before it answers"),
        pytest.param(stalls, id="never answers"),
        pytest.param(then(says(HEAD + b"Content-Length: 10\r\n\r\nhalf"), hangs_up), id="cuts the body"),
        pytest.param(then(says(HEAD + b"Content-Length: 10\r\n\r\nhalf"), resets), id="resets in the body"),
        pytest.param(then(says(HEAD + b"Content-Length: 10\r\n\r\nhalf"), stalls), id="stalls in the body"),
        pytest.param(then(says(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhal"), hangs_up), id="cuts a chunk"),
        pytest.param(says(HEAD + b"Transfer-Encoding: chunked\r\n\r\nno chunk\r\n\r\n"), id="no chunk"),
        pytest.param(then(says(HEAD), hangs_up), id="cuts the headers"),
        pytest.param(says(b"no HTTP at all\r\n\r\n"), id="no status line"),
        pytest.param(says(b"HTTP/1.1 OK 200\r\n\r\n"), id="no status"),
        pytest.param(says(HEAD + b"Content-Length: ten\r\n\r\n"), id="no length"),
        pytest.param(says(HEAD + b"No colon\r\n\r\n"), id="no header"),
        pytest.param(says(HEAD + b"Location: /caf\xe9\r\n\xff\xfe\r\n\r\n"), id="no text"),
        pytest.param(says(HEAD + b"X-Huge: " + b"x" * 100_000 + b"\r\n\r\n"), id="a huge header"),
        pytest.param(answers("200 OK", b"no gzip", "Content-Encoding: gzip"), id="no gzip"),
        pytest.param(answers("200 OK", b"coded", "Content-Encoding: br"), id="a coding that is not installed"),
    ],
)
async def test_whatever_goes_wrong_after_the_request_has_left_leaves_it_in_doubt(deed: Deed) -> None:
    async with Server(deed) as server:
        (answer,) = await sent_to(server.url, timeout_s=1)

    assert kind_of(answer) is FailureKind.LOST
    assert len(server.requests) == 1


async def test_a_server_that_only_echoes_does_not_make_us_write_down_the_token() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while octets := await reader.read(4096):
            writer.write(octets)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server:
        (answer,) = await sent_to(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", timeout_s=5)

    assert kind_of(answer) is FailureKind.LOST


PROVEN = """
    ClientConnectorCertificateError ClientConnectorDNSError ClientConnectorError ClientConnectorSSLError
    ClientHttpProxyError ClientProxyConnectionError ClientSSLError ConnectionTimeoutError ServerFingerprintMismatch
    UnixClientConnectorError
"""
IN_DOUBT = """
    ClientConnectionError ClientConnectionResetError ClientError ClientOSError ClientPayloadError ClientResponseError
    ContentTypeError InvalidURL InvalidUrlClientError InvalidUrlRedirectClientError NonHttpUrlClientError
    NonHttpUrlRedirectClientError RedirectClientError ServerConnectionError ServerDisconnectedError ServerTimeoutError
    SocketTimeoutError TooManyRedirects UploadAbortedError WSServerHandshakeError
"""
NOT_OURS = "WSMessageTypeError"  # a TypeError: a mistake in the use of a websocket


EXCEPTIONS = {
    name: found
    for name, found in vars(client_exceptions).items()
    if inspect.isclass(found) and issubclass(found, Exception) and found.__module__ == client_exceptions.__name__
}


def test_every_exception_of_aiohttp_has_been_thought_about() -> None:
    known = {*PROVEN.split(), *IN_DOUBT.split(), *NOT_OURS.split()}

    assert EXCEPTIONS.keys() <= known


@pytest.mark.parametrize(("name", "found"), list(EXCEPTIONS.items()))
def test_an_exception_of_aiohttp_is_sorted_as_thought(name: str, found: type[Exception]) -> None:
    assert issubclass(found, BROKEN) == (name not in NOT_OURS.split())
    assert issubclass(found, NEVER_SENT) == (name in PROVEN.split())


def test_a_time_out_of_asyncio_is_in_doubt() -> None:
    assert issubclass(TimeoutError, BROKEN)
    assert not issubclass(TimeoutError, NEVER_SENT)


# --- nothing is repeated ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["PATCH", "POST", "DELETE", "GET", "PUT"])
async def test_nothing_is_repeated_when_a_kept_alive_connection_turns_out_to_be_dead(method: str) -> None:
    async with Server(answers(), hangs_up, answers()) as server:
        first, second, third = await sent_to(server.url, *[request(method)] * 3)

    assert kind_of(second) is FailureKind.LOST
    assert first == third == Response(200, {}, b"")
    assert (len(server.requests), server.connections) == (3, 2)


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

PASSWORD = "pass-of-the-proxy"


def with_password(url: str) -> str:
    return url.replace("http://", f"http://user:{PASSWORD}@")


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


@pytest.mark.parametrize("deed", [answers("407 Who are you"), answers("502 No way")])
async def test_a_proxy_that_refuses_the_tunnel_proves_that_nothing_was_sent(
    monkeypatch: pytest.MonkeyPatch, deed: Deed
) -> None:
    async with Server(deed) as proxy:
        monkeypatch.setenv("https_proxy", with_password(proxy.url))
        (answer,) = await sent_to("https://service.invalid")

    assert kind_of(answer) is FailureKind.NOT_SENT
    assert PASSWORD not in str(answer)


async def test_a_proxy_that_is_down_proves_that_nothing_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Server() as proxy:
        pass
    monkeypatch.setenv("https_proxy", with_password(proxy.url))

    (answer,) = await sent_to("https://service.invalid")

    assert kind_of(answer) is FailureKind.NOT_SENT
    assert PASSWORD not in str(answer)


async def test_a_proxy_that_drops_the_tunnel_is_not_taken_for_a_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Server(hangs_up) as proxy:
        monkeypatch.setenv("https_proxy", with_password(proxy.url))
        (answer,) = await sent_to("https://service.invalid")

    assert kind_of(answer) is FailureKind.LOST
    assert PASSWORD not in str(answer)


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


# --- words -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TimeoutError(), "no answer within the time-out"),
        (aiohttp.SocketTimeoutError("Timeout on reading"), "no answer within the time-out"),
        (aiohttp.ConnectionTimeoutError("Connection timeout"), "ConnectionTimeoutError: Connection timeout"),
        (aiohttp.ClientPayloadError(), "ClientPayloadError"),
        (aiohttp.ServerDisconnectedError(), "ServerDisconnectedError: Server disconnected"),
        (aiohttp.ClientOSError(104, "reset\n  by peer"), "ClientOSError: [Errno 104] reset by peer"),
        (aiohttp.ClientError("at http://u:p@proxy:1/x"), "ClientError: at http://proxy:1/x"),
        (aiohttp.ClientError("caf\udce9"), "ClientError: caf?"),
    ],
)
def test_a_failure_is_described_in_one_line_without_secrets(error: Exception, words: str) -> None:
    assert describe(error) == words
