"""`migrator status`, `migrator runs`, `migrator results`: what a ledger says."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import click

from migrator.cli import fleet
from migrator.cli.options import find_run, ledger_option, output_option, profile_option, settings_of
from migrator.cli.output import Output, next_step, tell
from migrator.core.errors import MigratorError, UsageError
from migrator.ledger.folder import Runs
from migrator.ledger.reading import Summary, read_run, summarize
from migrator.reports.errors import summarize_errors
from migrator.reports.results import ResultsFile, stale_files, write_results
from migrator.translating.idmap import write_id_map

ID_MAP = "id-map"
"""What the results of a migration have beside the outcomes."""


@click.command()
@click.argument("run", required=False)
@click.option("--watch", is_flag=True, help="Of a fleet: look again every second until the run is over.")
@ledger_option
@profile_option
@output_option
def status(run: str | None, watch: bool, output: str, **values: Any) -> int:
    """Say where RUN (the newest one by default) stands. Also works while it is running.

    \b
    Examples:  migrator status
               migrator status 20261122-181502-3fa9 --output json
    Exit codes: 0 whatever became of the run · 2 there is no such run
    """
    settings = settings_of(values)
    if settings.fleet is not None:
        return fleet.status(run, settings, Output(output), watching=watch)
    if watch:
        raise UsageError(
            "only a fleet is watched from elsewhere", "a run on one machine shows how it goes where it runs"
        )
    found = Runs(settings.runs).find(run)
    running, (summary, errors) = found.running, summarize_errors(found.ledger)
    Output(output).summary(summary, errors, "" if running else next_step(summary), running=running)
    return 0


@click.command()
@ledger_option
@profile_option
@output_option
def runs(output: str, **values: Any) -> int:
    """List the runs, oldest first.

    \b
    Examples:  migrator runs
               migrator runs --ledger /var/lib/migrator/runs --output json
    Exit codes: 0 also when there is none
    """
    out = Output(output)
    settings = settings_of(values)
    if settings.fleet is not None:
        return fleet.list_runs(settings, partial(_list, out=out))
    for run in Runs(settings.runs).all():
        try:
            _list(summarize(run.ledger), out)
        except MigratorError as error:
            out.say(f"{run.id}  unreadable: {error}", "run", run=run.id, error=str(error))
    return 0


def _list(summary: Summary, out: Output) -> None:
    run = summary.run.id
    began = datetime.fromtimestamp(summary.run.created_at, UTC)
    counts = ", ".join(f"{count:,} {state.value.lower()}" for state, count in sorted(summary.rows.items()))
    what = f"{summary.run.style:5}  {summary.run.rows:>9,} rows"
    out.say(
        f"{run}  {began:%Y-%m-%d %H:%M} UTC  {what}  {counts}  {summary.run.input}",
        "run",
        run=run,
        created_at=began.isoformat(),
        style=summary.run.style,
        rows=summary.run.rows,
        states={state.value: count for state, count in summary.rows.items()},
        input=summary.run.input,
    )


@click.command()
@click.argument("run", required=False)
@click.option(
    "--to", "folder", metavar="FOLDER", type=click.Path(path_type=Path), help="Where to [default: in the run's folder]."
)
@ledger_option
@profile_option
@output_option
def results(run: str | None, folder: Path | None, output: str, **values: Any) -> int:
    """Write the rows of RUN (the newest one by default) to one file per outcome, in the input's shape and order.

    \b
    Files: applied, unchanged, left-out, failed, unresolved, in-doubt, pending (only those that have rows), and of a
    migration id-map.csv (as --id-map takes it) and id-map.jsonl, which say what became of which object.
    Columns that begin with _ are ours; they are ignored when a file is fed back, so failed.csv can be mended
    and applied as it is. Those of a rollback are the rows that it undoes: applied, they make the changes again.

    \b
    Examples:  migrator results
               migrator results 20261122-181502-3fa9 --to results
    Exit codes: 0 whatever became of the run · 2 there is no such run
    """
    found = find_run(values, run)
    folder = folder or found.results
    written = write_results(found.ledger, folder)
    if source := read_run(found.ledger).migrates:
        path = folder / f"{ID_MAP}.csv"
        objects = write_id_map(found.ledger, source, path)
        written += [ResultsFile(ID_MAP, file, objects) for file in (path, path.with_suffix(".jsonl"))]
    out = Output(output)
    for file in written:
        out.say(f"{file.rows:>9,} rows  {file.path}", "file", path=str(file.path), rows=file.rows, outcome=file.outcome)
    for path in stale_files(folder, written):
        tell(f"warning: {path} was there before, and has no row of this run")
    undone = read_run(found.ledger).rolls_back
    if undone is not None:
        tell(
            f"warning: these are the rows of run {undone}, which were undone: to apply them is to change all that again"
        )
    return 0
