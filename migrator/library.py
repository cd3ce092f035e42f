"""The program for other programs: what `from migrator import …` gives.

::

    settings = load({"sandbox": "dev", "ledger": "runs"})      # under these flags: the environment, a profile
    run = await plan("changes.csv", settings)                  # checks every row; sends nothing
    async with apply(run, settings) as outcomes:               # begins to send
        async for outcome in outcomes:                         # each step, once its end is on the disk
            print(outcome.line, outcome.state, outcome.message)

All of it runs in the event loop it is called from, installs no signal handlers, prints nothing and asks nobody, not
even before a production: whoever calls `apply` has decided. Events are logged if the program has configured structlog.
Several runs may go on side by side; each has a throttle of its own, so their rates add up. What is shared by a process
is the configuration of structlog, which is left alone, and the set of secrets that our log events must never show
(`logs.hide`), which only grows.

Whatever ends the process, the run is in its folder: `Runs(settings.ledger).find(None)` is the newest one, and
`apply(run, resumed(run, {}))` goes on with it. Errors are those of `core.errors`.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import AbstractContextManager, asynccontextmanager
from itertools import islice
from pathlib import Path
from typing import Self

from migrator import api
from migrator.api import Choice, Decide, Decision, Draft, Input, Running, Settings, Summary, load, resumed, verify
from migrator.clock import SystemClock
from migrator.core.errors import InputError, LedgerFailed, MigratorError, ServiceRefused, Stopped, UsageError
from migrator.core.model import Problem
from migrator.core.states import OPEN, State
from migrator.engine import hold
from migrator.ledger.ended import StepOutcome, step_outcomes
from migrator.ledger.folder import RunFolder, Runs
from migrator.ledger.reading import OutcomeRow, outcome_rows, planned_steps, summarize
from migrator.reports.preview import Entry, entry

__all__ = [
    "Choice",
    "Decision",
    "Entry",
    "Input",
    "InputError",
    "InvalidRows",
    "LedgerFailed",
    "MigratorError",
    "OutcomeRow",
    "Outcomes",
    "Problem",
    "RunFolder",
    "Runs",
    "ServiceRefused",
    "Settings",
    "State",
    "StepOutcome",
    "Stopped",
    "Summary",
    "UsageError",
    "apply",
    "load",
    "outcome_rows",
    "plan",
    "preview",
    "resumed",
    "retry",
    "rollback",
    "summarize",
    "verify",
]

AHEAD = 100
"""Outcomes that nobody has taken yet, from which on nothing more is sent until somebody does."""

PAGE = 100
"""Outcomes that are read from the ledger at a time."""

MOST_PROBLEMS = 1000
"""Problems of an input that are kept in memory; `migrator validate` lists all."""


class InvalidRows(InputError):
    """Rows of an input are wrong. Nothing was sent, and nothing was kept.

    Attributes:
        problems: what is wrong, in the order of lines; the first 1,000.
        count: of all that is wrong.
    """

    def __init__(self, name: str, problems: Collection[Problem], count: int) -> None:
        """Name the input, and say what is wrong with it."""
        first = next(iter(problems))
        also = f", and {count - 1:,} more" if count > 1 else ""
        super().__init__(f"{name}, line {first.line}: {first.message}{also}", first.hint)
        self.problems = tuple(problems)
        self.count = count


async def plan(
    source: str | os.PathLike[str] | Input, settings: Settings, *, run_id: str | None = None, again: bool = False
) -> RunFolder:
    """Check a whole input and make a run of it, which `apply` carries out. Nothing is sent; names are looked up.

    The input is read in one go, 50,000 rows in about a second, and the loop stands still meanwhile. Where that matters:
    `await asyncio.to_thread(asyncio.run, plan(…))`.

    Args:
        source: a CSV or JSONL file, or an `Input` that also says how to read it.
        settings: where it goes.
        run_id: what to call the run; made from the time if `None`.
        again: whether to make it although an earlier run did, or began, exactly the same.

    Raises:
        InvalidRows: rows are wrong.
        InputError: the file as a whole cannot be used.
        UsageError: an earlier run did the same, more would be changed than `max_changes` allows, or rows name another
            sandbox than that of a production.
        ServiceRefused: the service refuses to be read.
        Stopped: patience ran out while names were looked up.
    """
    source = _input(source)
    with api.plan(source, settings, run_id=run_id) as (run, draft):
        await _check(draft, source, settings)
        api.refuse_other_sandboxes(draft.container_names, settings)
        await api.refuse_too_many(draft.file.count_changes, settings)
        with Runs(settings.runs).locked():
            if not again and (earlier := api.earlier_run(draft.fingerprint, settings)):
                message = f"run {earlier.run.id} is about exactly these changes"
                raise UsageError(message, "apply that one, or plan with again=True")
            draft.accept(run.id, source.name, settings.remembered(), SystemClock.now())
    return run


@asynccontextmanager
async def preview(source: str | os.PathLike[str] | Input, settings: Settings) -> AsyncIterator[Iterator[Entry]]:
    """Read every object that an input would change, and send nothing.

    Yields:
        What would be done to each object, with what is there and what would be, in the order of sending. They are
        read as they are taken, and only inside of the context.

    Raises:
        MigratorError: as `plan` does.
    """
    source = _input(source)
    with api.preview(source, settings) as (run, draft):
        await _check(draft, source, settings)
        draft.accept(run.id, source.name, settings.remembered(), SystemClock.now())
        await api.execute(run, settings, api.Work.SURVEY)
        yield map(entry, planned_steps(run.ledger))


def _input(source: str | os.PathLike[str] | Input) -> Input:
    return source if isinstance(source, Input) else Input(Path(source), os.fspath(source))


async def _check(draft: Draft, source: Input, settings: Settings) -> None:
    """Merge the rows of a draft, and refuse it if any of them are wrong."""
    if draft.seeks and not draft.count_problems():
        await api.look_up(draft, settings)
    else:
        draft.merge()
    if count := draft.count_problems():
        raise InvalidRows(source.name, tuple(islice(draft.problems(), MOST_PROBLEMS)), count)


@asynccontextmanager
async def apply(
    run: RunFolder, settings: Settings, *, choice: Choice | None = None, decide: Decide = hold
) -> AsyncIterator[Outcomes]:
    """Send all that is pending in a run and settle what is in doubt, or go on with that.

    Who leaves the context before the run has ended stops it cleanly: nothing more is sent, and what is in flight is
    answered and recorded first, which takes the setting `timeout` at the most. So does the first cancellation, as by
    Ctrl-C under `asyncio.run`; a second one ends the run at once, and what was in flight is in doubt, which is safe.

    Args:
        run: what `plan` has made, or any run that is not complete.
        settings: those it was planned with; of an earlier run what `resumed` gives back.
        choice: which of the pending steps to send; the others are held back until the next `apply`.
        decide: with `on_doubt = "ask"`, decides on a step whose fate looking cannot tell.

    Yields:
        The outcomes, to be iterated over.

    Raises:
        ServiceRefused: the service refuses the run as a whole.
        Stopped: the run cannot go on now, and can be resumed; also when another process is running it.
    """
    outcomes = Outcomes(run.ledger)
    work = api.execute(run, settings, choice=choice, around=outcomes.watch, decide=decide)
    running = asyncio.create_task(work, name=f"run {run.id}")
    outcomes.begin(running)
    try:
        yield outcomes
    except BaseException:
        await outcomes.leave()  # how the run ended is in its ledger, and is not to hide why it was left
        raise
    await outcomes.leave()
    await running


class Outcomes:
    """The outcomes of a run that is running, step by step, each once it is on the disk, in the order of their ends.

    They are read from the ledger as they are taken. The run is never much more than 100 steps ahead of whoever takes
    them: so long as nobody takes any it sends nothing, and what it has begun is answered and recorded. One task takes
    them.

    What ended before `apply` was called is not among them: `outcome_rows(run.ledger)` has all rows.
    """

    def __init__(self, ledger: Path) -> None:
        """Prepare to read `ledger`."""
        self._ledger = ledger
        self._ended: deque[int] = deque()
        self._page: deque[StepOutcome] = deque()
        self._news = asyncio.Event()
        self._running: Running | None = None
        self._stopped = False

    def begin(self, task: asyncio.Task[Summary]) -> None:
        """Follow the run that `task` carries out."""
        self._task = task
        task.add_done_callback(lambda _: self._news.set())

    @asynccontextmanager
    async def watch(self, running: Running) -> AsyncIterator[None]:
        """Be told of the steps that end."""
        self._running = running
        running.ledger.told = self._take_in
        if self._stopped:
            running.engine.stop()
        yield

    def stop(self) -> None:
        """Stop the run cleanly: what is in flight is answered, and is still among the outcomes."""
        self._stopped = True
        if self._running is not None:
            self._running.engine.stop()

    async def leave(self) -> None:
        """Stop the run cleanly and wait until it has ended; if that is cancelled, end it at once."""
        self.stop()
        try:
            await asyncio.wait([self._task])
        except asyncio.CancelledError:
            self._task.cancel()
            await asyncio.wait([self._task])
            raise
        finally:
            if not self._task.cancelled():
                self._task.exception()  # seen: it is raised by `apply`, unless something else is

    def _take_in(self, steps: Collection[int]) -> None:
        self._ended.extend(steps)
        self._news.set()
        self._pace()

    def _pace(self) -> None:
        """Hold the run while too much waits to be taken."""
        if self._running is not None:
            gate = self._running.throttle.gate
            (gate.hold if len(self._ended) + len(self._page) >= AHEAD else gate.let_go)()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StepOutcome:
        while not self._page and not self._ended:
            if self._task.done():
                await self._task  # raises what ended the run, if anything did
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        if not self._page:
            await self._read()
        outcome = self._page.popleft()
        self._pace()
        return outcome

    async def _read(self) -> None:
        steps = list(islice(self._ended, PAGE))
        page = await asyncio.to_thread(step_outcomes, self._ledger, steps)
        # Only now, so that whoever was cancelled meanwhile loses nothing.
        self._page.extend(page)
        for _ in steps:
            self._ended.popleft()


def retry(earlier: RunFolder, settings: Settings) -> RunFolder:
    """Make a run of the rows that failed in `earlier`, which has ended; `apply` sends them again as they are.

    Args:
        earlier: the run; it is not touched.
        settings: what `resumed` gives back for it.

    Raises:
        UsageError: it has not ended, nothing has failed, or the same has been retried.
    """
    if summarize(earlier.ledger).run.migrates:
        raise UsageError(f"run {earlier.id} is a migration", "migrate again: what is there already is not made twice")
    _refuse_open(earlier, OPEN)
    begun = api.retry(earlier, settings)
    return _after(earlier, settings, lambda: api.earlier_retry(earlier, ()), begun, api.Origin.RETRIES)


def rollback(earlier: RunFolder, settings: Settings, *, recreate: bool = False) -> RunFolder:
    """Make a run that undoes what `earlier` has applied, where nobody has changed it since; `apply` carries it out.

    Args:
        earlier: the run, which has ended; it is not touched.
        settings: what `resumed` gives back for it.
        recreate: whether to create anew, under other ids, what was deleted.

    Raises:
        UsageError: it has not ended or is unresolved in part, there is nothing to undo, or it has been undone.
    """
    _refuse_open(earlier, {*OPEN, State.UNRESOLVED})
    chosen = api.applied((), ())
    begun = api.rollback(earlier, settings, chosen, recreate=recreate)
    return _after(earlier, settings, lambda: api.earlier_rollback(earlier, chosen), begun, api.Origin.ROLLS_BACK)


def _refuse_open(run: RunFolder, states: Collection[State]) -> None:
    if count := summarize(run.ledger).count(*states):
        raise UsageError(f"run {run.id} has not ended: {count:,} rows are open", "apply it to its end first")


def _after(
    earlier: RunFolder,
    settings: Settings,
    find_taken: Callable[[], Summary | None],
    begun: AbstractContextManager[tuple[RunFolder, Draft]],
    origin: api.Origin,
) -> RunFolder:
    """Accept a draft that takes up steps of `earlier`, unless a run that `find_taken` finds has done so."""
    with begun as (run, draft):
        if not draft.rows:
            raise UsageError(f"there is nothing in run {earlier.id} to take up")
        # Somebody else may do the same right now: the check and the acceptance are one act.
        with Runs(earlier.path.parent).locked():
            if (taken := find_taken()) is not None:
                message = f"run {taken.run.id} has taken these rows up already"
                raise UsageError(message, "apply that, if it has not ended")
            api.accept_after(draft, run, earlier, settings, origin)
    return run
