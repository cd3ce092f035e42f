"""What people and programs read: stdout carries results, stderr the rest."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import click
import msgspec

from migrator.core.errors import Interrupted, MigratorError
from migrator.core.model import Problem
from migrator.core.states import State
from migrator.ledger.reading import Summary


class Output:
    """Writes to stdout: sentences for a person, or one JSON object a line for a program."""

    def __init__(self, form: str) -> None:
        """Write `text` or `json`."""
        self._json = form == "json"

    def say(self, text: str, event: str, **members: Any) -> None:
        """Write one thing, in the form that was chosen.

        Args:
            text: for a person.
            event: what kind of thing it is, for a program.
            members: what a program reads of it.
        """
        try:
            click.echo(_encode({"event": event, **members}) if self._json else text)
        except BrokenPipeError:
            # Whoever read our output has seen enough. The work goes on, and its exit code counts.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def problem(self, name: str, problem: Problem) -> None:
        """Write one thing that is wrong with an input, the way compilers do: file, line, column, sentence."""
        place = f"{name}:{problem.line}" if problem.line else name
        column = f" {problem.column}:" if problem.column else ""
        hint = f"; {problem.hint}" if problem.hint else ""
        self.say(f"{place}:{column} {problem.message}{hint}", "problem", **msgspec.structs.asdict(problem))

    def summary(self, summary: Summary, next_step: str, *, running: bool = False) -> None:
        """Write where a run stands and what to type next."""
        self.say(
            _summary_text(summary, next_step, running=running),
            "summary",
            run=summary.run.id,
            retries=summary.run.retries,
            running=running,
            rows=summary.run.rows,
            states={state.value: count for state, count in summary.rows.items()},
            requests=summary.attempts,
            last_error=summary.last_error,
            next=next_step,
        )


def counted(number: int, what: str) -> str:
    """Write a number with its noun: `1 row`, `2,000 rows`."""
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def _encode(values: Mapping[str, Any]) -> str:
    return msgspec.json.encode(values).decode()


def _summary_text(summary: Summary, next_step: str, *, running: bool) -> str:
    open_ = summary.count(State.INTENT)
    counts = [
        ("applied", summary.count(State.APPLIED)),
        ("unchanged", summary.count(State.UNCHANGED)),
        ("left out", summary.count(State.SKIPPED)),
        ("failed", summary.count(State.REJECTED)),
        ("unresolved", summary.count(State.UNRESOLVED)),
        ("in doubt", summary.count(State.DOUBT) + (0 if running else open_)),
        ("in flight", open_ if running else 0),
        ("not sent", summary.count(State.PENDING)),
    ]
    shown = " · ".join(f"{count:,} {what}" for what, count in counts if count or what == "applied")
    name = f"run {summary.run.id}" + (", running" if running else "")
    lines = [f"{name}: {shown} (of {counted(summary.run.rows, 'row')})", _pace(summary)]
    if summary.last_error and not (summary.complete and summary.count(State.APPLIED) == summary.run.rows):
        lines.append(f"last error: {summary.last_error}")
    lines.append(f"next: {next_step}" if next_step else "")
    return "\n".join(filter(None, lines))


def _pace(summary: Summary) -> str:
    """Say how many requests it took, and how fast they went."""
    if summary.started_at is None or summary.ended_at is None:
        return ""
    seconds = summary.ended_at - summary.started_at
    rate = f", {summary.attempts / seconds:,.1f}/s" if seconds > 0.5 else ""
    return f"{counted(summary.attempts, 'request')}, {summary.repeats:,} of them repeats, in {seconds:,.1f} s{rate}"


def next_step(summary: Summary) -> str:
    """Return the command to type after a run that stands like this, or ""."""
    run = summary.run.id
    if not summary.complete:
        return f"migrator resume {run}"
    if summary.count(State.UNRESOLVED, State.REJECTED):
        return f"migrator results {run}"
    return ""


def exit_code(summary: Summary) -> int:
    """Return the exit code of a run that ended by itself (`design.md` section 7)."""
    if summary.count(State.DOUBT, State.UNRESOLVED):
        return 4
    if summary.count(State.REJECTED):
        return 3
    return 0 if summary.complete else 6


def tell(text: str) -> None:
    """Write a line on stderr, if anybody is still there to read it."""
    with suppress(OSError):
        click.echo(text, err=True)


def explain(error: MigratorError) -> None:
    """Write on stderr what ended the program, and what to type next."""
    label = "interrupted" if isinstance(error, Interrupted) else "error"
    tell(click.style(f"{label}: ", fg="red", bold=True) + f"{error}")
    if error.hint:
        tell(f"  {error.hint}")


def is_terminal() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()
