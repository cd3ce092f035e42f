"""Pictures of a run as numbers: where bars stand and how high they are, in per cent of the picture. Pure.

Templates draw them. A run that was stopped and resumed the next day has hours without a request; the axis of time
leaves such a gap out, and says how long it was.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import ceil

from msgspec import Struct

from migrator.ledger.history import Fate

BARS = 90
"""Bars that a picture has at the most, but for what is left over at gaps."""

SPANS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 86400)
"""What one bar may stand for, in seconds."""

SHORTEST_GAP_S = 60
"""A time without requests that is shorter is always shown: it is a pause."""

BREAK = 3.0
"""Width of a gap that is left out."""

PERCENTILES = (50, 90, 95, 99, 100)

EDGES_S = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)
"""Upper bounds of the classes of latency."""


class Piece(Struct, frozen=True):
    """The part of a bar that stands for one fate.

    Attributes:
        fate: which.
        y: upper edge, from the top.
        height: of the piece.
    """

    fate: Fate
    y: float
    height: float


class Bar(Struct, frozen=True):
    """The requests of a few seconds.

    Attributes:
        at: when they begin, seconds since the epoch.
        x: left edge.
        width: of the bar.
        pieces: from the bottom to the top.
        rate: requests a second.
    """

    at: int
    x: float
    width: float
    pieces: tuple[Piece, ...]
    rate: float


class Gap(Struct, frozen=True):
    """A time without requests that is left out.

    Attributes:
        x: its middle.
        seconds: how long it was.
    """

    x: float
    seconds: int


class Timeline(Struct, frozen=True):
    """Requests over time.

    Attributes:
        bars: in order of time.
        gaps: between them.
        span_s: seconds that a bar stands for.
        top: requests a second at the upper edge.
        limit_y: where the limit is, from the top; `None` if there is none.
        fates: those that there are.
        busiest: requests in the second that had the most.
    """

    bars: tuple[Bar, ...]
    gaps: tuple[Gap, ...]
    span_s: int
    top: float
    limit_y: float | None
    fates: tuple[Fate, ...]
    busiest: int


class Part(Struct):
    """Seconds between two gaps: when it begins and ends, the end not included."""

    begin: int
    end: int


def timeline(sent: Iterable[tuple[int, Fate, int]], limit: float) -> Timeline | None:
    """Draw requests over time; `None` if there are none.

    Args:
        sent: requests by second and fate, in order of time.
        limit: requests a second at the most; 0 for no limit.
    """
    seconds: dict[int, dict[Fate, int]] = {}
    for second, fate, count in sent:
        seconds.setdefault(second, {})[fate] = count
    if not seconds:
        return None
    parts = _parts(seconds)
    span_s = _span(sum(part.end - part.begin for part in parts))
    sums = [(part, _sums(part, seconds, span_s)) for part in parts]
    highest = max(sum(fates.values()) for _, buckets in sums for fates in buckets) / span_s
    top = max(highest, limit) * 1.1
    bars, gaps = _placed(sums, span_s, top)
    found = {fate for fates in seconds.values() for fate in fates}
    return Timeline(
        tuple(bars),
        tuple(gaps),
        span_s,
        top,
        100 - 100 * limit / top if limit else None,
        tuple(fate for fate in Fate if fate in found),
        max(sum(fates.values()) for fates in seconds.values()),
    )


def _parts(seconds: Mapping[int, object]) -> list[Part]:
    """Cut time where nothing was sent for long: longer than half of all the time in which something was."""
    longest = max(SHORTEST_GAP_S, len(seconds) // 2)
    parts: list[Part] = []
    for second in seconds:
        if parts and second - parts[-1].end <= longest:
            parts[-1].end = second + 1
        else:
            parts.append(Part(second, second + 1))
    return parts


def _span(seconds: int) -> int:
    return next((span for span in SPANS_S if seconds <= span * BARS), ceil(seconds / BARS))


def _sums(part: Part, seconds: Mapping[int, Mapping[Fate, int]], span_s: int) -> list[dict[Fate, int]]:
    """Add the seconds of a part up to bars."""
    buckets: list[dict[Fate, int]] = [{} for _ in range(ceil((part.end - part.begin) / span_s))]
    for second in range(part.begin, part.end):
        bucket = buckets[(second - part.begin) // span_s]
        for fate, count in seconds.get(second, {}).items():
            bucket[fate] = bucket.get(fate, 0) + count
    return buckets


def _placed(
    sums: Sequence[tuple[Part, Sequence[Mapping[Fate, int]]]], span_s: int, top: float
) -> tuple[list[Bar], list[Gap]]:
    """Put bars and gaps beside each other."""
    width = (100 - BREAK * (len(sums) - 1)) / sum(len(buckets) for _, buckets in sums)
    bars: list[Bar] = []
    gaps: list[Gap] = []
    x, before = 0.0, None
    for part, buckets in sums:
        if before is not None:
            gaps.append(Gap(x + BREAK / 2, part.begin - before))
            x += BREAK
        for number, fates in enumerate(buckets):
            rate = sum(fates.values()) / span_s
            bars.append(Bar(part.begin + number * span_s, x, width, tuple(_stack(fates, span_s * top)), rate))
            x += width
        before = part.end
    return bars, gaps


def _stack(fates: Mapping[Fate, int], of: float) -> Iterator[Piece]:
    y = 100.0
    for fate in Fate:
        if count := fates.get(fate, 0):
            height = 100 * count / of
            y -= height
            yield Piece(fate, y, height)


class Latency(Struct, frozen=True):
    """How long answers took.

    Attributes:
        answers: how many there were.
        percentiles: seconds within which so many per cent of them came; 100 is the slowest.
        classes: lower bound, upper bound (`None` for none) and answers, for each class from the fastest to the slowest.
    """

    answers: int
    percentiles: Mapping[int, float]
    classes: tuple[tuple[float, float | None, int], ...]


def latency(ordered: Iterable[float]) -> Latency | None:
    """Sum up how long answers took, in seconds; `None` if there are none.

    Args:
        ordered: seconds, in order of size.
    """
    seconds = array("d", ordered)  # eight octets a request
    if not seconds:
        return None
    percentiles = {one: seconds[ceil(len(seconds) * one / 100) - 1] for one in PERCENTILES}
    return Latency(len(seconds), percentiles, tuple(_classes(seconds)))


def _classes(seconds: Sequence[float]) -> Iterator[tuple[float, float | None, int]]:
    first, last = (bisect_left(EDGES_S, seconds[end]) for end in (0, -1))
    counts = [0] * (len(EDGES_S) + 1)
    for one in seconds:
        counts[bisect_left(EDGES_S, one)] += 1
    for number in range(first, last + 1):
        upper = EDGES_S[number] if number < len(EDGES_S) else None
        yield EDGES_S[number - 1] if number else 0.0, upper, counts[number]


class Slice(Struct, frozen=True):
    """A piece of a bar that is cut into shares: what it stands for, where it begins, how wide it is, and the count."""

    what: str
    x: float
    width: float
    count: int


def slices(counts: Mapping[str, int]) -> list[Slice]:
    """Cut a bar into the shares of `counts`."""
    total, x = sum(counts.values()), 0.0
    found: list[Slice] = []
    for what, count in counts.items():
        width = 100 * count / total if total else 0.0
        found.append(Slice(what, x, width, count))
        x += width
    return found
