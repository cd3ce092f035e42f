"""`migrator apply` and `migrator resume`."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import click

from migrator import api
from migrator.cli import eventloop
from migrator.cli import fleet as fleets
from migrator.cli.asking import ask, confirm_sandbox, expect_somebody
from migrator.cli.carry import carry_out
from migrator.cli.jobs import opened_job
from migrator.cli.options import (
    choice_of,
    choice_options,
    doubt_options,
    find_run,
    flags_of,
    input_options,
    ledger_option,
    max_changes_option,
    metrics_option,
    output_option,
    planning_options,
    profile_option,
    running_options,
    sandbox_option,
    sending_options,
    style_option,
    viewing_of,
    viewing_options,
)
from migrator.cli.output import Output, counted, tell
from migrator.cli.plan import merge, preview
from migrator.cli.validate import report
from migrator.clock import SystemClock
from migrator.core.errors import UsageError
from migrator.core.states import State
from migrator.ledger import savedplan
from migrator.ledger.folder import RunFolder, Runs
from migrator.ledger.reading import read_run
from migrator.planning.draft import Input
from migrator.settings import Settings


@click.command()
@click.argument("file")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.option("--dry-run", "-n", is_flag=True, help="Only show what would be done, as `migrator plan` does.")
@click.option("--again", is_flag=True, help="Apply although an earlier run did, or began, exactly the same.")
@click.option("--run-id", metavar="NAME", help="What to call the run [default: made from the time].")
@click.option("--fleet", is_flag=True, help="Refuse unless --ledger names the database of a fleet, which is to do it.")
@choice_options
@max_changes_option
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
@metrics_option
def apply(
    file: str,
    yes: bool,
    dry_run: bool,
    again: bool,
    run_id: str | None,
    fleet: bool,
    input_format: str | None,
    delimiter: str | None,
    encoding: str,
    output: str,
    confirm_sandbox_name: str | None,
    **values: Any,
) -> int:
    """Check all of FILE, then send its changes. FILE is CSV, JSONL, a job file, a saved plan, or - for stdin.

    Every row is checked before the first request. What is about to be sent is on the disk before it is sent, so the
    run can be killed at any moment and goes on with `migrator resume`. With --limit, --sample or --ids only some
    objects are done, and `migrator resume` does the others when you have seen how it went.

    Of a plan that `migrator plan FILE --out PLAN` has saved, each object is done as it was shown, without a question;
    one that has changed since is refused.

    \b
    Examples:  migrator apply changes.csv --style xcore
               migrator apply jobs/dps-rename.toml --rate 10/s --yes
               migrator apply changes.csv --limit 10, then migrator verify, then migrator resume
    Exit codes: 0 all rows applied · 2 nothing was sent · 3 some failed · 4 some unresolved · 5 the service refuses
                6 stopped, resumable · 7 some objects changed since the plan · 130/143 interrupted, resumable
    """
    viewing = viewing_of(values)
    choice = choice_of(values)
    out = Output(output)
    if savedplan.is_saved_plan(Path(file)):
        if dry_run:
            raise UsageError(f"{file} is a plan already", f"`migrator plan {file}` shows it")
        settings = api.plan_target(Path(file), flags_of(values), values.get("profile"))
        if fleet:
            _need_fleet(settings)
        confirm_sandbox(settings, confirm_sandbox_name)
        with _planned_in(settings) as where:
            planned = _from_plan(Path(file), settings, where, run_id, again)
            return carry_out(planned, settings, out, viewing, choice=choice)
    if not (yes or dry_run):
        expect_somebody("apply")
    with ExitStack() as stack:
        with opened_job(file, values, input_format, delimiter, encoding) as (source, settings):
            if fleet:
                _need_fleet(settings)
            if dry_run:
                return preview(source, settings, choice, out, viewing)
            confirm_sandbox(settings, confirm_sandbox_name)
            where = stack.enter_context(_planned_in(settings))
            run = _from_input(source, settings, where, run_id, again, yes, choice, out)
        return carry_out(run, settings, out, viewing, choice=choice) if run else 2


def _need_fleet(settings: Settings) -> None:
    if settings.fleet is None:
        raise UsageError("no fleet is named", "name its database: --ledger postgresql://[user@]host/database")


def _planned_in(settings: Settings) -> AbstractContextManager[Settings]:
    """Return where a run is planned: in the folder of runs, or, if a fleet is to have it, where nothing stays."""
    return nullcontext(settings) if settings.fleet is None else api.scratch(settings)


def _from_plan(path: Path, settings: Settings, where: Settings, run_id: str | None, again: bool) -> RunFolder:
    """Make a run of a saved plan."""
    _mind_other_sandboxes(savedplan.containers(path), settings)
    eventloop.run(api.refuse_too_many(partial(savedplan.count_changes, path), settings), settings)
    with Runs(where.runs).locked():
        if not again:
            _refuse_repetition(read_run(path).fingerprint, settings, run_id)
        with api.planned(path, where, run_id=run_id) as run:
            return run


def _from_input(
    source: Input,
    settings: Settings,
    where: Settings,
    run_id: str | None,
    again: bool,
    yes: bool,
    choice: api.Choice | None,
    out: Output,
) -> RunFolder | None:
    """Make a run of an input, or return `None` when it has problems, which are then on stdout."""
    if run_id is not None:
        _refuse_other_input(run_id, source, where)
    with api.plan(source, where, run_id=run_id) as (run, draft):
        merge(draft, settings)
        if report(draft, source.name, out):
            return None
        eventloop.run(api.refuse_too_many(draft.file.count_changes, settings), settings)
        _mind_other_sandboxes(draft.container_names, settings)
        if not yes:
            ask(draft, settings, choice)
        # Somebody may have applied the same while we asked: the check and the acceptance are one act.
        with Runs(where.runs).locked():
            if not again:
                _refuse_repetition(draft.fingerprint, settings, run_id)
            draft.accept(run.id, source.name, settings.remembered(), SystemClock.now())
    return run


def _refuse_other_input(run_id: str, source: Input, settings: Settings) -> None:
    run = RunFolder(settings.runs / run_id)
    if run.ledger.exists():
        api.check_same_input(run, source.path)


def _refuse_repetition(fingerprint: str, settings: Settings, run_id: str | None) -> None:
    find = api.earlier_run if settings.fleet is None else fleets.earlier_run
    earlier = find(fingerprint, settings)
    if earlier is None or earlier.run.id == run_id:  # a fleet goes on with the run of that name
        return
    run = earlier.run.id
    if left_out := earlier.count(State.SKIPPED):
        hint = f"`migrator results {run}` writes those to a file `left-out`, to be applied; --again applies all anew"
        raise UsageError(f"run {run} is about these changes already, and left out {counted(left_out, 'row')}", hint)
    if earlier.complete and (failed := earlier.count(State.REJECTED)):
        hint = f"`migrator retry {run}` sends those again; --again applies all anew"
        raise UsageError(f"run {run} is about exactly these changes, and {counted(failed, 'row')} of it failed", hint)
    if earlier.complete:
        hint = f"see `migrator status {run}`; add --again to apply the same changes a second time"
        raise UsageError(f"run {run} has applied exactly these changes to this sandbox already", hint)
    hint = f"go on with `migrator resume {run}`; add --again to begin anew"
    raise UsageError(f"run {run} is about exactly these changes and has not ended", hint)


def _mind_other_sandboxes(names: Iterable[str], settings: Settings) -> None:
    """Name the sandboxes that rows of a dps input name, where they are not the one that the settings name."""
    if others := api.refuse_other_sandboxes(names, settings):
        tell(f"warning: rows name another sandbox than {settings.sandbox}: {', '.join(others)}")


@click.command()
@click.argument("run", required=False)
@click.option(
    "--input",
    "input_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Refuse unless the run was planned from this file.",
)
@choice_options
@running_options
def resume(
    run: str | None,
    input_file: Path | None,
    output: str,
    confirm_sandbox_name: str | None,
    **values: Any,
) -> int:
    """Go on with RUN (the newest one by default) after any stop: a signal, a crash, a refusal, a full disk.

    The changes are in the ledger; the input file is not needed. What was applied is not sent again. What was in flight
    when the run died is looked at first, and sent again only if it was not applied. What --limit, --sample or --ids
    held back is done now, or some of it if one of them is given again; if those that were to be tried first are not
    done yet, only these are. (This does not wait for a job elsewhere, as `resume` does in some other tools: it sends.)

    \b
    Examples:  migrator resume
               migrator resume 20261122-181502-3fa9 --rate 2/s
    Exit codes: as `migrator apply`
    """
    viewing = viewing_of(values)
    found = find_run(values, run)
    if input_file is not None:
        api.check_same_input(found, input_file)
    settings = api.resumed(found, flags_of(values), values.get("profile"))
    confirm_sandbox(settings, confirm_sandbox_name)
    return carry_out(found, settings, Output(output), viewing, choice=choice_of(values))
