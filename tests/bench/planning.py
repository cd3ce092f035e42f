"""What it costs to plan: requests, memory and time, when all of a library is changed and when a few of its objects are.

Planning is reading the input, reading the objects, and showing what would become of them. Reading the objects is set
beside the same GETs sent by a bare loop, as many at a time, that looks at no answer.

Run as a program, an order comes in on standard input and figures go out on standard output.
"""

from __future__ import annotations

import asyncio
import http.client
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from rich.table import Table
from yarl import URL

from migrator import api, logs
from migrator.clock import SystemClock
from migrator.core.model import Answer, Failure, Request
from migrator.core.states import State
from migrator.ledger.folder import RunFolder
from migrator.ledger.reading import planned_steps
from migrator.ports import Transport
from migrator.reports.preview import entry, paragraph
from migrator.settings import Settings
from migrator.transport.session import open_session
from tests.bench.library import PAGE
from tests.bench.parts import Figure, Part, Place
from tests.bench.rounds import ROOT, target
from tests.bench.sender import peak_mib
from tests.bench.workload import Workload, settings_for, write_input

OBJECTS = 10_000
"""Objects of the library."""

FEW = 20
"""Objects of a library of which nearly none is changed."""

LOADS = (("dps", 1), ("xcore", 20))
"""Styles, and the containers of each."""

WORKERS = 4
"""Requests in flight: the default of the program."""


class Order(Struct, frozen=True):
    """What to measure: a plan of the input `path`, whose temporary files go to `folder`, on core `cpu` if any."""

    load: Workload
    path: str
    folder: str
    base_url: str
    cpu: int | None


class Found(Struct, frozen=True):
    """What one plan took.

    Attributes:
        reads: GETs.
        read_s: seconds that reading the objects took, until all is in the ledger.
        bare_s: seconds that the same GETs take a bare loop.
        whole_s: seconds from the input to the last line shown.
        before_mib: peak memory before anything was read.
        peak_mib: peak memory at the end.
    """

    reads: int
    read_s: float
    bare_s: float
    whole_s: float
    before_mib: float
    peak_mib: float


class Planned(Struct, frozen=True, tag="planned"):
    """What planning costs; medians over the rounds.

    Attributes:
        name: of the scenario.
        rows: changes.
        reads: GETs.
        reads_per_page: GETs for each page that the library has.
        rows_per_s: read and tried.
        of_bare: the same, as a share of what a bare loop reaches with the same GETs.
        whole_rows_per_s: from the input to the last line shown.
        growth_mib: memory that planning adds to the peak.
    """

    name: str
    rows: int
    reads: int
    reads_per_page: float
    rows_per_s: float
    of_bare: float
    whole_rows_per_s: float
    growth_mib: float


def measure(place: Place) -> Iterator[Planned]:
    """Yield what it costs to plan changes of all and of a few of the objects, style by style."""
    with target(place.target_cpu) as port:
        for style, containers in LOADS:
            for rows in (OBJECTS, FEW):
                load = Workload(style, rows, containers, WORKERS)
                found = [_ordered(place.folder, port, load, place.client_cpu) for _ in range(place.rounds)]
                yield _planned(f"{style}: {rows:,} of {OBJECTS:,} objects", load, found)


def _ordered(folder: Path, port: int, load: Workload, cpu: int | None) -> Found:
    """Have one plan made by a process of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", f"/reset?{OBJECTS},{load.containers}")
    connection.getresponse().read()
    connection.close()
    with tempfile.TemporaryDirectory(dir=folder) as place:
        path = Path(place) / "changes.jsonl"
        write_input(load, path)
        order = Order(load, str(path), place, f"http://127.0.0.1:{port}", cpu)
        ended = subprocess.run(
            [sys.executable, "-m", "tests.bench.planning"],
            input=msgspec.json.encode(order),
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, "no_proxy": "127.0.0.1", "TMPDIR": place},
            check=True,
        )
    return msgspec.json.decode(ended.stdout, type=Found)


def _planned(name: str, load: Workload, found: Sequence[Found]) -> Planned:
    reads = found[0].reads
    return Planned(
        name=name,
        rows=load.rows,
        reads=reads,
        reads_per_page=reads / (OBJECTS / PAGE),
        rows_per_s=statistics.median(load.rows / one.read_s for one in found),
        of_bare=statistics.median(one.bare_s / one.read_s for one in found),
        whole_rows_per_s=statistics.median(load.rows / one.whole_s for one in found),
        growth_mib=statistics.median(one.peak_mib - one.before_mib for one in found),
    )


def figures(found: Sequence[Planned]) -> Iterator[Figure]:
    """Yield how fast objects are read and tried."""
    for one in found:
        measured = f"{one.of_bare:.2f} × ({one.rows_per_s:,.0f} objects/s, {one.reads:,} GETs)"
        yield Figure(f"plan, objects read, {one.name}", "the same GETs, answers not looked at", "", measured)


def details(found: Sequence[Planned]) -> Table:
    """Lay out what was `found` for a person."""
    shown = Table("changes", title="what planning costs")
    for header in ("GETs", "GETs/page", "rows/s", "of bare", "rows/s, whole", "memory"):
        shown.add_column(header, justify="right")
    for one in found:
        shown.add_row(
            one.name,
            f"{one.reads:,}",
            f"{one.reads_per_page:.2f}",
            f"{one.rows_per_s:,.0f}",
            f"{one.of_bare:.2f}",
            f"{one.whole_rows_per_s:,.0f}",
            f"+{one.growth_mib:.0f} MiB",
        )
    return shown


PART = Part(measure, figures, details)


# In the process that is measured


class NotingTransport:
    """A transport that notes what is sent, and how much of it at a time."""

    def __init__(self, transport: Transport) -> None:
        """Send through `transport`."""
        self._transport = transport
        self._in_flight = 0
        self.most_in_flight = 0
        self.sent: list[Request] = []

    @property
    def renewable(self) -> bool:
        """As the transport has it."""
        return self._transport.renewable

    @property
    def ready(self) -> bool:
        """As the transport has it."""
        return self._transport.ready

    def make_ready(self) -> Coroutine[Any, Any, Failure | None]:
        """As the transport has it."""
        return self._transport.make_ready()

    async def send(self, request: Request) -> Answer:
        """Send `request`."""
        self.sent.append(request)
        self._in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self._in_flight)
        try:
            return await self._transport.send(request)
        finally:
            self._in_flight -= 1


def plan(order: Order) -> Found:
    """Carry out `order`."""
    if order.cpu is not None:
        os.sched_setaffinity(0, {order.cpu})
    settings = settings_for(order.load, order.base_url, Path(order.folder), guard=True)
    source = api.Input(Path(order.path), "changes.jsonl")
    before_mib = peak_mib()
    began_at = time.monotonic()
    with api.preview(source, settings) as (run, draft):
        draft.merge()
        draft.accept(run.id, source.name, settings.remembered(), SystemClock.now())
        reading_at = time.monotonic()
        noting = asyncio.run(survey(run, settings))
        read_s = time.monotonic() - reading_at
        shown = sum(len(paragraph(entry(step), with_container=True)) for step in planned_steps(run.ledger))
    whole_s = time.monotonic() - began_at
    assert shown > order.load.rows
    peak = peak_mib()
    return Found(len(noting.sent), read_s, asyncio.run(send_bare(noting, settings)), whole_s, before_mib, peak)


async def survey(run: RunFolder, settings: Settings) -> NotingTransport:
    """Read the objects of `run`, and return what noted the requests."""
    noting: list[NotingTransport] = []

    @asynccontextmanager
    async def noted(running: api.Running) -> AsyncIterator[None]:
        wire = running.engine._wire
        wire.transport = NotingTransport(wire.transport)
        noting.append(wire.transport)
        yield

    summary = await api.execute(run, settings, api.Work.SURVEY, around=noted)
    assert summary.count(State.PENDING) == summary.run.rows, summary
    return noting[0]


async def send_bare(noted: NotingTransport, settings: Settings) -> float:
    """Send what was noted with nothing around it, and return how many seconds that takes."""
    waiting = iter(noted.sent)
    headers = {
        "x-api-key": settings.client_id,
        "x-gw-ims-org-id": settings.org_id,
        "Authorization": "Bearer " + settings.secret("access_token"),
    }
    async with open_session(timeout_s=60, connect_timeout_s=10, user_agent="bench") as session:

        async def work() -> None:
            for request in waiting:
                url = URL(settings.base_url + request.target, encoded=True)
                async with session.get(url, headers={**request.headers, **headers}) as response:
                    await response.read()
                    assert response.status == 200

        began_at = time.monotonic()
        async with asyncio.TaskGroup() as crew:
            for _ in range(noted.most_in_flight):
                crew.create_task(work())
        return time.monotonic() - began_at


if __name__ == "__main__":
    logs.configure(json=True, verbosity=0, colors=False)
    sys.stdout.buffer.write(msgspec.json.encode(plan(msgspec.json.decode(sys.stdin.buffer.read(), type=Order))))
