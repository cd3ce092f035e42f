"""One connection: requests in, answers out, in order.

Octets come in pieces of any size. They go to the parser, which calls back with what it finds. Whole requests wait in a
queue and are answered one after the other, so that pipelined requests get their answers in order (RFC 9112, 9.3.2).
While some wait, or the client does not read its answers, nothing more is read from it.

A connection that takes no more requests is called deaf: the last one said so, or was wrong, or the server stops. It is
closed when those that it did take are answered. Whoever was refused in the middle of a request may still be sending;
if the connection were closed at once, the refusal would be lost with it (RFC 9112, 9.6), so it lingers.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections import deque
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

import httptools

from migrator.emulator.http.messages import HttpError, Request, Response
from migrator.emulator.http.writing import LAST_PIECE, head, piece, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from migrator.emulator.http.messages import Answer
    from migrator.emulator.http.routes import Router

LARGEST_HEAD = 64 * 1024
"""Octets of a request before its body; with more it is refused (431)."""

LINGER_S = 1.0
"""Seconds for which a client that was refused may go on sending, to no effect, before it has to have read why."""

_LARGEST_READ = 256 * 1024
"""Octets that the event loop reads at once, at the most: so much may have come before the first of a request."""
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""``SO_LINGER`` on, for 0 seconds: closing sends a reset."""

log = logging.getLogger(__name__)


class _EnoughError(Exception):
    """The parser need not go on."""


class Connection(asyncio.Protocol):
    """The server's side of one connection.

    Args:
        router: the ways that requests can go.
        answer: what answers them, with their `handler`.
        others: the open connections of the server, for this one to enter and to leave.

    Attributes:
        closed: done when it is closed.
        task: what waits for an answer; None when none is waited for.
    """

    def __init__(self, router: Router, answer: Callable[[Request], Answer], others: set[Connection]) -> None:
        self._router = router
        self._answer = answer
        self._others = others
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[Request] = deque()
        self._refusal: HttpError | None = None
        self._deaf = False
        self._lingers = False
        self._lingering: asyncio.TimerHandle | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._in_request = self._in_head = False
        self._owes_continue = False
        self._heard_at = 0.0
        self.closed = self._loop.create_future()
        self.task: asyncio.Task[None] | None = None

    # What the server and the handlers call

    def finish(self) -> None:
        """Close as soon as the request that is being answered is answered."""
        self._deaf = True
        self._waiting.clear()
        if self.task is None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once; a request that is being answered is given up."""
        if self.task is not None:
            self.task.cancel()
        self._transport.abort()

    def expire(self, before: float) -> None:
        """Refuse a request of which nothing has come since a moment of the event loop's clock."""
        if self._in_request and self._heard_at < before and self.task is None and not self._deaf:
            self._refuse(HttpError(HTTPStatus.REQUEST_TIMEOUT))
            self._go_on()

    def hang_up(self, *, reset: bool) -> None:
        """Close at once, from within a request."""
        connection = self._transport.get_extra_info("socket")
        if reset and connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._transport.abort()

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way out."""
        self._transport = cast("asyncio.Transport", transport)  # which that of uvloop is only in its ways
        self._others.add(self)

    def data_received(self, data: bytes) -> None:
        """Read what came, and answer what is whole."""
        if not self._deaf:
            self._read(data)
            self._go_on()

    def eof_received(self) -> bool:
        """The client has said all that it has to say. Whether it still has answers to get."""
        self._deaf = True
        return self.task is not None or bool(self._waiting)

    def pause_writing(self) -> None:
        """The client does not read its answers."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """It does again."""
        self._writable.set()
        self._go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what waits. A request that is being answered goes on: its client may be gone, but not its effect."""
        del exc
        self._deaf = True
        self._waiting.clear()
        self._writable.set()
        self._others.discard(self)
        if self._lingering is not None:
            self._lingering.cancel()
        self.closed.set_result(None)

    # What the parser calls

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._in_request = self._in_head = True
        self._head_octets = 0
        self._url = b""
        self._headers: dict[str, str] = {}

    def on_url(self, url: bytes) -> None:
        """Keep a piece of the target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header. Of what comes behind the body nothing is kept."""
        if not self._in_head:
            return
        headers, key, text = self._headers, _lower(name), value.decode("utf-8", "surrogateescape")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text

    def on_headers_complete(self) -> None:
        """Find out where the request leads, and whether its body is wanted."""
        headers = self._headers
        if len(self._url) + sum(map(len, headers)) + sum(map(len, headers.values())) > LARGEST_HEAD:
            raise HttpError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        is_old = self._parser.get_http_version() == "1.0"
        if "host" not in headers and not is_old:
            raise HttpError(HTTPStatus.BAD_REQUEST)
        method = self._parser.get_method().decode()
        self._request = request = Request(
            method, self._url.decode("utf-8", "surrogateescape"), headers, self, is_old=is_old
        )
        route, request.params = self._router.find(method, request.segments)
        request.handler = route.handler
        self._in_head = False
        self._room = route.largest_body - int(headers.get("content-length", 0))
        if self._room < 0:
            self._pass_on_unread()
        self._body: list[bytes] = []
        self._owes_continue = not is_old and headers.get("expect", "").lower() == "100-continue"

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body."""
        self._owes_continue = False
        if "content-length" not in self._headers:
            self._room -= len(body)
            if self._room < 0:
                self._pass_on_unread()
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Let the request wait for its turn."""
        self._request.body = b"".join(self._body)
        self._waiting.append(self._request)
        self._in_request = self._owes_continue = False
        if not self._parser.should_keep_alive():
            self._deaf = True

    # The way of a request

    def _read(self, data: bytes) -> None:
        """Parse what came."""
        self._heard_at = self._loop.time()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as found:
            self._stay(data[found.args[0] :])
        except httptools.HttpParserError as error:
            if not self._deaf:  # else it is about what comes behind the last request
                why = error.__context__
                self._refuse(why if isinstance(why, HttpError) else HttpError(HTTPStatus.BAD_REQUEST))
        if self._in_head and not self._deaf:
            self._head_octets += len(data)
            if self._head_octets > LARGEST_HEAD + _LARGEST_READ:
                self._refuse(HttpError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE))

    def _stay(self, rest: bytes) -> None:
        """Take a request to go over to another protocol as one that did not ask (RFC 9110, 7.8).

        The parser has taken its body for that other protocol, so it gets to see the request anew.
        """
        request = self._waiting.pop()
        if request.method == "CONNECT":  # there is nothing to see behind it but the other protocol
            self._waiting.append(request)
            self._deaf = True
            return
        self._parser = httptools.HttpRequestParser(self)
        lines = [f"{name}: {value}\r\n" for name, value in request.headers.items() if name != "upgrade"]
        again = f"{request.method} {request.target} HTTP/1.1\r\n{''.join(lines)}\r\n"
        self._deaf = False
        self._read(again.encode("utf-8", "surrogateescape") + rest)

    def _pass_on_unread(self) -> None:
        """Let a request wait for its turn without its body, and read nothing more."""
        self._waiting.append(self._request)
        self._deaf = self._lingers = True
        raise _EnoughError

    def _refuse(self, why: HttpError) -> None:
        """Answer what came last with a refusal, when its turn has come, and read nothing more."""
        self._refusal = why
        self._deaf = self._lingers = True

    def _go_on(self) -> None:
        """Answer what waits, until one answer has to be waited for."""
        while self._waiting and self.task is None and self._writable.is_set():
            self._serve(self._waiting.popleft())
        if self._transport.is_closing():
            return
        if self._waiting or not self._writable.is_set():
            self._transport.pause_reading()
        elif self.task is None and self._deaf:
            self._close()
        elif self.task is None:
            self._listen()

    def _serve(self, request: Request) -> None:
        """Answer a request, or begin to."""
        try:
            answer = self._answer(request)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the end of this request only
            answer = _failure(error)
        if isinstance(answer, Response) and isinstance(answer.body, bytes):
            self._send(request, answer)
        else:
            self.task = self._loop.create_task(self._serve_later(request, answer))

    async def _serve_later(self, request: Request, answer: Answer) -> None:
        try:
            response = answer if isinstance(answer, Response) else await answer
        except Exception as error:  # noqa: BLE001 - as above
            response = _failure(error)
        if isinstance(response.body, bytes):
            self._send(request, response)
        else:
            await self._stream(request, response, response.body)
        self.task = None
        self._go_on()

    def _send(self, request: Request, response: Response) -> None:
        if not self._transport.is_closing():
            connection = self._said_of_connection(request)
            self._transport.write(whole(response, to_head=request.method == "HEAD", connection=connection))
        if response.kept is not None:
            self._transport.close()

    async def _stream(self, request: Request, response: Response, pieces: Iterator[bytes]) -> None:
        """Send a body piece by piece; between two of them others get their turn."""
        self._deaf = self._deaf or request.is_old
        framing = "" if request.is_old else "Transfer-Encoding: chunked\r\n"
        self._transport.write(head(response, framing, self._said_of_connection(request)))
        for octets in pieces:
            if self._transport.is_closing():
                return
            self._transport.write(octets if request.is_old else piece(octets))
            await asyncio.sleep(0)
            await self._writable.wait()
        if not request.is_old:
            self._transport.write(LAST_PIECE)

    def _said_of_connection(self, request: Request) -> str:
        """What an answer says of the connection: that it is the last one, or, if it was asked, that it is not."""
        if self._deaf and not self._waiting and self._refusal is None:
            return "close"
        return "keep-alive" if "connection" in request.headers else ""

    def _listen(self) -> None:
        """Be ready for more of the same request, or for the next."""
        self._transport.resume_reading()
        if self._owes_continue:
            self._owes_continue = False
            self._transport.write(_CONTINUE)

    def _close(self) -> None:
        """Close; after a refusal not before the client could read it."""
        if self._lingering is not None:
            return
        if self._refusal is not None:
            self._transport.write(whole(_failure(self._refusal), to_head=False, connection="close"))
        if self._lingers and self._transport.can_write_eof():
            self._transport.write_eof()
            self._lingering = self._loop.call_later(LINGER_S, self._transport.abort)
        else:
            self._transport.close()


def _failure(error: Exception) -> Response:
    """The page that says that something is wrong with a request, or with us."""
    if not isinstance(error, HttpError):
        log.error("a handler failed", exc_info=error)
        error = HttpError(HTTPStatus.INTERNAL_SERVER_ERROR)
    return Response(error.status, f"{error.status}: {error}".encode(), "text/plain; charset=utf-8", error.headers)


@lru_cache(maxsize=512)
def _lower(name: bytes) -> str:
    """A header's name in lower case. Clients send the same over and over."""
    return name.lower().decode("ascii")
