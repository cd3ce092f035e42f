"""Rate limits as the service sees them: strict limits, the pause after a 429, a limit that is found out, and how many
are in flight.

The program runs as a command against the emulator, each in a process of its own; what counts is the emulator's log.
Each measurement is one run and compares what it saw with the limit, or with what the emulator's own latency allows.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
from msgspec import Struct

from tests.bench import windows
from tests.bench.parts import Figure, Part, Place
from tests.bench.rehearsal import Seen, arrivals, rehearsing

T = TypeVar("T")
Cpus = tuple[int | None, int | None]

TOO_MANY = 429

DELAY_S = 0.2
"""A network may hold up so long what it carries, each way."""

ROUND_TRIP_S = 0.05
"""More than a round trip takes here: what arrives later than this after a 429 was sent after it had come."""


class Extent(Struct, frozen=True):
    """How much to measure.

    Attributes:
        rounds: how often.
        seconds: of a run with a limit.
        finding_s: of a run that finds its limit out.
        in_flight: requests in flight.
    """

    rounds: int
    seconds: int
    finding_s: int
    in_flight: tuple[int, ...]


def measure(place: Place) -> Iterator[Figure]:
    """Yield how limits are kept."""
    seconds, finding_s, numbers = place.size((8, 45, (1, 4, 16, 64, 256)), (6, 40, (1, 16, 256)))
    extent = Extent(place.rounds, seconds, finding_s, numbers)
    for part in (strict, paused, found_out, in_flight):
        yield from part(place.folder, extent, (place.client_cpu, place.target_cpu))


def _rounds(name: str, rounds: int, once: Callable[[Path], T], folder: Path) -> list[T]:
    found = []
    for number in range(rounds):
        click.echo(f"round {number + 1}: {name}", err=True)
        with tempfile.TemporaryDirectory(dir=folder) as place:
            found.append(once(Path(place)))
    return found


def _run(place: Path, cpus: Cpus, rows: int, options: Sequence[str], **settings: Any) -> list[Seen]:
    with rehearsing(place, cpus, seed_offers=rows, **settings) as rehearsal:
        rehearsal.apply(rows, *options)
        return rehearsal.requests()


def _timed(place: Path, cpus: Cpus, rows: int, options: Sequence[str], **settings: Any) -> tuple[list[int], float]:
    """Return when the writes of a run arrived, and how long a round trip takes beside it."""
    with rehearsing(place, cpus, seed_offers=rows, **settings) as rehearsal:
        round_trip_s = rehearsal.apply_beside(rows, *options)
        return arrivals([one for one in rehearsal.requests() if one.method != "GET"]), round_trip_s


def strict(folder: Path, extent: Extent, cpus: Cpus) -> Iterator[Figure]:
    """Yield what a limit of 100/s comes to at the service behind a network that holds things up."""
    limit = 100
    for name, options in (("until sent", ()), ("strict", ("--strict-rate",))):
        given = ("--rate", str(limit), "-j", "64", "--no-guard", *options)

        def once(place: Path, given: Sequence[str] = given) -> list[Seen]:
            return _run(place, cpus, limit * extent.seconds, given, delay_s=DELAY_S)

        runs = [arrivals(run) for run in _rounds(f"limit {name}", extent.rounds, once, folder)]
        over = sum(windows.over(run, limit) for run in runs)
        worst = max(windows.worst(run, windows.SECOND_NS) for run in runs)
        aim, met = ("0 over", over == 0) if options else ("", None)
        measured = f"{over} over, the worst {worst}; used {_percent(windows.used(run, limit) for run in runs)}"
        yield Figure(
            f"{limit}/s, counted {name}: windows of 1 s at the service",
            f"the limit; each way held up for 0 to {DELAY_S:g} s",
            aim,
            measured,
            met,
        )
    yield _price(folder, extent, cpus)


def _price(folder: Path, extent: Extent, cpus: Cpus) -> Figure:
    limit, latency_s = 100, 0.1
    given = ("--rate", str(limit), "-j", "64", "--no-guard", "--strict-rate")
    runs = _rounds(
        "price of a strict limit",
        extent.rounds,
        lambda place: _timed(place, cpus, limit * extent.seconds, given, latency_s=latency_s),
        folder,
    )
    share = statistics.median(windows.used(arrived, limit) * (1 + round_trip_s) for arrived, round_trip_s in runs)
    return Figure(
        f"{limit}/s, strict, {latency_s * 1000:.0f} ms latency: used",
        "1 s / (1 s + a round trip)",
        "≥ 99 %",
        f"{share:.1%}",
        share >= 0.99,
    )


def paused(folder: Path, extent: Extent, cpus: Cpus) -> Iterator[Figure]:
    """Yield what a 429 with a Retry-After of two seconds does to a run."""
    for limit in (100, 1000):
        rows = limit * (extent.seconds - 2)
        given = ("--rate", str(limit), "-j", "32", "--no-guard")
        fault = f"429:PATCH:n={2 * limit}:retry-after=2"

        def once(place: Path, rows: int = rows, given: Sequence[str] = given, fault: str = fault) -> list[Seen]:
            return _run(place, cpus, rows, given, faults=[fault])

        runs = _rounds(f"pause at {limit}/s", extent.rounds, once, folder)
        breaches = [_between(run, _refused_s(run) + ROUND_TRIP_S, _refused_s(run) + 2) for run in runs]
        after = [_between(run, _refused_s(run) + 2, _refused_s(run) + 3) / limit for run in runs]
        back = statistics.median(after)
        yield Figure(
            f"{limit}/s, a 429 with Retry-After 2 s: requests meanwhile",
            "a round trip",
            "0",
            str(sum(breaches)),
            not any(breaches),
        )
        yield Figure(
            f"{limit}/s, a 429 with Retry-After 2 s: the first second after it",
            "the limit",
            "≥ 95 %",
            f"{back:.1%}",
            back >= 0.95,
        )


def _refused_s(run: Sequence[Seen]) -> float:
    return next(one.answered_s for one in run if one.status == TOO_MANY)


def _between(run: Sequence[Seen], begin_s: float, end_s: float) -> int:
    return sum(begin_s <= one.arrived_s < end_s for one in run)


def found_out(folder: Path, extent: Extent, cpus: Cpus) -> Iterator[Figure]:
    """Yield what a run that is told nothing makes of a service that takes 137 requests a second."""
    limit, within_s = 137, 20
    given = ("--max-duration", f"{extent.finding_s}s")
    runs = _rounds(
        "a limit found out",
        extent.rounds,
        lambda place: _run(place, cpus, limit * extent.finding_s, given, rate=limit),
        folder,
    )
    found = [_found_s(run, 0.9 * limit) for run in runs]
    late = [[one for one in run if one.arrived_s >= run[0].arrived_s + within_s] for run in runs]
    used = [_taken(run) / (limit * (run[-1].arrived_s - run[0].arrived_s)) for run in late]
    refused = [1 - _taken(run) / len(run) for run in late]
    what = f"a bucket of {limit}/s, told nothing"
    yield Figure(f"{what}: 90 % of it found", f"{within_s} s", "in less", f"{max(found):.1f} s", max(found) < within_s)
    median = statistics.median(used)
    yield Figure(f"{what}: used after {within_s} s", "the limit", "≥ 90 %", f"{median:.1%}", median >= 0.9)
    worst = max(refused)
    yield Figure(f"{what}: refused after {within_s} s", "requests", "< 1 %", f"{worst:.2%}", worst < 0.01)


def _taken(run: Sequence[Seen]) -> int:
    return sum(one.status != TOO_MANY for one in run)


def _found_s(run: Sequence[Seen], rate: float) -> float:
    """Return in how many seconds there was the first second with so many requests that were taken."""
    taken = arrivals([one for one in run if one.status != TOO_MANY])
    for first, last in zip(taken, taken[int(rate) :], strict=False):
        if last - first <= windows.SECOND_NS:
            return (last - taken[0]) / windows.SECOND_NS
    return float("inf")


def in_flight(folder: Path, extent: Extent, cpus: Cpus) -> Iterator[Figure]:
    """Yield how much of what Little's law allows is used, at a latency of 50 ms and a limit of 1,000/s."""
    limit, latency_s = 1000, 0.05
    for number in extent.in_flight:
        rate = min(limit, number / latency_s)
        rows = round(rate * extent.seconds)
        given = ("--rate", str(limit), "-j", str(number), "--no-guard")

        def once(place: Path, rows: int = rows, given: Sequence[str] = given) -> tuple[list[int], float]:
            return _timed(place, cpus, rows, given, latency_s=latency_s)

        runs = _rounds(f"{number} in flight", extent.rounds, once, folder)
        shares = [windows.used(arrived, min(limit, number / round_trip_s)) for arrived, round_trip_s in runs]
        share = statistics.median(shares)
        yield Figure(
            f"{number} in flight at {latency_s * 1000:.0f} ms latency, limit {limit:,}/s",
            f"min(limit, {number} / round trip), {rate:,.0f}/s",
            "≥ 95 %",
            f"{share:.1%}",
            share >= 0.95,
        )


def _percent(shares: Iterator[float]) -> str:
    return f"{statistics.median(shares):.1%}"


PART = Part(measure, figures=iter)
