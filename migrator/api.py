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
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from migrator import __version__
from migrator.clock import SystemClock
from migrator.core.errors import MigratorError, UsageError
from migrator.core.model import Doubt
from migrator.core.states import OPEN, State
from migrator.core.styles import STYLES
from migrator.core.verdict import ErrorClass
from migrator.engine import Caller, Decide, Decision, Engine, Reader, Wire, hold
from migrator.exporting import Wanted, Watch, collect, placements_called
from migrator.ledger.database import check_sqlite
from migrator.ledger.folder import RunFolder, Runs, new_run_id
from migrator.ledger.reading import Summary, read_run, sent_again, summarize
from migrator.ledger.runledger import RunLedger
from migrator.logs import log
from migrator.lookup import LookUp
from migrator.planning import Draft, Input, Target, draft_plan, draft_retry
from migrator.settings import Settings, load, require_target
from migrator.snapshots import Spool
from migrator.sources.octets import open_octets
from migrator.transport.credentials import ClientCredentials, Credentials, ReadyToken
from migrator.transport.http import HttpTransport, open_session
from migrator.transport.throttle import Throttle

__all__ = [
    "Decide",
    "Decision",
    "Draft",
    "Input",
    "Running",
    "Settings",
    "Summary",
    "execute",
    "load",
    "plan",
    "resumed",
    "retry",
    "validate",
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
    runs = Runs(earlier.path.parent)
    names = (f"{earlier.id}.retry-{number}" for number in count(1))
    with (
        _new_run(runs, next(name for name in names if not (runs.path / name).exists())) as run,
        draft_retry(earlier.ledger, classes, target_of(settings), run.ledger) as draft,
    ):
        yield run, draft


async def look_up(draft: Draft, settings: Settings) -> None:
    """Look up what a draft seeks, and merge it.

    Raises:
        ServiceRefused: the service refuses to be read.
        Stopped: patience ran out.
    """
    async with reading(settings) as reader:
        looking = LookUp(draft.file, reader, create_missing=settings.create_missing, concurrency=settings.concurrency)
        await looking.run()
    draft.merge()


@asynccontextmanager
async def reading(settings: Settings) -> AsyncIterator[Reader]:
    """Open the way to the service for reads alone."""
    throttle = Throttle(rate=settings.rate, container_rate=settings.container_rate)
    async with _transport(settings) as transport:
        wire = Wire(transport=transport, throttle=throttle, clock=SystemClock(), policy=settings.policy)
        yield Reader(wire, STYLES[settings.style], Caller(settings.sandbox, settings.client_id, settings.marker))


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


def accept_retry(draft: Draft, run: RunFolder, earlier: RunFolder, settings: Settings) -> None:
    """Make a draft of `retry` a run, which names the run that it is from."""
    remembered = settings.remembered() | {"retries": earlier.id}
    draft.accept(run.id, read_run(earlier.ledger).input, remembered, SystemClock.now())


def earlier_retry(run: RunFolder, classes: Collection[ErrorClass]) -> Summary | None:
    """Return the newest run that sends failed rows of `run` again and has not failed with all of them in its turn.

    It may be a retry of a retry: whose failed rows these are is told by the ids, and that it is one by its record.

    Raises:
        MigratorError: the ledger of one cannot be read, so that nobody knows.
    """
    for later in reversed(Runs(run.path.parent).all()):
        if later.id.startswith(f"{run.id}.retry-") and read_run(later.ledger).retries is not None:
            stand = sent_again(run.ledger, later.ledger, classes)
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


def earlier_run(draft: Draft, settings: Settings) -> Summary | None:
    """Return the newest run that did, or began, exactly what `draft` would do again."""
    for run in reversed(Runs(settings.ledger).all()):
        # A ledger of another version, or a broken one, says nothing about this plan.
        with suppress(MigratorError):
            if read_run(run.ledger).fingerprint == draft.fingerprint:
                return summarize(run.ledger)
    return None


def resumed(run: RunFolder, flags: Mapping[str, Any], profile: str | None = None) -> Settings:
    """Return the settings to go on with: those of the run, under what flags and the environment say now.

    Secrets are not among those of the run. They come from the environment, or from where the profile says: the run's
    own profile if no other is named.

    Raises:
        UsageError: they would send the rest of the run somewhere else.
    """
    stored = msgspec.json.decode(read_run(run.ledger).settings)
    began_with = stored.pop("profile", None)
    stored.pop("retries", None)
    settings = load(flags, profile=profile or began_with, job=stored)
    for name in TARGET:
        before, now = stored.get(name, ""), getattr(settings, name)  # a marker is newer than some ledgers
        if before != now:
            message = f"run {run.id} goes to {name} {before!r}, and the settings now say {now!r}"
            raise UsageError(message, f"unset MIGRATOR_{name.upper()}, or begin a new run with `migrator apply`")
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


class Running(Struct):
    """A run that is running: what a caller may look at and do.

    Attributes:
        run: its folder.
        engine: its `tally` says what has been done since the start; its `stop` stops it cleanly.
        throttle: its `gate` says whether everybody is paused, and why.
        before: where the run stood at the start.
    """

    run: RunFolder
    engine: Engine
    throttle: Throttle
    before: Summary


Around = Callable[[Running], AbstractAsyncContextManager[None]]


def _unwatched(running: Running) -> AbstractAsyncContextManager[None]:
    del running
    return nullcontext()


async def execute(
    run: RunFolder, settings: Settings, *, around: Around = _unwatched, decide: Decide = hold, only_look: bool = False
) -> Summary:
    """Send everything of `run` that is pending, and settle what is in doubt.

    Args:
        run: the run.
        settings: how to send it.
        around: makes the context in which the requests are sent, from the means to look on and to stop.
        decide: decides what to do with a step whose fate looking cannot tell; asked if the settings say so.
        only_look: send no write; settle by reading what is in doubt, and look again at what could not be settled.

    Returns:
        Where the run stands now.

    Raises:
        ServiceRefused: the service refuses the run as a whole.
        Stopped: the run cannot go on now, and can be resumed; also when another process is running it.
    """
    with run.locked():
        before = summarize(run.ledger)
        open_ = before.count(*((State.INTENT, State.DOUBT, State.UNRESOLVED) if only_look else OPEN))
        if open_:
            log.info("run.started", run=run.id, rows=before.run.rows, open=open_)
            await _run(run, settings, before, around, decide, only_look=only_look)
        summary = summarize(run.ledger)
        log.info("run.finished", run=run.id, **{state.value.lower(): rows for state, rows in summary.rows.items()})
        return summary


async def _run(
    run: RunFolder, settings: Settings, before: Summary, around: Around, decide: Decide, *, only_look: bool
) -> None:
    throttle = Throttle(rate=settings.rate, container_rate=settings.container_rate)
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
        async with around(Running(run, engine, throttle, before)):
            await (engine.reconcile() if only_look else engine.run(sum(before.steps.values())))
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
