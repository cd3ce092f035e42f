"""The picture of a running run on a terminal: bars, counts, and why nothing moves, if so.

It has as many lines as it needs and cuts each where the terminal ends: a line that wraps would make the rest jump. What
does not fit into a narrow terminal is left out, the least needed first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from heapq import nsmallest

from msgspec import Struct
from rich.console import ConsoleRenderable, Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from migrator.api import Running, Work
from migrator.cli.output import duration
from migrator.cli.standing import ETA_SPAN_S, Meter, Standing, pause_of, standing_of
from migrator.core.values import visible
from migrator.engine import WAITING
from migrator.ledger.reading import ContainerStand, containers, count_steps

FEW = 6
"""So many containers have a bar each; of more, only the slowest have."""

SLOWEST = 3

WIDE = 72
"""Columns from which on the limit has a place beside the rate."""

NARROW = 50
"""Columns below which only the bar and its numbers are shown."""


class Bar(Struct, frozen=True):
    """How far one container, or all of it, has come."""

    name: str
    done: int
    total: int

    @property
    def share(self) -> float:
        """What part of it is done."""
        return self.done / self.total if self.total else 1.0


class Sight(Struct, frozen=True):
    """Everything the picture shows.

    Attributes:
        standing: of all steps.
        total: number of all steps.
        bars: the containers that are shown.
        hidden: how many more there are.
        rate: requests a second now.
        limit: what they may be at the most; 0 for no limit.
        left_s: seconds until the end if it goes on like this, or `None` if nobody knows.
        surveys: whether it only looks.
        note: why nothing moves, "" if it does.
        last_error: what the last request that did not succeed said.
    """

    standing: Standing
    total: int
    bars: Sequence[Bar] = ()
    hidden: int = 0
    rate: float = 0.0
    limit: float = 0.0
    left_s: float | None = None
    surveys: bool = False
    note: str = ""
    last_error: str = ""


class View:
    """Looks at a run and draws what it sees."""

    def __init__(self, running: Running) -> None:
        """Look at `running` from now on."""
        self._running = running
        self._began: Sequence[ContainerStand] = () if running.work is Work.SURVEY else containers(running.run.ledger)
        self._total = count_steps(running.run.ledger)
        self._requests, self._ended = Meter(), Meter(ETA_SPAN_S)
        self.look()

    def look(self) -> Sight:
        """Return what there is to see now."""
        tally, standing = self._running.engine.tally, standing_of(self._running)
        bars, hidden = shown_bars(self._began, tally.ended)
        return Sight(
            standing,
            self._total,
            bars,
            hidden,
            rate=self._requests.read(tally.requests + tally.reads),
            limit=self._running.throttle.rate,
            left_s=_left_s(self._total - standing.done, self._ended.read(standing.done)),
            surveys=self._running.work is Work.SURVEY,
            note=_note(self._running),
            last_error=tally.last_error,
        )


def shown_bars(began: Sequence[ContainerStand], ended: Mapping[str, int]) -> tuple[Sequence[Bar], int]:
    """Return the bars of the containers that are worth one, and how many containers have none.

    Of few, all; of many, those that have come the least far. A single one needs none beside the total.
    """
    bars = [Bar(one.name, one.ended + ended.get(one.name, 0), one.steps) for one in began]
    if len(bars) <= FEW:
        return (bars if len(bars) > 1 else ()), 0
    slowest = nsmallest(SLOWEST, (bar for bar in bars if bar.done < bar.total), key=lambda bar: bar.share)
    return slowest, len(bars) - len(slowest)


def _left_s(left: int, per_s: float) -> float | None:
    return 0.0 if left <= 0 else left / per_s if per_s > 0 else None


def _note(running: Running) -> str:
    if running.engine.stopping:
        return f"stopping, {running.engine.tally.in_flight} in flight"
    if pause := pause_of(running):
        return f"paused until {pause.until}: {pause.because}"
    if (waits_s := running.engine.waits_s) > 0:
        return f"looking again in {waits_s:.0f} s: {WAITING}"
    return ""


def picture(sight: Sight, width: int) -> Group:
    """Draw `sight` for a terminal of so many columns."""
    lines: list[ConsoleRenderable] = [_bars(sight, width), _counts(sight, brief=width < NARROW)]
    if sight.hidden and sight.bars:
        lines.insert(1, _line(f"the slowest of {sight.hidden + len(sight.bars):,} containers are shown", "dim"))
    # Both lines are always there: a picture that grows and shrinks flickers.
    lines.append(_line(sight.note, "bold yellow"))
    lines.append(_line(f"last error: {sight.last_error}" if sight.last_error else "", "dim"))
    return Group(*lines)


def _bars(sight: Sight, width: int) -> Table:
    """Draw the bars below each other: all, then the containers."""
    table = Table.grid(expand=True, padding=(0, 1))
    if sight.bars:
        table.add_column(no_wrap=True, overflow="ellipsis", max_width=width // 3)
    table.add_column(ratio=1, min_width=4)
    table.add_column(justify="right", no_wrap=True)
    if width >= NARROW:
        table.add_column(justify="right", no_wrap=True)
    whole = Bar("all", sight.standing.done, sight.total)
    for bar in (whole, *sight.bars):
        name = [Text(visible(bar.name))] if sight.bars else []
        drawn = ProgressBar(total=max(bar.total, 1), completed=bar.done if bar.total else 1)
        pace = [Text(_pace(sight, width) if bar is whole else "")] if width >= NARROW else []
        table.add_row(*name, drawn, Text(f"{bar.done:,}/{bar.total:,}"), *pace)
    return table


def _pace(sight: Sight, width: int) -> str:
    """Say how fast it goes, and how long it takes: as wide as the next time."""
    limit = f" of {sight.limit:g}/s" if sight.limit and width >= WIDE else ""
    left = "–" if sight.left_s is None else duration(sight.left_s) if sight.left_s else ""
    return f"{sight.rate:6,.1f}/s{limit}{f'  {left} left' if left else '':>16}"


def _counts(sight: Sight, *, brief: bool) -> Text:
    """Say what has become of the steps; what is 0 and usually is, only if there is room."""
    standing = sight.standing
    counts: list[tuple[int, str, str, bool]] = [
        (standing.surveyed, "looked at", "green", sight.surveys),
        (standing.applied, "applied", "green", not sight.surveys),
        (standing.unchanged, "unchanged", "dim", bool(standing.unchanged)),
        (standing.failed, "failed", "red" if standing.failed else "dim", bool(standing.failed) or not brief),
        (standing.in_doubt, "in doubt", "yellow" if standing.in_doubt else "dim", bool(standing.in_doubt) or not brief),
        (standing.unresolved, "unresolved", "bold red", bool(standing.unresolved)),
    ]
    shown = [Text(f"{count:,} {what}", style) for count, what, style, is_shown in counts if is_shown]
    text = Text(" · ").join(shown)
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _line(text: str, style: str) -> Text:
    return Text(visible(text) or " ", style, no_wrap=True, overflow="ellipsis")
