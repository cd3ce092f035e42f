"""Runs carried out: sent, settled by reading, or only looked at."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from enum import Enum

from msgspec import Struct

from migrator.api.service import caller_of, new_throttle, transport_of
from migrator.clock import SystemClock
from migrator.core.errors import LedgerFailed
from migrator.core.model import Doubt
from migrator.core.states import IN_DOUBT, OPEN, State
from migrator.core.styles import STYLES
from migrator.engine import Decide, Decision, Engine, hold
from migrator.ledger.database import DAMAGED
from migrator.ledger.folder import RunFolder
from migrator.ledger.reading import Summary, summarize
from migrator.ledger.runledger import RunLedger
from migrator.logs import log
from migrator.ports import Choice, Transport
from migrator.settings import Settings
from migrator.transport.throttle import Throttle

LEASE_TIMEOUTS = 4
"""The lease of a run in request timeouts: a request that leaves in the first half of it has ended long before it."""


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
        throttle: its `gate` says whether everybody is paused, and why, and can be held by who cannot follow; its `rate`
            says how fast everybody may go together.
        ledger: its `told`, if set, is told which steps have ended, once that is on the disk.
        before: where the run stood at the start.
        work: what is being done with it.
    """

    run: RunFolder
    engine: Engine
    throttle: Throttle
    ledger: RunLedger
    before: Summary
    work: Work


Around = Callable[[Running], AbstractAsyncContextManager[None]]


def _unwatched(running: Running) -> AbstractAsyncContextManager[None]:
    del running
    return nullcontext()


def _straight(transport: Transport) -> Transport:
    return transport


async def execute(
    run: RunFolder,
    settings: Settings,
    work: Work = Work.SEND,
    *,
    choice: Choice | None = None,
    around: Around = _unwatched,
    decide: Decide = hold,
    through: Callable[[Transport], Transport] = _straight,
) -> Summary:
    """Do `work` on `run`: by default, send everything that is pending and settle what is in doubt.

    Args:
        run: the run.
        settings: how to send it.
        work: what to do; only `Work.SEND` sends writes.
        choice: which of the pending steps are in it; if `None`, the rest of a first try that is not over, or else all.
        around: makes the context in which the requests are sent, from the means to look on and to stop.
        decide: decides what to do with a step whose fate looking cannot tell; asked if the settings say so.
        through: wraps what sends the requests, to look on.

    Returns:
        Where the run stands now.

    Raises:
        ServiceRefused: the service refuses the run as a whole.
        Stopped: the run cannot go on now, and can be resumed; also when another process is running it.
        LedgerFailed: the ledger cannot be used, or does not account for every row.
    """
    with run.locked():
        before = summarize(run.ledger)
        _refuse_lost_rows(before)
        open_ = before.count(*OPEN_FOR[work])
        if open_:
            log.info("run.started", run=run.id, work=work.value, rows=before.run.rows, open=open_)
            await _run(run, settings, before, work, choice, around, decide, through)
        summary = summarize(run.ledger)
        log.info("run.finished", run=run.id, **{state.value.lower(): rows for state, rows in summary.rows.items()})
        return summary


def _refuse_lost_rows(summary: Summary) -> None:
    """Refuse a ledger that has lost rows without SQLite's noticing: they would be neither sent nor reported.

    Raises:
        LedgerFailed: it has.
    """
    if summary.lost:
        run = summary.run
        raise LedgerFailed(f"the ledger of run {run.id} does not say where all of its {run.rows:,} rows stand", DAMAGED)


async def _run(
    run: RunFolder,
    settings: Settings,
    before: Summary,
    work: Work,
    choice: Choice | None,
    around: Around,
    decide: Decide,
    through: Callable[[Transport], Transport],
) -> None:
    throttle = new_throttle(settings)
    clock = SystemClock()
    ledger = RunLedger(
        run.ledger,
        lease_s=LEASE_TIMEOUTS * settings.timeout,
        good_s=settings.good_s,
        now=clock.now,
        monotonic=clock.monotonic,
    )
    async with ledger, transport_of(settings) as transport:
        engine = Engine(
            ledger=ledger,
            transport=through(transport),
            throttle=throttle,
            clock=clock,
            style=STYLES[settings.style],
            caller=caller_of(settings),
            policy=settings.policy,
            concurrency=settings.concurrency,
            per_container=settings.container_concurrency,
            guard=settings.guard,
            bounds=settings.bounds,
            limits=settings.limits,
            decide=decide if settings.on_doubt == "ask" else always(Decision(settings.on_doubt)),
        )
        # What is held back waits for somebody to let it be sent; to settle doubts is not that.
        if work is not Work.RECONCILE and (unknown := await ledger.choose(choice)):
            log.warning("run.unknown_ids", run=run.id, count=len(unknown), first=unknown[:10])
        async with around(Running(run, engine, throttle, ledger, before, work)):
            match work:
                case Work.SEND:
                    await engine.run(sum(before.steps.values()))
                case Work.RECONCILE:
                    await engine.reconcile()
                case Work.SURVEY:
                    await engine.survey()
        log.info("run.traffic", run=run.id, writes=engine.tally.requests, reads=engine.tally.reads, **_found(throttle))


def _found(throttle: Throttle) -> dict[str, float]:
    """Return the rate that was found out to be possible, if it was to be."""
    return {"pace": round(throttle.pace.rate, 1)} if throttle.pace else {}


def always(decision: Decision) -> Decide:
    """Decide the same each time."""

    async def decide(doubt: Doubt, sentence: str) -> Decision:
        del doubt, sentence
        return decision

    return decide
