"""`migrator config`: the settings as they would be used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from migrator.cli.jobs import read_job
from migrator.cli.options import (
    doubt_options,
    flags_of,
    ledger_option,
    max_changes_option,
    output_option,
    planning_options,
    profile_option,
    sandbox_option,
    sending_options,
    style_option,
)
from migrator.cli.output import Output
from migrator.diagnosing.configuration import shown
from migrator.layers import DEFAULT
from migrator.settings import Settings, load


@click.group()
def config() -> None:
    """Look at the settings.

    \b
    Examples:  migrator config show --profile production --origin
    Exit codes: 0 they are valid · 2 they are not
    """


@config.command()
@click.argument("job", required=False)
@click.option("--origin", is_flag=True, help="Say where each value is from.")
@click.option("--changed", is_flag=True, help="Only what is not a default.")
@profile_option
@style_option
@sandbox_option
@ledger_option
@sending_options
@doubt_options
@planning_options
@max_changes_option
@output_option
def show(job: str | None, origin: bool, changed: bool, output: str, **values: Any) -> int:
    """Show every setting as a command with the same options would use it; with JOB as that job would.

    The origin of a value is a flag, a variable of the environment, the job file, the profile, or the default, in this
    order of precedence. Of a secret it is only said whether it is set; a command that prints one is not shown either.

    \b
    Examples:  migrator config show --profile production --origin
               migrator config show jobs/dps-rename.toml --changed --output json
    Exit codes: 0 the settings are valid · 2 they are not, and all that is wrong is listed
    """
    table = read_job(Path(job)).get("settings", {}) if job else {}
    settings = load(flags_of(values), profile=values["profile"], job=table, job_name=f"job file {job}")
    out = Output(output)
    for name in Settings.model_fields:
        if not (changed and settings.origin(name) == DEFAULT):
            _say(settings, name, out, origin=origin)
    return 0


def _say(settings: Settings, name: str, out: Output, *, origin: bool) -> None:
    value, source = shown(settings, name), settings.origin(name)
    text = f"{name:24}{value:<40}  {source}" if origin else f"{name:24}{value}"
    out.say(text.rstrip(), "setting", name=name, value=value, origin=source)
