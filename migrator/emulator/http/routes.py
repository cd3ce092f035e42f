"""Which handler a method and a path lead to: a tree of path segments, walked once for each request."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import NamedTuple, NoReturn

from migrator.emulator.http.messages import Handler, HttpError, Request

LARGEST_BODY = 4 * 1024 * 1024
"""Octets of a body that are read, where a route does not say otherwise."""


class Route(NamedTuple):
    """One way to a handler.

    Attributes:
        method: the method.
        path: the path. A segment in braces is a place, which any text but the empty one fills.
        handler: what answers.
        largest_body: octets of a body that are read; a larger one is refused (413).
    """

    method: str
    path: str
    handler: Handler
    largest_body: float = LARGEST_BODY


class Router:
    """All routes.

    Args:
        routes: no two of them have method and path in common; where a path fits one with a place and one without, the
            latter counts.

    Attributes:
        routes: the same.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = list(routes)
        self._root = _Node()
        for route in self.routes:
            self._root.below(route.path.split("/")).routes[route.method] = route

    def find(self, method: str, segments: Sequence[str]) -> tuple[Route, dict[str, str]]:
        """Find the way of a request.

        Args:
            method: its method.
            segments: the decoded parts of its path between the slashes; the first one is empty.

        Returns:
            The way, to a handler that refuses if there is none, and what fills its places, by their names.
        """
        node = self._root
        params = {}
        for segment in segments:
            if segment in node.literals:
                node = node.literals[segment]
            elif segment and node.place is not None:
                node = node.place
                params[node.name] = segment
            else:
                return _NOWHERE, {}
        return node.routes.get(method) or node.otherwise(method), params


class _Node:
    """What lies at the end of a few segments."""

    __slots__ = ("literals", "name", "place", "routes")

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.literals: dict[str, _Node] = {}
        self.place: _Node | None = None
        self.routes: dict[str, Route] = {}

    def below(self, segments: Sequence[str]) -> _Node:
        """The node that lies so many segments further down; it is made if it is not there yet."""
        if not segments:
            return self
        first, rest = segments[0], segments[1:]
        if not first.startswith("{"):
            return self.literals.setdefault(first, _Node()).below(rest)
        if self.place is None:
            self.place = _Node(first[1:-1])
        assert self.place.name == first[1:-1]
        return self.place.below(rest)

    def otherwise(self, method: str) -> Route:
        """The way of a method that has none here."""
        if not self.routes:
            return _NOWHERE
        allowed = ", ".join(self.routes)

        def refuse(_: Request) -> NoReturn:
            raise HttpError(HTTPStatus.METHOD_NOT_ALLOWED, {"Allow": allowed})

        return Route(method, "", refuse)


def _nowhere(_: Request) -> NoReturn:
    raise HttpError(HTTPStatus.NOT_FOUND)


_NOWHERE = Route("", "", _nowhere)
