"""What a failure proves, by either client, against real sockets on loopback.

By aiohttp, that is what the table of `core.failures` says of each of its exceptions. By the lean client, it is whether
there was a connection for the request to leave on. A server counts what reaches it. Where nothing was sent, by the one
or by the other, it must have counted nothing.
"""

from __future__ import annotations

import asyncio
import inspect
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import client_exceptions

from migrator.core.failures import PROOF, proven_by
from migrator.core.model import Answer, Failure, FailureKind, Response
from migrator.transport import session
from migrator.transport.failures import BROKEN, describe, failure_of
from migrator.transport.session import SessionClient, open_session
from tests.wire import (
    Deed,
    Received,
    Server,
    answers,
    hangs_up,
    kind_of,
    request,
    resets,
    says,
    sent_to,
    stalls,
    then,
    transport_to,
    with_password,
)

pytestmark = pytest.mark.usefixtures("no_proxies")

# --- every exception has its line ------------------------------------------------------------------------------------


def own_exceptions() -> dict[str, type[Exception]]:
    """Return the exceptions that aiohttp's client defines, by name."""
    return {
        name: found
        for name, found in vars(client_exceptions).items()
        if inspect.isclass(found) and issubclass(found, Exception) and found.__module__ == client_exceptions.__name__
    }


def inherited_exceptions() -> dict[str, type[Exception]]:
    """Return the exceptions of Python that those are made of and that the transport catches, by name."""
    above = {kind for own in own_exceptions().values() for kind in own.__mro__ if issubclass(kind, OSError)}
    return {kind.__name__: kind for kind in above if kind.__module__ != client_exceptions.__name__}


EXCEPTIONS = own_exceptions() | inherited_exceptions()


def test_every_exception_of_aiohttp_has_a_line_of_its_own() -> None:
    assert EXCEPTIONS.keys() - PROOF.keys() == set(), "say in core.failures what these prove"


def test_the_table_has_no_line_for_what_is_not_there() -> None:
    assert PROOF.keys() - EXCEPTIONS.keys() == set()
    assert len(EXCEPTIONS) > 30


def test_an_exception_that_a_newer_aiohttp_brings_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "ClientNewError"
    new = type(name, (aiohttp.ClientConnectorError,), {"__module__": client_exceptions.__name__})
    monkeypatch.setattr(client_exceptions, name, new, raising=False)

    with pytest.raises(AssertionError, match=name):
        assert own_exceptions().keys() - PROOF.keys() == set()


@pytest.mark.parametrize("name", sorted(PROOF))
def test_an_exception_is_sorted_as_its_own_line_says_whatever_it_is_derived_from(name: str) -> None:
    error = EXCEPTIONS[name].__new__(EXCEPTIONS[name])  # as some want arguments that only aiohttp can make
    error.__str__ = lambda: ""  # type: ignore[method-assign]

    assert proven_by(kind.__name__ for kind in type(error).__mro__) is PROOF[name]


def test_what_the_transport_catches_is_what_has_a_line() -> None:
    caught = {name for name, kind in EXCEPTIONS.items() if issubclass(kind, BROKEN)}

    assert caught == PROOF.keys() - {"WSMessageTypeError"}  # a TypeError: a mistake in the use of a websocket


def test_an_exception_that_nobody_knows_proves_nothing() -> None:
    class StrangeError(OSError):
        pass

    assert failure_of(StrangeError("x")).kind is FailureKind.LOST
    assert proven_by(["StrangeError", "Exception"]) is FailureKind.LOST


def test_only_what_aiohttp_raises_before_it_has_a_connection_is_a_proof() -> None:
    proofs = {name for name, proof in PROOF.items() if proof is FailureKind.NOT_SENT}

    assert set(PROOF.values()) == {FailureKind.NOT_SENT, FailureKind.LOST}
    assert proofs == {*NOTHING_LEFT, *NEVER_MET}


# --- the exceptions as they come -------------------------------------------------------------------------------------


@dataclass
class Stage:
    """Where one exchange goes wrong: it notes the exceptions that come out of aiohttp, if that is the client."""

    client: str
    monkeypatch: pytest.MonkeyPatch
    untrusted: ssl.SSLContext
    raised: list[str] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)

    def note(self, error: BaseException) -> Failure:
        self.raised.append(type(error).__name__)
        return failure_of(error)

    def raised_is(self, name: str) -> bool:
        """Whether aiohttp has raised that and nothing else; of the lean client nothing is asked."""
        return self.raised == ([name] if self.client == "aiohttp" else [])

    async def send(self, url: str, *, timeout_s: float = 30, connect_timeout_s: float = 30) -> None:
        self.answers += await sent_to(url, timeout_s=timeout_s, connect_timeout_s=connect_timeout_s)


@pytest.fixture
def stage(client: str, monkeypatch: pytest.MonkeyPatch, self_signed: ssl.SSLContext) -> Stage:
    stage = Stage(client, monkeypatch, self_signed)
    monkeypatch.setattr(session, "failure_of", stage.note)
    return stage


Scene = Callable[[Stage], Awaitable[int]]
"""Lets one exchange go wrong, and returns how many requests have reached the service."""


async def nobody_listens(stage: Stage) -> int:
    async with Server(answers()) as server:
        pass
    await stage.send(server.url)
    return len(server.requests)


async def closes_in_the_handshake(stage: Stage) -> int:
    async with Server(answers()) as server:

        async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()

        closing = await asyncio.start_server(close, "127.0.0.1", 0)
        async with closing:
            await stage.send(f"https://127.0.0.1:{closing.sockets[0].getsockname()[1]}")
        return len(server.requests)


async def name_is_unknown(stage: Stage) -> int:
    async def getaddrinfo(*_: object, **__: object) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    stage.monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    await stage.send("https://the-service.invalid")
    return 0


async def speaks_no_tls(stage: Stage) -> int:
    async def speak(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    speaking = await asyncio.start_server(speak, "127.0.0.1", 0)
    async with speaking:
        await stage.send(f"https://127.0.0.1:{speaking.sockets[0].getsockname()[1]}")
    return 0


async def nobody_vouches_for_its_certificate(stage: Stage) -> int:
    async with Server(answers(), tls=stage.untrusted) as server:
        await stage.send(server.url)
        return len(server.requests)


async def is_slow_to_shake_hands(stage: Stage) -> int:
    async with Server(answers()) as server:  # waits for a request, while we wait for its half of the TLS handshake
        await stage.send(server.url.replace("http:", "https:"), connect_timeout_s=0.1)
        return len(server.requests)


async def is_at_no_canonical_address(stage: Stage) -> int:
    async with Server(answers()) as server:
        await stage.send(server.url.replace("127.0.0.1", "127.1"))
        return len(server.requests)


async def speaks_another_protocol(stage: Stage) -> int:
    async with Server(answers()) as server:
        await stage.send(server.url.replace("http:", "ftp:"))
        return len(server.requests)


async def proxy_is_down(stage: Stage) -> int:
    async with Server() as proxy:
        pass
    stage.monkeypatch.setenv("https_proxy", with_password(proxy.url))
    await stage.send("https://service.invalid")
    return len(proxy.requests)


def proxy(deed: Deed) -> Scene:
    """Do `deed` when the tunnel is asked for. The service at its other end counts."""

    async def scene(stage: Stage) -> int:
        async with Server(deed) as proxy, Server(answers(), tls=stage.untrusted) as service:
            stage.monkeypatch.setenv("https_proxy", with_password(proxy.url))
            await stage.send(service.url)
            assert [received.method for received in proxy.requests] == ["CONNECT"]
            return len(service.requests)

    return scene


NOTHING_LEFT: dict[str, list[Scene]] = {
    "ClientConnectorError": [nobody_listens, closes_in_the_handshake],
    "ClientConnectorDNSError": [name_is_unknown],
    "ClientConnectorSSLError": [speaks_no_tls],
    "ClientConnectorCertificateError": [nobody_vouches_for_its_certificate],
    "ConnectionTimeoutError": [is_slow_to_shake_hands],
    "ClientProxyConnectionError": [proxy_is_down],
    "ClientHttpProxyError": [proxy(answers("407 Who are you")), proxy(answers("502 No way"))],
    "InvalidUrlClientError": [is_at_no_canonical_address],
    "NonHttpUrlClientError": [speaks_another_protocol],
}
"""By what aiohttp raises: ways to have it raised, from which it must follow that nothing has left."""

NEVER_MET = {
    "ClientSSLError",  # the two below it are raised instead
    "ServerFingerprintMismatch",  # we pin no certificate
    "UnixClientConnectorError",  # we do not connect to files
    "InvalidURL",  # of a proxy: `transport.proxies` refuses it before
}
"""Exceptions that prove that nothing was sent, and that our session does not get to raise."""


def scenes(of: dict[str, list[Scene]]) -> list[Any]:
    return [
        pytest.param(name, scene, id=f"{name}-{index}")
        for name, those in of.items()
        for index, scene in enumerate(those)
    ]


OF_AIOHTTP = ("ClientProxyConnectionError", "ClientHttpProxyError", "InvalidUrlClientError", "NonHttpUrlClientError")
"""What goes wrong only there: the lean client knows no proxies, and takes what settings accept for an address."""


@pytest.mark.parametrize(("name", "scene"), scenes(NOTHING_LEFT))
async def test_what_is_called_not_sent_has_reached_nobody(stage: Stage, name: str, scene: Scene) -> None:
    if stage.client == "lean" and name in OF_AIOHTTP:
        pytest.skip("the lean client does not get there")
    arrived = await scene(stage)

    assert stage.raised_is(name)
    assert [kind_of(answer) for answer in stage.answers] == [FailureKind.NOT_SENT]
    assert arrived == 0


async def is_late_to_shake_hands(stage: Stage) -> int:
    async with Server(answers()) as server:
        await stage.send(server.url.replace("http:", "https:"), timeout_s=0.1)
        return len(server.requests)


@pytest.mark.parametrize(
    ("name", "scene"),
    [
        pytest.param("TimeoutError", is_late_to_shake_hands, id="the time for it all is over while connecting"),
        pytest.param("ServerDisconnectedError", proxy(hangs_up), id="the proxy drops the tunnel"),
    ],
)
@pytest.mark.parametrize("client", ["aiohttp"], indirect=True)
async def test_what_most_likely_has_not_left_is_no_proof(stage: Stage, name: str, scene: Scene) -> None:
    arrived = await scene(stage)

    assert stage.raised_is(name)
    assert [kind_of(answer) for answer in stage.answers] == [FailureKind.LOST]
    assert arrived == 0


@pytest.mark.parametrize("client", ["lean"], indirect=True)
async def test_the_lean_client_knows_that_it_was_still_connecting_when_the_time_for_it_all_was_over(
    stage: Stage,
) -> None:
    arrived = await is_late_to_shake_hands(stage)

    assert stage.answers == [Failure(FailureKind.NOT_SENT, "ConnectionError: no connection within the time-out")]
    assert arrived == 0


# --- after the request has left --------------------------------------------------------------------------------------

HEAD = b"HTTP/1.1 200 OK\r\n"
HALF = says(HEAD + b"Content-Length: 10\r\n\r\nhalf")


@pytest.mark.parametrize(
    ("name", "deed"),
    [
        pytest.param("ServerDisconnectedError", hangs_up, id="closes before it answers"),
        pytest.param("ClientOSError", resets, id="resets before it answers"),
        pytest.param("TimeoutError", stalls, id="never answers"),
        pytest.param("ClientPayloadError", then(HALF, hangs_up), id="cuts the body"),
        pytest.param("ClientPayloadError", then(HALF, resets), id="resets in the body"),
        pytest.param("TimeoutError", then(HALF, stalls), id="stalls in the body"),
        pytest.param(
            "ClientPayloadError",
            then(says(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhal"), hangs_up),
            id="cuts a chunk",
        ),
        pytest.param(
            "ClientResponseError", says(HEAD + b"Transfer-Encoding: chunked\r\n\r\nno chunk\r\n\r\n"), id="no chunk"
        ),
        pytest.param("ServerDisconnectedError", then(says(HEAD), hangs_up), id="cuts the headers"),
        pytest.param("ClientResponseError", says(b"no HTTP at all\r\n\r\n"), id="no status line"),
        pytest.param("ClientResponseError", says(b"HTTP/1.1 OK 200\r\n\r\n"), id="no status"),
        pytest.param("ClientResponseError", says(HEAD + b"Content-Length: ten\r\n\r\n"), id="no length"),
        pytest.param("ClientResponseError", says(HEAD + b"No colon\r\n\r\n"), id="no header"),
        pytest.param("ClientResponseError", says(HEAD + b"Location: /caf\xe9\r\n\xff\xfe\r\n\r\n"), id="no text"),
        pytest.param("ClientResponseError", says(HEAD + b"X-Huge: " + b"x" * 100_000 + b"\r\n\r\n"), id="huge header"),
        pytest.param("ClientPayloadError", answers("200 OK", b"no gzip", "Content-Encoding: gzip"), id="no gzip"),
        pytest.param(
            "ClientResponseError", answers("200 OK", b"coded", "Content-Encoding: br"), id="a coding not installed"
        ),
    ],
)
async def test_whatever_goes_wrong_after_the_request_has_left_leaves_it_in_doubt(
    stage: Stage, name: str, deed: Deed
) -> None:
    async with Server(deed) as server:
        await stage.send(server.url, timeout_s=1)

    assert stage.raised_is(name)
    assert [kind_of(answer) for answer in stage.answers] == [FailureKind.LOST]
    assert len(server.requests) == 1


async def test_a_server_that_only_echoes_does_not_make_us_write_down_the_token(stage: Stage) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while octets := await reader.read(4096):
            writer.write(octets)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server:
        await stage.send(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", timeout_s=5)

    assert [kind_of(answer) for answer in stage.answers] == [FailureKind.LOST]


# --- nothing below us repeats ----------------------------------------------------------------------------------------

METHODS = ["GET", "PUT", "DELETE", "PATCH", "POST"]


async def on_a_dead_connection(method: str, *, aiohttp_repeats: bool = False) -> tuple[list[Answer], list[Received]]:
    """Send three requests over one session; the connection that the second one is sent on turns out to be dead."""
    async with Server(answers(), hangs_up, answers()) as server, transport_to(server.url) as transport:
        if aiohttp_repeats:
            assert isinstance(transport._client, SessionClient)
            transport._client._session._retry_connection = True
        found = [await transport.send(request(method)) for _ in range(3)]
        assert server.connections == 2, "the second request has to meet a kept-alive connection"
        return found, server.requests


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("method", METHODS)
async def test_nothing_is_repeated_when_a_kept_alive_connection_turns_out_to_be_dead(method: str) -> None:
    (first, second, third), requests = await on_a_dead_connection(method)

    assert kind_of(second) is FailureKind.LOST
    assert first == third == Response(200, {}, b"")
    assert [received.method for received in requests] == [method] * 3


@pytest.mark.parametrize("method", METHODS)
async def test_aiohttp_by_itself_would_repeat_and_we_would_notice(method: str) -> None:
    (_, second, _), requests = await on_a_dead_connection(method, aiohttp_repeats=True)

    repeats = method in ("GET", "PUT", "DELETE")
    assert isinstance(second, Response) == repeats, "where it repeats, the failure does not even show"
    assert len(requests) == 3 + repeats


async def test_a_session_has_neither_trace_hooks_nor_middlewares_nor_a_second_try() -> None:
    async with open_session(timeout_s=1, connect_timeout_s=1, user_agent="tests/1") as session:
        assert session.trace_configs == []
        assert list(session._middlewares) == []
        assert session._retry_connection is False


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
