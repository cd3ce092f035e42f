"""Which run? What a command says that does not take the newest one by default, and was not told which."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime

from migrator.core.errors import MigratorError, UsageError
from migrator.core.states import State
from migrator.ledger.folder import Runs
from migrator.ledger.reading import Summary, summarize

LISTED = 20
"""Runs that are offered at the most."""


def readable(runs: Runs) -> Sequence[Summary]:
    """Return where each run of a folder stands, oldest first, as far as they can be read."""
    found = []
    for run in runs.all():
        with suppress(MigratorError):  # `migrator runs` tells of it
            found.append(summarize(run.ledger))
    return found


def unnamed(command: str, what: str, fitting: Sequence[Summary]) -> UsageError:
    """Return the error that offers runs, newest first, each by the command to type.

    Args:
        command: to type, with `RUN` where the run is named.
        what: would be done to the run.
        fitting: the runs to which it can be done, oldest first.
    """
    if not fitting:
        return UsageError(f"there is no run that can be {what}", "`migrator runs` lists those there are")
    offered = fitting[: -LISTED - 1 : -1]
    commands = [command.replace("RUN", one.run.id) for one in offered]
    width = max(map(len, commands))
    lines = [f"{typed:{width}}   {_told(one)}" for typed, one in zip(commands, offered, strict=True)]
    if more := len(fitting) - len(offered):
        lines.append(f"and {more:,} older ones: `migrator runs` lists all")
    return UsageError(f"name the run that is to be {what}", "\n  ".join(lines))


def _told(summary: Summary) -> str:
    began = datetime.fromtimestamp(summary.run.created_at, UTC)
    applied = f"{summary.count(State.APPLIED):,} of {summary.run.rows:,} rows applied"
    return f"{began:%Y-%m-%d %H:%M} UTC, {applied}, {summary.run.input}"
