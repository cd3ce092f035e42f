"""The emulator's HTTP server at its edges, over plain sockets: what belongs to HTTP and not to the Offer Library."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from migrator.emulator.http import Request, Response, Route, Router, Server, connections, server
from migrator.emulator.http.reading import LARGEST_HEAD
from tests.waiting import until

HOST = b"Host: here\r\n"
LARGE = b"x" * 1_000_000


class Service:
    """A few handlers, behind a server."""

    def __init__(self) -> None:
        self.served: list[str] = []
        self.release = asyncio.Event()
        routes = [
            Route("GET", "/seen/{first}/{second}", self.seen),
            Route("POST", "/seen", self.seen, largest_body=1000),
            Route("HEAD", "/seen", self.seen),
            Route("GET", "/held", self.held),
            Route("GET", "/large", lambda _: Response(body=LARGE)),
            Route("GET", "/none", lambda _: Response(204)),
            Route("GET", "/pieces", lambda _: Response(body=iter([b"one,", b"two,", b"three"]))),
            Route("GET", "/endless", self.endless),
            Route("GET", "/bug", self.bug),
            Route("GET", "/injected", lambda _: Response(headers={"X-A": "b\r\nX-Evil: yes"})),
        ]
        self.server = Server(Router(routes), self.answer)
        self.pieces_sent = 0

    def answer(self, request: Request) -> Any:
        self.served.append(request.target)
        return request.handler(request)

    def seen(self, request: Request) -> Response:
        """What came, as JSON."""
        told = {
            "method": request.method,
            "path": request.path,
            "params": request.params,
            "query": list(request.query.items()),
            "headers": {name: value for name, value in request.headers.items() if name.startswith("x-")},
            "body": request.body.decode(),
        }
        return Response(200, json.dumps(told).encode(), "application/json")

    async def held(self, request: Request) -> Response:
        await self.release.wait()
        return Response(body=b"held")

    def endless(self, request: Request) -> Response:
        def pieces() -> Iterator[bytes]:
            while True:
                self.pieces_sent += 1
                yield b"more" * 1000

        return Response(body=pieces())

    def bug(self, request: Request) -> Response:
        raise RuntimeError("a bug")


class Wire:
    """A client's side of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    def send(self, *octets: bytes) -> None:
        self.writer.write(b"".join(octets))

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Read one answer with a length, or an interim one: its status, headers and body."""
        top = (await self._reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = top.strip().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        body = await self._reader.readexactly(int(headers.get("content-length", 0)))
        return int(first.split(" ")[1]), headers, body

    async def rest(self) -> bytes:
        """Read to the end."""
        return await self._reader.read()


Dial = Callable[[], Any]


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    one = Service()
    await one.server.start("127.0.0.1", 0)
    yield one
    await one.server.stop()
    assert not one.server._connections


@pytest.fixture
async def dial(service: Service) -> AsyncIterator[Dial]:
    """Open connections, which end with the test; nothing takes longer than ten seconds."""
    async with asyncio.timeout(10), AsyncExitStack() as stack:

        async def connect() -> Wire:
            reader, writer = await asyncio.open_connection("127.0.0.1", service.server.port)
            stack.callback(writer.close)
            return Wire(reader, writer)

        yield connect


async def test_a_request_is_told_as_it_came(dial: Dial) -> None:
    wire = await dial()
    target = b"/seen/a%2Fb/%C3%A9?x=1&x=%202&y=&z=a+b"
    wire.send(b"GET ", target, b" HTTP/1.1\r\n", HOST, b"X-Some: 1\r\nx-SOME:2  \r\nX-Octets: \xff\r\n\r\n")
    status, headers, body = await wire.answer()
    assert (status, headers["content-type"]) == (200, "application/json")
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT", headers["date"])
    assert json.loads(body) == {
        "method": "GET",
        "path": "/seen/a/b/é",
        "params": {"first": "a/b", "second": "é"},
        "query": [["x", "1"], ["x", " 2"], ["y", ""], ["z", "a b"]],
        "headers": {"x-some": "1, 2", "x-octets": "\udcff"},
        "body": "",
    }


async def test_a_proxys_request_names_the_host_in_its_target(dial: Dial) -> None:
    wire = await dial()
    wire.send(b"GET http://there:1/seen/a/b?c=d HTTP/1.1\r\n", HOST, b"\r\n")
    _, _, body = await wire.answer()
    assert json.loads(body)["params"] == {"first": "a", "second": "b"}


async def test_connections_are_kept(service: Service, dial: Dial) -> None:
    wire = await dial()
    for _ in range(3):
        wire.send(b"POST /seen HTTP/1.1\r\n", HOST, b"Content-Length: 2\r\n\r\nab")
        status, headers, body = await wire.answer()
        assert (status, json.loads(body)["body"], headers.get("connection")) == (200, "ab", None)
    assert len(service.server._connections) == 1


@pytest.mark.parametrize(
    ("first_line", "asked", "said", "stays"),
    [
        ("GET /none HTTP/1.1", "", None, True),
        ("GET /none HTTP/1.1", "Connection: keep-alive\r\n", "keep-alive", True),
        ("GET /none HTTP/1.1", "Connection: close\r\n", "close", False),
        ("GET /none HTTP/1.0", "", "close", False),
        ("GET /none HTTP/1.0", "Connection: keep-alive\r\n", "keep-alive", True),
    ],
)
async def test_how_long_a_connection_stays(dial: Dial, first_line: str, asked: str, said: str, stays: bool) -> None:
    wire = await dial()
    wire.send(first_line.encode(), b"\r\n", HOST, asked.encode(), b"\r\n")
    status, headers, _ = await wire.answer()
    assert (status, headers.get("connection")) == (204, said)
    if stays:
        wire.send(b"GET /none HTTP/1.1\r\n", HOST, b"\r\n")
        assert (await wire.answer())[0] == 204
    else:
        assert await wire.rest() == b""


async def test_pipelined_requests_are_answered_in_order(service: Service, dial: Dial) -> None:
    wire = await dial()
    for path in (b"/held", b"/seen/a/1", b"/held", b"/seen/a/2", b"/pieces", b"/none"):
        wire.send(b"GET ", path, b" HTTP/1.1\r\n", HOST, b"\r\n")
    await until(lambda: service.served == ["/held"])
    await asyncio.sleep(0.02)
    assert service.served == ["/held"]
    service.release.set()
    bodies = [(await wire.answer())[2] for _ in range(4)]
    assert bodies[0] == bodies[2] == b"held"
    assert [json.loads(body)["params"]["second"] for body in bodies[1::2]] == ["1", "2"]
    wire.writer.write_eof()
    assert (
        (await wire.rest()).partition(b"\r\n\r\n")[2].startswith(b"4\r\none,\r\n4\r\ntwo,\r\n5\r\nthree\r\n0\r\n\r\n")
    )


async def test_whoever_has_said_all_still_gets_the_answer(service: Service, dial: Dial) -> None:
    wire = await dial()
    wire.send(b"GET /held HTTP/1.1\r\n", HOST, b"\r\n")
    wire.writer.write_eof()
    await until(lambda: service.served == ["/held"])
    service.release.set()
    assert (await wire.rest()).endswith(b"\r\n\r\nheld")


async def test_a_head_has_the_length_of_the_body_and_not_the_body(dial: Dial) -> None:
    wire = await dial()
    wire.send(b"HEAD /seen HTTP/1.1\r\n", HOST, b"Connection: close\r\n\r\n")
    octets = await wire.rest()
    assert re.search(rb"Content-Length: [1-9]\d+\r\n", octets)
    assert octets.endswith(b"\r\n\r\n")


async def test_what_has_no_body_says_nothing_of_its_length(dial: Dial) -> None:
    wire = await dial()
    wire.send(b"GET /none HTTP/1.1\r\n", HOST, b"\r\n")
    assert "content-length" not in (await wire.answer())[1]


async def test_a_body_in_pieces_ends_with_the_connection_in_http_1_0(dial: Dial) -> None:
    wire = await dial()
    wire.send(b"GET /pieces HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    top, _, body = (await wire.rest()).partition(b"\r\n\r\n")
    assert (b"Connection: close" in top, b"Transfer-Encoding" in top, body) == (True, False, b"one,two,three")


async def test_a_body_may_be_chunked_and_have_trailers(dial: Dial) -> None:
    wire = await dial()
    wire.send(b"POST /seen HTTP/1.1\r\n", HOST, b"Transfer-Encoding: chunked\r\n\r\n")
    wire.send(b"3;note=x\r\nabc\r\n2\r\nde\r\n0\r\nX-Late: 1\r\n\r\n")
    told = json.loads((await wire.answer())[2])
    assert (told["body"], told["headers"]) == ("abcde", {})


async def test_a_client_that_asks_is_told_to_go_on(dial: Dial) -> None:
    wire = await dial()
    wire.send(b"POST /seen HTTP/1.1\r\n", HOST, b"Content-Length: 2\r\nExpect: 100-Continue\r\n\r\n")
    assert (await wire.answer())[0] == 100
    wire.send(b"ab")
    status, _, body = await wire.answer()
    assert (status, json.loads(body)["body"]) == (200, "ab")


async def test_it_is_not_told_to_go_on_before_its_turn(service: Service, dial: Dial) -> None:
    wire = await dial()
    wire.send(b"GET /held HTTP/1.1\r\n", HOST, b"\r\n")
    wire.send(b"POST /seen HTTP/1.1\r\n", HOST, b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n")
    await until(lambda: service.served == ["/held"])
    service.release.set()
    assert (await wire.answer())[2] == b"held"
    assert (await wire.answer())[0] == 100


@pytest.mark.parametrize("more", [b"ab", b""], ids=["it sent its body unasked", "of HTTP/1.0"])
async def test_it_is_not_told_to_go_on_without_need(dial: Dial, more: bytes) -> None:
    wire = await dial()
    version = b"1.1" if more else b"1.0"
    length = b"Content-Length: 2\r\nConnection: close\r\nExpect: 100-continue\r\n\r\n"
    wire.send(b"POST /seen HTTP/", version, b"\r\n", HOST, length, more)
    await asyncio.sleep(0.02)
    wire.send(b"" if more else b"ab")
    assert (await wire.answer())[0] == 200


async def test_a_body_that_is_too_large_is_not_asked_for(service: Service, dial: Dial) -> None:
    wire = await dial()
    wire.send(b"POST /seen HTTP/1.1\r\n", HOST, b"Content-Length: 1001\r\nExpect: 100-continue\r\n\r\n")
    status, headers, _ = await wire.answer()
    assert (status, headers["connection"], service.served) == (413, "close", ["/seen"])
    assert await wire.rest() == b""


@pytest.mark.parametrize(
    "head", [b"Content-Length: 9000000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"], ids=["length", "chunked"]
)
async def test_whoever_sends_too_much_learns_it_while_sending(dial: Dial, head: bytes) -> None:
    wire = await dial()
    wire.send(b"POST /seen HTTP/1.1\r\n", HOST, head)
    for _ in range(20):
        wire.send(b"400\r\n", b"x" * 1024, b"\r\n")
        await asyncio.sleep(0)
    status, headers, body = await wire.answer()
    assert (status, headers["connection"], body) == (413, "close", b"413: Request Entity Too Large")


async def test_as_much_as_is_allowed_is_read(dial: Dial) -> None:
    wire = await dial()
    wire.send(b"POST /seen HTTP/1.1\r\n", HOST, b"Content-Length: 1000\r\n\r\n", b"x" * 1000)
    assert (await wire.answer())[0] == 200


@pytest.mark.parametrize(
    "octets",
    [
        b"not HTTP at all\r\n\r\n",
        b"BREW /seen HTTP/1.1\r\nHost: here\r\n\r\n",
        b"GET /none HTTP/7.1\r\nHost: here\r\n\r\n",
        b"GET /none HTTP/1.1\r\n\r\n",
        b"GET /none HTTP/1.1\r\nHost: here\r\nno colon\r\n\r\n",
        b"GET /none HTTP/1.1\r\nHost: here\r\nX-A: a\0b\r\n\r\n",
        b"GET /n\xc3\xb6ne HTTP/1.1\r\nHost: here\r\n\r\n",
        b"POST /seen HTTP/1.1\r\nHost: here\r\nContent-Length: -1\r\n\r\n",
        b"POST /seen HTTP/1.1\r\nHost: here\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST /seen HTTP/1.1\r\nHost: here\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /seen HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\nnope\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
async def test_what_is_wrong_is_refused(service: Service, dial: Dial, octets: bytes) -> None:
    wire = await dial()
    wire.send(octets)
    status, headers, body = await wire.answer()
    assert (status, headers["connection"], body) == (400, "close", b"400: Bad Request")
    assert (await wire.rest(), service.served) == (b"", [])


async def test_what_came_before_something_wrong_is_answered_before(
    service: Service, dial: Dial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "LINGER_S", 60)
    wire = await dial()
    wire.send(b"GET /none HTTP/1.1\r\n", HOST, b"\r\nGET /held HTTP/1.1\r\n", HOST, b"\r\n")
    wire.send(b"GET /seen/a/b HTTP/1.1\r\n", HOST, b"\r\nrubbish\r\n\r\n")
    await until(lambda: len(service.served) == 2)
    service.release.set()
    assert [(await wire.answer())[0] for _ in range(4)] == [204, 200, 200, 400]
    assert await wire.rest() == b""
    wire.writer.close()
    await until(lambda: not service.server._connections)


@pytest.mark.parametrize("ends", [b"\r\n\r\n", b""], ids=["whole", "without end"])
async def test_a_head_that_is_too_large_is_refused(service: Service, dial: Dial, ends: bytes) -> None:
    wire = await dial()
    wire.send(b"GET /none HTTP/1.1\r\n", HOST, b"X-A: ", b"a" * (1_000_000 if not ends else LARGEST_HEAD), ends)
    status, _, _ = await wire.answer()
    assert (status, service.served) == (431, [])


async def test_a_large_head_is_read(dial: Dial) -> None:
    wire = await dial()
    wire.send(b"GET /none HTTP/1.1\r\n", HOST, b"X-A: ", b"a" * (LARGEST_HEAD - 100), b"\r\n\r\n")
    assert (await wire.answer())[0] == 204


@pytest.mark.parametrize("connection", [b"Upgrade, HTTP2-Settings", b"Upgrade, close"])
async def test_there_is_no_other_protocol_to_go_over_to(dial: Dial, connection: bytes) -> None:
    wire = await dial()
    upgrade = b"Connection: " + connection + b"\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    for _ in range(1 if b"close" in connection else 2):
        wire.send(b"POST /seen HTTP/1.1\r\n", HOST, upgrade, b"X-B: 1\r\nContent-Length: 3\r\n\r\na", b"bc")
        status, _, body = await wire.answer()
        told = json.loads(body)
        assert (status, told["body"], told["headers"]) == (200, "abc", {"x-b": "1"})
    if b"close" in connection:
        assert await wire.rest() == b""


async def test_it_is_no_proxy(dial: Dial) -> None:
    wire = await dial()
    wire.send(b"CONNECT there:443 HTTP/1.1\r\nHost: there:443\r\n\r\n\x16\x03\x01")
    assert (await wire.answer())[0] == 404
    assert await wire.rest() == b""


@pytest.mark.parametrize(
    ("request_line", "status", "allow"),
    [
        ("GET /nowhere", 404, None),
        ("GET /seen/a", 404, None),
        ("GET /seen/a/", 404, None),
        ("GET /seen/a/b/c", 404, None),
        ("OPTIONS *", 404, None),
        ("PUT /seen", 405, "POST, HEAD"),
        ("POST /seen/a/b", 405, "GET"),
    ],
)
async def test_where_there_is_no_handler(dial: Dial, request_line: str, status: int, allow: str | None) -> None:
    wire = await dial()
    wire.send(request_line.encode(), b" HTTP/1.1\r\n", HOST, b"\r\n")
    answered, headers, _ = await wire.answer()
    assert (answered, headers.get("allow")) == (status, allow)


@pytest.mark.parametrize("path", [b"/bug", b"/injected"])
async def test_a_bug_fails_one_request_and_is_told(dial: Dial, path: bytes, caplog: pytest.LogCaptureFixture) -> None:
    wire = await dial()
    with caplog.at_level(logging.ERROR):
        wire.send(b"GET ", path, b" HTTP/1.1\r\n", HOST, b"\r\n")
        status, headers, body = await wire.answer()
    assert (status, body, "x-evil" in headers) == (500, b"500: Internal Server Error", False)
    assert [record.exc_info is not None for record in caplog.records] == [True]
    wire.send(b"GET /none HTTP/1.1\r\n", HOST, b"\r\n")
    assert (await wire.answer())[0] == 204


async def test_half_a_request_leaves_nothing_behind(service: Service, dial: Dial) -> None:
    wire = await dial()
    wire.send(b"POST /seen HTTP/1.1\r\n", HOST, b"Content-Length: 5\r\n\r\nab")
    await until(lambda: len(service.server._connections) == 1)
    wire.writer.close()
    await until(lambda: not service.server._connections)
    assert service.served == []


async def test_silence_in_the_middle_of_a_request_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "SILENCE_S", 0.02)
    service = Service()
    await service.server.start("127.0.0.1", 0)
    silent, idle = [Wire(*await asyncio.open_connection("127.0.0.1", service.server.port)) for _ in range(2)]
    silent.send(b"GET /none HT")
    async with asyncio.timeout(10):
        status, _, _ = await silent.answer()
        assert (status, await silent.rest()) == (408, b"")
        idle.send(b"GET /none HTTP/1.1\r\n", HOST, b"\r\n")
        assert (await idle.answer())[0] == 204
    for wire in (silent, idle):
        wire.writer.close()
    await service.server.stop()


async def test_who_does_not_read_is_not_read_from(service: Service, dial: Dial) -> None:
    wire = await dial()
    for _ in range(100):
        wire.send(b"GET /large HTTP/1.1\r\n", HOST, b"\r\n")
    await until(lambda: bool(service.served))
    await asyncio.sleep(0.05)
    assert len(service.served) < 50
    for _ in range(100):
        assert len((await wire.answer())[2]) == len(LARGE)


async def test_nobody_writes_on_for_a_client_that_is_gone(service: Service, dial: Dial) -> None:
    wire = await dial()
    wire.send(b"GET /endless HTTP/1.1\r\n", HOST, b"\r\n")
    await until(lambda: service.pieces_sent > 10)
    wire.writer.transport.abort()
    await until(lambda: not service.server._connections)
    await asyncio.sleep(0.02)
    sent = service.pieces_sent
    await asyncio.sleep(0.02)
    assert service.pieces_sent == sent


async def test_stopping_gives_up_what_is_in_flight(caplog: pytest.LogCaptureFixture) -> None:
    service = Service()
    await service.server.start("127.0.0.1", 0)
    port = service.server.port
    wires = [Wire(*await asyncio.open_connection("127.0.0.1", port)) for _ in range(4)]
    held, streaming, half, _ = wires
    held.send(b"GET /held HTTP/1.1\r\n", HOST, b"\r\n")
    streaming.send(b"GET /endless HTTP/1.1\r\n", HOST, b"\r\n")
    half.send(b"GET /none HTTP/1.1\r\n")
    await until(lambda: len(service.served) == 2)
    async with asyncio.timeout(5):
        await service.server.stop()
    assert await held.rest() == b""
    assert not service.server._connections
    with pytest.raises(OSError, match=r".*"):
        await asyncio.open_connection("127.0.0.1", port)
    with pytest.raises(RuntimeError, match="not running"):
        _ = service.server.port
    for wire in wires:
        wire.writer.close()
    assert caplog.records == []


async def test_stopping_waits_a_moment_for_what_is_about_to_be_answered() -> None:
    service = Service()
    await service.server.start("127.0.0.1", 0)
    wire = Wire(*await asyncio.open_connection("127.0.0.1", service.server.port))
    wire.send(b"GET /held HTTP/1.1\r\n", HOST, b"\r\n")
    await until(lambda: service.served == ["/held"])
    asyncio.get_running_loop().call_soon(service.release.set)
    await service.server.stop()
    status, headers, body = await wire.answer()
    assert (status, headers["connection"], body) == (200, "close", b"held")
    wire.writer.close()
