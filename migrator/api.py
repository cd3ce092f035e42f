"""The program as a library, and the only place where its parts are wired together.

A run in three calls::

    settings = load({"style": "dps", "sandbox": "dev", ...})
    with plan(Input(Path("changes.csv"), "changes.csv"), settings) as (run, draft):   # checks everything
        await look_up(draft, settings) if draft.seeks else draft.merge()              # may read, and sends nothing
        draft.accept(...)
    summary = await execute(run, settings)

`resume` is `execute` with the settings that `resumed` gives back.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    ExitStack,
    asynccontextmanager,
    contextmanager,
    nullcontext,
    suppress,
)
from enum import Enum
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from migrator import __version__
from migrator.clock import SystemClock
from migrator.core.copying import Marks
from migrator.core.errors import MigratorError, ServiceRefused, UsageError
from migrator.core.limits import share_of
from migrator.core.mapping import Context, Report
from migrator.core.model import Doubt, EntityType
from migrator.core.states import IN_DOUBT, OPEN, State
from migrator.core.styles import STYLES, Style
from migrator.core.verdict import ErrorClass
from migrator.engine import Caller, Decide, Decision, Engine, Reader, Unlistable, Verification, Wire, hold
from migrator.exporting.collecting import Wanted, Watch, collect, placements_called
from migrator.exporting.snapshots import Origin as Export
from migrator.exporting.snapshots import Spool
from migrator.ledger import savedplan
from migrator.ledger.checklist import Checklist
from migrator.ledger.conditions import Chosen, applied, failed
from migrator.ledger.database import check_sqlite
from migrator.ledger.folder import RunFolder, Runs, new_run_id
from migrator.ledger.reading import Summary, ends, read_run, summarize, taken_up
from migrator.ledger.records import Origin, RunRecord
from migrator.ledger.runledger import RunLedger
from migrator.logs import log
from migrator.migrating.catalogue import Catalogue
from migrator.migrating.comparing import Comparison, End
from migrator.migrating.copies import Migration, draft_migration
from migrator.migrating.route import ORDER, Route
from migrator.migrating.selecting import Selection
from migrator.planning.draft import Draft, Input, Target, draft_after, draft_plan
from migrator.planning.lookup import LookUp
from migrator.ports import Choice
from migrator.settings import Settings, load, require_target
from migrator.sources.octets import open_octets
from migrator.transport.credentials import ClientCredentials, Credentials, ReadyToken
from migrator.transport.http import HttpTransport, open_session
from migrator.transport.throttle import Throttle

__all__ = [
    "Choice",
    "Decide",
    "Decision",
    "Draft",
    "Input",
    "Origin",
    "Running",
    "Settings",
    "Summary",
    "Verification",
    "Work",
    "applied",
    "execute",
    "load",
    "plan",
    "resumed",
    "retry",
    "rollback",
    "validate",
    "verify",
]

LEASE_TIMEOUTS = 4
"""The lease of a run in request timeouts: a request that leaves in the first half of it has ended long before it."""

TARGET = ("style", "base_url", "org_id", "sandbox", "marker")
"""The settings that shape every request: a resume must have them as they were."""


def target_of(settings: Settings) -> Target:
    """Return where a run with `settings` goes."""
    return Target(
        STYLES[settings.style],
        settings.base_url,
        settings.org_id,
        settings.sandbox,
        settings.marker,
        settings.create_missing,
    )


@contextmanager
def validate(source: Input, settings: Settings) -> Iterator[Draft]:
    """Check an input without sending anything or keeping anything.

    Yields:
        The draft: ask it for its problems and counts.

    Raises:
        InputError: the file as a whole cannot be used.
    """
    check_sqlite()
    with (
        tempfile.TemporaryDirectory(prefix="migrator-") as folder,
        draft_plan(source, target_of(settings), Path(folder) / "ledger.sqlite", "validate") as draft,
    ):
        draft.merge()
        yield draft


@contextmanager
def plan(source: Input, settings: Settings, *, run_id: str | None = None) -> Iterator[tuple[RunFolder, Draft]]:
    """Check an input and plan a run of it.

    If the draft seeks something, `look_up` does so and merges it; otherwise call its `merge`. Accept it to keep it.

    Args:
        source: the input.
        settings: where it goes.
        run_id: what to call the run; made from the time if `None`.

    Yields:
        The run's folder, and the draft: call its `accept` in the end, or nothing stays.
    """
    require_target(settings)
    with (
        _new_run(Runs(settings.ledger), run_id or new_run_id(SystemClock.now())) as run,
        draft_plan(source, target_of(settings), run.ledger, run.id) as draft,
    ):
        yield run, draft


@contextmanager
def preview(source: Input, settings: Settings) -> Iterator[tuple[RunFolder, Draft]]:
    """Check an input and plan a run of it that is only to be looked at: `execute` it with `Work.SURVEY`.

    It may be saved by `save_plan`; otherwise nothing stays of it.

    Yields:
        The run's folder, and the draft, as `plan` does.
    """
    with tempfile.TemporaryDirectory(prefix="migrator-") as folder:
        elsewhere = settings.model_copy(update={"ledger": Path(folder) / "runs"})
        with plan(source, elsewhere) as planned:
            yield planned


def save_plan(run: RunFolder, path: Path) -> None:
    """Make the file `path` a plan of a run that was surveyed; the run is gone then.

    Raises:
        UsageError: it cannot be written.
    """
    savedplan.save(run.ledger, path, SystemClock.now())


def plan_target(path: Path, flags: Mapping[str, Any], profile: str | None = None) -> Settings:
    """Return the settings to carry out the saved plan `path` with, see `resumed`.

    Raises:
        UsageError: it is damaged, was edited, is of another version, or goes somewhere else than the settings say.
    """
    savedplan.check(path)
    return _as_planned(path, f"plan {path}", flags, profile, "give the settings it was made with, or plan anew")


@contextmanager
def planned(path: Path, settings: Settings, *, run_id: str | None = None) -> Iterator[RunFolder]:
    """Make a run of the saved plan `path`.

    Args:
        path: a plan that `plan_target` has found good.
        settings: those that it gave back.
        run_id: what to call the run; made from the time if `None`.
    """
    now = SystemClock.now()
    record = read_run(path)
    with _new_run(Runs(settings.ledger), run_id or new_run_id(now)) as run:
        remembered = msgspec.json.encode(settings.remembered() | {Origin.PLAN.value: str(path)}).decode()
        savedplan.carry(
            path, run.ledger, msgspec.structs.replace(record, id=run.id, created_at=now, settings=remembered)
        )
        yield run


@contextmanager
def retry(
    earlier: RunFolder, settings: Settings, classes: Collection[ErrorClass] = ()
) -> Iterator[tuple[RunFolder, Draft]]:
    """Plan a run that sends what failed in `earlier` again; accept the draft to keep it, as the settings of a retry.

    What is final stays final: the earlier run is not touched.

    Args:
        earlier: a run.
        settings: those that `resumed` gives back for it.
        classes: what the rows may have failed with; anything if there are none.

    Yields:
        The new run's folder, beside that of `earlier`, and the draft, which may be empty.
    """
    with _after(earlier, "retry", settings) as (run, draft):
        draft.read_failed(earlier.ledger, failed(classes))
        yield run, draft


@contextmanager
def rollback(
    earlier: RunFolder, settings: Settings, chosen: Chosen, *, recreate: bool = False
) -> Iterator[tuple[RunFolder, Draft]]:
    """Plan a run that undoes what was applied in `earlier`; accept the draft to keep it, as the settings of a rollback.

    Args:
        earlier: a run, of which nothing is in doubt.
        settings: those that `resumed` gives back for it.
        chosen: what of it is to be undone: see `applied`.
        recreate: whether to create anew what was deleted.

    Yields:
        The new run's folder, beside that of `earlier`, and the draft, which may be empty; its file says what cannot be
        undone.
    """
    with _after(earlier, "rollback", settings) as (run, draft):
        draft.read_applied(earlier.ledger, chosen, recreate=recreate)
        yield run, draft


@contextmanager
def _after(earlier: RunFolder, what: str, settings: Settings) -> Iterator[tuple[RunFolder, Draft]]:
    """Begin a run that is called after `earlier` and takes up steps of it."""
    runs = Runs(earlier.path.parent)
    names = (f"{earlier.id}.{what}-{number}" for number in count(1))
    with (
        _new_run(runs, next(name for name in names if not (runs.path / name).exists())) as run,
        draft_after(earlier.ledger, target_of(settings), run.ledger) as draft,
    ):
        yield run, draft


async def look_up(draft: Draft, settings: Settings) -> None:
    """Look up what a draft seeks, and merge it.

    Raises:
        ServiceRefused: the service refuses to be read.
        Stopped: patience ran out.
    """
    async with _reading_before(settings) as reader:
        looking = LookUp(
            draft.file.sought, reader, create_missing=settings.create_missing, concurrency=settings.concurrency
        )
        await looking.run()
    draft.merge()


async def refuse_too_many(changes: Mapping[tuple[str, EntityType], int], settings: Settings) -> None:
    """Refuse to change more objects than `max_changes` allows.

    A share is one of the objects of a type in a container: how many there are is asked of the service.

    Args:
        changes: how many objects would be changed, by container and type.
        settings: what is allowed.

    Raises:
        UsageError: it does.
        ServiceRefused: the service refuses to be read.
        Stopped: patience ran out.
    """
    most = share_of(settings.max_changes)
    hint = "is it the right file? --max-changes allows more"
    if most.number is not None and (total := sum(changes.values())) > most.number:
        raise UsageError(f"{total:,} objects would be changed, and --max-changes allows {most.number:,}", hint)
    if most.share is None:
        return
    async with _reading_before(settings) as reader:
        for (container, type_), count in changes.items():
            there = await _count(reader, container, type_)
            # Rounded, since 0.29 × 100 is a little less than 29 in floating point.
            if count > round(most.share * there, 6):
                message = f"{count:,} of {there:,} objects of type {type_} in container {container} would be changed"
                raise UsageError(f"{message}, and --max-changes allows {settings.max_changes}", hint)


async def _count(reader: Reader, container: str, type_: EntityType) -> int:
    try:
        return await reader.count(container, type_)
    except Unlistable as error:
        message = f"how many objects of type {type_} are in container {container} is not to be told: {error}"
        raise ServiceRefused(message, "give a number instead of a share: --max-changes N") from error


@asynccontextmanager
async def reading(settings: Settings) -> AsyncIterator[Reader]:
    """Open the way to the service for reads alone."""
    async with _reading(settings, _throttle(settings)) as reader:
        yield reader


@asynccontextmanager
async def _reading_before(settings: Settings) -> AsyncIterator[Reader]:
    """Open the way for reads that more requests are to follow, which then do not add up to more than the limit."""
    throttle = _throttle(settings)
    async with _reading(settings, throttle) as reader:
        yield reader
    await throttle.empty()


@asynccontextmanager
async def _reading(settings: Settings, throttle: Throttle) -> AsyncIterator[Reader]:
    async with _transport(settings) as transport:
        wire = Wire(transport=transport, throttle=throttle, clock=SystemClock(), policy=settings.policy)
        yield Reader(wire, STYLES[settings.style], Caller(settings.sandbox, settings.client_id, settings.marker))


async def read_both(settings: Settings, route: Route, source: Spool, target: Spool, watch: Watch) -> None:
    """Read all objects of both ends of a route.

    Raises:
        ServiceRefused: one of them refuses to be read, or is gone.
        Stopped: patience ran out.
    """
    async with _both_ends(settings, route) as readers:
        await _collect_both(readers, route, (source, target), watch)


@asynccontextmanager
async def _both_ends(settings: Settings, route: Route) -> AsyncIterator[tuple[Reader, Reader]]:
    """Open the way to both ends: one way to the service, since together they keep the rate."""
    throttle = _throttle(settings)
    async with _transport(settings) as transport:
        wire = Wire(transport=transport, throttle=throttle, clock=SystemClock(), policy=settings.policy)
        caller = Caller(settings.sandbox, settings.client_id)
        yield Reader(wire, route.from_, caller), Reader(wire, route.to, caller)
    await throttle.empty()  # so that a run that follows does not add up with it to more than the limit


async def _collect_both(
    readers: tuple[Reader, Reader], route: Route, spools: tuple[Spool, Spool], watch: Watch
) -> None:
    try:
        async with asyncio.TaskGroup() as crew:
            for reader, container, spool in zip(readers, (route.source, route.target), spools, strict=True):
                crew.create_task(collect(reader, Wanted([container], ORDER), spool, watch))
    except ExceptionGroup as errors:
        first = errors.exceptions[0]  # either is reason enough
        if isinstance(first, ServiceRefused):
            hint = "nothing was written; see that the container is there and that your credentials may read it"
            raise ServiceRefused(str(first), hint) from errors
        raise first from errors


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
    route = route_of(run)
    with tempfile.TemporaryDirectory(prefix="migrator-") as name:
        folder = Path(name)
        async with _both_ends(settings, route) as readers:
            spools = new_spools(folder, route, settings)
            await _collect_both(readers, route, spools, lambda _: None)
            with (
                Catalogue(folder / "from.sqlite", spools[0]) as source,
                Catalogue(folder / "to.sqlite", spools[1]) as target,
            ):
                yield Comparison(run.ledger, End(readers[0], source), End(readers[1], target), new_marks())


def route_of(run: RunFolder) -> Route:
    """Return from where to where the migration `run` goes."""
    record = read_run(run.ledger)
    source, target = ends(run.ledger)
    return Route(STYLES[str(record.migrates)], STYLES[record.style], source, target)


def new_spools(folder: Path, route: Route, settings: Settings) -> tuple[Spool, Spool]:
    """Return what takes the objects of the source and of the target, as files in `folder`."""

    def spool(side: str, style: Style) -> Spool:
        of = (SystemClock.now(), style.name, settings.base_url, settings.org_id, settings.sandbox)
        return Spool(folder / f"{side}.sqlite", Export(side, *of))

    return spool("source", route.from_), spool("target", route.to)


def new_marks() -> Marks:
    """Return marks that no object of any library has in it."""
    return Marks(f"{os.urandom(8).hex()} ")


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
        tempfile.TemporaryDirectory(prefix="migrator-") as folder,
        Catalogue(Path(folder) / "from.sqlite", spools[0]) as source,
        Catalogue(Path(folder) / "to.sqlite", spools[1]) as target,
        _new_run(Runs(settings.ledger), run_id or new_run_id(SystemClock.now())) as run,
        draft_migration(target_of(settings), run.ledger, run.id) as draft,
    ):
        migration = Migration(route, selection, source, target, context=context, marks=new_marks(), tell=tell)
        migration.plan(draft)
        draft.merge()
        yield run, draft, migration


def _throttle(settings: Settings) -> Throttle:
    return Throttle(rate=settings.rate, container_rate=settings.container_rate)


@asynccontextmanager
async def verify(run: RunFolder, settings: Settings) -> AsyncIterator[Verification]:
    """Open the way to what `run` has written, to read it back; the run may be running, and its ledger is only read.

    Args:
        run: the run.
        settings: those that `resumed` gives back for it.

    Yields:
        The verification: its `findings` are what is not as it was written, its `tally` counts the rest, too.

    Raises:
        LedgerFailed: the ledger cannot be read.
    """
    with Checklist.opened(run.ledger) as checklist:
        async with reading(settings) as reader:
            yield Verification(checklist, reader, concurrency=settings.concurrency)


async def export(
    settings: Settings, wanted: Wanted, spool: Spool, watch: Watch, placements: Collection[str] = ()
) -> Collection[str]:
    """Read objects into a spool.

    Args:
        settings: where from.
        wanted: which.
        spool: takes them.
        watch: is told what has been read.
        placements: names or ids of placements to look up.

    Returns:
        The ids of `placements`.

    Raises:
        ServiceRefused: the service refuses to be read, or a list cannot be read to its end.
        Stopped: patience ran out.
        UsageError: there is no such placement.
    """
    async with reading(settings) as reader:
        found = await placements_called(reader, wanted.containers, placements)
        await collect(reader, wanted, spool, watch)
        return found


def accept_after(draft: Draft, run: RunFolder, earlier: RunFolder, settings: Settings, origin: Origin) -> None:
    """Make a draft of `retry` or `rollback` a run, which names the run that it is from."""
    remembered = settings.remembered() | {origin.value: earlier.id}
    draft.accept(run.id, read_run(earlier.ledger).input, remembered, SystemClock.now())


def earlier_retry(run: RunFolder, classes: Collection[ErrorClass]) -> Summary | None:
    """Return the newest run that sends failed rows of `run` again and has not failed with all of them in its turn.

    It may be a retry of a retry: whose failed rows these are is told by the ids, and that it is one by its record.

    Raises:
        MigratorError: the ledger of one cannot be read, so that nobody knows.
    """
    return _earlier_taking_up(run, "retry", failed(classes), lambda later: later.retries is not None)


def earlier_rollback(run: RunFolder, chosen: Chosen) -> Summary | None:
    """Return the newest run that undoes what is chosen of `run`, or some of it, and has not failed with all of that.

    Raises:
        MigratorError: the ledger of one cannot be read, so that nobody knows.
    """
    return _earlier_taking_up(run, "rollback", chosen, lambda later: later.rolls_back == run.id)


def _earlier_taking_up(
    run: RunFolder, what: str, chosen: Chosen, is_one: Callable[[RunRecord], bool]
) -> Summary | None:
    for later in reversed(Runs(run.path.parent).all()):
        if later.id.startswith(f"{run.id}.{what}-") and is_one(read_run(later.ledger)):
            stand = taken_up(run.ledger, later.ledger, chosen)
            if stand.keys() - {State.REJECTED}:
                return summarize(later.ledger)
    return None


@contextmanager
def _new_run(runs: Runs, run_id: str) -> Iterator[RunFolder]:
    """Make the folder of a run; without a ledger in the end, nothing stays of it."""
    check_sqlite()
    run = runs.create(run_id)
    try:
        yield run
    finally:
        if not run.ledger.exists():
            run.remove()


def earlier_run(fingerprint: str, settings: Settings) -> Summary | None:
    """Return the newest run that did, or began, exactly what a plan of that fingerprint would do again."""
    for run in reversed(Runs(settings.ledger).all()):
        # A ledger of another version, or a broken one, says nothing about this plan.
        with suppress(MigratorError):
            if read_run(run.ledger).fingerprint == fingerprint:
                return summarize(run.ledger)
    return None


def resumed(run: RunFolder, flags: Mapping[str, Any], profile: str | None = None) -> Settings:
    """Return the settings to go on with: those of the run, under what flags and the environment say now.

    Secrets are not among those of the run. They come from the environment, or from where the profile says: the run's
    own profile if no other is named.

    Raises:
        UsageError: they would send the rest of the run somewhere else.
    """
    hint = "unset MIGRATOR_{NAME}, or begin a new run with `migrator apply`"
    return _as_planned(run.ledger, f"run {run.id}", flags, profile, hint)


def _as_planned(ledger: Path, name: str, flags: Mapping[str, Any], profile: str | None, hint: str) -> Settings:
    """Return the settings that a ledger was planned with, under what flags and the environment say now."""
    stored = msgspec.json.decode(read_run(ledger).settings)
    began_with = stored.pop("profile", None)
    for origin in Origin:
        stored.pop(origin, None)
    settings = load(flags, profile=profile or began_with, job=stored)
    for setting in TARGET:
        before, now = stored.get(setting, ""), getattr(settings, setting)  # a marker is newer than some ledgers
        if before != now:
            message = f"{name} goes to {setting} {before!r}, and the settings now say {now!r}"
            raise UsageError(message, hint.replace("{NAME}", setting.upper()))
    require_target(settings)
    return settings


def check_same_input(run: RunFolder, path: Path) -> None:
    """Refuse a file that is not the one `run` was planned from.

    Raises:
        UsageError: it is another.
    """
    planned = read_run(run.ledger)
    with ExitStack() as stack:
        octets = open_octets(path, stack)
        octets.drain()
    if octets.sha256 != planned.input_sha256:
        message = f"{path} is not the input of run {run.id}, which was planned from {planned.input}"
        hint = (
            f"`migrator resume {run.id}` alone goes on with what was planned; `migrator apply {path}` begins a new run"
        )
        raise UsageError(message, hint)


class Work(Enum):
    """What to do with a run."""

    SEND = "send"
    """Send what is pending and settle what is in doubt."""
    RECONCILE = "reconcile"
    """Settle by reading what is in doubt, and look again at what could not be settled."""
    SURVEY = "survey"
    """Read what every object is that is to be changed."""


OPEN_FOR: Mapping[Work, Collection[State]] = {
    Work.SEND: OPEN,
    Work.RECONCILE: IN_DOUBT,
    Work.SURVEY: (State.PENDING,),
}
"""The states of steps that there is something to do about."""


class Running(Struct):
    """A run that is running: what a caller may look at and do.

    Attributes:
        run: its folder.
        engine: its `tally` says what has been done since the start; its `stop` stops it cleanly.
        throttle: its `gate` says whether everybody is paused, and why.
        before: where the run stood at the start.
        work: what is being done with it.
    """

    run: RunFolder
    engine: Engine
    throttle: Throttle
    before: Summary
    work: Work


Around = Callable[[Running], AbstractAsyncContextManager[None]]


def _unwatched(running: Running) -> AbstractAsyncContextManager[None]:
    del running
    return nullcontext()


async def execute(
    run: RunFolder,
    settings: Settings,
    work: Work = Work.SEND,
    *,
    choice: Choice | None = None,
    around: Around = _unwatched,
    decide: Decide = hold,
) -> Summary:
    """Do `work` on `run`: by default, send everything that is pending and settle what is in doubt.

    Args:
        run: the run.
        settings: how to send it.
        work: what to do; only `Work.SEND` sends writes.
        choice: which of the pending steps are in it; if `None`, the rest of a first try that is not over, or else all.
        around: makes the context in which the requests are sent, from the means to look on and to stop.
        decide: decides what to do with a step whose fate looking cannot tell; asked if the settings say so.

    Returns:
        Where the run stands now.

    Raises:
        ServiceRefused: the service refuses the run as a whole.
        Stopped: the run cannot go on now, and can be resumed; also when another process is running it.
    """
    with run.locked():
        before = summarize(run.ledger)
        open_ = before.count(*OPEN_FOR[work])
        if open_:
            log.info("run.started", run=run.id, work=work.value, rows=before.run.rows, open=open_)
            await _run(run, settings, before, work, choice, around, decide)
        summary = summarize(run.ledger)
        log.info("run.finished", run=run.id, **{state.value.lower(): rows for state, rows in summary.rows.items()})
        return summary


async def _run(
    run: RunFolder,
    settings: Settings,
    before: Summary,
    work: Work,
    choice: Choice | None,
    around: Around,
    decide: Decide,
) -> None:
    throttle = _throttle(settings)
    clock = SystemClock()
    ledger = RunLedger(
        run.ledger,
        lease_s=LEASE_TIMEOUTS * settings.timeout,
        good_s=settings.good_s,
        now=clock.now,
        monotonic=clock.monotonic,
    )
    async with ledger, _transport(settings) as transport:
        engine = Engine(
            ledger=ledger,
            transport=transport,
            throttle=throttle,
            clock=clock,
            style=STYLES[settings.style],
            caller=Caller(settings.sandbox, settings.client_id, settings.marker),
            policy=settings.policy,
            concurrency=settings.concurrency,
            per_container=settings.container_concurrency,
            guard=settings.guard,
            bounds=settings.bounds,
            limits=settings.limits,
            decide=decide if settings.on_doubt == "ask" else _always(Decision(settings.on_doubt)),
        )
        # What is held back waits for somebody to let it be sent; to settle doubts is not that.
        if work is not Work.RECONCILE and (unknown := await ledger.choose(choice)):
            log.warning("run.unknown_ids", run=run.id, count=len(unknown), first=unknown[:10])
        async with around(Running(run, engine, throttle, before, work)):
            match work:
                case Work.SEND:
                    await engine.run(sum(before.steps.values()))
                case Work.RECONCILE:
                    await engine.reconcile()
                case Work.SURVEY:
                    await engine.survey()
        log.info("run.traffic", run=run.id, writes=engine.tally.requests, reads=engine.tally.reads)


def _always(decision: Decision) -> Decide:
    async def decide(doubt: Doubt, sentence: str) -> Decision:
        del doubt, sentence
        return decision

    return decide


@asynccontextmanager
async def _transport(settings: Settings) -> AsyncIterator[HttpTransport]:
    async with open_session(
        timeout_s=settings.timeout,
        connect_timeout_s=settings.connect_timeout,
        user_agent=f"offer-migrator/{__version__}",
    ) as session:
        token = settings.secret("access_token")
        credentials: Credentials = (
            ReadyToken(settings.client_id, token)
            if token
            else ClientCredentials(
                session,
                settings.ims_url,
                client_id=settings.client_id,
                client_secret=settings.secret("client_secret"),
                scopes=settings.scopes,
            )
        )
        yield HttpTransport(session, settings.base_url, credentials, settings.org_id)
