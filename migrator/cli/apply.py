"""`migrator apply` and `migrator resume`."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import click

from migrator import api
from migrator.cli.options import (
    Viewing,
    doubt_options,
    flags_of,
    input_options,
    ledger_option,
    opened_job,
    output_option,
    planning_options,
    profile_option,
    runs_of,
    sandbox_option,
    sending_options,
    style_option,
    viewing_of,
    viewing_options,
)
from migrator.cli.output import Output, counted, exit_code, is_terminal, next_step, tell
from migrator.cli.progress import shown
from migrator.cli.validate import report
from migrator.clock import SystemClock
from migrator.core.errors import Interrupted, MigratorError, UsageError
from migrator.core.model import Doubt
from migrator.core.styles import STYLES
from migrator.ledger.folder import RunFolder, Runs
from migrator.ledger.reading import summarize
from migrator.planning import Input
from migrator.settings import Settings

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that stop a run. SIGHUP is what a run gets when the connection to its terminal breaks."""


@click.command()
@click.argument("file")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.option("--again", is_flag=True, help="Apply although an earlier run did, or began, exactly the same.")
@click.option("--run-id", metavar="NAME", help="What to call the run [default: made from the time].")
@profile_option
@style_option
@sandbox_option
@ledger_option
@sending_options
@doubt_options
@planning_options
@input_options
@output_option
@viewing_options
def apply(
    file: str,
    yes: bool,
    again: bool,
    run_id: str | None,
    input_format: str | None,
    delimiter: str | None,
    encoding: str,
    output: str,
    **values: Any,
) -> int:
    """Check all of FILE, then send its changes. FILE is CSV, JSONL, a job file, or - for stdin.

    Every row is checked before the first request. What is about to be sent is on the disk before it is sent, so the
    run can be killed at any moment and goes on with `migrator resume`.

    \b
    Examples:  migrator apply changes.csv --style xcore
               migrator apply jobs/dps-rename.toml --rate 10/s --yes
    Exit codes: 0 all rows applied · 2 nothing was sent · 3 some failed · 4 some unresolved · 5 the service refuses
                6 stopped, resumable · 130/143 interrupted, resumable
    """
    viewing = viewing_of(values)
    if not yes and not is_terminal():
        raise UsageError("nobody can be asked here", "add --yes to apply without a question")
    out = Output(output)
    with opened_job(file, values, input_format, delimiter, encoding) as (source, settings):
        run = _plan(source, settings, run_id, again, yes, out)
    return carry_out(run, settings, out, viewing) if run else 2


def _plan(
    source: Input, settings: Settings, run_id: str | None, again: bool, yes: bool, out: Output
) -> RunFolder | None:
    """Make the run, or return `None` when the input has problems, which are then on stdout."""
    if run_id is not None:
        _refuse_other_input(run_id, source, settings)
    with api.plan(source, settings, run_id=run_id) as (run, draft):
        merge(draft, settings)
        if report(draft, source.name, out):
            return None
        _warn_of_other_sandboxes(draft, settings)
        if not yes:
            ask(draft, settings)
        # Somebody may have applied the same while we asked: the check and the acceptance are one act.
        with Runs(settings.ledger).locked():
            if not again:
                _refuse_repetition(draft, settings)
            draft.accept(run.id, source.name, settings.remembered(), SystemClock.now())
    return run


def merge(draft: api.Draft, settings: Settings) -> None:
    """Make requests of the rows; look up before what they call by name, unless there is something wrong already."""
    if draft.seeks and not draft.count_problems():
        asyncio.run(api.look_up(draft, settings))
    else:
        draft.merge()


def _refuse_other_input(run_id: str, source: Input, settings: Settings) -> None:
    run = RunFolder(settings.ledger / run_id)
    if run.ledger.exists():
        api.check_same_input(run, source.path)


def _refuse_repetition(draft: api.Draft, settings: Settings) -> None:
    earlier = api.earlier_run(draft, settings)
    if earlier is None:
        return
    run = earlier.run.id
    if earlier.complete:
        hint = f"see `migrator status {run}`; add --again to apply the same changes a second time"
        raise UsageError(f"run {run} has applied exactly these changes to this sandbox already", hint)
    hint = f"go on with `migrator resume {run}`; add --again to begin anew"
    raise UsageError(f"run {run} is about exactly these changes and has not ended", hint)


def ask(draft: api.Draft, settings: Settings) -> None:
    """Ask whether to send what is planned; a no ends the program."""
    place = (
        f"{counted(draft.containers, 'container')} of sandbox {settings.sandbox}"
        if STYLES[settings.style].needs_container
        else "sandbox " + ", ".join(draft.container_names)
    )
    click.confirm(f"Send {counted(draft.steps, 'request')} to {place} at {settings.base_url}?", abort=True, err=True)


def _warn_of_other_sandboxes(draft: api.Draft, settings: Settings) -> None:
    """Name the sandboxes that rows of a dps input name, where they are not the one that the settings name."""
    others = set(draft.container_names) - {settings.sandbox}
    if others and not STYLES[settings.style].needs_container:
        tell(f"warning: rows name another sandbox than {settings.sandbox}: {', '.join(sorted(others))}")


@click.command()
@click.argument("run", required=False)
@click.option(
    "--input",
    "input_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Refuse unless the run was planned from this file.",
)
@ledger_option
@profile_option
@sending_options
@doubt_options
@output_option
@viewing_options
def resume(
    run: str | None,
    input_file: Path | None,
    output: str,
    **values: Any,
) -> int:
    """Go on with RUN (the newest one by default) after any stop: a signal, a crash, a refusal, a full disk.

    The changes are in the ledger; the input file is not needed. What was applied is not sent again. What was in flight
    when the run died is looked at first, and sent again only if it was not applied. (This does not wait for a job
    elsewhere, as `resume` does in some other tools: it sends.)

    \b
    Examples:  migrator resume
               migrator resume 20261122-181502-3fa9 --rate 2/s
    Exit codes: as `migrator apply`
    """
    viewing = viewing_of(values)
    found = runs_of(values).find(run)
    if input_file is not None:
        api.check_same_input(found, input_file)
    settings = api.resumed(found, flags_of(values), values.get("profile"))
    return carry_out(found, settings, Output(output), viewing)


def carry_out(run: RunFolder, settings: Settings, out: Output, viewing: Viewing, *, only_look: bool = False) -> int:
    """Run `run`, show it, and say how it ended.

    Args:
        run: the run.
        settings: how to send it.
        out: where the summary goes.
        viewing: how it is shown.
        only_look: settle by reading what is in doubt, and send nothing.
    """
    asks = settings.on_doubt == "ask"
    if asks and not is_terminal():
        raise UsageError("nobody can be asked here", "choose another --on-doubt: hold, assume-applied or resend")

    @asynccontextmanager
    async def around(running: api.Running) -> AsyncIterator[None]:
        # A question and a live view would write over each other.
        live = viewing.live and not asks
        async with shown(running, live=live, every_s=viewing.every_s), interruptible(running):
            yield

    ended_by: MigratorError | None = None
    try:
        asyncio.run(api.execute(run, settings, around=around, decide=Questions().ask, only_look=only_look))
    except MigratorError as error:
        ended_by = error
    summary = summarize(run.ledger)
    out.summary(summary, next_step(summary))
    if ended_by is not None and not summary.complete:
        ended_by.hint = "; ".join(filter(None, (ended_by.hint, f"then go on with `migrator resume {run.id}`")))
        raise ended_by
    return exit_code(summary)


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
    heeded = [number for number in STOPPING if signal.getsignal(number) is not signal.SIG_IGN]

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
        raise Interrupted("what was in flight is in doubt", signal_number=received[0]) from None
    finally:
        # What is left is short: to close the ledger and to say how it ended. A third signal must not cut that off.
        for number in heeded:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)
    if received:
        raise Interrupted("what was in flight is recorded", signal_number=received[0])
