"""`migrator jobs`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from migrator import api
from migrator.cli.jobs import is_migration, opened_job, read_job, read_migration
from migrator.cli.migrate import migrate
from migrator.cli.options import output_option, profile_option, sandbox_option
from migrator.cli.output import Output, counted
from migrator.core.errors import MigratorError, UsageError


@click.command()
@click.argument("folder", default="jobs", type=click.Path(path_type=Path))
@profile_option
@sandbox_option
@output_option
def jobs(folder: Path, output: str, **values: Any) -> int:
    """List the job files in FOLDER [default: jobs] and what they would do, as far as can be told offline.

    The input of each is checked as `migrator validate` does, with the settings of the job. Sends nothing.

    \b
    Examples:  migrator jobs
               migrator jobs nightly --output json
    Exit codes: 0 all can be used · 2 one cannot, or its input has problems
    """
    out = Output(output)
    files = sorted(folder.glob("*.toml"))
    if not files:
        raise UsageError(f"there is no job file in {folder}", "job files end in .toml; name their folder")
    fit = [_list(file, values, out) for file in files]
    return 0 if all(fit) else 2


def _list(file: Path, values: dict[str, Any], out: Output) -> bool:
    """Say what one job would do; return whether it can be used."""
    quoted = shlex.quote(str(file))
    command, description, members = f"migrator apply {quoted}", "", dict[str, Any]()
    try:
        if is_migration(file):
            command = f"migrator migrate {quoted}"
            description = read_migration(file).get("description", "")
            text = _migration(file)
        else:
            description = read_job(file).get("description", "")
            text, members = _changes(file, values)
    except (MigratorError, click.ClickException) as error:
        message = error.format_message() if isinstance(error, click.ClickException) else str(error)
        text, members = f"cannot be used: {message}", {"error": message}
    out.say(
        f"{file}  {description}\n    {text}\n    {command}",
        "job",
        file=str(file),
        description=description,
        command=command,
        **members,
    )
    return not members.get("problems") and "error" not in members


def _migration(file: Path) -> str:
    """Say what a migration moves, once its options are found good."""
    with migrate.make_context("migrate", [str(file)]) as context:
        given = context.params
    chosen = [f"--{name} {given[key]}" for name, key in (("decision", "decision"), ("name", "pattern")) if given[key]]
    which = f", only {', '.join(chosen)}" if chosen else ""
    return f"objects of the container {given['container']} from {given['from_']} to {given['to']}{which}"


def _changes(file: Path, values: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Say what the input of a job comes to."""
    with (
        opened_job(str(file), values, None, None, "utf-8-sig") as (source, settings),
        api.validate(source, settings) as draft,
    ):
        members = {
            "rows": draft.rows,
            "requests": draft.steps,
            "containers": draft.containers,
            "problems": draft.count_problems(),
        }
    if members["problems"]:
        text = f"{counted(members['problems'], 'problem')} in {counted(draft.rows, 'row')} of {source.name}"
        return f"{text}: `migrator validate {file}` lists them", members
    work = f"{counted(members['requests'], 'request')} to {counted(members['containers'], 'container')}"
    return f"{counted(members['rows'], 'row')} of {source.name}: {work} in {settings.style}", members
