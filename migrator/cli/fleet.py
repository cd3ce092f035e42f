"""The commands of a fleet, and what other commands do when the runs are in its database.

What needs the extra `fleet` is imported where it is used: one machine needs nothing of it.
"""

# ruff: noqa: PLC0415
from __future__ import annotations

import asyncio
import signal
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from migrator.cli import eventloop
from migrator.cli.metrics import WorkerMetrics, metered
from migrator.cli.naming import readable, unnamed
from migrator.cli.options import (
    ledger_option,
    metrics_option,
    need_fleet,
    output_option,
    profile_option,
    settings_of,
    viewing_of,
    viewing_options,
)
from migrator.cli.output import Output, counted, exit_code, next_step, tell
from migrator.cli.standing import Meter
from migrator.core.errors import Interrupted, MigratorError, UsageError
from migrator.ledger.folder import RunFolder, Runs
from migrator.ledger.reading import Summary
from migrator.reports.errors import group, words_for
from migrator.settings import Settings, load

if TYPE_CHECKING:
    from migrator.api.working import Working
    from migrator.fleet.runs import FleetRuns, LimitUse, Standing

T = TypeVar("T")

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def carry_out(run: RunFolder, settings: Settings, out: Output) -> int:
    """Let the fleet carry a run out, or go on with it, and watch it to its end."""
    from migrator.api import fleet

    if settings.on_doubt == "ask":
        raise UsageError("a fleet has nobody to ask", "choose another --on-doubt: hold, assume-applied or resend")
    eventloop.run(fleet.carry_out(run.ledger, settings))
    return watch(run.id, settings, out)


def watch(run: str, settings: Settings, out: Output) -> int:
    """Watch a run of the fleet to its end, and say how it ended."""
    from migrator.api import fleet

    ended_by: MigratorError | None = None
    try:
        eventloop.run(_watched(fleet.watch(run, settings), run))
    except MigratorError as error:
        ended_by = error
    summary, refusals = eventloop.run(_asked(settings, lambda runs: runs.summary(run)))
    out.summary(summary, group(refusals, words_for(summary.run)), next_step(summary))
    if ended_by is not None and not summary.complete:
        raise ended_by
    return exit_code(summary)


def status(run: str | None, settings: Settings, out: Output, *, watching: bool) -> int:
    """Say where a run of the fleet stands, or its newest for `None`, and who is at work; again and again if asked."""
    need_fleet()

    from migrator.api.fleet import watch_again_s

    async def say(runs: FleetRuns) -> None:
        name, meters = await runs.find(run), Meters()
        while True:
            asked_at = monotonic()
            if await _say_standing(runs, name, out, meters) or not watching:
                return
            await asyncio.sleep(watch_again_s(monotonic() - asked_at))

    eventloop.run(_asked(settings, say))
    return 0


Meters = partial(defaultdict[str, Meter], Meter)
"""How fast what each limit counts grows."""


async def _say_standing(runs: FleetRuns, name: str, out: Output, meters: Mapping[str, Meter]) -> bool:
    """Say where a run stands, and return whether it is over."""
    standing, (summary, refusals) = await runs.standing(name), await runs.summary(name)
    errors = group(refusals, words_for(summary.run))
    out.summary(summary, errors, next_step(summary) if standing.over else "", running=not standing.over)
    shards = {"shards": standing.shards, "done": standing.done, "at_work": standing.at_work}
    text = f"{standing.done:,} of {counted(standing.shards, 'shard')} done, {standing.at_work} at work"
    out.say(text, "shards", run=name, **shards)
    if standing.stopped is not None:
        out.say(f"stopped: {standing.stopped.message}", "stopped", run=name, message=standing.stopped.message)
    for limit in standing.limits:
        used = _used(limit, meters[limit.key])
        members = {} if used is None else {"used": round(used, 1)}
        out.say(f"limit {limit.key}: {_use(limit, used)}", "limit", **msgspec.structs.asdict(limit), **members)
    for worker in await runs.workers():
        text = f"worker {worker.name}: {counted(worker.shards, 'shard')}, heard of {worker.silent_s:.0f} s ago"
        out.say(text, "worker", **msgspec.structs.asdict(worker))
    return standing.over


def _used(limit: LimitUse, meter: Meter) -> float | None:
    """Return how many requests a second of a limit are used, once it was looked at twice."""
    used = max(0.0, meter.read(limit.sent))  # the count begins anew when the database has crashed
    return used if meter.has_two else None


def _use(limit: LimitUse, used: float | None) -> str:
    rate = f"{limit.rate:g} requests/s at the most" if used is None else f"{used:,.1f} of {limit.rate:g} requests/s"
    return rate + (f", paused for {limit.paused_s:.0f} s more" if limit.paused_s else "")


def list_runs(settings: Settings, list_one: Callable[[Summary], None]) -> int:
    """List the runs of the fleet, oldest first."""
    need_fleet()

    async def say(runs: FleetRuns) -> None:
        for name in await runs.all():
            list_one((await runs.summary(name))[0])

    eventloop.run(_asked(settings, say))
    return 0


def all_runs(settings: Settings) -> Sequence[Summary]:
    """Return where each run stands, oldest first: of the fleet, or of the folder that the settings name instead."""
    if settings.fleet is None:
        return readable(Runs(settings.runs))
    found: list[Summary] = []
    list_runs(settings, found.append)
    return found


def earlier_run(fingerprint: str, settings: Settings) -> Summary | None:
    """Return the newest run of the fleet that did, or began, exactly what a plan of that fingerprint would do again."""

    async def ask(runs: FleetRuns) -> Summary | None:
        name = await runs.about(fingerprint)
        return None if name is None else (await runs.summary(name))[0]

    need_fleet()
    return eventloop.run(_asked(settings, ask))


async def _asked(settings: Settings, question: Callable[[FleetRuns], Coroutine[Any, Any, T]]) -> T:
    from migrator.api import fleet

    async with fleet.runs(settings) as runs:
        return await question(runs)


async def _watched(standings: AsyncIterator[Standing], run: str) -> None:
    """Tell how a run goes on, until it is over. A signal ends the watching, not the run."""
    body = asyncio.current_task()
    assert body is not None
    received: list[int] = []

    def leave(number: int) -> None:
        received.append(number)
        body.cancel()

    for number in SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, leave, number)
    meter, meters = Meter(), Meters()
    try:
        async for standing in standings:
            limits = [_use(limit, _used(limit, meters[limit.key])) for limit in standing.limits]
            tell(" · ".join([_line(standing), f"{meter.read(standing.settled):,.1f} rows/s", *limits]))
    except asyncio.CancelledError:
        hint = f"`migrator status {run}` looks again, `migrator stop {run}` stops it"
        if not received:
            raise
        raise Interrupted("the workers go on with it", hint, signal_number=received[0]) from None


def _line(standing: Standing) -> str:
    counts = " · ".join(f"{count:,} {state.value.lower()}" for state, count in sorted(standing.rows.items()))
    shards = f"{standing.done:,} of {counted(standing.shards, 'shard')} done, {standing.at_work} at work"
    return f"run {standing.run}: {shards}: {counts}"


@click.command()
@click.option(
    "--shards", type=click.IntRange(1, 64), default=4, show_default=True, metavar="N", help="Shards at a time."
)
@ledger_option
@profile_option
@viewing_options
@metrics_option
def worker(shards: int, **values: Any) -> int:
    """Be a worker of the fleet whose database --ledger names: take shards of its runs, and carry them out.

    Start as many as you like, on any number of hosts. The first signal stops cleanly: what is in flight is answered
    and recorded. What a worker leaves, another one takes up; so kill -9 and the loss of a host are harmless, too.
    Secrets come from the environment, or from where the profile of a run says.

    \b
    Examples:  migrator worker --ledger postgresql://db.example.com/migrator
               migrator worker --ledger postgresql:///migrator --shards 8
    Exit codes: 0 stopped cleanly · 2 configuration · 6 the database cannot be used
    """
    need_fleet()
    from migrator.api import working

    viewing = viewing_of(values)
    settings = settings_of(values)

    @asynccontextmanager
    async def around(working: Working) -> AsyncIterator[None]:
        for number in SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, working.stop)
        async with metered(WorkerMetrics(working), viewing.metrics, viewing.every_s):
            tell("ready")
            yield

    eventloop.run(working.work(settings, at_once=shards, around=around))
    return 0


@click.command()
@click.argument("run", required=False)
@ledger_option
@profile_option
@output_option
def stop(run: str | None, output: str, **values: Any) -> int:
    """Let the workers stop RUN (the newest one by default) of a fleet; `migrator resume` lets them go on.

    What is in flight is answered and recorded. A run on one machine is stopped with Ctrl-C.

    \b
    Examples:  migrator stop 20261122-181502-3fa9 --ledger postgresql://db.example.com/migrator
    Exit codes: 0 it stops · 2 there is no such run · 6 the database cannot be used
    """
    need_fleet()
    from migrator.fleet.runs import Stop

    settings = settings_of(values)

    async def stopped(runs: FleetRuns) -> str:
        name = await runs.find(run)
        await runs.stop(name, Stop("asked", f"run {name} was stopped", f"go on with `migrator resume {name}`"))
        return name

    name = eventloop.run(_asked(settings, stopped))
    Output(output).say(f"run {name} stops as soon as its workers hear of it", "stopped", run=name)
    return 0


@click.group()
def ledger() -> None:
    """Move runs between one machine and a fleet.

    \b
    Examples:  migrator ledger copy 20261122-181502-3fa9 --from runs --to postgresql://db.example.com/migrator
    Exit codes: as `migrator ledger copy`
    """


@ledger.command()
@click.argument("run", required=False)
@click.option("--from", "from_", metavar="FOLDER|URL", required=True, help="Where it is.")
@click.option("--to", "to", metavar="FOLDER|URL", required=True, help="Where it is to go on.")
def copy(run: str | None, from_: str, to: str) -> int:
    """Move RUN, with all that is known of it, from a folder into the database of a fleet, or back.

    Where it came from it is not run any more, so that nothing is sent twice: a folder keeps its ledger under another
    name, a database keeps nothing. Without RUN, those that are there are listed.

    \b
    Examples:  migrator ledger copy 20261122-181502-3fa9 --from runs --to postgresql://db.example.com/migrator
               migrator ledger copy 20261122-181502-3fa9 --from postgresql://db.example.com/migrator --to runs
    Exit codes: 0 moved · 2 nothing was moved · 6 one of them cannot be used, or the run is running
    """
    need_fleet()
    from migrator.api import fleet

    source, target = load({"ledger": from_}), load({"ledger": to})
    if run is None:
        raise unnamed(f"migrator ledger copy RUN --from {from_} --to {to}", "moved", all_runs(source))
    if source.fleet is None and target.fleet is not None:
        eventloop.run(fleet.move_in(Runs(source.runs).find(run), target.fleet))
    elif source.fleet is not None and target.fleet is None:
        eventloop.run(fleet.move_out(run, source.fleet, Runs(target.runs)))
    else:
        raise UsageError("a run is moved between a folder and a database", "name one of each")
    tell(f"run {run} is in {to} now: `migrator resume {run} --ledger {to}` goes on with it")
    return 0
