"""`migrator reconcile`."""

from __future__ import annotations

from typing import Any

import click

from migrator import api
from migrator.cli.carry import carry_out
from migrator.cli.options import run_of, running_options, viewing_of
from migrator.cli.output import Output


@click.command()
@click.argument("run", required=False)
@running_options
def reconcile(run: str | None, output: str, **values: Any) -> int:
    """Settle by reading alone what is in doubt in RUN (the newest one by default), and send nothing.

    What was applied is recorded as such; what was not goes with the next `migrator resume`. What could not be settled
    before is looked at once more. What looking cannot tell is left to you, or to --on-doubt.

    \b
    Examples:  migrator reconcile
               migrator reconcile 20261122-181502-3fa9 --on-doubt ask
    Exit codes: as `migrator apply`
    """
    viewing = viewing_of(values)
    found, settings = run_of(values, run)
    return carry_out(found, settings, Output(output), viewing, api.Work.RECONCILE)
