"""`migrator plan`."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.text import Text

from migrator import api
from migrator.cli.carry import watching
from migrator.cli.jobs import opened_job
from migrator.cli.options import (
    Viewing,
    choice_of,
    choice_options,
    input_options,
    ledger_option,
    output_option,
    planning_options,
    profile_option,
    reading_options,
    sandbox_option,
    style_option,
    viewing_of,
    viewing_options,
)
from migrator.cli.output import Output, counted, duration, tell
from migrator.cli.validate import report
from migrator.clock import SystemClock
from migrator.core.errors import UsageError
from migrator.core.pacing import Range, begin
from migrator.ledger import savedplan
from migrator.ledger.folder import RunFolder
from migrator.ledger.reading import planned_steps, read_run
from migrator.planning.draft import Input
from migrator.reports.preview import REFUSED, SENT, SIGNS, Action, Counts, Entry, entry, paragraph
from migrator.settings import Settings

CHANGES_EXIT = 10
"""Exit code of `--detailed-exitcode` when there are changes."""

REFUSED_EXIT = 3


@click.command()
@click.argument("file")
@click.option(
    "--out",
    metavar="PLAN",
    type=click.Path(path_type=Path),
    help="Save the plan; `migrator apply PLAN` carries it out.",
)
@click.option(
    "--show",
    type=click.Choice(["changes", "all", "none"]),
    default="changes",
    show_default=True,
    help="Which objects to show: not those that stay as they are, all, or only the counts.",
)
@click.option("--detailed-exitcode", is_flag=True, help=f"Exit with {CHANGES_EXIT} if there are changes.")
@profile_option
@style_option
@sandbox_option
@ledger_option
@reading_options
@planning_options
@choice_options
@input_options
@output_option
@viewing_options
def plan(
    file: str,
    out: Path | None,
    show: str,
    detailed_exitcode: bool,
    input_format: str | None,
    delimiter: str | None,
    encoding: str,
    output: str,
    **values: Any,
) -> int:
    """Show what FILE would do to the objects as they are now, and send nothing.

    Each object is read, and the change tried on it here. With --out, what was shown can be carried out: an object that
    has changed since is then refused, and all others are done. FILE may also be a saved plan, to look at it again.

    \b
    Signs: + create · ~ change · - delete · = as wanted already · ! conflict, or cannot be applied

    \b
    Examples:  migrator plan changes.csv
               migrator plan changes.csv --out monday.plan && migrator apply monday.plan
    Exit codes: 0 · 2 usage or input · 3 some rows conflict or cannot be applied
                10 there are changes, with --detailed-exitcode
    """
    viewing = viewing_of(values)
    to = Output(output)
    choice = choice_of(values)
    if savedplan.is_saved_plan(Path(file)):
        if out or choice:
            raise UsageError(f"{file} is a plan already", f"`migrator plan {file}` alone shows it")
        savedplan.check(Path(file))
        counts = show_plan(Path(file), to, show)
        return exit_code_of(counts, detailed=detailed_exitcode)
    with opened_job(file, values, input_format, delimiter, encoding) as (source, settings):
        return preview(source, settings, choice, to, viewing, out=out, show=show, detailed=detailed_exitcode)


def preview(
    source: Input,
    settings: Settings,
    choice: api.Choice | None,
    to: Output,
    viewing: Viewing,
    *,
    out: Path | None = None,
    show: str = "changes",
    detailed: bool = False,
) -> int:
    """Read what every object is and show what an input would do to it; return the exit code.

    Args:
        source: the input.
        settings: where it goes.
        choice: of which objects; of all if `None`.
        to: where it is shown.
        viewing: how the reading is shown.
        out: where to save the plan, if at all.
        show: `changes`, `all` or `none`.
        detailed: whether the exit code tells that there are changes.
    """
    if out is not None:
        savedplan.check_place(out)
    with api.preview(source, settings) as (run, draft):
        merge(draft, settings)
        if report(draft, source.name, to):
            return 2
        draft.accept(run.id, source.name, settings.remembered(), SystemClock.now())
        reads = asyncio.run(_survey(run, settings, choice, viewing))
        counts = show_plan(run.ledger, to, show)
        _estimate(counts, reads, settings, to)
        if out is not None:
            api.save_plan(run, out)
            tell(f"next: migrator apply {shlex.quote(str(out))}")
    return exit_code_of(counts, detailed=detailed)


def merge(draft: api.Draft, settings: Settings) -> None:
    """Make requests of the rows; look up before what they call by name, unless there is something wrong already."""
    if draft.seeks and not draft.count_problems():
        asyncio.run(api.look_up(draft, settings))
    else:
        draft.merge()


async def _survey(run: RunFolder, settings: Settings, choice: api.Choice | None, viewing: Viewing) -> int:
    """Read what every object is; return with how many requests."""
    watched: list[api.Running] = []

    @asynccontextmanager
    async def around(running: api.Running) -> AsyncIterator[None]:
        watched.append(running)
        async with watching(viewing, live=viewing.live)(running):
            yield

    await api.execute(run, settings, api.Work.SURVEY, choice=choice, around=around)
    return sum(running.engine.tally.reads for running in watched)


def show_plan(ledger: Path, to: Output, show: str) -> Counts:
    """Write what a plan does, object by object, and then in numbers."""
    counts = Counts({})
    several = False
    for step in planned_steps(ledger):
        found = entry(step)
        counts.add(found)
        several = several or len(counts.by_container) > 1
        if show == "all" or (show == "changes" and found.action in (*SENT, *REFUSED)):
            to.show(paragraph(found, with_container=several), "step", **_members(found))
    to.show(_sums(counts), "plan", run=read_run(ledger).id, containers=_by_container(counts))
    return counts


def _members(found: Entry) -> dict[str, Any]:
    step = found.step
    return {
        "action": found.action.value,
        "lines": step.lines,
        "container": step.container,
        "type": step.type,
        "object": step.object,
        "name": found.name,
        **({"source": step.source} if step.source else {}),
        "error_class": step.error_class,
        "message": step.message,
        "differences": [msgspec.to_builtins(one) for one in found.differences],
    }


def _by_container(counts: Counts) -> dict[str, dict[str, int]]:
    return {name: {action.value: n for action, n in found.items()} for name, found in counts.by_container.items()}


def _sums(counts: Counts) -> Text:
    text = Text()
    names = list(counts.by_container)
    if len(names) > 1:
        for name in names:
            text.append_text(_sum(f"{name}: ", {action: counts.by_container[name].get(action, 0) for action in Action}))
    return text.append_text(_sum("plan: ", {action: counts.count(action) for action in Action}))


def _sum(label: str, numbers: dict[Action, int]) -> Text:
    text = Text(label)
    shown = [action for action in Action if numbers[action]] or [Action.CHANGE]
    for index, action in enumerate(shown):
        _, style = SIGNS[action]
        text.append(" · " if index else "").append(f"{numbers[action]:,} {_PAST[action]}", style)
    return text.append("\n")


_PAST = {
    Action.CREATE: "to create",
    Action.CHANGE: "to change",
    Action.DELETE: "to delete",
    Action.UNCHANGED: "unchanged",
    Action.CONFLICT: "in conflict",
    Action.CANNOT_APPLY: "cannot be applied",
    Action.LEFT_OUT: "left out",
}


def _estimate(counts: Counts, reads: int, settings: Settings, to: Output) -> None:
    """Say how many requests it takes to carry the plan out, and how long, at the rate that is set."""
    writes = counts.count(*SENT)
    requests = writes + reads if writes else 0
    seconds, pace = _time(settings, requests, writes, len(counts.by_container))
    text = f"to apply: {counted(writes, 'write')} and about {counted(requests - writes, 'read')}{pace}"
    to.say(text if writes else "nothing to apply", "estimate", writes=writes, reads=requests - writes, seconds=seconds)


def _time(settings: Settings, requests: int, writes: int, containers: int) -> tuple[float | None, str]:
    """Return how long so many requests take, and the clause that says so; the limit that takes longest decides."""
    overall = settings.overall_rate
    faster = ", or faster" if isinstance(overall, Range) else ""
    rate = begin(overall).rate if isinstance(overall, Range) else overall
    limits = [
        (requests, rate, faster),
        (requests, settings.container_rate * containers, ""),
        (writes, settings.write_rate, ""),
    ]
    times = [(number / limit, f"{limit:g}/s{besides}") for number, limit, besides in limits if limit]
    if not times:
        return None, ", without a limit of the rate"
    seconds, at = max(times)
    return seconds, f", about {duration(seconds)} at {at}"


def exit_code_of(counts: Counts, *, detailed: bool) -> int:
    """Return the exit code of a plan that was shown; `detailed` for one that tells that there are changes."""
    if counts.count(*REFUSED):
        return REFUSED_EXIT
    return CHANGES_EXIT if detailed and counts.count(*SENT) else 0
