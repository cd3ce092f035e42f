"""The service to measure against: the least that answers a PATCH with a receipt, in a process of its own.

It must never be the bottleneck, so it parses no more of HTTP/1.1 than it needs: where a request ends. Every write gets
the constant receipt of its endpoint style, every read what `library` has. When each write arrived is kept in memory and
given out on `/arrivals`. `/reset?objects,containers` forgets it, and says how many objects lists show from then on.

Run as a program it prints its port, and ends when its standard input does, so that it cannot outlive who started it.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from array import array
from collections.abc import Mapping

import msgspec
from msgspec import Struct

from tests.bench.library import Listed

LARGEST_REQUEST = 1 << 16
"""Octets of one request, head and body; a longer one ends its connection."""

MOST_ARRIVALS = 1_000_000
"""How many arrivals are kept; later ones are answered and not kept."""

RECEIPTS: Mapping[bytes, Mapping[str, object]] = {
    b"/data/core/dps": {
        "etag": 2,
        "createdBy": "someone@AdobeID",
        "lastModifiedBy": "someone@AdobeID",
        "created": "2023-09-16T18:59:20.147Z",
        "modified": "2023-09-16T19:00:45.902Z",
        "id": "dps:personalized-offer:14bf7ffa1ffc5103",
        "sandboxId": "9fbcbd70-9be1-11ea-9b35-f3d3ea31bb5f",
    },
    b"/data/core/xcore": {
        "instanceId": "b3966680-13ec-11ec-8e7f-29c6a7c9f1d1",
        "@id": "xcore:personalized-offer:124cc332095cfa74",
        "repo:etag": 2,
        "repo:createdDate": "2023-09-16T18:59:20.147314Z",
        "repo:lastModifiedDate": "2023-09-16T19:00:45.902118Z",
        "repo:createdBy": "someone",
        "repo:lastModifiedBy": "someone",
        "repo:createdByClientId": "a-client",
        "repo:lastModifiedByClientId": "a-client",
    },
}
"""What a write is answered with, by the base path of its endpoint style."""


class Record(Struct):
    """What the target has seen since the last reset.

    Attributes:
        cpu_s: seconds of CPU this process has used since it began.
        arrivals: when each write arrived, nanoseconds of the machine's monotonic clock.
    """

    cpu_s: float
    arrivals: list[int]


def answer(body: bytes) -> bytes:
    """Return a whole 200 answer with the JSON text `body`."""
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


EMPTY = answer(b"{}")
ANSWERS = {base: answer(msgspec.json.encode(receipt)) for base, receipt in RECEIPTS.items()}


class Book:
    """What all connections write into."""

    def __init__(self) -> None:
        """Begin empty."""
        self._arrivals = array("q")
        self._listed = Listed()

    def reply(self, head: bytes, arrived_ns: int) -> bytes:
        """Return the answer to the request with this head, and note its arrival if it is a write."""
        method, path, _ = head.split(b" ", 2)
        if method == b"GET":
            return self._read(path)
        if len(self._arrivals) < MOST_ARRIVALS:
            self._arrivals.append(arrived_ns)
        return next((found for base, found in ANSWERS.items() if path.startswith(base)), EMPTY)

    def _read(self, path: bytes) -> bytes:
        name, _, query = path.partition(b"?")
        if name == b"/arrivals":
            return answer(msgspec.json.encode(Record(time.process_time(), self._arrivals.tolist())))
        if name == b"/reset":
            self._arrivals = array("q")
            self._listed = Listed(*map(int, query.split(b",")))
            return EMPTY
        return answer(self._listed.read(path.decode()))


class Connection(asyncio.BufferedProtocol):
    """One kept-alive connection."""

    def __init__(self, book: Book) -> None:
        """Answer from `book`."""
        self._book = book
        self._buffer = bytearray(LARGEST_REQUEST)
        self._filled = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:
        """Lend the free end of the buffer."""
        del sizehint
        return memoryview(self._buffer)[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        """Answer every request that is complete."""
        arrived_ns = time.monotonic_ns()
        self._filled += nbytes
        while size := self._complete():
            head = bytes(self._buffer[:size])
            self._buffer[: self._filled - size] = self._buffer[size : self._filled]
            self._filled -= size
            self._transport.write(self._book.reply(head, arrived_ns))
        if self._filled == LARGEST_REQUEST:
            self._transport.close()

    def _complete(self) -> int:
        """Return the size of the first request in octets, or 0 if it is not all there."""
        end = self._buffer.find(b"\r\n\r\n", 0, self._filled)
        if end < 0:
            return 0
        size = end + 4 + _length(bytes(self._buffer[: end + 2]).lower())
        return size if size <= self._filled else 0


def _length(head: bytes) -> int:
    """Read the length of the body from a head in lower case."""
    _, found, rest = head.partition(b"\r\ncontent-length:")
    return int(rest.partition(b"\r\n")[0]) if found else 0


async def serve() -> None:
    """Answer on a free port of the loopback interface until standard input ends."""
    loop = asyncio.get_running_loop()
    book = Book()
    ended = asyncio.Event()
    loop.add_reader(sys.stdin, ended.set)
    server = await loop.create_server(lambda: Connection(book), "127.0.0.1", 0, backlog=1024)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await ended.wait()
    server.close()


if __name__ == "__main__":
    os.sched_setaffinity(0, {int(cpu) for cpu in sys.argv[1:]} or os.sched_getaffinity(0))
    asyncio.run(serve())
