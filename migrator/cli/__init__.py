"""The commands. Only this package prints, and only `main` exits."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from typing import NoReturn

import click

from migrator import __version__
from migrator.cli import (
    apply,
    config,
    demo,
    doctor,
    emulator,
    export,
    fleet,
    joblist,
    migrate,
    plan,
    reconcile,
    report,
    retry,
    rollback,
    runs,
    schema,
    translate,
    validate,
    verify,
)
from migrator.cli.carry import STOPPING
from migrator.cli.output import explain, tell
from migrator.core.errors import MigratorError

DEBUG = "--debug"
"""May stand anywhere on the command line: it is thought of when a command has failed, and added at its end."""


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="migrator")
@click.option(DEBUG, is_flag=True, expose_value=False, help="Show the traceback of an error; also MIGRATOR_DEBUG=1.")
def cli() -> None:
    """Change thousands of Adobe Journey Optimizer offers at once, safely.

    \b
    Examples:  migrator doctor --profile production
               migrator validate changes.csv, then migrator plan changes.csv, then migrator apply changes.csv
    Exit codes: 0 all rows applied · 2 usage, configuration or input, nothing was sent · 3 some rows failed
    4 some rows unresolved · 5 the service refuses the run · 6 stopped, resumable
    7 some objects changed since the plan · 10 plan --detailed-exitcode: changes · 130/143 interrupted, resumable
    """


for command in (
    validate.validate,
    plan.plan,
    apply.apply,
    apply.resume,
    retry.retry,
    reconcile.reconcile,
    rollback.rollback,
    runs.status,
    runs.runs,
    runs.results,
    report.report,
    migrate.migrate,
    verify.verify,
    export.export,
    translate.translate,
    fleet.worker,
    fleet.stop,
    fleet.ledger,
    joblist.jobs,
    doctor.doctor,
    config.config,
    schema.schema,
    emulator.emulator,
    demo.demo,
):
    cli.add_command(command)


def main() -> NoReturn:
    """Run the command line and exit with its code."""
    # Before and after a run, these end the program at once but in order: what is half made is removed.
    for number in STOPPING[1:]:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as it is under nohup
            signal.signal(number, lambda received, _: sys.exit(128 + received))
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run the command line and return its exit code; never a traceback unless it is asked for."""
    debugs = DEBUG in arguments or bool(os.environ.get("MIGRATOR_DEBUG"))
    try:
        commands = [argument for argument in arguments if argument != DEBUG]
        return cli.main(commands, prog_name="migrator", standalone_mode=False) or 0
    except click.ClickException as error:
        error.show()
        return 2
    except click.Abort as error:
        # Ctrl-C outside of a run comes here too; only a no at the prompt has no cause.
        interrupted = isinstance(error.__cause__, KeyboardInterrupt)
        tell("interrupted" if interrupted else "aborted: nothing was sent")
        return 130 if interrupted else 2
    except Exception as error:  # noqa: BLE001 (nothing else stands between it and the person)
        if debugs:
            tell(traceback.format_exc())
        ended_by = error if isinstance(error, MigratorError) else _unexpected(error)
        explain(ended_by)
        return ended_by.exit_code


def _unexpected(error: Exception) -> MigratorError:
    hint = "`migrator status` says where a run stands, `migrator resume` goes on; --debug shows the traceback"
    return MigratorError(f"unexpected, and a fault of ours: {type(error).__name__}: {error}", hint)
