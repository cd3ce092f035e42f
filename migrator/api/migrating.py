"""Migrations: both ends read, the copies planned, and in the end compared with what they are of."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from migrator.api.planning import new_run
from migrator.api.service import reading
from migrator.api.target import target_of
from migrator.clock import SystemClock
from migrator.core.copying import Marks
from migrator.core.errors import ServiceRefused
from migrator.core.mapping import Context, Report
from migrator.core.styles import STYLES, Style
from migrator.engine import Reader
from migrator.exporting.collecting import Watch, collect_list
from migrator.exporting.snapshots import Origin, Spool
from migrator.ledger.folder import RunFolder, Runs
from migrator.ledger.reading import ends, id_map, read_run
from migrator.migrating.catalogue import Catalogue
from migrator.migrating.comparing import Comparison, End
from migrator.migrating.copies import Migration, draft_migration
from migrator.migrating.route import LONGEST_FIRST, Route
from migrator.migrating.selecting import Selection
from migrator.planning.draft import Draft
from migrator.settings import Settings


def _route_of(run: RunFolder) -> Route:
    """Return from where to where the migration `run` goes."""
    record = read_run(run.ledger)
    source, target = ends(run.ledger)
    return Route(STYLES[str(record.migrates)], STYLES[record.style], source, target)


@contextmanager
def new_spools(route: Route, settings: Settings) -> Iterator[tuple[Spool, Spool]]:
    """Yield what takes the objects of the source and of the target; nothing stays of it."""
    with tempfile.TemporaryDirectory(prefix="migrator-") as folder:

        def spool(side: str, style: Style) -> Spool:
            of = (SystemClock.now(), style.name, settings.base_url, settings.org_id, settings.sandbox)
            return Spool(Path(folder) / f"{side}.sqlite", Origin(side, *of))

        with spool("source", route.from_) as source, spool("target", route.to) as target:
            yield source, target


@contextmanager
def _catalogues(spools: tuple[Spool, Spool]) -> Iterator[tuple[Catalogue, Catalogue]]:
    """Yield all that the source has and all that the target has; nothing stays of it."""
    with (
        tempfile.TemporaryDirectory(prefix="migrator-") as folder,
        Catalogue(Path(folder) / "from.sqlite", spools[0]) as source,
        Catalogue(Path(folder) / "to.sqlite", spools[1]) as target,
    ):
        yield source, target


def _new_marks() -> Marks:
    """Return marks that no object of any library has in it."""
    return Marks(f"{os.urandom(8).hex()} ")


async def read_both(settings: Settings, route: Route, spools: tuple[Spool, Spool], watch: Watch) -> None:
    """Read all objects of both ends of a route.

    Args:
        settings: where they are.
        route: the ends.
        spools: take the objects.
        watch: is told what has been read.

    Raises:
        ServiceRefused: one of them refuses to be read, or is gone.
        Stopped: patience ran out.
    """
    async with reading(settings, route.from_, route.to) as readers:
        await _collect_both(readers, route, spools, watch, settings.concurrency)


async def _collect_both(
    readers: Sequence[Reader], route: Route, spools: tuple[Spool, Spool], watch: Watch, concurrency: int
) -> None:
    """Read the lists of both ends, so many at a time; of each list, a page names the next."""
    ends = list(zip(readers, (route.source, route.target), spools, strict=True))
    lists = ((*end, type_) for type_ in LONGEST_FIRST for end in ends)

    async def work() -> None:
        for reader, container, spool, type_ in lists:
            await collect_list(reader, container, type_, spool, watch)

    with _refused_as_a_whole():
        async with asyncio.TaskGroup() as crew:
            for reader, container, _ in ends:
                crew.create_task(reader.probe(container))
        async with asyncio.TaskGroup() as crew:
            for _ in range(concurrency):
                crew.create_task(work())


@contextmanager
def _refused_as_a_whole() -> Iterator[None]:
    """Raise the first of several errors: any is reason enough."""
    try:
        yield
    except ExceptionGroup as errors:
        first = errors.exceptions[0]
        if isinstance(first, ServiceRefused):
            hint = "nothing was written; see that the container is there and that your credentials may read it"
            raise ServiceRefused(str(first), hint) from errors
        raise first from errors


@contextmanager
def migrate(
    settings: Settings,
    route: Route,
    selection: Selection,
    spools: tuple[Spool, Spool],
    context: Context,
    tell: Callable[[int, Report], None],
    *,
    run_id: str | None = None,
) -> Iterator[tuple[RunFolder, Draft, Migration]]:
    """Plan a run that makes the objects of one end of a route anew in the other; accept the draft to keep it.

    Args:
        settings: of the run, with the style that is written.
        route: from where to where.
        selection: which objects.
        spools: what `read_both` has read.
        context: what a user's id map resolves, and what may be lost.
        tell: is told each loss, with the line of its object.
        run_id: what to call the run; made from the time if `None`.

    Raises:
        UsageError: nothing is as the selection names it.
    """
    with (
        _catalogues(spools) as (source, target),
        new_run(Runs(settings.runs), run_id) as run,
        draft_migration(target_of(settings), run.ledger, run.id) as draft,
    ):
        migration = Migration(route, selection, source, target, context=context, marks=_new_marks(), tell=tell)
        migration.plan(draft)
        draft.merge()
        yield run, draft, migration


@asynccontextmanager
async def compare(run: RunFolder, settings: Settings) -> AsyncIterator[Comparison]:
    """Read both ends of the migration `run`, to compare what it has made with its source as that is now.

    Args:
        run: a migration.
        settings: those that `resumed` gives back for it.

    Raises:
        LedgerFailed: the ledger cannot be read.
        ServiceRefused: one of the ends refuses to be read, or is gone.
        Stopped: patience ran out.
    """
    route = _route_of(run)
    with new_spools(route, settings) as spools:
        async with reading(settings, route.from_, route.to) as readers:
            await _collect_both(readers, route, spools, lambda _: None, settings.concurrency)
            with _catalogues(spools) as (source, target), id_map(run.ledger) as targets:
                here, there = End(readers[0], source), End(readers[1], target)
                yield Comparison(run.ledger, targets, here, there, _new_marks())
