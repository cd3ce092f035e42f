"""`migrator doctor`."""

from __future__ import annotations

from collections import Counter
from typing import Any

import click
import msgspec
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from migrator import api
from migrator.cli import eventloop
from migrator.cli.options import flags_of, ledger_option, output_option, profile_option, sandbox_option, style_option
from migrator.cli.output import Output, counted
from migrator.core.values import visible
from migrator.diagnosing import Finding, Grade

COLORS = {Grade.OK: "green", Grade.WARN: "yellow", Grade.FAIL: "bold red"}

INDENT, NARROW_INDENT = 19, 6
"""Columns before what is said, on a terminal and on one that is narrower than `NARROW`."""

NARROW = 60

LAST = "limits"
"""The last thing that is looked at."""


@click.command()
@profile_option
@style_option
@sandbox_option
@ledger_option
@click.option("--timeout", metavar="TIME", help="For one request, e.g. 10s [default: 75s].")
@output_option
def doctor(output: str, **values: Any) -> int:
    """Look at all that a run needs: machine, settings, ledger folder, token, and one GET. Changes nothing.

    Each line is ok, warn or fail, and says what to do; no secret is shown. What cannot be seen because of an earlier
    failure is not looked at.

    \b
    Examples:  migrator doctor --profile production
               migrator doctor --style xcore --output json
    Exit codes: 0 a run would work · 2 something on our side is wrong · 5 the service refuses us
                6 it does not answer now: try again later
    """
    return eventloop.run(_show(values, Output(output)))


async def _show(values: dict[str, Any], out: Output) -> int:
    """Show each finding as it comes, and sum them up."""
    grades: Counter[Grade] = Counter()
    exit_code = 0
    finding: Finding | None = None
    async for finding in api.diagnose(flags_of(values), values["profile"]):
        grades[finding.grade] += 1
        exit_code = exit_code or finding.exit_code
        out.show(_drawn(finding, out.columns), "check", **msgspec.structs.asdict(finding))
    complete = finding is not None and finding.check == LAST
    out.say(_sums(grades, complete=complete), "doctor", exit_code=exit_code, complete=complete, **_numbers(grades))
    return exit_code


def _numbers(grades: Counter[Grade]) -> dict[str, int]:
    return {grade.value: grades[grade] for grade in Grade}


def _sums(grades: Counter[Grade], *, complete: bool) -> str:
    rest = "" if complete else "; the rest was not looked at: mend this first"
    if grades[Grade.FAIL]:
        return f"a run would not work: {counted(grades[Grade.FAIL], 'failure')}{rest}"
    return f"a run would work: {counted(grades[Grade.WARN], 'warning')}" if grades[Grade.WARN] else "a run would work"


def _drawn(finding: Finding, columns: int | None) -> RenderableType:
    """Draw a finding: its grade, what was looked at, what was found; below it what belongs to it and what to do.

    On a terminal it is a table, so that what does not fit into a line goes on where it began.
    """
    grade, check = Text(f"{finding.grade.value:4}", COLORS[finding.grade]), f"  {finding.check:13}"
    said = _said(finding)
    if columns is None:
        below = [Text(" " * INDENT).append(line) for line in said[1:]]
        return Text("\n").join([Text.assemble(grade, check, said[0]), *below])
    table = Table.grid(padding=0)
    if columns < NARROW:
        table.add_column(ratio=1, overflow="fold")
        table.add_row(Text.assemble(grade, check))
        table.add_row(Padding(Text("\n").join(said), (0, 0, 0, NARROW_INDENT)))
        return table
    table.add_column(width=INDENT)
    table.add_column(ratio=1, overflow="fold")
    table.add_row(Text.assemble(grade, check), Text("\n").join(said))
    return table


def _said(finding: Finding) -> list[Text]:
    """Return the lines of a finding."""
    details = [Text(f"{name} = {visible(value)}", "dim") for name, value in finding.details.items()]
    hint = [Text(visible(finding.hint))] if finding.hint else []
    return [Text(visible(finding.message)), *details, *hint]
