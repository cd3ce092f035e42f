"""Every way in which HTTP/1.1 may spell an answer, and what a connection is good for after it, by either client."""

from __future__ import annotations

import asyncio
import ssl
import zlib
from pathlib import Path

import pytest

from migrator.core.model import FailureKind, Response
from migrator.transport import lean
from tests.wire import (
    Received,
    Server,
    answer_of,
    answers,
    hangs_up,
    kind_of,
    request,
    says,
    sent_to,
    then,
    transport_to,
)

pytestmark = pytest.mark.usefixtures("no_proxies", "client")

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
ONLY_LEAN = pytest.mark.parametrize("client", ["lean"], indirect=True)


# --- ways to spell one -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spelled", "body"),
    [
        pytest.param(HEAD + b"content-LENGTH: 4\r\n\r\nbody", b"body", id="with a length"),
        pytest.param(b"HTTP/1.1 200\r\nContent-Length: 4\r\n\r\nbody", b"body", id="without a reason"),
        pytest.param(CHUNKED + b"2\r\nbo\r\n2;x=y\r\ndy\r\n0\r\n\r\n", b"body", id="in chunks"),
        pytest.param(CHUNKED + b"4\r\nbody\r\n0\r\nRetry-After: 7\r\n\r\n", b"body", id="with a trailer"),
        pytest.param(CHUNKED + b"0\r\n\r\n", b"", id="no chunk at all"),
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", b"", id="without a body"),
        pytest.param(HEAD + b"X-Empty:\r\nContent-Length: 4\r\n\r\nbody", b"body", id="with an empty header"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD + b"Content-Length: 0\r\n\r\n", b"", id="after a 100"),
        pytest.param(
            b"HTTP/1.1 103 Early\r\nRetry-After: 9\r\n\r\n" * 3 + HEAD + b"Content-Length: 4\r\n\r\nbody",
            b"body",
            id="after several interim ones",
        ),
    ],
)
async def test_an_answer_is_read_however_it_is_spelled_and_the_connection_goes_on(spelled: bytes, body: bytes) -> None:
    async with Server(says(spelled), answers()) as server:
        first, second = await sent_to(server.url, request(), request())

    assert isinstance(first, Response)
    assert (first.headers, first.body) == ({}, body)
    assert second == Response(200, {}, b"")
    assert server.connections == 1


@pytest.mark.parametrize("size", [1, 7, 100])
async def test_an_answer_may_come_in_pieces(size: int) -> None:
    head = b"HTTP/1.1 429 x\r\nX-Empty:\r\nRetry-After: 7\r\nTransfer-Encoding: chunked\r\n\r\n"
    spelled = head + b"4\r\nbody\r\n0\r\n\r\n"

    async def pieces(_: Received, writer: asyncio.StreamWriter) -> None:
        for begin in range(0, len(spelled), size):
            writer.write(spelled[begin : begin + size])
            await writer.drain()
            await asyncio.sleep(0)

    assert await answer_of(pieces) == Response(429, {"retry-after": "7"}, b"body")


@pytest.mark.parametrize("line", [b"X-Huge: " + b"x" * 500_000, b"X-Many: x\r\n" * 50_000])
async def test_headers_without_end_are_not_read_to_their_end(line: bytes) -> None:
    async with asyncio.timeout(10):
        answer = await answer_of(says(HEAD + line), timeout_s=30)

    assert kind_of(answer) is FailureKind.LOST


async def test_a_large_answer_is_read_whole() -> None:
    body = bytes(range(256)) * 4096

    assert await answer_of(answers("200 OK", body)) == Response(200, {}, body)


@pytest.mark.parametrize("wbits", [15, -15], ids=["zlib", "raw"])
async def test_deflate_is_read_in_both_of_its_readings(wbits: int) -> None:
    packer = zlib.compressobj(wbits=wbits)
    body = packer.compress(b'{"id":"x"}') + packer.flush()

    assert await answer_of(answers("200 OK", body, "Content-Encoding: deflate")) == Response(200, {}, b'{"id":"x"}')


# --- the last one of a connection ------------------------------------------------------------------------------------

CLOSING = HEAD + b"Connection: close\r\n"


@pytest.mark.parametrize(
    "spelled",
    [
        pytest.param(CLOSING + b"Content-Length: 4\r\n\r\nbody", id="says so"),
        pytest.param(b"HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nbody", id="speaks HTTP/1.0"),
        pytest.param(HEAD + b"\r\nbody", id="ends the body with the connection"),
    ],
)
async def test_what_was_the_last_answer_of_a_connection_is_read_and_another_connection_made(spelled: bytes) -> None:
    async with Server(then(says(spelled), hangs_up), answers()) as server:
        told = await sent_to(server.url, request(), request())

    assert told == [Response(200, {}, b"body"), Response(200, {}, b"")]
    assert server.connections == 2


async def test_no_request_leaves_on_a_connection_of_which_an_answer_has_said_that_it_is_the_last() -> None:
    async with Server(answers("200 OK", b"", "Connection: close"), answers()) as server:  # and does not close it
        told = await sent_to(server.url, request(), request())

    assert told == [Response(200, {}, b"")] * 2
    assert server.connections == 2


@pytest.mark.filterwarnings("ignore:Sending a large body")
async def test_an_early_answer_is_the_answer_and_the_rest_of_the_request_need_not_leave() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        connections.append(writer)

    connections: list[asyncio.StreamWriter] = []
    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        large = request(body=b"x" * 20_000_000)
        told = await sent_to(url, large, large)
        for writer in connections:
            writer.transport.abort()

    assert told == [Response(413, {}, b"")] * 2
    assert len(connections) == 2


# --- what nobody asked for -------------------------------------------------------------------------------------------


async def test_what_comes_behind_an_answer_is_not_taken_for_the_next_one() -> None:
    twice = HEAD + b"Content-Length: 1\r\n\r\n1" + HEAD + b"Content-Length: 1\r\n\r\n2"
    async with Server(says(twice), answers()) as server:
        first, second = await sent_to(server.url, request(), request())

    assert second != Response(200, {}, b"2")
    assert first == Response(200, {}, b"1")


@ONLY_LEAN  # aiohttp takes it for the answer to what is sent next
async def test_what_comes_between_two_requests_is_not_taken_for_the_next_answer() -> None:
    deeds = answers("200 OK", b"1"), answers("200 OK", b"3")
    async with Server(*deeds) as server, transport_to(server.url) as transport:
        first = await transport.send(request())
        (writer,) = server.writers
        writer.write(HEAD + b"Content-Length: 1\r\n\r\n2")
        await asyncio.sleep(0.05)
        second = await transport.send(request())

    assert (first, second) == (Response(200, {}, b"1"), Response(200, {}, b"3"))
    assert server.connections == 2


async def test_nobody_is_followed_to_another_protocol() -> None:
    switched = b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\nother"

    answer = await answer_of(says(switched), timeout_s=1)

    assert answer == Response(101, {}, b"") or kind_of(answer) is FailureKind.LOST


# --- a connection and its end ----------------------------------------------------------------------------------------


async def test_a_connection_that_was_closed_while_nobody_used_it_is_not_used() -> None:
    async with Server(answers(), answers()) as server, transport_to(server.url) as transport:
        await transport.send(request())
        (writer,) = server.writers
        writer.close()
        await asyncio.sleep(0.05)

        assert await transport.send(request()) == Response(200, {}, b"")
        assert server.connections == 2


@ONLY_LEAN
async def test_a_connection_that_nobody_uses_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lean, "IDLE_S", 0.01)
    async with Server(answers()) as server, transport_to(server.url, timeout_s=0.5) as transport:
        await transport.send(request())
        (writer,) = server.writers
        async with asyncio.timeout(10):
            await writer.wait_closed()


@ONLY_LEAN  # aiohttp reads what the machine trusts when it is imported
async def test_a_service_whose_certificate_is_trusted_is_spoken_to_over_tls(
    trusted: ssl.SSLContext,
) -> None:
    async with Server(answers("200 OK", b"body"), tls=trusted) as server:
        told = await sent_to(server.url, request(), request())

    assert told == [Response(200, {}, b"body")] * 2
    assert server.connections == 1


@pytest.mark.parametrize("value", ["a\r\nX-Injected: b", "a\nb", "a\0b"])
async def test_a_header_cannot_bring_another_one_along(value: str) -> None:
    async with Server(answers()) as server:
        with pytest.raises(ValueError, match=r"[Hh]eader"):
            await sent_to(server.url, request(headers={"x-sandbox-name": value}))

    assert server.requests == []


@pytest.fixture
def trusted(self_signed: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's TLS context with a certificate that the machine trusts."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    return self_signed
