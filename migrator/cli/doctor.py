"""`migrator doctor`."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import click
import msgspec
from rich.text import Text

from migrator import api
from migrator.cli.options import flags_of, ledger_option, output_option, profile_option, sandbox_option, style_option
from migrator.cli.output import Output, counted
from migrator.core.values import visible
from migrator.diagnosing import Finding, Grade

COLORS = {Grade.OK: "green", Grade.WARN: "yellow", Grade.FAIL: "bold red"}

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
    Exit codes: 0 a run would work · 2 something on our side is wrong · 5 the service refuses us or cannot be reached
    """
    return asyncio.run(_show(values, Output(output)))


async def _show(values: dict[str, Any], out: Output) -> int:
    """Show each finding as it comes, and sum them up."""
    grades: Counter[Grade] = Counter()
    exit_code = 0
    finding: Finding | None = None
    async for finding in api.diagnose(flags_of(values), values["profile"]):
        grades[finding.grade] += 1
        exit_code = exit_code or finding.exit_code
        out.show(_paragraph(finding), "check", **msgspec.structs.asdict(finding))
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


def _paragraph(finding: Finding) -> Text:
    """Write a finding: its grade, what was looked at, what was found; below it what belongs to it and what to do."""
    text = Text(f"{finding.grade.value:4}", COLORS[finding.grade])
    text.append(f"  {finding.check:13}{visible(finding.message)}", "")
    for name, value in finding.details.items():
        text.append(f"\n{'':19}{name} = {visible(value)}", "dim")
    if finding.hint:
        text.append(f"\n{'':19}{visible(finding.hint)}", "")
    return text
