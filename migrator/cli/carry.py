"""Carrying a run out from the command line: shown, stopped by signals, and summed up when it ends."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

import click

from migrator import api
from migrator.cli import fleet
from migrator.cli.metrics import RunMetrics, metered
from migrator.cli.options import Viewing
from migrator.cli.output import Output, exit_code, is_terminal, next_step, tell
from migrator.cli.progress import shown
from migrator.cli.telemetry import tracing, untraced
from migrator.core.errors import Interrupted, MigratorError, UsageError
from migrator.core.model import Doubt
from migrator.ledger.folder import RunFolder
from migrator.reports.errors import summarize_errors
from migrator.settings import Settings

_NOTHING = "nothing was sent"

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that stop a run. SIGHUP is what a run gets when the connection to its terminal breaks."""


def carry_out(
    run: RunFolder,
    settings: Settings,
    out: Output,
    viewing: Viewing,
    work: api.Work = api.Work.SEND,
    choice: api.Choice | None = None,
) -> int:
    """Run `run`, show it, and say how it ended.

    Args:
        run: the run.
        settings: how to send it.
        out: where the summary goes.
        viewing: how it is shown.
        work: what to do.
        choice: which of its steps are sent now; all if `None`.
    """
    if settings.fleet is not None:
        return _let_fleet(run, settings, out, work, choice)
    asks = settings.on_doubt == "ask"
    if asks and not is_terminal():
        raise UsageError("nobody can be asked here", "choose another --on-doubt: hold, assume-applied or resend")

    ended_by: MigratorError | None = None
    try:
        with tracing() as traces:
            # A question and a live view would write over each other.
            around = watching(viewing, live=viewing.live and not asks, traced=traces.around)
            ask = Questions().ask
            asyncio.run(
                api.execute(run, settings, work, choice=choice, around=around, decide=ask, through=traces.through)
            )
    except MigratorError as error:
        ended_by = error
    summary, errors = summarize_errors(run.ledger)
    out.summary(summary, errors, next_step(summary))
    if ended_by is not None and not summary.complete:
        ended_by.hint = "; ".join(filter(None, (ended_by.hint, f"then go on with `migrator resume {run.id}`")))
        raise ended_by
    return exit_code(summary)


def _let_fleet(run: RunFolder, settings: Settings, out: Output, work: api.Work, choice: api.Choice | None) -> int:
    if work is not api.Work.SEND:
        hint = f"`migrator resume {run.id}` settles what is in doubt, and goes on"
        raise UsageError("a fleet does not only look", hint)
    if choice is not None:
        raise UsageError("a fleet does not do only some objects", "try those first on one machine, in a folder")
    return fleet.carry_out(run, settings, out)


def watching(viewing: Viewing, *, live: bool, traced: api.Around = untraced) -> api.Around:
    """Return what makes a run shown, counted, traced and interruptible."""

    @asynccontextmanager
    async def around(running: api.Running) -> AsyncIterator[None]:
        async with (
            shown(running, live=live, every_s=viewing.every_s),
            metered(RunMetrics(running), viewing.metrics, viewing.every_s),
            interruptible(running),
            traced(running),
        ):
            yield

    return around


class Questions:
    """Asks a person what to do with rows whose fate looking could not tell, one after the other."""

    def __init__(self) -> None:
        """Begin with no question open."""
        self._one_at_a_time = asyncio.Lock()

    async def ask(self, doubt: Doubt, sentence: str) -> api.Decision:
        """Show what was seen and take the answer."""
        step = doubt.step
        name = f"line {step.seq}, {step.kind} {step.type} {step.object}".rstrip()
        async with self._one_at_a_time:
            tell(f"{name}: {sentence}")
            choice = click.Choice([decision.value for decision in api.Decision])  # of an enum it would want the names
            prompt = partial(click.prompt, "What now?", type=choice, default=api.Decision.HOLD.value, err=True)
            return api.Decision(await _answered(prompt))


async def _answered(prompt: Callable[[], str]) -> str:
    """Wait for an answer in a thread that nobody waits for at the end: a run can be stopped with a question open."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[str] = loop.create_future()

    def ask() -> None:
        with suppress(RuntimeError, click.Abort):  # the loop has gone, or somebody pressed Ctrl-C
            loop.call_soon_threadsafe(answer.set_result, prompt())

    threading.Thread(target=ask, name="question", daemon=True).start()
    return await answer


@asynccontextmanager
async def interruptible(running: api.Running) -> AsyncIterator[None]:
    """Let the first signal stop the run cleanly, and the second one at once."""
    loop = asyncio.get_running_loop()
    body = asyncio.current_task()
    received: list[int] = []
    handlers = {number: signal.getsignal(number) for number in STOPPING}
    heeded = [number for number in STOPPING if handlers[number] is not signal.SIG_IGN]
    only_looks = running.work is api.Work.SURVEY

    def on_signal(number: int) -> None:
        received.append(number)
        if len(received) == 1:
            running.engine.stop()
            tell(f"stopping: waiting for {running.engine.tally.in_flight} answers; once more to stop at once")
        elif body is not None:
            body.cancel()

    for number in heeded:
        loop.add_signal_handler(number, on_signal, number)
    try:
        yield
    except asyncio.CancelledError:
        if not received:
            raise
        raise Interrupted(
            _NOTHING if only_looks else "what was in flight is in doubt", signal_number=received[0]
        ) from None
    finally:
        # What is left of a run is short: to close the ledger and to say how it ended. A third signal must not cut that
        # off. What was looked at may take long to show, and nothing is lost with it.
        for number in heeded:
            loop.remove_signal_handler(number)
            signal.signal(number, handlers[number] if only_looks else signal.SIG_IGN)
    if received:
        raise Interrupted(_NOTHING if only_looks else "what was in flight is recorded", signal_number=received[0])
