"""Job files and inputs: what a command is given to read, and the settings that come with it."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from migrator.cli.options import flags_of
from migrator.core.errors import UsageError
from migrator.layers import read_toml
from migrator.ledger.savedplan import is_saved_plan
from migrator.planning.draft import Input
from migrator.settings import Settings, load


@contextmanager
def spooled(name: str) -> Iterator[Path]:
    """Yield the path of an input; standard input is first copied to a file, because a plan may need to look twice."""
    if name != "-":
        yield Path(name)
        return
    with tempfile.NamedTemporaryFile(prefix="migrator-stdin-") as copy:
        while chunk := sys.stdin.buffer.read(1 << 20):
            copy.write(chunk)
        copy.flush()
        yield Path(copy.name)


@contextmanager
def opened_job(
    name: str, values: dict[str, Any], input_format: str | None, delimiter: str | None, encoding: str
) -> Iterator[tuple[Input, Settings]]:
    """Yield the input and the settings of a command whose argument is an input file or a job file."""
    job: dict[str, Any] = {}
    file = name
    if name.endswith(".toml"):
        job = read_job(Path(name))
        file = str(Path(name).parent / job["input"])
        input_format, delimiter = input_format or job.get("format"), delimiter or job.get("delimiter")
    settings = load(flags_of(values), profile=values.get("profile"), job=job.get("settings", {}))
    if is_saved_plan(Path(file)):
        hint = f"`migrator plan {file}` shows it, `migrator apply {file}` carries it out"
        raise UsageError(f"{file} is a saved plan, and no input", hint)
    with spooled(file) as path:
        shown = "standard input" if file == "-" else file
        snapshot, accept = values.get("snapshot"), values.get("accept_reformatted", False)
        yield Input(path, shown, input_format, delimiter, encoding, snapshot, accept), settings


def refuse_members(table: Collection[str], known: Collection[str], what: str) -> None:
    """Refuse a table of a file that has other members than those that are known.

    Raises:
        UsageError: it has.
    """
    if unknown := sorted(set(table) - set(known)):
        raise UsageError(f"{what} has no {', '.join(unknown)}", f"it has {', '.join(sorted(known))}")


JOB_MEMBERS = frozenset({"description", "input", "format", "delimiter", "settings"})


def read_job(path: Path) -> dict[str, Any]:
    """Read a job file.

    Raises:
        UsageError: it is missing, broken, or has members that a job file does not have.
    """
    job = read_toml(path, "job file")
    if "migrate" in job:
        raise UsageError(f"{path} is a job of another command", f"migrator migrate {path}")
    refuse_members(job, JOB_MEMBERS, f"{path}: a job file")
    for name, value in job.items():
        if not isinstance(value, dict if name == "settings" else str):
            raise UsageError(f"{path}: {name} is of the wrong kind", "settings is a table, everything else is text")
    if "input" not in job:
        raise UsageError(
            f"{path}: `input` is missing", 'name the input file beside the job file: input = "changes.csv"'
        )
    return job


MIGRATION_MEMBERS = frozenset({"description", "migrate", "settings"})

MIGRATION_OPTIONS = frozenset(
    {"from", "to", "container", "type", "name", "decision", "foreign", "id-map", "allow-lossy", "report"}
)
"""The options of `migrator migrate` that a job file may give, by their names without hyphens in front."""


def is_migration(path: Path) -> bool:
    """Whether a job file is one for `migrator migrate`.

    Raises:
        UsageError: it is missing or broken.
    """
    return "migrate" in read_toml(path, "job file")


def read_migration(path: Path) -> dict[str, Any]:
    """Read a job file for `migrator migrate`.

    Raises:
        UsageError: it is missing, broken, or has members that such a job file does not have.
    """
    job = read_toml(path, "job file")
    refuse_members(job, MIGRATION_MEMBERS, f"{path}: a job file for `migrator migrate`")
    if not all(isinstance(job.get(name, {}), dict) for name in ("migrate", "settings")):
        raise UsageError(f"{path}: migrate and settings are tables", "write [migrate] above the options")
    refuse_members(job.get("migrate", {}), MIGRATION_OPTIONS, f"{path}: the table migrate")
    return job
