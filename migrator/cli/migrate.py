"""`migrator migrate`."""

from __future__ import annotations

import asyncio
import shlex
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO

import click
import msgspec

from migrator import api
from migrator.cli.asking import ask, confirm_sandbox, expect_somebody
from migrator.cli.carry import carry_out
from migrator.cli.jobs import read_migration
from migrator.cli.options import allow_lossy_option, flags_of, running_options, sandbox_option, viewing_of
from migrator.cli.output import Output, counted, tell
from migrator.cli.plan import exit_code_of, show_plan
from migrator.clock import SystemClock
from migrator.core.errors import UsageError
from migrator.core.mapping import Context, Loss, Report
from migrator.core.model import EntityType
from migrator.core.styles import STYLES
from migrator.core.values import quote
from migrator.exporting.snapshots import Spool
from migrator.ledger.folder import Runs
from migrator.migrating.catalogue import Fate
from migrator.migrating.copies import Migration
from migrator.migrating.dependencies import More, Need
from migrator.migrating.route import Route
from migrator.migrating.selecting import Selection
from migrator.settings import Settings, load, require_target
from migrator.translating.idmap import read_id_map

MOST_NEEDS = 5
"""Objects of one type that one object needs and that a person is told of."""

STYLE = click.Choice(sorted(STYLES))


def _open_job(context: click.Context, _: click.Parameter, path: Path | None) -> dict[str, Any]:
    """Take the options of a job file for those that are not given, and return its settings.

    Raises:
        UsageError: it is missing, broken, or has members that a job file does not have.
    """
    if path is None:
        return {}
    job = read_migration(path)
    given, settings = job.get("migrate", {}), job.get("settings", {})
    names = {option.opts[0].removeprefix("--"): option.name for option in context.command.params}
    context.default_map = {str(names[name]): value for name, value in given.items()}
    for file in ("id_map", "report"):
        if file in context.default_map:
            context.default_map[file] = str(path.parent / context.default_map[file])
    return dict(settings)


_ARGUMENTS = "migrator.arguments"


class _Migrate(click.Command):
    """A command that keeps its arguments, so that it can say how it is given again."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep them."""
        ctx.meta[_ARGUMENTS] = tuple(args)
        return super().parse_args(ctx, args)


def _again(*more: str) -> str:
    """Return what to type to give this command once more, as another run."""
    given = list(click.get_current_context().meta[_ARGUMENTS])
    if "--run-id" in given:
        at = given.index("--run-id")
        del given[at : at + 2]
    given = [one for one in given if not one.startswith("--run-id=")]
    return shlex.join(("migrator", "migrate", *given, *more))


@click.command(cls=_Migrate)
@click.argument(
    "job", required=False, metavar="[JOB]", type=click.Path(path_type=Path), is_eager=True, callback=_open_job
)
@click.option("--from", "from_", type=STYLE, required=True, help="Endpoint style that is read.")
@click.option("--to", "to", type=STYLE, required=True, help="Endpoint style that is written.")
@click.option("--container", metavar="ID", required=True, help="The xcore container, on whichever side that is.")
@sandbox_option
@click.option(
    "--type",
    "types",
    multiple=True,
    metavar="TYPE",
    type=click.Choice([type_.value for type_ in EntityType]),
    help="Only objects of TYPE; may be repeated.",
)
@click.option("--name", "pattern", metavar="PATTERN", default="", help="Only objects with names like 'Spring *'.")
@click.option("--decision", metavar="NAME|ID", default="", help="Only this decision, and all it needs.")
@click.option("--foreign", is_flag=True, help="Also objects of the in-app channel and rules of Decisioning.")
@click.option("--id-map", metavar="FILE", type=click.Path(path_type=Path), help="Ids of what is outside, as CSV.")
@allow_lossy_option
@click.option("--report", metavar="FILE", type=click.Path(path_type=Path), help="Every loss, as JSON lines.")
@click.option("--dry-run", "-n", is_flag=True, help="Only show what would be made.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.option("--run-id", metavar="NAME", help="What to call the run [default: made from the time].")
@running_options
def migrate(
    job: dict[str, Any],
    from_: str,
    to: str,
    container: str,
    report: Path | None,
    dry_run: bool,
    yes: bool,
    run_id: str | None,
    output: str,
    confirm_sandbox_name: str | None,
    **values: Any,
) -> int:
    """Make the objects of a container anew in the other endpoint style, each after what it refers to.

    Both sides are read first. What is there already, by its id or its name, is not made again; objects of another
    product are left alone; what cannot be said in the other style is refused, and so is what refers to it. With
    --decision, all that it needs is shown as a tree, for --output json to its last leaf. Then it is a run like any
    other: it can be killed, resumed, verified and rolled back. `migrator results` also writes the ids. A JOB is a file
    that gives some of the options, in a table `migrate`, and settings.

    \b
    Examples:  migrator migrate --from xcore --to dps --container e0bd8463-… --sandbox dev --dry-run
               migrator migrate --from xcore --to dps --container e0bd8463-… --decision 'Spring page'
               migrator migrate jobs/move-decision.toml --dry-run
    Exit codes: as `migrator apply`
    """
    viewing = viewing_of(values)
    if from_ == to:
        raise UsageError(f"--from and --to are both {to}", "name two styles")
    if not (yes or dry_run):
        expect_somebody("migrate")
    settings = load(flags_of(values) | {"style": to}, profile=values.get("profile"), job=job)
    require_target(settings)
    if not dry_run:
        confirm_sandbox(settings, confirm_sandbox_name)
    sides = {"xcore": container, "dps": settings.sandbox}
    route = Route(STYLES[from_], STYLES[to], sides[from_], sides[to])
    selection = Selection(
        frozenset(map(EntityType, values["types"])), values["pattern"], values["decision"], values["foreign"]
    )
    out = Output(output)
    ledgers = api.scratch(settings) if dry_run else nullcontext(settings)
    with api.new_spools(route, settings) as spools, _losses(report) as tell_loss, ledgers as where:
        _read(settings, route, spools)
        planned = api.migrate(
            where, route, selection, spools, _context(values, to, container), tell_loss, run_id=run_id
        )
        with planned as (run, draft, migration):
            _show_dependencies(migration, out)
            _sum_up(migration, route, out)
            _say_how_to_tell_twins(migration.tally.twins, values["id_map"], out)
            if draft.steps == 0:
                out.say("there is nothing to migrate", "nothing")
                return 0
            if not (yes or dry_run):
                ask(draft, settings)
            with Runs(where.runs).locked():
                origin = {api.Origin.MIGRATES.value: from_, api.Origin.COMMAND.value: _again()}
                draft.accept(run.id, f"{from_} {sides[from_]}", settings.remembered() | origin, SystemClock.now())
            if dry_run:
                counts = show_plan(run.ledger, out, "changes")
                return exit_code_of(counts, detailed=False)
    return carry_out(run, settings, out, viewing)


def _read(settings: Settings, route: Route, spools: tuple[Spool, Spool]) -> None:
    """Read both ends."""
    read = Counter[str]()

    def watch(objects: int) -> None:
        read["objects"] += objects

    asyncio.run(api.read_both(settings, route, spools, watch))
    tell(f"{counted(read['objects'], 'object')} read")


@contextmanager
def _losses(path: Path | None) -> Iterator[Callable[[int, Report], None]]:
    """Yield what writes a loss into the report, if there is to be one."""
    with ExitStack() as stack:
        file: BinaryIO | None = None
        try:
            file = stack.enter_context(path.open("wb")) if path else None
        except OSError as error:
            raise UsageError(
                f"the report cannot be written to {path}: {error.strerror}", "name another file"
            ) from error

        def write(line: int, report: Report) -> None:
            if file is not None:
                file.write(msgspec.json.encode({"line": line, **msgspec.to_builtins(report)}) + b"\n")

        yield write


def _context(values: dict[str, Any], to: str, container: str) -> Context:
    ids = read_id_map(values["id_map"], to)
    return Context(ids.resolver(container), allowed=frozenset(map(Loss, values["allow_lossy"])))


def _show_dependencies(migration: Migration, out: Output) -> None:
    """Show what a decision needs, for a program all of it; of what there is much, a person reads how much it is."""
    for one in migration.dependencies(0 if out.json else MOST_NEEDS):
        indent = "  " * one.depth
        if isinstance(one, More):
            fates = " · ".join(f"{number:,} {fate or 'not in the source'}" for fate, number in one.fates.items())
            more = f"and {one.fates.total():,} more of type {one.type} (--output json names them): {fates}"
            out.say(f"{indent}{more}", "more")
            continue
        name = quote(one.name) if one.name else one.id
        out.say(f"{indent}{one.type} {name}: {_fate(one)}", "dependency", **msgspec.structs.asdict(one))


def _fate(need: Need) -> str:
    if need.above:
        return f"{need.fate or 'not in the source'} (above)"
    if need.fate is Fate.REFUSED:
        return f"refused: {need.why}"
    return need.why or str(need.fate)


def _say_how_to_tell_twins(twins: int, id_map: Path | None, out: Output) -> None:
    """Say what to do about names that do not tell which object is which."""
    if twins:
        file = shlex.quote(str(id_map)) if id_map else "ids.csv, below the header type,xcore,dps"
        again = _again() if id_map else _again("--id-map", "ids.csv")
        what = f"{counted(twins, 'object')} cannot be told by name: each says which line to add to {file}; then"
        out.say(f"{what}\n  {again}", "twins", objects=twins, next=again)


def _sum_up(migration: Migration, route: Route, out: Output) -> None:
    """Say what becomes of how many objects, by type, and what is lost."""
    tally = migration.tally
    for type_, counts in tally.counts.items():
        if counts:
            text = " · ".join(f"{number:,} {what}" for what, number in counts.items())
            out.say(f"{type_:20} {text}", "objects", type=type_, **{k.replace(" ", "_"): n for k, n in counts.items()})
    for (severity, loss), number in sorted(tally.losses.items()):
        out.say(f"{severity} loss: {loss}, {number:,} times", "loss", severity=severity, loss=loss, times=number)
    where = f"{route.from_.name} {route.source} → {route.to.name} {route.target}"
    out.say(where, "route", source=route.source, target=route.target)
