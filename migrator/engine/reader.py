"""The reads that a run, a plan, a verification and an export share: a container, an object, the pages of a list.

Reads leave by the same throttle as writes: to the service they are requests like any other.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from msgspec import Struct

from migrator.core.errors import ServiceRefused, Stopped
from migrator.core.model import EntityType, Page, Response, Seen
from migrator.core.styles import Query, Style
from migrator.core.verdict import ErrorClass, Scope
from migrator.engine.wire import Refused, Wire


class Caller(Struct, frozen=True):
    """Who asks, and for what.

    Attributes:
        sandbox: the profile's sandbox.
        client_id: ours, by which the service names who created an object.
        marker: pointer to the member that makes each create of a run another one, "" if there is none.
    """

    sandbox: str
    client_id: str = ""
    marker: str = ""


class Reader:
    """Reads, again and again if need be, and says what it sees in the words of the core."""

    def __init__(self, wire: Wire, style: Style, caller: Caller) -> None:
        """Read through `wire`.

        Args:
            wire: sends.
            style: spells reads.
            caller: who asks.
        """
        self._wire = wire
        self.style = style
        self.caller = caller

    async def probe(self, container: str) -> None:
        """See whether a container is there and may be used.

        Raises:
            ServiceRefused: it is not, or may not.
            Stopped: patience ran out.
        """
        prefix = f"container {container} cannot be used: "
        try:
            answer = await self._wire.read(
                container,
                lambda request_id: self.style.probe(container, sandbox=self.caller.sandbox, request_id=request_id),
                Scope.RUN,
            )
        except (ServiceRefused, Stopped) as error:
            raise type(error)(f"{prefix}{error}", error.hint) from error
        if isinstance(answer, Refused):
            raise ServiceRefused(prefix + answer.message)

    async def see(self, container: str, type_: EntityType, object_id: str) -> Seen | Refused | None:
        """Read one object.

        Returns:
            The object; why it cannot be read; `None` if the run stops.
        """
        answer = await self._wire.read(
            container,
            lambda request_id: self.style.look(
                container, type_, object_id, sandbox=self.caller.sandbox, request_id=request_id
            ),
        )
        if not isinstance(answer, Response):
            return answer
        seen = self.style.seen(answer)
        return seen or Refused(ErrorClass.UNREADABLE, "the object cannot be read: no such document", answer.status)

    async def pages(
        self,
        container: str,
        type_: EntityType,
        query: Query = Query(),  # noqa: B008 (frozen)
    ) -> AsyncIterator[Page]:
        """Yield the pages of a list, from the first to the last; fewer if the run stops.

        Raises:
            Unlistable: the list cannot be read to its end.
        """
        pages = Pages(self, container, type_, query)
        while (page := await pages.next()) is not None:
            yield page

    async def count(self, container: str, type_: EntityType) -> int:
        """Return how many objects of a type there are; what the first page has, if the service does not tell.

        Raises:
            Unlistable: the list cannot be read.
        """
        async for page in self.pages(container, type_):
            return len(page.seen) if page.total is None else page.total
        return 0

    async def page(self, container: str, type_: EntityType, query: Query) -> Page | None:
        """Read one page of a list; `None` if the run stops.

        Raises:
            Unlistable: it cannot be read.
        """
        answer = await self._wire.read(
            container,
            lambda request_id: self.style.list(
                container, type_, query, sandbox=self.caller.sandbox, request_id=request_id
            ),
        )
        if answer is None:
            return None
        if isinstance(answer, Refused):
            raise Unlistable(answer.message)
        page = self.style.page(answer)
        if page is None:
            raise Unlistable("no such document")
        return page


class Pages:
    """The pages of a list, of which none is kept."""

    def __init__(self, reader: Reader, container: str, type_: EntityType, query: Query) -> None:
        """Begin before the first page."""
        self._reader = reader
        self._container = container
        self._type = type_
        self._query: Query | None = query
        self._followed: set[str] = set()

    async def next(self) -> Page | None:
        """Return the next page; `None` when there is none, or the run stops.

        Raises:
            Unlistable: the list cannot be read to its end.
        """
        if self._query is None:
            return None
        if self._query.after in self._followed:
            raise Unlistable("the list goes in circles")
        self._followed.add(self._query.after)
        page = await self._reader.page(self._container, self._type, self._query)
        self._query = Query(after=page.next) if page is not None and page.next else None
        return page


class Unlistable(Exception):
    """A list cannot be read to its end."""
