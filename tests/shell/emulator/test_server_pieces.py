"""Requests mean the same in whatever pieces they come."""

from __future__ import annotations

import asyncio
import re
import socket
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from migrator.emulator.http import Request, Response, Route, Router
from migrator.emulator.http.connections import Connection
from migrator.emulator.http.reading import LARGEST_READ, Reader

HOST = b"Host: here\r\n"
CONVERSATION = b"".join(
    [
        b"GET /told/a%2Fb?c=d HTTP/1.1\r\n" + HOST + b"X-A: 1\r\nX-A: 2\r\n\r\n",
        b"\r\nPATCH /told/c HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nab\r\nc",
        b"PATCH /told/d HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n",
        b"2\r\nab\r\n3;x=y\r\ncde\r\n0\r\nX-Late: 1\r\n\r\n",
        b"PATCH /later HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\nabc",
        b"GET /pieces HTTP/1.1\r\n" + HOST + b"\r\n",
        b"PUT /told/e HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\n\r\n{}",
        b"GET /nowhere HTTP/1.1\r\n" + HOST + b"Connection: keep-alive\r\n\r\n",
    ]
)
ENDS = [
    b"PATCH /told/last HTTP/1.1\r\n" + HOST + b"Connection: close\r\nContent-Length: 1\r\n\r\nx",
    b"PATCH /told/last HTTP/1.0\r\nContent-Length: 1\r\n\r\nx",
    b"PATCH /told/small HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n9\r\nabcdefghi\r\n0\r\n\r\n",
    b"GET /told/last HTTP/1.1\r\n" + HOST + b"X-\0: \r\n\r\n",
    b"GET /told/last HTTP/1.1\r\n\r\n",
]
UNSTEADY = re.compile(rb"Date: [^\r]+\r\n|HTTP/1.1 100 Continue\r\n\r\n")
"""What depends on time: the date, and whether the client is told to go on before its body is there."""


def told(request: Request) -> Response:
    headers = sorted(request.headers.items())
    return Response(body=repr((request.method, request.target, request.params, headers, request.body)).encode())


async def later(request: Request) -> Response:
    await asyncio.sleep(0)
    return told(request)


ROUTES = [
    *(Route(method, "/told/{name}", told) for method in ("GET", "PATCH")),
    Route("PATCH", "/told/small", told, largest_body=8),
    Route("PATCH", "/later", later),
    Route("GET", "/pieces", lambda _: Response(body=iter([b"one", b"two"]))),
]


async def answers(pieces: list[bytes]) -> bytes:
    """Send pieces, each of which is read before the next is sent, and return all that comes back."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    loop = asyncio.get_running_loop()
    connection = Connection(
        Router(ROUTES), lambda request: request.handler(request), set(), memoryview(bytearray(LARGEST_READ))
    )
    await loop.connect_accepted_socket(lambda: connection, theirs)
    for one in pieces:
        await loop.sock_sendall(ours, one)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    received = b""
    with ours:
        while octets := await loop.sock_recv(ours, 1 << 16):
            received += octets
    await connection.closed
    return UNSTEADY.sub(b"", received)


def cut(octets: bytes, places: list[int]) -> list[bytes]:
    return [octets[start:end] for start, end in pairwise(sorted({0, *places, len(octets)}))]


@settings(max_examples=150, deadline=None)
@given(end=st.sampled_from(ENDS), places=st.lists(st.integers(1, len(CONVERSATION) + 60), max_size=40))
def test_the_answers_are_the_same_however_the_octets_are_cut(end: bytes, places: list[int]) -> None:
    octets = CONVERSATION + end
    within = [place for place in places if place < len(octets)]
    assert asyncio.run(answers(cut(octets, within))) == asyncio.run(answers([octets]))


def test_they_are_the_same_octet_by_octet() -> None:
    for end in ENDS:
        octets = CONVERSATION + end
        whole = asyncio.run(answers([octets]))
        assert asyncio.run(answers(cut(octets, list(range(len(octets)))))) == whole
        assert whole.count(b"HTTP/1.1 ") == 8


class NoLine:
    def hang_up(self, *, reset: bool) -> None:
        raise AssertionError


SCRAPS = st.one_of(
    st.sampled_from(
        [
            *(
                b"GET /told/a HTTP/1.1\r\n",
                b"PATCH /told/small HTTP/1.0\r\n",
                b"CONNECT a:1 HTTP/1.1\r\n",
                HOST,
                b"\r\n",
            ),
            *(
                b"Content-Length: 3\r\n",
                b"Transfer-Encoding: chunked\r\n",
                b"Connection: Upgrade\r\n",
                b"Upgrade: x\r\n",
            ),
            *(
                b"Expect: 100-continue\r\n",
                b"3\r\nabc\r\n",
                b"0\r\n\r\n",
                b"abc",
                b"ffffffffffffffff\r\n",
                b"X-\xff: \xff",
            ),
        ]
    ),
    st.binary(max_size=20),
)


@settings(max_examples=300, deadline=None)
@given(scraps=st.lists(SCRAPS, max_size=20))
def test_whatever_comes_is_read_or_refused(scraps: list[bytes]) -> None:
    reader = Reader(Router(ROUTES), NoLine())
    for scrap in scraps:
        reader.feed(scrap)
    assert reader.refusal is None or (reader.is_done and reader.refusal.status == 400)
    assert all(request.handler for request in reader.requests)
