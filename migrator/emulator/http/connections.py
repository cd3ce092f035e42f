"""One connection: requests in, answers out, in order.

Whole requests wait in a queue and are answered one after the other, so that pipelined requests get their answers in
order (RFC 9112, 9.3.2). While some wait, or the client does not read its answers, nothing more is read from it.

When nothing more is to be read, the connection is closed as soon as what has been read is answered. A client that was
refused in the middle of a request may still be sending, and if the connection were closed under its hands, it would
lose the refusal with it (RFC 9112, 9.6): so then the connection lingers.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
import struct
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

from migrator.emulator.http.messages import HttpError, Request, Response
from migrator.emulator.http.reading import Reader
from migrator.emulator.http.writing import LAST_PIECE, head, piece, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from migrator.emulator.http.messages import Answer
    from migrator.emulator.http.routes import Router

LINGER_S = 1.0
"""Seconds for which a client that was refused may go on sending, to no effect, before it has to have read why."""

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""``SO_LINGER`` on, for 0 seconds: closing sends a reset."""

log = logging.getLogger(__name__)


class Connection(asyncio.BufferedProtocol):
    """The server's side of one connection.

    Args:
        router: the ways that requests can go.
        answer: what answers them, with their `handler`.
        others: the open connections of the server, for this one to enter and to leave.
        buffer: where octets are received; connections may share it, as what came is read before anything else happens.

    Attributes:
        closed: done when it is closed.
        task: what waits for an answer; None when none is waited for.
    """

    def __init__(
        self, router: Router, answer: Callable[[Request], Answer], others: set[Connection], buffer: memoryview
    ) -> None:
        self._buffer = buffer
        self._answer = answer
        self._others = others
        self._reader = Reader(router, self)
        self._loop = asyncio.get_running_loop()
        self._heard_at = 0.0
        self._writable = asyncio.Event()
        self._writable.set()
        self._lingering: asyncio.TimerHandle | None = None
        self.closed = self._loop.create_future()
        self.task: asyncio.Task[None] | None = None

    # What the server and the handlers call

    def finish(self) -> None:
        """Close as soon as the request that is being answered is answered."""
        self._reader.end()
        if self.task is None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once; a request that is being answered is given up."""
        if self.task is not None:
            self.task.cancel()
        self._transport.abort()

    def expire(self, before: float) -> None:
        """Refuse a request of which nothing has come since a moment of the event loop's clock."""
        if self._reader.is_midway and self._heard_at < before and self.task is None and not self._reader.is_done:
            self._reader.refuse(HTTPStatus.REQUEST_TIMEOUT)
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

    def get_buffer(self, sizehint: int) -> memoryview:
        """Lend the buffer."""
        del sizehint
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Read what came, and answer what is whole."""
        if not self._reader.is_done:
            self._heard_at = self._loop.time()
            self._reader.feed(self._buffer[:nbytes])
            self._go_on()

    def eof_received(self) -> bool:
        """The client has said all that it has to say. Whether it still has answers to get."""
        self._reader.is_done = True
        return self.task is not None or bool(self._reader.requests)

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
        self._reader.end()
        self._writable.set()
        self._others.discard(self)
        if self._lingering is not None:
            self._lingering.cancel()
        self.closed.set_result(None)

    # The way of a request

    def _go_on(self) -> None:
        """Answer what waits, until one answer has to be waited for."""
        reader = self._reader
        while reader.requests and self.task is None and self._writable.is_set():
            self._serve(reader.requests.popleft())
        if self._transport.is_closing():
            return
        if reader.requests or not self._writable.is_set():
            self._transport.pause_reading()
        elif self.task is None and reader.is_done:
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
            try:
                await self._stream(request, response, response.body)
            except Exception:
                log.exception("an answer broke off")
                self._transport.abort()
        self.task = None
        self._go_on()

    def _send(self, request: Request, response: Response) -> None:
        if self._transport.is_closing():
            return
        to_head, connection = request.method == "HEAD", self._said_of_connection(request)
        try:
            octets = whole(response, to_head=to_head, connection=connection)
        except ValueError as error:
            octets = whole(_failure(error), to_head=to_head, connection=connection)
        self._transport.write(octets)
        if response.kept is not None:
            self._transport.close()

    async def _stream(self, request: Request, response: Response, pieces: Iterator[bytes]) -> None:
        """Send a body piece by piece; between two of them others get their turn."""
        self._reader.is_done |= request.is_old  # it knows no other end of a body than that of the connection
        framing, framed = ("", bytes) if request.is_old else ("Transfer-Encoding: chunked\r\n", piece)
        last = b"" if request.is_old else LAST_PIECE
        top = head(response, framing, self._said_of_connection(request))
        for octets in itertools.chain([top], map(framed, pieces), [last]):
            if self._transport.is_closing():
                return
            self._transport.write(octets)
            await asyncio.sleep(0)
            await self._writable.wait()

    def _said_of_connection(self, request: Request) -> str:
        """What an answer says of the connection: that it is the last one, or, if it was asked, that it is not."""
        reader = self._reader
        if reader.is_done and not reader.requests and reader.refusal is None:
            return "close"
        return "keep-alive" if "connection" in request.headers else ""

    def _listen(self) -> None:
        """Be ready for more of the same request, or for the next."""
        self._transport.resume_reading()
        if self._reader.owes_continue:
            self._reader.owes_continue = False
            self._transport.write(_CONTINUE)

    def _close(self) -> None:
        """Close, after a refusal not before the client could read it."""
        if self._lingering is not None:
            return
        if self._reader.refusal is not None:
            self._transport.write(whole(_failure(self._reader.refusal), to_head=False, connection="close"))
        if self._reader.is_cut_short:
            self._transport.write_eof()
            self._transport.resume_reading()
            self._lingering = self._loop.call_later(LINGER_S, self._transport.abort)
        else:
            self._transport.close()


def _failure(error: Exception) -> Response:
    """The page that says that something is wrong with a request, or with us."""
    if not isinstance(error, HttpError):
        log.error("a request failed", exc_info=error)
        error = HttpError(HTTPStatus.INTERNAL_SERVER_ERROR)
    return Response(error.status, f"{error.status}: {error}".encode(), "text/plain; charset=utf-8", error.headers)
