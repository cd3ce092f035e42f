"""`migrator report`: what became of a run, as one HTML file to read and to pass on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from migrator.cli.options import find_run, ledger_option, output_option, profile_option
from migrator.cli.output import Output, next_step
from migrator.clock import SystemClock

PAGE = "report.html"
"""What the file is called unless told otherwise."""


@click.command()
@click.argument("run", required=False)
@click.option(
    "--out", "file", metavar="FILE", type=click.Path(path_type=Path), help="Where to [default: in the run's folder]."
)
@ledger_option
@profile_option
@output_option
def report(run: str | None, file: Path | None, output: str, **values: Any) -> int:
    """Write what became of RUN (the newest one by default) to one HTML file, which needs nothing else to be read.

    It has the outcome, the errors and what to do about them, requests over time against the limit, how long answers
    took, and every row with what it changed, to filter and to search. Also works while the run is running.

    \b
    Examples:  migrator report
               migrator report 20261122-181502-3fa9 --out monday.html
    Exit codes: 0 written · 2 usage · 6 the ledger cannot be read, or the file cannot be written
    """
    from migrator.reports.page import write_page  # noqa: PLC0415 (it takes a tenth of a second, which others need not)

    found = find_run(values, run)
    path = file or found.beside / PAGE
    if file is None:
        found.beside.mkdir(parents=True, exist_ok=True)
    summary = write_page(found.ledger, path, next_step, SystemClock.now(), running=found.running)
    Output(output).say(str(path), "file", path=str(path), rows=summary.run.rows)
    return 0
