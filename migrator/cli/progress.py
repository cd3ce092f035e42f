"""What an operator sees while a run is running: a live bar on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import datetime

from msgspec import Struct
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from migrator.api import Running, Work
from migrator.core.states import State
from migrator.engine import WAITING
from migrator.logs import log

REFRESH_S = 0.25

RATE_SPAN_S = 5.0
"""The rate shown is that of the last seconds, not of the whole run: after a pause it should say what is now."""


class Meter:
    """Requests a second over the last few seconds."""

    def __init__(self) -> None:
        """Begin without a reading."""
        self._readings: deque[tuple[float, int]] = deque()

    def read(self, requests: int) -> float:
        """Take in the number of requests so far and return the rate."""
        now = time.monotonic()
        self._readings.append((now, requests))
        while len(self._readings) > 2 and now - self._readings[1][0] > RATE_SPAN_S:
            self._readings.popleft()
        began_at, before = self._readings[0]
        return (requests - before) / (now - began_at) if now > began_at else 0.0


@asynccontextmanager
async def shown(running: Running, *, live: bool, every_s: float) -> AsyncIterator[None]:
    """Show the progress of `running` while the body runs."""
    async with beside(_live(running) if live else _lines(running, every_s)):
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
    while True:
        await asyncio.sleep(every_s)
        tally, standing = running.engine.tally, _standing(running)
        log.info(
            "run.progress",
            run=running.run.id,
            done=standing.done,
            of=_total(running),
            rate=round(meter.read(tally.requests + tally.reads), 1),
            applied=standing.applied,
            unchanged=standing.unchanged,
            failed=standing.failed,
            in_doubt=standing.in_doubt,
            unresolved=standing.unresolved,
            requests=tally.requests,
            reads=tally.reads,
            **_pace(running),
            **_pause(running),
        )


def _pace(running: Running) -> dict[str, float]:
    """Return how fast it may go, if that is found out on the way."""
    pace = running.throttle.pace
    return {"pace": round(pace.rate, 1)} if pace else {}


def _speed(running: Running, rate: float) -> str:
    """Say how fast it goes, and how fast it may go at the moment."""
    limit = running.throttle.rate
    return f"{rate:,.1f}/s of {limit:,.1f}/s" if limit else f"{rate:,.1f}/s"


def _pause(running: Running) -> dict[str, str]:
    gate = running.throttle.gate
    if gate.shut_s <= 0:
        return {}
    until = datetime.fromtimestamp(time.time() + gate.shut_s).astimezone()
    return {"paused_until": f"{until:%H:%M:%S}", "because": gate.pause.reason}


def _total(running: Running) -> int:
    return sum(count for state, count in running.before.steps.items() if state is not State.SKIPPED)


class Standing(Struct, frozen=True):
    """Where the steps of a run stand now."""

    applied: int
    unchanged: int
    failed: int
    in_doubt: int
    unresolved: int
    surveyed: int

    @property
    def done(self) -> int:
        """Those that there is no more to do about."""
        return self.applied + self.unchanged + self.failed + self.unresolved + self.surveyed


def _standing(running: Running) -> Standing:
    """Add what has happened to where the run stood at the start, where it found all open intents to be in doubt."""
    before, tally = running.before.steps.get, running.engine.tally
    return Standing(
        applied=before(State.APPLIED, 0) + tally.applied,
        unchanged=before(State.UNCHANGED, 0) + tally.unchanged,
        failed=before(State.REJECTED, 0) + tally.rejected,
        in_doubt=before(State.DOUBT, 0) + before(State.INTENT, 0) + tally.in_doubt,
        unresolved=before(State.UNRESOLVED, 0) + tally.unresolved,
        surveyed=tally.surveyed if running.work is Work.SURVEY else 0,
    )


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


async def _live(running: Running) -> None:
    bar = new_bar()
    task = bar.add_task("", total=_total(running), rate="")
    meter = Meter()
    meter.read(0)

    def picture() -> Group:
        tally = running.engine.tally
        bar.update(
            task, completed=_standing(running).done, rate=_speed(running, meter.read(tally.requests + tally.reads))
        )
        return Group(bar, _state(running))

    with Live(picture(), console=Console(stderr=True), auto_refresh=False) as live:
        try:
            while True:
                await asyncio.sleep(REFRESH_S)
                live.update(picture(), refresh=True)
        finally:
            live.update(picture(), refresh=True)


def _state(running: Running) -> Text:
    """Say in one line, cut where the terminal ends, what has become of the rows and why nothing moves, if so."""
    tally, standing = running.engine.tally, _standing(running)
    text = Text(no_wrap=True, overflow="ellipsis")
    if running.work is Work.SURVEY:
        text.append(f"{standing.surveyed:,} looked at", "green")
    else:
        text.append(f"{standing.applied:,} applied", "green")
    if standing.unchanged:
        text.append(" · ").append(f"{standing.unchanged:,} unchanged", "dim")
    text.append(" · ").append(f"{standing.failed:,} failed", "red")
    if running.work is not Work.SURVEY:
        text.append(" · ").append(f"{standing.in_doubt:,} in doubt", "yellow")
    if standing.unresolved:
        text.append(" · ").append(f"{standing.unresolved:,} unresolved", "bold red")
    if running.engine.stopping:
        text.append(" · ").append(f"stopping, {tally.in_flight} in flight", "bold yellow")
    elif pause := _pause(running):
        text.append(" · ").append(f"paused until {pause['paused_until']}: {pause['because']}", "bold yellow")
    elif (waits_s := running.engine.waits_s) > 0:
        text.append(" · ").append(f"looking again in {waits_s:.0f} s: {WAITING}", "bold yellow")
    elif tally.last_error:
        text.append(" · ").append(f"last error: {tally.last_error}", "dim")
    return text
