"""`migrator verify`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from functools import partial
from typing import Any, TypeAlias

import click
from msgspec import UNSET
from rich.console import Console
from rich.live import Live
from rich.progress import Progress

from migrator import api
from migrator.cli.options import (
    Viewing,
    ledger_option,
    output_option,
    profile_option,
    reading_options,
    run_of,
    viewing_of,
    viewing_options,
)
from migrator.cli.output import Output, counted, next_step
from migrator.cli.progress import REFRESH_S, beside, new_bar
from migrator.cli.standing import Meter
from migrator.core.base import last_changed
from migrator.core.mapping import MEANINGS
from migrator.core.model import Seen, Step
from migrator.core.states import IN_DOUBT, State
from migrator.core.verify import Difference
from migrator.engine import Mismatch, Unread, Verification
from migrator.ledger.folder import RunFolder
from migrator.logs import log
from migrator.migrating.comparing import Disagreement
from migrator.settings import Settings

Aside: TypeAlias = Callable[[], AbstractContextManager[None]]
"""Makes room for what is written to stdout."""


@click.command()
@click.argument("run", required=False)
@ledger_option
@profile_option
@reading_options
@output_option
@viewing_options
def verify(run: str | None, output: str, **values: Any) -> int:
    """Read back what RUN (the newest one by default) has written, and say what differs now, and who changed it.

    Nothing is sent but reads. What the service spells its own way, such as dates, and what it adds by itself is no
    difference. A run knows nothing of later ones: what they have changed since differs from what it wrote. The source
    of a migration is read, too, and compared with what was made of it.

    \b
    Examples:  migrator verify
               migrator verify 20261122-181502-3fa9 --output json
    Exit codes: 0 all that was written is there · 3 something differs · 4 nothing differs, and some rows are in doubt,
                unresolved, or cannot be read · 5 the service refuses · 6 stopped · 130/143 interrupted
    """
    viewing = viewing_of(values)
    found, settings = run_of(values, run)
    return asyncio.run(_verify(found, settings, Output(output), viewing))


async def _verify(run: RunFolder, settings: Settings, out: Output, viewing: Viewing) -> int:
    running = run.running
    told: set[int] = set()
    async with api.verify(run, settings) as verification:
        try:
            async with _shown(verification, viewing) as aside:
                async for finding in verification.findings():
                    told.add(finding.step.seq)
                    with aside():
                        _tell(finding, out)
        finally:
            _summarize(verification, out, running=running)
        code = _exit_code(verification, running=running)
    if verification.summary.run.migrates and await _compare(run, settings, told, out):
        return 3
    return code


async def _compare(run: RunFolder, settings: Settings, told: Collection[int], out: Output) -> int:
    """Compare what a migration has made with its source.

    Args:
        run: the migration.
        settings: to read with.
        told: lines of objects of which it is told already where they differ.
        out: where to tell.

    Returns:
        How many objects do not say the same.
    """
    async with api.compare(run, settings) as comparison:
        async for finding in comparison.findings():
            _tell_disagreement(finding, out, told=finding.objects.seq in told)
        counts = {"compared": comparison.compared, "differ": comparison.differ}
        differ = f" · {comparison.differ:,} differ" if comparison.differ else ""
        said = f"{comparison.compared - comparison.differ:,} of {counted(comparison.compared, 'object')}"
        for loss, times in sorted(comparison.explained.items()):
            text = f"not quite the same, by the mapping: {times:,} {loss}: {MEANINGS[loss]}"
            out.say(text, "explained", run=run.id, loss=loss, times=times, means=MEANINGS[loss])
        out.say(f"the source as it is now: {said} say the same{differ}", "compared", run=run.id, **counts)
        return comparison.differ


def _tell_disagreement(finding: Disagreement, out: Output, *, told: bool) -> None:
    one = finding.objects
    members = {"line": one.seq, "type": one.type, "object": one.target.object, "source": one.source.object}
    name = f"line {one.seq}: {one.type} {one.target.object}"
    source = f"{one.source.object} in {one.source.container}"
    if finding.changed:
        text = f"{name}: its source {source} has changed since: {finding.changed}"
        out.say(text, "source_changed", **members, message=finding.changed)
    for difference in () if told else finding.differences:
        out.say(f"{name}, made of {source}: {difference}", "disagreement", **members, **_values(difference))


def _tell(finding: Mismatch | Unread, out: Output) -> None:
    step = finding.step
    name = f"line {step.seq}: {step.type} {step.object} in {step.container}"
    if isinstance(finding, Unread):
        refused = finding.refused
        out.say(f"{name}: cannot be read: {refused.message}", "unread", **_named(step), message=refused.message)
        return
    changed = last_changed(finding.seen) if finding.seen else ""
    for difference in finding.differences:
        members = _named(step) | _values(difference) | _who(finding.seen)
        out.say(f"{name}: {difference}{changed}", "difference", **members)


def _named(step: Step) -> dict[str, Any]:
    return {"line": step.seq, "type": step.type, "object": step.object, "container": step.container, "kind": step.kind}


def _values(difference: Difference) -> dict[str, Any]:
    """Spell a difference for a program; a value that is not there is left out."""
    values = {"expected": difference.expected, "found": difference.found}
    there = {name: value for name, value in values.items() if value is not UNSET}
    return {"path": difference.path, **there, "message": str(difference)}


def _who(seen: Seen | None) -> dict[str, str]:
    """Return who changed an object last, and when; texts are empty where that is not told."""
    return {name: getattr(seen, name, "") for name in ("changed_at", "changed_by", "changed_by_client")}


# Progress


@asynccontextmanager
async def _shown(verification: Verification, viewing: Viewing) -> AsyncIterator[Aside]:
    """Show the progress of `verification` while the body runs; what it writes it writes aside."""
    if not viewing.live:
        async with beside(_lines(verification, viewing.every_s)):
            yield nullcontext
        return
    bar = new_bar()
    with Live(bar, console=Console(stderr=True), auto_refresh=False, redirect_stdout=False, transient=True) as live:
        async with beside(_moving(live, bar, verification)):
            yield partial(_taken_away, live) if sys.stdout.isatty() else nullcontext


@contextmanager
def _taken_away(live: Live) -> Iterator[None]:
    """Take a live view from the screen while the body writes there."""
    live.stop()
    try:
        yield
    finally:
        live.start()


async def _lines(verification: Verification, every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        done, of = verification.tally.done, _to_read(verification)
        log.info("verify.progress", run=verification.summary.run.id, done=done, of=of, differ=verification.tally.differ)


async def _moving(live: Live, bar: Progress, verification: Verification) -> None:
    meter, task = Meter(), bar.add_task("", total=_to_read(verification), rate="")
    while True:
        done = verification.tally.done
        bar.update(task, completed=done, rate=f"{meter.read(done):,.1f} rows/s")
        live.refresh()
        await asyncio.sleep(REFRESH_S)


def _to_read(verification: Verification) -> int:
    return verification.summary.count(State.APPLIED, State.UNCHANGED)


# What it comes to


def _summarize(verification: Verification, out: Output, *, running: bool) -> None:
    summary, tally = verification.summary, verification.tally
    next_ = "" if running else next_step(summary)
    out.say(
        _summary_text(verification, next_, running=running),
        "summary",
        run=summary.run.id,
        running=running,
        rows=summary.run.rows,
        as_written=tally.as_written,
        differ=tally.differ,
        unread=tally.unread,
        unknown=tally.unknown,
        unchecked=tally.unchecked,
        left=_to_read(verification) - tally.done,
        states={state.value: count for state, count in summary.rows.items()},
        next=next_,
    )


def _summary_text(verification: Verification, next_: str, *, running: bool) -> str:
    summary, tally = verification.summary, verification.tally
    name = f"run {summary.run.id}" + (", running" if running else "")
    differ = f" · {tally.differ:,} differ" if tally.differ else ""
    lines = [f"{name}: {tally.as_written:,} of {counted(summary.run.rows, 'row')} as written{differ}"]
    if left_out := _left_out(verification, running=running):
        lines.append(f"not verified: {', '.join(left_out)}")
    if tally.unchecked:
        lines.append(f"not checked: {counted(tally.unchecked, 'place')} of which the operations alone do not tell")
    if next_:
        lines.append(f"next: {next_}")
    return "\n".join(lines)


def _left_out(verification: Verification, *, running: bool) -> list[str]:
    """Say which rows were not verified, and why, each kind with its number."""
    count, tally = verification.summary.count, verification.tally
    open_ = count(State.INTENT)
    counts = [
        (tally.unread, "cannot be read"),
        (tally.unknown, "created under an id that is not known"),
        (_to_read(verification) - tally.done, "not read yet"),
        (count(State.REJECTED), "failed"),
        (count(State.SKIPPED), "skipped"),
        (count(State.UNRESOLVED), "unresolved"),
        (count(State.DOUBT) + (0 if running else open_), "in doubt"),
        (open_ if running else 0, "in flight"),
        (count(State.PENDING) - verification.summary.held, "not sent"),
        (verification.summary.held, "held back"),
    ]
    return [f"{number:,} {what}" for number, what in counts if number]


def _exit_code(verification: Verification, *, running: bool) -> int:
    tally, in_doubt = verification.tally, IN_DOUBT - ({State.INTENT} if running else set())
    if tally.differ:
        return 3
    return 4 if tally.unread or tally.unknown or verification.summary.count(*in_doubt) else 0
