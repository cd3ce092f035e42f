"""A client that does what a run needs and no more, at a fraction of the cost.

aiohttp can do a hundred things that nobody here asks for, and each request pays for being able to
(`reference/performance.md` section 1). This client knows one service, keeps connections to it, and sends requests that
are complete. It promises what the other one promises; it only knows no proxies.

What a failure proves follows from where it happens: what fails while there is no connection yet has sent nothing;
whatever fails on one may have. There is no table of exceptions to get wrong.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

import aiohappyeyeballs
from yarl import URL

from migrator.core.model import Answer, Failure, FailureKind, Request, Response
from migrator.transport.connection import Broken, Connection
from migrator.transport.failures import describe
from migrator.transport.session import IDLE_S

BUFFER = 1 << 16
"""Octets that are received at a time."""

NEXT_ADDRESS_S = 0.25
"""How long one address of the service is tried alone before the next one is tried as well (RFC 8305)."""

_PACKED = {"gzip": (31,), "x-gzip": (31,), "deflate": (15, -15)}
"""Codings of a body that are read, and what zlib calls them; some take a bare stream for what deflate means."""


class LeanClient:
    """Sends requests to one service over connections that it keeps. It implements `http.Client`."""

    def __init__(self, base_url: str, *, timeout_s: float, connect_timeout_s: float, user_agent: str) -> None:
        """Send to a service; see `open_lean`."""
        url = URL(base_url)
        assert url.raw_host is not None
        assert url.port is not None
        self._host = url.raw_host
        self._port = url.port
        self._base_path = url.raw_path.rstrip("/")
        self._ours = f"Host: {url.host_port_subcomponent}\r\nUser-Agent: {user_agent}"
        self._tls = _trusting_no_stranger() if url.scheme == "https" else None
        self._timeout_s = timeout_s
        self._connect_timeout_s = min(connect_timeout_s, timeout_s)
        self._buffer = memoryview(bytearray(BUFFER))
        self._idle: list[Connection] = []  # the one that was used last is last, and used next
        self._busy: set[Connection] = set()
        self._loop = asyncio.get_running_loop()

    async def exchange(self, request: Request, headers: Mapping[str, str]) -> Answer:
        """Send `request` once with `headers`, and read the answer to its end."""
        octets = self._spelled(request, headers)
        until = self._loop.time() + self._timeout_s
        try:
            connection = self._kept() or await self._new()
        except OSError as error:
            return Failure(FailureKind.NOT_SENT, describe(error))
        connection.until = until
        self._busy.add(connection)
        try:
            answer, coding = await connection.exchange(octets)
            return _unpacked(answer, coding) if coding else answer
        except OSError as error:
            return Failure(FailureKind.LOST, describe(error))
        except BaseException:
            connection.spent = True  # by a cancellation, its answer may still be on the way
            raise
        finally:
            self._busy.discard(connection)
            self._keep(connection)

    def _spelled(self, request: Request, headers: Mapping[str, str]) -> bytes:
        """Spell a whole request, as one piece that leaves at once."""
        body = request.body or b""
        lines = [f"{request.method} {self._base_path}{request.target} HTTP/1.1", self._ours]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body or request.method != "GET":
            lines.append(f"Content-Length: {len(body)}")
        head = "\r\n".join(lines)
        # Our own line breaks, one of which is in `_ours`, are all there may be.
        if not head.count("\n") == head.count("\r") == len(lines) or "\0" in head:
            raise ValueError("a header must not hold a line break")
        return f"{head}\r\n\r\n".encode() + body

    def _kept(self) -> Connection | None:
        """Return an open connection, if one is kept."""
        now = self._loop.time()
        while self._idle:
            connection = self._idle.pop()
            if not connection.spent and now < connection.until:
                return connection
            connection.end()
        return None

    def _keep(self, connection: Connection) -> None:
        """Keep a connection for the next request if it can carry one."""
        if connection.spent:
            connection.end()
            return
        connection.until = self._loop.time() + IDLE_S
        self._idle.append(connection)

    async def _new(self) -> Connection:
        """Connect to the first address of the service that answers."""
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                addresses = await self._loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
                plain = await aiohappyeyeballs.start_connection(
                    addresses, happy_eyeballs_delay=NEXT_ADDRESS_S, interleave=1
                )
                return await self._speaking(plain)
        except TimeoutError:
            raise ConnectionError("no connection within the time-out") from None

    async def _speaking(self, plain: socket.socket) -> Connection:
        """Speak HTTP on a connected socket, over TLS where that is wanted."""
        try:
            _, connection = await self._loop.create_connection(
                lambda: Connection(self._buffer),
                sock=plain,
                ssl=self._tls,
                server_hostname=self._host if self._tls else None,
            )
        except BaseException:
            plain.close()
            raise
        return connection

    async def watch(self) -> None:
        """End what is overdue, and drop what nobody uses, again and again until cancelled.

        One timer for all: one for each request would cost as much as sending it.
        """
        while True:
            await asyncio.sleep(min(1.0, self._timeout_s / 10))
            now = self._loop.time()
            for connection in [one for one in self._busy if one.until <= now]:
                connection.end(TimeoutError())
            while self._idle and (self._idle[0].spent or self._idle[0].until <= now):
                self._idle.pop(0).end()

    def close(self) -> None:
        """End all connections."""
        for connection in (*self._idle, *self._busy):
            connection.end()


@asynccontextmanager
async def open_lean(
    base_url: str, *, timeout_s: float, connect_timeout_s: float, user_agent: str
) -> AsyncIterator[LeanClient]:
    """Open the way to a service.

    Args:
        base_url: scheme, host and port of the service.
        timeout_s: whole request, from the wish for a connection to the last byte of the answer.
        connect_timeout_s: until the connection stands.
        user_agent: how we introduce ourselves.
    """
    client = LeanClient(base_url, timeout_s=timeout_s, connect_timeout_s=connect_timeout_s, user_agent=user_agent)
    watch = asyncio.create_task(client.watch(), name="lean-watch")
    try:
        yield client
    finally:
        watch.cancel()
        client.close()
        await asyncio.sleep(0)  # the loop closes them in its next turn


def _trusting_no_stranger() -> ssl.SSLContext:
    """Return the terms of TLS: certificates are checked against those that the machine trusts."""
    terms = ssl.create_default_context()
    terms.set_alpn_protocols(["http/1.1"])
    return terms


def _unpacked(answer: Response, coding: str) -> Response:
    """Unpack a compressed body, which nobody asked for.

    Raises:
        Broken: it is coded otherwise, or not as it says.
    """
    if coding == "identity":
        return answer
    for wbits in _PACKED.get(coding, ()):
        with suppress(zlib.error):
            return Response(answer.status, answer.headers, zlib.decompress(answer.body, wbits))
    raise Broken(f"the answer cannot be unpacked: Content-Encoding: {coding}")
