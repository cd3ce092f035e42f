"""A server on loopback that does with each request what it is told, and the transport that sends to it.

The transport has one client or the other below it: what `CLIENT` says, which the fixture `client` sets.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Self

from migrator.core.model import Answer, Failure, FailureKind, Request
from migrator.transport.credentials import ReadyToken
from migrator.transport.http import Client, HttpTransport
from migrator.transport.lean import open_lean
from migrator.transport.session import SessionClient, open_session

CLIENTS = ("aiohttp", "lean")
CLIENT = "aiohttp"

TOKEN = "eyJ-the-token-of-the-tests"
PASSWORD = "pass-of-the-proxy"
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
        self.writers: list[asyncio.StreamWriter] = []
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
        self.writers.append(writer)
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


def with_password(url: str) -> str:
    return url.replace("http://", f"http://user:{PASSWORD}@")


def request(method: str = "PATCH", target: str = "/data/core/dps/offers/x", **more: Any) -> Request:
    values = {"headers": {"Content-Type": "application/json"}, "body": PATCH, "request_id": "r", **more}
    return Request(method=method, target=target, **values)


@asynccontextmanager
async def transport_to(
    url: str, *, timeout_s: float = 30, connect_timeout_s: float = 30
) -> AsyncIterator[HttpTransport]:
    async with client_to(url, timeout_s=timeout_s, connect_timeout_s=connect_timeout_s) as client:
        yield HttpTransport(client, ReadyToken("the-key", TOKEN), "org@AdobeOrg")


@asynccontextmanager
async def client_to(url: str, *, timeout_s: float, connect_timeout_s: float) -> AsyncIterator[Client]:
    if CLIENT == "lean":
        async with open_lean(
            url, timeout_s=timeout_s, connect_timeout_s=connect_timeout_s, user_agent="tests/1"
        ) as lean:
            yield lean
    else:
        async with open_session(
            timeout_s=timeout_s, connect_timeout_s=connect_timeout_s, user_agent="tests/1"
        ) as session:
            yield SessionClient(session, url)


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
    assert PASSWORD not in answer.message
    assert "\n" not in answer.message
    return answer.kind
