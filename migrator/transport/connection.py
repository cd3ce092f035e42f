"""One connection that speaks HTTP/1.1: a request, its answer, and perhaps another request.

The parsing is llhttp's, by httptools. What is added here is what a parser cannot know: which answer belongs to the
request, when a connection may carry another one, and what it means that it ends.

* Interim answers (1xx) are passed over. A 101 to a request that asked for no other protocol is a broken answer.
* An octet that nobody has asked for, behind an answer or between two requests, ends the connection: the next answer
  would be that of another request.
* An answer that comes while the request is still being sent is the answer, and the connection carries no other.
* An answer without a length ends with the connection (RFC 9112, 6.3).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import cast

import httptools

from migrator.core.model import Response
from migrator.transport.http import KEPT_HEADERS

LARGEST_HEAD = 1 << 15
"""Octets of an answer before its body, at the most; more are only found out with what is received next."""

_CODING = b"content-encoding"

_LENGTHS = frozenset({b"content-length", b"transfer-encoding"})
"""Either says where a body ends."""

_KEPT = frozenset(name.encode() for name in KEPT_HEADERS)

CUT = "the connection was closed before the answer was complete"


class Broken(OSError):
    """What came is no answer."""


class Connection(asyncio.BufferedProtocol):
    """The client's side of one connection.

    Attributes:
        spent: whether it can carry no other request.
        until: when the answer is overdue, or, between two requests, when the connection is to be dropped; seconds of
            the event loop's clock. Kept by whoever uses it.
    """

    def __init__(self, buffer: memoryview) -> None:
        """Receive into `buffer`, which connections may share: what came is parsed before anything else happens."""
        self.spent = False
        self.until = 0.0
        self._buffer = buffer
        self._parser = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[Response] | None = None
        self._head_octets = 0
        self.on_message_begin()

    async def exchange(self, octets: bytes) -> tuple[Response, str]:
        """Send a whole request and read its answer.

        Returns:
            The answer with those of `KEPT_HEADERS` that it has, and how its body is coded, "" for not at all.

        Raises:
            OSError: the connection broke, or what came is no answer.
        """
        self._head_octets = 0
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(octets)
        try:
            return await self._answer, self._coding
        finally:
            self._answer = None

    def end(self, error: Exception | None = None) -> None:
        """End the connection at once, and with it, by `error`, the request that waits for its answer."""
        self.spent = True
        self._transport.abort()
        if error is not None and self._waits:
            assert self._answer is not None
            self._answer.set_exception(error)

    @property
    def _waits(self) -> bool:
        return self._answer is not None and not self._answer.done()

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way out."""
        self._transport = cast(asyncio.Transport, transport)  # which that of uvloop is only in its ways

    def get_buffer(self, sizehint: int) -> memoryview:
        """Lend the buffer."""
        del sizehint
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Parse what came."""
        if not self._waits:
            self.end()
            return
        if self._head_octets > LARGEST_HEAD and not self._head_complete:
            self.end(Broken(f"an answer with more than {LARGEST_HEAD:,} octets of headers"))
            return
        try:
            self._parser.feed_data(self._buffer[:nbytes])
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.end(Broken(f"no answer in HTTP/1.1: {type(error).__name__}"))
        self._head_octets += 0 if self._head_complete else nbytes

    def eof_received(self) -> None:
        """The other side has said all that it has to say, and the transport closes itself."""
        if self._waits and self._head_complete and not self._has_length:
            self._complete()
        self.spent = True

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who waits that there will be no answer."""
        self.end(exc or ConnectionError(CUT))

    # What the parser calls

    def on_message_begin(self) -> None:
        """Begin an answer, which may be an interim one; behind the last one there must be none."""
        self.spent = self.spent or (self._answer is not None and self._answer.done())
        self._headers: dict[str, str] = {}
        self._coding = ""
        self._has_length = False
        self._body: list[bytes] = []
        self._head_complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep what somebody reads. Of what comes behind the body nothing is read."""
        name = name.lower()
        if self._head_complete:
            return
        if name in _LENGTHS:
            self._has_length = True
        elif name in _KEPT:
            self._headers.setdefault(name.decode(), value.decode(errors="surrogateescape"))
        elif name == _CODING:
            self._coding = value.decode(errors="replace").strip().lower()

    def on_headers_complete(self) -> None:
        """Note that the body begins."""
        self._head_complete = True

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Hand the answer over, unless it is an interim one."""
        self._head_complete = False
        if self._parser.get_status_code() >= 200:
            self.spent = self.spent or not self._parser.should_keep_alive()
            self._complete()

    def _complete(self) -> None:
        if self._answer is None or self._answer.done():
            return
        if self._transport.get_write_buffer_size():  # the request has not all left, and now need not
            self.spent = True
        status = self._parser.get_status_code()
        headers: Mapping[str, str] = self._headers if status >= 300 else {}
        self._answer.set_result(Response(status, headers, b"".join(self._body)))
