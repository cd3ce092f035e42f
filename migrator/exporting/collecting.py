"""Reading all that is wanted of the service's lists, each to its end, into a spool."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from msgspec import Struct

from migrator.core.edit import is_placement_id
from migrator.core.errors import ServiceRefused, UsageError
from migrator.core.model import EntityType
from migrator.core.plan import name_in
from migrator.core.pointers import value_at
from migrator.core.snapshot import line
from migrator.core.styles import Query
from migrator.core.values import did_you_mean, quote
from migrator.core.where import Condition, meets, pushed
from migrator.engine import Reader, Unlistable
from migrator.exporting.snapshots import Spool

WALKS = 3
"""How often a list is read that gives fewer objects than it says it has: others may have changed it meanwhile."""


class Wanted(Struct, frozen=True):
    """What to export.

    Attributes:
        containers: where from.
        types: of what.
        conditions: what objects must meet.
    """

    containers: Sequence[str]
    types: Sequence[EntityType]
    conditions: Sequence[Condition] = ()


Watch = Callable[[int], None]
"""Is told after each page how many objects it had."""


async def collect(reader: Reader, wanted: Wanted, spool: Spool, watch: Watch) -> None:
    """Read all that is wanted into `spool`.

    Raises:
        ServiceRefused: the service refuses to be read, or a list cannot be read to its end.
        Stopped: patience ran out.
    """
    for container in wanted.containers:
        await reader.probe(container)
        for type_ in wanted.types:
            await collect_list(reader, container, type_, spool, watch, wanted.conditions)


async def collect_list(
    reader: Reader,
    container: str,
    type_: EntityType,
    spool: Spool,
    watch: Watch,
    conditions: Sequence[Condition] = (),
) -> None:
    """Read one list into `spool`; as `collect`, of a container that was probed."""
    name = f"the list of type {type_} in container {container}"
    try:
        for _ in range(WALKS):
            total = await _walk(reader, container, type_, conditions, spool, watch)
            read = spool.count(container, type_)
            if total is None or read >= total:
                return
    except Unlistable as error:
        hint = "nothing was exported; try again, and see with -v what the service says"
        raise ServiceRefused(f"{name} cannot be read to its end: {error}", hint) from error
    message = f"{name} is said to have {total:,} objects, and gave {read:,} of them in {WALKS} readings"
    raise ServiceRefused(message, "nothing was exported; try again when others change less")


async def _walk(
    reader: Reader, container: str, type_: EntityType, conditions: Sequence[Condition], spool: Spool, watch: Watch
) -> int | None:
    """Read a list once; return how many objects its first page says that there are."""
    totals: list[int | None] = []
    async for page in reader.pages(container, type_, Query(where=pushed(conditions))):
        totals.append(page.total)
        for seen in page.seen:
            if not seen.object:
                raise Unlistable("an entry has no id")
            # A service may not know the conditions that it was asked for.
            met = meets(seen.document, conditions)
            spool.add(container, type_, seen.object, line(seen, container, type_, reader.style) if met else None)
        watch(len(page.seen))
    return totals[0] if totals else None


async def placements_called(reader: Reader, containers: Iterable[str], names: Collection[str]) -> frozenset[str]:
    """Return the ids of placements that are given by name or by id.

    Raises:
        UsageError: no placement has one of the names.
        ServiceRefused: they cannot be read.
    """
    ids = {name for name in names if is_placement_id(name)}
    if len(ids) == len(names):
        return frozenset(ids)
    by_name: dict[str, set[str]] = {}
    try:
        for container in containers:
            async for page in reader.pages(container, EntityType.PLACEMENT):
                for seen in page.seen:
                    name = name_in(value_at(seen.document, reader.style.root))
                    by_name.setdefault(name, set()).add(seen.reference)
    except Unlistable as error:
        hint = "name placements by their ids instead"
        raise ServiceRefused(f"the placements of container {container} cannot be read: {error}", hint) from error
    for name in set(names) - ids:
        if name not in by_name:
            raise UsageError(f"no placement is called {quote(name)}", did_you_mean(name, by_name))
        ids |= by_name[name]
    return frozenset(ids)
