"""`migrator retry`."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import click

from migrator import api
from migrator.cli.asking import ask, confirm_sandbox, expect_somebody
from migrator.cli.carry import carry_out
from migrator.cli.options import run_of, running_options, viewing_of
from migrator.cli.output import Output, counted, tell
from migrator.core.errors import UsageError
from migrator.core.states import State
from migrator.core.verdict import ErrorClass
from migrator.ledger.folder import RunFolder, Runs
from migrator.ledger.reading import Summary, summarize
from migrator.settings import Settings


@click.command()
@click.argument("run", required=False)
@click.option(
    "--error-class",
    "classes",
    multiple=True,
    metavar="CLASS",
    type=click.Choice([str(one) for one in ErrorClass if one]),
    help="Only rows that failed with CLASS, as `results` names it; may be repeated.",
)
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.option("--again", is_flag=True, help="Send them although an earlier retry has applied, or not settled, some.")
@running_options
def retry(
    run: str | None,
    classes: tuple[str, ...],
    yes: bool,
    again: bool,
    output: str,
    confirm_sandbox_name: str | None,
    **values: Any,
) -> int:
    """Send the failed rows of RUN (the newest one by default) again, as they are, once their cause is gone.

    RUN stays as it is: the retry is a run of its own, RUN.retry-1 and so on, with its own ledger and results, and goes
    where RUN went. The input file is not needed. Rows that have to be changed are mended in failed.csv instead, which
    `migrator results` writes, and applied.

    \b
    Examples:  migrator retry
               migrator retry 20261122-181502-3fa9 --error-class not_found --error-class conflict
    Exit codes: as `migrator apply`; 0 also if nothing has failed
    """
    viewing = viewing_of(values)
    earlier, settings = run_of(values, run)
    confirm_sandbox(settings, confirm_sandbox_name)
    out = Output(output)
    new = _plan(earlier, settings, [ErrorClass(one) for one in classes], again, yes, out)
    return carry_out(new, settings, out, viewing) if new else 0


def _plan(
    earlier: RunFolder, settings: Settings, classes: Collection[ErrorClass], again: bool, yes: bool, out: Output
) -> RunFolder | None:
    """Make the run, or return `None` when there is nothing to retry, which is then on stdout."""
    summary = summarize(earlier.ledger)
    _refuse_unfit(summary)
    if unresolved := summary.count(State.UNRESOLVED):
        tell(f"{counted(unresolved, 'row')} unresolved, not retried: `migrator reconcile {earlier.id}` looks at them")
    with api.retry(earlier, settings, classes) as (run, draft):
        if not draft.rows:
            which = f" with {' or '.join(classes)}" if classes else ""
            out.say(f"no row of run {earlier.id} has failed{which}: nothing to retry", "nothing", run=earlier.id)
            return None
        what = f"{counted(draft.rows, 'failed row')} again: {counted(draft.steps, 'request')}"
        place = f"to {counted(draft.containers, 'container')}"
        out.say(
            f"run {earlier.id}: {what} {place}",
            "retry",
            run=run.id,
            retries=earlier.id,
            rows=draft.rows,
            steps=draft.steps,
        )
        if not yes:
            expect_somebody("retry")
            ask(draft, settings)
        # Somebody may have retried the same while we asked: the check and the acceptance are one act.
        with Runs(earlier.path.parent).locked():
            if not again:
                _refuse_repetition(earlier, classes)
            api.accept_after(draft, run, earlier, settings, api.Origin.RETRIES)
    return run


def _refuse_unfit(summary: Summary) -> None:
    run = summary.run.id
    if summary.run.migrates:
        message = f"run {run} is a migration: what has failed has to be planned anew"
        again = summary.run.command or "migrator migrate"  # older ledgers do not say
        hint = f"`{again}` makes what is not there yet; `migrator results {run}` writes why it failed"
        raise UsageError(message, hint)
    counts = {
        "not sent": summary.count(State.PENDING),
        "in doubt": summary.count(State.INTENT, State.DOUBT),
    }
    if open_ := [f"{counted(number, 'row')} {what}" for what, number in counts.items() if number]:
        hint = f"go on with `migrator resume {run}` first"
        if summary.held:  # who sees a first try fail may not want the others to be sent
            hint = f"`migrator results {run}` writes the failed rows to a file, to be applied; or {hint}"
        raise UsageError(f"run {run} has not ended: {', '.join(open_)}", hint)


def _refuse_repetition(earlier: RunFolder, classes: Collection[ErrorClass]) -> None:
    later = api.earlier_retry(earlier, classes)
    if later is None:
        return
    run = later.run.id
    if not later.complete:
        hint = f"go on with `migrator resume {run}`; add --again to send them once more all the same"
        raise UsageError(f"run {run} is a retry of these rows and has not ended", hint)
    hint = f"see `migrator status {run}`; `migrator retry {run}` retries what failed there; --again sends all once more"
    raise UsageError(f"run {run} has retried these rows already, and not all of them failed again", hint)
