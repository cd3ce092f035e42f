"""What an operator sees while a run is running: a live view on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from migrator.api import Running
from migrator.cli.live import View, picture
from migrator.cli.standing import Meter, pause_of, standing_of
from migrator.ledger.reading import count_steps
from migrator.logs import log

REFRESH_S = 0.25


@asynccontextmanager
async def shown(running: Running, *, live: bool, every_s: float) -> AsyncIterator[None]:
    """Show the progress of `running` while the body runs."""
    async with beside(_live(View(running)) if live else _lines(running, every_s)):
        yield


@asynccontextmanager
async def beside(view: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Let `view` show what it shows while the body runs."""
    task = asyncio.create_task(view, name="progress")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _lines(running: Running, every_s: float) -> None:
    meter = Meter()
    meter.read(0)
    total = count_steps(running.run.ledger)
    while True:
        await asyncio.sleep(every_s)
        tally, standing = running.engine.tally, standing_of(running)
        paused = pause_of(running)
        log.info(
            "run.progress",
            run=running.run.id,
            done=standing.done,
            of=total,
            rate=round(meter.read(tally.requests + tally.reads), 1),
            applied=standing.applied,
            unchanged=standing.unchanged,
            failed=standing.failed,
            in_doubt=standing.in_doubt,
            unresolved=standing.unresolved,
            requests=tally.requests,
            reads=tally.reads,
            **_pace(running),
            **({"paused_until": paused.until, "because": paused.because} if paused else {}),
        )


def _pace(running: Running) -> dict[str, float]:
    """Return how fast it may go, if that is found out on the way."""
    pace = running.throttle.pace
    return {"pace": round(pace.rate, 1)} if pace else {}


def new_bar() -> Progress:
    """Make a bar; its tasks have a field `rate`."""
    return Progress(
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        expand=True,
    )


async def _live(view: View) -> None:
    console = Console(stderr=True)
    with Live(picture(view.look(), console.width), console=console, auto_refresh=False) as live:
        try:
            while True:
                await asyncio.sleep(REFRESH_S)
                live.update(picture(view.look(), console.width), refresh=True)
        finally:
            live.update(picture(view.look(), console.width), refresh=True)
