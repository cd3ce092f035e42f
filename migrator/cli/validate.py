"""`migrator validate`."""

from __future__ import annotations

from typing import Any

import click

from migrator import api
from migrator.cli.jobs import opened_job
from migrator.cli.options import (
    input_options,
    output_option,
    profile_option,
    sandbox_option,
    style_option,
)
from migrator.cli.output import Output, counted


@click.command()
@click.argument("file")
@profile_option
@style_option
@sandbox_option
@input_options
@output_option
def validate(
    file: str, input_format: str | None, delimiter: str | None, encoding: str, output: str, **values: Any
) -> int:
    """Check FILE (CSV, JSONL, a job file, or - for stdin) and list all that is wrong. Sends nothing.

    \b
    Examples:  migrator validate changes.csv --style xcore
               migrator validate changes.jsonl.gz --output json
    Exit codes: 0 nothing is wrong · 2 something is
    """
    out = Output(output)
    with (
        opened_job(file, values, input_format, delimiter, encoding) as (source, settings),
        api.validate(source, settings) as draft,
    ):
        return report(draft, source.name, out)


def report(draft: api.Draft, name: str, out: Output) -> int:
    """Write the problems of an input, or that it has none; return the exit code."""
    for problem in draft.problems():
        out.problem(name, problem)
    problems = draft.count_problems()
    if problems:
        out.say(
            f"{name}: {counted(problems, 'problem')} in {counted(draft.rows, 'row')}; nothing was sent",
            "invalid",
            problems=problems,
            rows=draft.rows,
        )
        return 2
    work = f"{counted(draft.steps, 'request')} to {counted(draft.containers, 'container')}"
    unchanged = draft.unchanged
    rest = f"; nothing to do for {counted(unchanged, 'row')}" if unchanged else ""
    text = f"{name}: {counted(draft.rows, 'row')} checked: {work}{rest}"
    members = {"rows": draft.rows, "requests": draft.steps, "containers": draft.containers, "unchanged": unchanged}
    out.say(text, "valid", **members)
    return 0
