"""Soak: the program, killed with kill -9 over and over on bad days. Nothing may be lost, nothing may happen twice.

`python -m tests.soak` plays as many rounds as there is time for: small jobs of appends, creates, replacements and
deletions, in either style, against an emulator of their own that loses requests and answers. With `--appends` and
`--creates` it plays one large job instead. It ends with 1 if any change was lost or happened twice.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import click
from msgspec import Struct
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from migrator.emulator import Emulator, EmulatorSettings
from tests.conftest import CommandLine
from tests.soak.job import Job, Style
from tests.soak.killing import (
    BAD_DAY,
    QUICK,
    Death,
    Story,
    after_the_first_effect,
    after_the_first_request,
    survive,
)

RATE = 150.0
"""Requests a second that the service of a round takes; the program is told so."""

LONG_DAY = (
    "drop-after:POST,PATCH,PUT,DELETE:p=0.05",
    "drop-before:POST,PATCH,PUT,DELETE:p=0.03",
    "429:*:p=0.02:retry-after=none",
    "503-after:POST,PATCH,PUT,DELETE:p=0.01",
    "expire-token:*:every=500",
)


class Round(Struct, frozen=True):
    """One job and what is to happen to it; everything that is left to chance follows from `seed`."""

    name: str
    seed: int
    job: Job
    faults: tuple[str, ...]
    deaths: tuple[Death, ...]
    latency_s: float
    rate: float
    concurrency: int


def small(seed: int) -> Round:
    """Make up a round."""
    chance = Random(seed)
    job = Job(
        style=chance.choice(("dps", "xcore")),
        appends=chance.randint(20, 100),
        replaces=chance.randint(0, 20),
        deletes=chance.randint(0, 5),
        creates=chance.randint(5, 40),
        puts=chance.randint(0, 10),
        containers=chance.randint(1, 4),
    )
    deaths = [chance.choice((after_the_first_effect, after_the_first_request)) for _ in range(chance.randint(1, 6))]
    return Round(
        name=f"seed {seed}",
        seed=seed,
        job=job,
        faults=tuple(chance.sample(BAD_DAY, chance.randint(2, len(BAD_DAY)))),
        deaths=(after_the_first_effect(chance), *(death(chance) for death in deaths)),
        latency_s=0.03,
        rate=RATE,
        concurrency=chance.choice((1, 4, 16)),
    )


def large(style: Style, appends: int, creates: int, kills: int, seed: int) -> Round:
    """Spread so many kills over one large job."""
    chance = Random(seed)
    part = (appends + creates) / (kills + 1)
    deaths = (Death(round(part * chance.uniform(0.3, 1)), 1, chance.uniform(0, 0.2)) for _ in range(kills))
    job = Job(style, appends=appends, creates=creates, containers=4)
    return Round(f"{style}, seed {seed}", seed, job, LONG_DAY, tuple(deaths), 0.0, 0.0, 16)


async def play(played: Round) -> Story:
    """Play a round in a folder and against an emulator of its own."""
    job = played.job
    settings = EmulatorSettings(
        seed_offers=max(job.offers, 1),
        containers=job.containers,
        faults=played.faults,
        fault_seed=played.seed,
        latency_s=played.latency_s,
        rate=played.rate,
    )
    with tempfile.TemporaryDirectory(prefix="migrator-soak-") as folder:
        async with Emulator(settings) as server:
            migrator = CommandLine(Path(folder), dict(QUICK))
            flags = ("--rate", str(played.rate), "-j", str(played.concurrency))
            return await survive(migrator, server, job, played.deaths, *flags)


async def play_all(rounds: Iterator[Round], minutes: float, at_once: int) -> list[Story]:
    """Play rounds, some at a time, until there are no more or the time is over."""
    until = time.monotonic() + 60 * minutes
    stories: list[Story] = []

    async def play_on() -> None:
        for played in rounds:
            story = await play(played)
            stories.append(story)
            click.echo(line(played, story))
            if time.monotonic() > until:
                return

    async with asyncio.TaskGroup() as players:
        for _ in range(at_once):
            players.create_task(play_on())
    return stories


def line(played: Round, story: Story) -> str:
    """Say in one line how a round went."""
    found = story.found
    if story.perfect:
        return (
            f"{played.name}: {found.changes} changes by {played.job.style}, {story.kills} kills, {story.faults} faults,"
            f" {story.ledger.doubts} doubts, {story.seconds:.1f} s"
        )
    said = story.said.strip().splitlines()[-1:]
    return f"{played.name}: WRONG: {found}, {story.ledger}, exit {story.code} {said}"


def table(stories: list[Story]) -> Table:
    """Add the rounds up."""
    shown = Table(box=SIMPLE_HEAD, title="Killed and resumed", title_justify="left", show_header=False)
    shown.add_column()
    shown.add_column(justify="right")
    for name, numbers in {
        "rounds": [1 for _ in stories],
        "kills": [story.kills for story in stories],
        "changes": [story.found.changes for story in stories],
        "requests": [story.requests for story in stories],
        "of them reads": [story.reads for story in stories],
        "faults": [story.faults for story in stories],
        "doubts": [story.ledger.doubts for story in stories],
        "lost": [story.found.lost for story in stories],
        "twice": [story.found.twice + story.repeated for story in stories],
        "unresolved": [story.unresolved for story in stories],
        "not perfect": [int(not story.perfect) for story in stories],
        "beyond the rate": [story.breaches for story in stories],
    }.items():
        shown.add_row(name, f"{sum(numbers):,}")
    shown.add_row("seconds of a round", f"{sum(story.seconds for story in stories) / max(len(stories), 1):.1f}")
    return shown


@click.command(help=__doc__)
@click.option("--rounds", type=click.IntRange(min=1), default=200, show_default=True, help="At the most.")
@click.option("--minutes", type=float, default=30, show_default=True, help="After which no round begins.")
@click.option("--at-once", type=click.IntRange(min=1), default=4, show_default=True, help="Rounds at a time.")
@click.option("--seed", type=int, help="Of the first round [default: another one each time].")
@click.option("--appends", type=int, default=0, help="Of one large job in each style.")
@click.option("--creates", type=int, default=0, help="Of one large job in each style.")
@click.option("--kills", type=int, default=20, show_default=True, help="Of one large job in each style.")
def main(
    *, rounds: int, minutes: float, at_once: int, seed: int | None, appends: int, creates: int, kills: int
) -> None:
    """Play, and print what was found."""
    first = int(time.time()) if seed is None else seed
    styles: tuple[Style, ...] = ("xcore", "dps")
    if appends or creates:
        at_once = 1
        played = iter([large(style, appends, creates, kills, first) for style in styles])
    else:
        played = map(small, range(first, first + rounds))
    stories = asyncio.run(play_all(played, minutes, at_once))
    Console(width=None if sys.stdout.isatty() else 120).print(table(stories))
    sys.exit(any(not story.perfect for story in stories))


if __name__ == "__main__":
    main()
