"""What comes and what goes: requests and answers, and the handlers that make the one from the other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from functools import lru_cache, partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol
from urllib.parse import parse_qsl, unquote_to_bytes

from multidict import MultiDict, MultiDictProxy

if TYPE_CHECKING:
    from multidict import MultiMapping

    from migrator.emulator.observation import Exchange

Body = bytes | Iterator[bytes]
"""A body as a whole, or piece by piece; none of the pieces is empty."""


class HttpError(Exception):
    """A request that no handler can answer, or not as it is.

    Attributes:
        status: HTTP status of the answer.
        headers: headers of the answer.
    """

    def __init__(self, status: HTTPStatus, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status.phrase)
        self.status = status
        self.headers = headers or {}


class Response:
    """An answer.

    Args:
        status: HTTP status.
        body: its body.
        content_type: its ``Content-Type``; None for none.
        headers: its other headers.

    Attributes:
        headers: all of them, by name as it is written; those that say how the body is framed are not among them.
        kept: after how many octets of the body the connection breaks; None for not at all.
    """

    __slots__ = ("body", "headers", "kept", "status")

    def __init__(
        self,
        status: int = HTTPStatus.OK,
        body: Body = b"",
        content_type: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status = status
        self.body = body
        self.headers = {} if content_type is None else {"Content-Type": content_type}
        self.kept: int | None = None
        if headers:
            self.headers.update(headers)


class Line(Protocol):
    """What a request came by."""

    def hang_up(self, *, reset: bool) -> None:
        """Close the connection at once."""


class Request:
    """A request, and where it led.

    Attributes:
        method: the method, in capitals.
        target: what follows it, as it was sent.
        segments: the parts of the path between its slashes, decoded; the first one is empty.
        headers: values by name in lower case; those of one name are joined by commas.
        handler: what answers it.
        params: the segments that fill a route's places, by their names.
        exchange: what is noted of it by those who watch.
        is_old: whether it is of HTTP/1.0.
    """

    __slots__ = (
        "_body",
        "_line",
        "_query",
        "exchange",
        "handler",
        "headers",
        "is_old",
        "method",
        "params",
        "segments",
        "target",
    )

    def __init__(self, method: str, target: str, headers: Mapping[str, str], line: Line, *, is_old: bool) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.is_old = is_old
        self.handler: Handler
        self.params: Mapping[str, str]
        self.exchange: Exchange
        self._line = line
        self._body: bytes | None = None
        path, _, self._query = target.partition("?")
        self.segments = (path if path.startswith("/") else _without_host(path)).split("/")
        if "%" in path:
            self.segments = [_decoded(one) if "%" in one else one for one in self.segments]

    @property
    def path(self) -> str:
        """The path, decoded."""
        return "/".join(self.segments)

    @property
    def query(self) -> MultiMapping[str]:
        """The parameters of the query, decoded."""
        return _parameters(self._query)

    @property
    def body(self) -> bytes:
        """The body.

        Raises:
            HttpError: 413, it was too large to be read.
        """
        if self._body is None:
            raise HttpError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        return self._body

    @body.setter
    def body(self, body: bytes) -> None:
        self._body = body

    def hang_up(self, *, reset: bool = False) -> None:
        """Close the connection at once, and throw away what is still unsent on it.

        Args:
            reset: with a reset, so that the other side throws away what it has not read yet, too.
        """
        self._line.hang_up(reset=reset)


Answer = Response | Awaitable[Response]
"""An answer, or one that has to be waited for."""

Handler = Callable[[Request], Answer]
"""Answers requests. The first line of what it says of itself is shown to people."""


Proceed = Callable[[Request], Awaitable[Response]]
"""The way to an answer, from a middleware."""

Middleware = Callable[[Request, Proceed], Awaitable[Response]]
"""What is put around handlers: goes on with a request by the way that it is given, or answers otherwise."""


async def answered(handler: Handler, request: Request) -> Response:
    """Wait for a handler's answer, if it has to be waited for."""
    answer = handler(request)
    return answer if isinstance(answer, Response) else await answer


def around(handler: Handler, middlewares: Iterable[Middleware]) -> Handler:
    """A handler with middlewares around it, the first outermost."""
    for middleware in reversed(list(middlewares)):
        handler = _put_around(partial(answered, handler), middleware)
    return handler


def _put_around(proceed: Proceed, middleware: Middleware) -> Handler:
    return lambda request: middleware(request, proceed)


def _without_host(path: str) -> str:
    """The path of a target with a scheme and a host, which is what a proxy is sent (RFC 9112, 3.2.2)."""
    _, found, rest = path.partition("://")
    return f"/{rest.partition('/')[2]}" if found else path


def _decoded(segment: str) -> str:
    return unquote_to_bytes(segment).decode(errors="replace")


@lru_cache(maxsize=256)
def _parameters(query: str) -> MultiDictProxy[str]:
    """The parameters of a query. Clients send the same few over and over."""
    return MultiDictProxy(MultiDict(parse_qsl(query, keep_blank_values=True)))
