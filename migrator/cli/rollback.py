"""`migrator rollback`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import click

from migrator import api
from migrator.cli import fleet
from migrator.cli.asking import ask, confirm_sandbox, expect_somebody
from migrator.cli.carry import carry_out
from migrator.cli.naming import unnamed
from migrator.cli.options import run_of, running_options, settings_of, viewing_of
from migrator.cli.output import Output, counted, tell
from migrator.core.errors import UsageError
from migrator.core.model import Kind
from migrator.core.states import OPEN, State
from migrator.core.undo import Lasting
from migrator.ledger.conditions import Chosen
from migrator.ledger.folder import RunFolder, Runs
from migrator.ledger.reading import Summary, summarize

LISTED = 20
"""Rows that are listed for a person at the most."""


class Lines(click.ParamType[list[tuple[int, int]]]):
    """Lines of an input: `12`, `12-40`, or several of these with commas between."""

    name = "lines"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[tuple[int, int]]:
        """Return the first and the last line of each part."""
        spans = [re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part, re.ASCII) for part in str(value).split(",")]
        if not all(spans):
            self.fail(f"{value!r} are no lines; write 12, 12-40 or 12-40,57", param, ctx)
        return [(int(span[1]), int(span[2] or span[1])) for span in spans if span]


@click.command()
@click.argument("run", required=False)
@click.option("--lines", type=Lines(), metavar="LINES", help="Only these lines of the input, e.g. 12-40,57.")
@click.option("--object", "objects", multiple=True, metavar="ID", help="Only this object; may be repeated.")
@click.option("--recreate", is_flag=True, help="Create anew what was deleted, under another id.")
@click.option("--unfinished", is_flag=True, help="Undo what is applied of a run that has rows left to send.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.option("--again", is_flag=True, help="Undo although an earlier rollback has undone, or not settled, some.")
@running_options
def rollback(
    run: str | None,
    lines: list[tuple[int, int]] | None,
    objects: tuple[str, ...],
    recreate: bool,
    unfinished: bool,
    yes: bool,
    again: bool,
    output: str,
    confirm_sandbox_name: str | None,
    **values: Any,
) -> int:
    """Undo what RUN has applied, from what its ledger has captured.

    Patches are taken back place by place, each only where what RUN wrote is still there: what somebody has changed
    since stays, and its row fails. What RUN created is deleted unless somebody has edited it since. What RUN deleted is
    gone; --recreate creates it anew, but under another id, and what refers to the old one is not mended.

    RUN stays as it is: the rollback is a run of its own, RUN.rollback-1 and so on, that can be resumed, retried, and
    rolled back in its turn. With --lines or --object only what they name is undone, and all rows of an object together.
    Without RUN, those that can be undone are listed, and nothing is done.

    \b
    Examples:  migrator rollback 20261122-181502-3fa9
               migrator rollback 20261122-181502-3fa9 --lines 2-40,57 --yes
    Exit codes: as `migrator apply`; 0 also if there is nothing to undo, 3 also if something cannot be undone
    """
    viewing = viewing_of(values)
    if run is None:
        # The newest one is not taken by default: nobody undoes a run by leaving out a word.
        raise unnamed("migrator rollback RUN", "undone", _undoable(fleet.all_runs(settings_of(values))))
    earlier, settings = run_of(values, run)
    confirm_sandbox(settings, confirm_sandbox_name)
    _refuse_unfinished(earlier, summarize(earlier.ledger), unfinished=unfinished)
    out = Output(output)
    chosen = api.applied(lines or (), objects)
    with api.rollback(earlier, settings, chosen, recreate=recreate) as (new, draft):
        lasting = _report(draft, new, earlier, out)
        if draft.rows:
            if not yes:
                expect_somebody("undo")
                ask(draft, settings)
            # Somebody may have undone the same while we asked: the check and the acceptance are one act.
            with Runs(earlier.path.parent).locked():
                if not again:
                    _refuse_repetition(earlier, chosen)
                api.accept_after(draft, new, earlier, settings, api.Origin.ROLLS_BACK)
    code = carry_out(new, settings, out, viewing) if new.ledger.exists() else 0
    return code or (3 if lasting else 0)


def _undoable(runs: Sequence[Summary]) -> Sequence[Summary]:
    """Return those of all runs that have applied something, have ended, and are not undone yet."""
    undone = {one.run.rolls_back for one in runs if one.rows.keys() - {State.REJECTED}}
    return [
        one
        for one in runs
        if one.count(State.APPLIED) and not one.count(*OPEN, State.UNRESOLVED) and one.run.id not in undone
    ]


def _report(draft: api.Draft, new: RunFolder, earlier: RunFolder, out: Output) -> int:
    """Write what cannot be undone, and how much is about to be; return how much cannot."""
    lasting = draft.file.count_lasting()
    _list(draft.file.lasting(), lasting, out)
    kinds = draft.file.count_kinds()
    counts = [
        (kinds.get(Kind.EDIT, 0), "to change back"),
        (kinds.get(Kind.DELETE, 0), "to delete"),
        (kinds.get(Kind.CREATE, 0), "to create anew"),
    ]
    what = ", ".join(f"{counted(number, 'object')} {verb}" for number, verb in counts if number) or "nothing to undo"
    cannot = f"; {counted(lasting, 'object')} cannot be undone" if lasting else ""
    out.say(
        f"run {earlier.id}: {what}{cannot}",
        "rollback" if draft.rows else "nothing",
        run=new.id if draft.rows else earlier.id,
        rolls_back=earlier.id,
        rows=draft.rows,
        steps=draft.steps,
        lasting=lasting,
        **{kind.value: number for kind, number in kinds.items()},
    )
    return lasting


def _list(lasting: Iterable[Lasting], number: int, out: Output) -> None:
    """Write what cannot be undone: for a program all of it, for a person as much as is read."""
    for one in lasting if out.json else islice(lasting, LISTED):
        name = f"line {one.line}, {one.type} {one.object}".rstrip()
        out.say(
            f"{name}: cannot be undone: {one.reason}",
            "lasting",
            line=one.line,
            type=one.type,
            object=one.object,
            reason=one.reason,
        )
    if number > LISTED and not out.json:
        tell(f"and {number - LISTED:,} more; --output json lists them all")


def _refuse_unfinished(run: RunFolder, summary: Summary, *, unfinished: bool) -> None:
    if in_doubt := summary.count(State.INTENT, State.DOUBT):
        hint = f"`migrator resume {run.id}` settles that and goes on, `migrator reconcile {run.id}` only settles it"
        raise UsageError(f"run {run.id} has {counted(in_doubt, 'row')} in doubt", hint)
    if unresolved := summary.count(State.UNRESOLVED):
        hint = f"decide on them with `migrator reconcile {run.id} --on-doubt ask`, then undo the run"
        raise UsageError(f"run {run.id} has {counted(unresolved, 'row')} unresolved: are they applied?", hint)
    left = summary.count(State.PENDING)
    if left and not unfinished:
        resume, undo = f"go on with `migrator resume {run.id}`", "add --unfinished to undo what is applied"
        # Who undoes a first try does not want the others to be sent.
        hint = f"{undo}, or {resume} first" if summary.held else f"{resume} first, or {undo}"
        raise UsageError(f"run {run.id} has not ended: {counted(left, 'row')} not sent", hint)
    if left and run.running:
        raise UsageError(f"run {run.id} is running", "stop it first, then undo it")


def _refuse_repetition(earlier: RunFolder, chosen: Chosen) -> None:
    later = api.earlier_rollback(earlier, chosen)
    if later is None:
        return
    run = later.run.id
    if not later.complete:
        hint = f"go on with `migrator resume {run}`; add --again to undo them once more all the same"
        raise UsageError(f"run {run} is a rollback of these rows and has not ended", hint)
    hint = (
        f"see `migrator status {run}`; `migrator retry {run}` retries what failed there; --again undoes all once more"
    )
    raise UsageError(f"run {run} has undone these rows already, or some of them", hint)
