"""What people and programs read: stdout carries results, stderr the rest."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import click
import msgspec
from rich.console import Console, RenderableType

from migrator.cli.events import encoded
from migrator.core.errors import Interrupted, MigratorError
from migrator.core.model import Problem
from migrator.core.states import State
from migrator.core.values import visible
from migrator.ledger.reading import Summary
from migrator.logs import redact
from migrator.reports.errors import Errors


class Output:
    """Writes to stdout: sentences for a person, or one JSON object a line for a program."""

    def __init__(self, form: str) -> None:
        """Write `text` or `json`."""
        self.json = form == "json"
        # On a terminal lines are wrapped between words; elsewhere a program may read them, and they stay whole.
        self._console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())

    @property
    def columns(self) -> int | None:
        """How wide the terminal is, or `None` if there is none."""
        return None if self._console.soft_wrap else self._console.width

    def say(self, text: str, event: str, **members: Any) -> None:
        """Write one thing, in the form that was chosen.

        Args:
            text: for a person.
            event: what kind of line it is, for a program (`events`).
            members: those of such a line.
        """
        self._write(_readable(text), event, members)

    def _write(self, text: str, event: str, members: Mapping[str, Any]) -> None:
        try:
            click.echo(encoded(event, members) if self.json else text)
        except BrokenPipeError:
            # Whoever read our output has seen enough. The work goes on, and its exit code counts.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def show(self, text: RenderableType, event: str, **members: Any) -> None:
        """Write one thing like `say`, for a person in colours where there are any.

        Args:
            text: for a person; it ends its own lines, and what is invisible in it is spelled out already.
            event: see `say`.
            members: see `say`.
        """
        with self._console.capture() as captured:
            self._console.print(text, end="")
        self._write(captured.get().removesuffix("\n"), event, members)

    def problem(self, name: str, problem: Problem) -> None:
        """Write one thing that is wrong with an input, the way compilers do: file, line, column, sentence."""
        place = f"{name}:{problem.line}" if problem.line else name
        column = f" {problem.column}:" if problem.column else ""
        hint = f"; {problem.hint}" if problem.hint else ""
        self.say(f"{place}:{column} {problem.message}{hint}", "problem", **msgspec.structs.asdict(problem))

    def summary(self, summary: Summary, errors: Errors, next_step: str, *, running: bool = False) -> None:
        """Write where a run stands, what was wrong with rows, and what to type next."""
        self.say(
            _summary_text(summary, errors, next_step, running=running),
            "summary",
            run=summary.run.id,
            retries=summary.run.retries,
            rolls_back=summary.run.rolls_back,
            running=running,
            rows=summary.run.rows,
            states={state.value: count for state, count in summary.rows.items()},
            requests=summary.attempts,
            last_error=summary.last_error,
            error_classes=errors.by_class,
            errors=errors.shown,
            next=next_step,
        )


def counted(number: int, what: str) -> str:
    """Write a number with its noun: `1 row`, `2,000 rows`."""
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def duration(seconds: float) -> str:
    """Write a time as people say it: `40 s`, `12 min`, `3 h 20 min`."""
    if seconds < 120:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def _readable(text: str) -> str:
    """Let nothing through to a terminal that it would act upon, but for the ends of lines."""
    return "\n".join(map(visible, text.split("\n")))


def _summary_text(summary: Summary, errors: Errors, next_step: str, *, running: bool) -> str:
    name = f"run {summary.run.id}" + (", running" if running else "")
    lines = [
        f"{name}: {_standing(summary, running=running)} (of {counted(summary.run.rows, 'row')})",
        _pace(summary),
        *_errors(errors, running=running),
        f"next: {next_step}" if next_step else "",
    ]
    return "\n".join(filter(None, lines))


def _standing(summary: Summary, *, running: bool) -> str:
    open_ = summary.count(State.INTENT)
    counts = [
        ("applied", summary.count(State.APPLIED)),
        ("unchanged", summary.count(State.UNCHANGED)),
        ("left out", summary.count(State.SKIPPED)),
        ("failed", summary.count(State.REJECTED)),
        ("unresolved", summary.count(State.UNRESOLVED)),
        ("in doubt", summary.count(State.DOUBT) + (0 if running else open_)),
        ("in flight", open_ if running else 0),
        ("not sent", summary.count(State.PENDING) - summary.held),
        ("held back", summary.held),
    ]
    return " · ".join(f"{count:,} {what}" for what, count in counts if count or what == "applied")


def _errors(errors: Errors, *, running: bool) -> list[str]:
    """Say how many rows have which error, and show the most frequent ones by their first row.

    What to do is said when the run has ended: while it is running, it may yet do that itself.
    """
    lines = [f"errors: {' · '.join(f'{rows:,} {one}' for one, rows in errors.by_class.items())}"]
    for one in errors.shown:
        such = f"{one.rows:,} rows such as " if one.rows > 1 else ""
        lines.append(f"  {such}line {one.line}, {one.object}: {one.message}")
        if not running:
            lines.append(f"    {one.hint}")
    return lines if errors.by_class else []


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
    if summary.count(State.UNRESOLVED, State.REJECTED) > summary.drifted:
        return f"migrator results {run}"
    if summary.drifted:
        return f"migrator results {run}, then migrator plan on its failed rows"
    return ""


def exit_code(summary: Summary) -> int:
    """Return the exit code of a run that ended by itself (`design.md` section 7)."""
    if summary.count(State.DOUBT, State.UNRESOLVED):
        return 4
    if summary.count(State.REJECTED) > summary.drifted:
        return 3
    if not summary.complete:
        return 6
    return 7 if summary.drifted else 0


def tell(text: str) -> None:
    """Write a line on stderr, if anybody is still there to read it."""
    with suppress(OSError):
        # Not by click, which writes to what is below `sys.stderr`, and so through a live view that stands there.
        sys.stderr.write(f"{_readable(redact(text))}\n")
        sys.stderr.flush()


def explain(error: MigratorError) -> None:
    """Write on stderr what ended the program, and what to type next."""
    label = "interrupted" if isinstance(error, Interrupted) else "error"
    with suppress(OSError):
        click.secho(f"{label}: ", fg="red", bold=True, nl=False, err=True)
    tell(f"{error}")
    if error.hint:
        tell(f"  {error.hint}")


def is_terminal() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()
