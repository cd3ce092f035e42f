"""What the size of the input does to the peak memory of the process: of planning, and of a whole run.

The run is that of the whole program, whose requests are answered within the process by the constant receipt of their
style: the cheapest target there is, so that a million rows take a minute or two. It reads no bases: that is half of the
requests, and pages of lists are bounded by their size.

Run as a program, an order comes in on standard input and figures go out on standard output.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import click
import msgspec
from msgspec import Struct
from rich.table import Table

from migrator import api, logs
from migrator.core.model import Answer, Failure, Request, Response
from migrator.ledger.folder import RunFolder
from migrator.settings import Settings
from tests.bench.parts import Figure, Part, Place
from tests.bench.rounds import ROOT
from tests.bench.sender import make_run, peak_mib
from tests.bench.target import RECEIPTS
from tests.bench.workload import Workload, settings_for, write_input

ROWS = (1_000, 30_000, 1_000_000)
QUICK_ROWS = (1_000, 30_000, 100_000)

CONTAINERS = 20
WORKERS = 64

MOST_RATIO = 1.15
"""Peak of the largest input, of that of the smallest."""

MOST_GROWTH_MIB = 4.0
"""Growth of the peak from the middle input to the largest."""


class Order(Struct, frozen=True):
    """What to measure: a run of the input `path`, whose ledger goes to `folder`."""

    rows: int
    path: str
    folder: str


class Run(Struct, frozen=True):
    """What one run takes.

    Attributes:
        imports_mib: peak memory of the process with the program imported.
        planned_mib: the same after planning.
        sent_mib: the same after the whole run.
        planned_s: seconds of CPU, user and system, that planning takes: others may have the machine, too.
        sent_s: the same of all the rest.
    """

    imports_mib: float
    planned_mib: float
    sent_mib: float
    planned_s: float
    sent_s: float


class Memory(Struct, frozen=True, tag="memory"):
    """What runs of one size take; medians over the rounds."""

    rows: int
    run: Run


def measure(place: Place) -> Iterator[Memory]:
    """Yield the memory of runs of several sizes."""
    sizes = place.size(ROWS, QUICK_ROWS)
    # Peaks hardly differ from round to round, and the largest takes minutes: once is enough.
    rounds = {rows: 1 if rows == max(sizes) else place.rounds for rows in sizes}
    found = {rows: [ordered(place.folder, rows) for _ in range(rounds[rows])] for rows in sizes}
    for rows, runs in found.items():
        columns = zip(*map(msgspec.structs.astuple, runs), strict=True)
        yield Memory(rows, Run(*map(statistics.median, columns)))


def ordered(place: Path, rows: int) -> Run:
    """Have one run made by a process of its own, in a folder within `place`."""
    click.echo(f"memory: {rows:,} rows", err=True)
    with tempfile.TemporaryDirectory(dir=place) as folder:
        path = Path(folder) / "changes.jsonl"
        write_input(Workload("xcore", rows, CONTAINERS, WORKERS), path)
        ended = subprocess.run(
            [sys.executable, "-m", "tests.bench.memory"],
            input=msgspec.json.encode(Order(rows, str(path), folder)),
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, "SQLITE_TMPDIR": folder},
            check=True,
        )
    return msgspec.json.decode(ended.stdout, type=Run)


def figures(found: Sequence[Memory]) -> Iterator[Figure]:
    """Yield what the largest input takes more than the smaller ones, for planning and for the whole run."""
    small, middle, large = found
    for what, member in (("planned", "planned_mib"), ("planned and applied", "sent_mib")):
        few, some, many = (getattr(one.run, member) for one in (small, middle, large))
        peak = f"peak memory, {large.rows:,} rows, {what}"
        yield Figure(
            peak,
            f"{small.rows:,} rows",
            f"≤ {MOST_RATIO} ×",
            f"{many / few:.2f} × ({many:.1f} MiB)",
            many / few <= MOST_RATIO,
        )
        growth = many - some
        yield Figure(
            peak, f"{middle.rows:,} rows", f"≤ +{MOST_GROWTH_MIB} MiB", f"{growth:+.1f} MiB", growth <= MOST_GROWTH_MIB
        )


def details(found: Sequence[Memory]) -> Table:
    """Lay out what was `found` for a person."""
    shown = Table("rows", title="peak memory in MiB, and seconds of CPU")
    for header in ("imports", "planned", "planned and applied", "planning s", "applying s"):
        shown.add_column(header, justify="right")
    for one in found:
        shown.add_row(f"{one.rows:,}", *(f"{figure:.1f}" for figure in msgspec.structs.astuple(one.run)))
    return shown


PART = Part(measure, figures, details)


# In the process that is measured


class Receipts:
    """A transport that answers every write with the receipt of its style, at once."""

    renewable = False
    ready = True

    async def make_ready(self) -> Failure | None:
        """Be ready."""
        return None

    async def send(self, request: Request) -> Answer:
        """Answer `request`."""
        # As the network does: so that the requests of others get their turn.
        await asyncio.sleep(0)
        return Response(200, {}, RECEIPT)


RECEIPT = msgspec.json.encode(RECEIPTS[b"/data/core/xcore"])


def run(order: Order) -> Run:
    """Carry out `order`."""
    load = Workload("xcore", order.rows, CONTAINERS, WORKERS)
    settings = settings_for(load, "http://127.0.0.1:9", Path(order.folder), guard=False)
    imports_mib, began_at = peak_mib(), time.process_time()
    planned = make_run(Path(order.path), settings)
    planned_mib, planned_at = peak_mib(), time.process_time()
    asyncio.run(send(planned, settings))
    return Run(imports_mib, planned_mib, peak_mib(), planned_at - began_at, time.process_time() - planned_at)


async def send(run: RunFolder, settings: Settings) -> None:
    """Send `run` to where everything is answered at once."""

    @asynccontextmanager
    async def answered(running: api.Running) -> AsyncIterator[None]:
        running.engine._wire.transport = Receipts()
        yield

    summary = await api.execute(run, settings, around=answered)
    assert summary.complete, summary


if __name__ == "__main__":
    logs.configure(json=True, verbosity=0, colors=False)
    sys.stdout.buffer.write(msgspec.json.encode(run(msgspec.json.decode(sys.stdin.buffer.read(), type=Order))))
