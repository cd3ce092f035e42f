"""Looking up what an input calls by another name than the service's ids, before its rows are merged.

People name offers and placements by their names, and xcore objects by the id that others refer to them by. Which rows
are for the same object is known only when all are told by the same id, so that this comes before the merge; and a name
that nothing, or more than one thing, is called by is an error of the input, told with its line before the first write.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping

import msgspec

from migrator.core.edit import is_placement_id, representation_for
from migrator.core.errors import ServiceRefused
from migrator.core.model import By, EntityType, Page, Problem, Seen, TextChange
from migrator.core.plan import name_in
from migrator.core.pointers import value_at
from migrator.core.styles import Query
from migrator.core.values import did_you_mean, quote
from migrator.engine import WORTH_A_LIST, Reader, Unlistable
from migrator.ledger.sought import Seeking, Sought

SHOWN = 10
"""Names that a message lists at the most."""


class LookUp:
    """Looks up what one plan seeks."""

    def __init__(self, sought: Sought, reader: Reader, *, create_missing: bool, concurrency: int) -> None:
        """Look up through `reader`.

        Args:
            sought: says what one plan seeks, and takes what is found.
            reader: reads.
            create_missing: whether a text that an offer does not have is to be added.
            concurrency: reads at a time.
        """
        self._sought = sought
        self._reader = reader
        self._create_missing = create_missing
        self._turns = asyncio.Semaphore(concurrency)

    async def run(self) -> None:
        """Look everything up. What is not found becomes a problem of the plan.

        Raises:
            ServiceRefused: the service refuses to be read.
            Stopped: patience ran out.
        """
        for seeking in self._sought.groups():
            await self._seek(seeking)
        self._sought.settle()
        for container in self._sought.text_containers():
            await self._find_placements(container)

    async def _seek(self, seeking: Seeking) -> None:
        if seeking.count >= WORTH_A_LIST and await self._walked(seeking):
            return
        try:
            async with asyncio.TaskGroup() as crew:
                for value in self._sought.values(seeking):
                    await self._turns.acquire()
                    crew.create_task(self._seek_one(seeking, value))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from errors  # what refuses one refuses them all

    async def _walked(self, seeking: Seeking) -> bool:
        """Take everything from the list, if that takes fewer requests than asking one by one; say whether it did."""
        try:
            async for page in self._reader.pages(seeking.container, seeking.type):
                if page.next and (page.total is None or page.total > seeking.count * len(page.seen)):
                    return False
                self._take(seeking, page)
        except Unlistable:
            return False
        return True

    async def _seek_one(self, seeking: Seeking, value: str) -> None:
        query = Query(name=value) if seeking.by is By.NAME else Query(reference=value)
        try:
            async for page in self._reader.pages(seeking.container, seeking.type, query):
                self._take(seeking, page)
        except Unlistable as error:
            message = f"{seeking.type} {quote(value)} cannot be looked up in container {seeking.container}: {error}"
            raise ServiceRefused(message, "name objects by their ids instead") from error
        finally:
            self._turns.release()

    def _take(self, seeking: Seeking, page: Page) -> None:
        by_name = seeking.by is By.NAME
        named = ((self._name_of(seen) if by_name else seen.reference, seen.object) for seen in page.seen)
        self._sought.found(seeking, [(value, object_) for value, object_ in named if value])

    def _name_of(self, seen: Seen) -> str:
        return name_in(value_at(seen.document, self._reader.style.root))

    # Placements

    async def _find_placements(self, container: str) -> None:
        """Give the texts of a container their placements by id, and what to add where an offer has none."""
        placements: dict[str, Seen] = {}
        by_name: defaultdict[str, list[str]] = defaultdict(list)
        try:
            async for page in self._reader.pages(container, EntityType.PLACEMENT):
                for seen in page.seen:
                    placements[seen.reference] = seen
                    by_name[self._name_of(seen)].append(seen.reference)
        except Unlistable as error:
            message = f"the placements of container {container} cannot be read: {error}"
            raise ServiceRefused(message, "name placements by their ids instead") from error

        def meant(placement: str, text: TextChange) -> TextChange | Problem:
            ids = [placement] if is_placement_id(placement) else by_name.get(placement, [])
            if len(ids) != 1:
                return _unclear(container, placement, ids, by_name)
            seen = placements.get(ids[0])
            missing = None
            if self._create_missing and seen is not None:
                style = self._reader.style
                missing = representation_for(ids[0], value_at(seen.document, style.root), style.texts)
            return msgspec.structs.replace(text, placement=ids[0], missing=missing)

        self._sought.reword(container, meant)


def _unclear(container: str, placement: str, ids: list[str], by_name: Mapping[str, list[str]]) -> Problem:
    if ids:
        message = f"{len(ids)} placements of container {container} are called {quote(placement)}: {', '.join(ids)}"
        return Problem(0, "placement", message, "name the one that is meant by its id")
    names = sorted(by_name)
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    held = f"it has {', '.join(names[:SHOWN])}{more}" if names else "it has none"
    message = f"container {container} has no placement called {quote(placement)}; {held}"
    return Problem(0, "placement", message, did_you_mean(placement, names))
