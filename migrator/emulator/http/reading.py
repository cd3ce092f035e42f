"""Requests out of octets that come in pieces of any size."""

from __future__ import annotations

from collections import deque
from http import HTTPStatus
from typing import TYPE_CHECKING

import httptools

from migrator.emulator.http.messages import HttpError, Line, Request

if TYPE_CHECKING:
    from migrator.emulator.http.routes import Router

LARGEST_HEAD = 64 * 1024
"""Octets of a request before its body; with more it is refused (431)."""

LARGEST_READ = 64 * 1024
"""Octets that are received at once, at the most. So much of a request's first piece may belong to others."""


class _Names(dict[bytes, str]):
    """Names of headers as text in lower case. Clients send the same over and over."""

    def __missing__(self, name: bytes) -> str:
        lowered = name.lower().decode("ascii")
        if len(self) < _NAMES_KEPT:
            self[name] = lowered
        return lowered


_NAMES = _Names()
_NAMES_KEPT = 512


class _EnoughError(Exception):
    """The parser need not go on."""


class Reader:
    """Reads the requests of one connection.

    Args:
        router: the ways that requests can go.
        line: the connection.

    Attributes:
        requests: those that are whole, in order, for whoever answers them to take.
        refusal: what is wrong with what came behind them; None for nothing.
        is_done: whether it reads no more: the last request said that it is the last, or was refused, or nobody listens.
        is_midway: whether a request has come in part.
        is_cut_short: whether the client may still be sending what nobody reads.
        owes_continue: whether the client waits to be told to go on (RFC 9110, 10.1.1).
    """

    def __init__(self, router: Router, line: Line) -> None:
        self._router = router
        self._line = line
        self._parser = httptools.HttpRequestParser(self)
        self._in_head = False
        self.requests: deque[Request] = deque()
        self.refusal: HttpError | None = None
        self.is_done = False
        self.is_midway = False
        self.is_cut_short = False
        self.owes_continue = False

    def feed(self, data: bytes | memoryview) -> None:
        """Read what came."""
        rest: bytes | memoryview = data
        while rest and not self.is_done:
            rest = self._parse(rest)
        if self._in_head and not self.is_done:
            self._raw_octets += len(data)
            if self._raw_octets > LARGEST_HEAD + LARGEST_READ:
                self.refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def refuse(self, status: HTTPStatus) -> None:
        """Have a refusal behind all whole requests, and read no more."""
        self.refusal = HttpError(status)
        self.is_done = self.is_cut_short = True

    def end(self) -> None:
        """Read no more, and forget what nobody has taken yet."""
        self.is_done = True
        self.requests.clear()

    def _parse(self, data: bytes | memoryview) -> bytes:
        """Have octets parsed, and return those that the parser wants to see anew."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as found:
            return self._without_upgrade() + bytes(data[found.args[0] :])
        except httptools.HttpParserError as error:
            if not self.is_done:  # else it is about what comes behind the last request
                why = error.__context__
                self.refuse(why.status if isinstance(why, HttpError) else HTTPStatus.BAD_REQUEST)
        return b""

    def _without_upgrade(self) -> bytes:
        """The head of a request to go over to another protocol, as if it had not asked (RFC 9110, 7.8).

        The parser took it for whole, and what follows for the other protocol.
        """
        request = self.requests[-1]
        if request.method == "CONNECT":  # what follows is nothing else
            self.is_done = True
            return b""
        self.requests.pop()
        self.is_done = False
        self._parser = httptools.HttpRequestParser(self)
        lines = [f"{name}: {value}\r\n" for name, value in request.headers.items() if name != "upgrade"]
        head = f"{request.method} {request.target} HTTP/1.1\r\n{''.join(lines)}\r\n"
        return head.encode("utf-8", "surrogateescape")

    def _pass_on_unread(self) -> None:
        """Take a request for whole although its body is too large to be read."""
        self.requests.append(self._request)
        self.is_done = self.is_cut_short = True
        raise _EnoughError

    # What the parser calls

    def on_message_begin(self) -> None:
        """Begin a request."""
        self.is_midway = self._in_head = True
        self._octets = self._raw_octets = 0
        self._target = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []

    def on_url(self, piece: bytes) -> None:
        """Keep a piece of the target."""
        self._target += piece

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header. One that comes behind the body is too late to be looked at."""
        headers, key, text = self._headers, _NAMES[name], value.decode("utf-8", "surrogateescape").rstrip()
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
        self._octets += len(name) + len(value)

    def on_headers_complete(self) -> None:
        """Find out where the request leads, and whether its body is wanted."""
        self._in_head = False
        headers, target = self._headers, self._target.decode("utf-8", "surrogateescape")
        self._headers = {}
        if self._octets + len(target) > LARGEST_HEAD:
            raise HttpError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        is_old = self._parser.get_http_version() == "1.0"
        if "host" not in headers and not is_old:
            raise HttpError(HTTPStatus.BAD_REQUEST)
        method = self._parser.get_method().decode()
        self._request = request = Request(method, target, headers, self._line, is_old=is_old)
        route, request.params = self._router.find(method, request.segments)
        request.handler = route.handler
        self._room = route.largest_body
        if int(headers.get("content-length", 0)) > self._room:
            self._pass_on_unread()
        self.owes_continue = not is_old and headers.get("expect", "").lower() == "100-continue"

    def on_body(self, piece: bytes) -> None:
        """Keep a piece of the body."""
        self.owes_continue = False
        self._room -= len(piece)
        if self._room < 0:
            self._pass_on_unread()
        self._body.append(piece)

    def on_message_complete(self) -> None:
        """Take the request for whole."""
        self._request.body = b"".join(self._body)
        self.requests.append(self._request)
        self.is_midway = self.owes_continue = False
        if not self._parser.should_keep_alive():
            self.is_done = True
