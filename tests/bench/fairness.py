"""Fairness: what small containers pay for a large one beside them.

The same small containers are changed twice under the same limit, once alone and once with a large one, which comes
first in the input. What counts is when the last change of a small container is sent. It is the order of the requests
that is looked at, so the service is a stand-in without a network: it shows what is in each container, takes each
change, and needs `LATENCY_S` for either.

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
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import click
import msgspec
from msgspec import Struct

from migrator import api, logs
from migrator.core.model import Answer, Request, Response
from migrator.settings import Settings
from tests.bench.library import PAGE, container_id, object_id, text_of
from tests.bench.parts import Figure, Part, Place
from tests.bench.rounds import ROOT
from tests.bench.sender import make_run
from tests.bench.target import RECEIPTS
from tests.bench.workload import Workload, rename, settings_for

SMALL, ROWS = 50, 20
"""Small containers, and the rows of each."""

LIMIT = 200.0
"""Requests a second."""

WORKERS = 32
LATENCY_S = 0.01
MOST = 1.1
"""Times as long as alone, at the most."""

LARGE = container_id(SMALL)
RECEIPT = msgspec.json.encode(RECEIPTS[b"/data/core/xcore"])


class Order(Struct, frozen=True):
    """What to send: rows of a large container `beside` the small ones; inputs and ledgers go to `folder`."""

    beside: int
    folder: str
    guard: bool
    cpu: int | None


class Stand:
    """A service without a network: a transport that answers for it, and notes when the changes of a container come."""

    renewable = False
    ready = True

    def __init__(self, sizes: Mapping[str, int], enough: Mapping[str, int], stop: asyncio.Event) -> None:
        """Have so many objects in each container, and set `stop` when each has had `enough` changes."""
        self._sizes = sizes
        self._left = Counter(enough)
        self._stop = stop
        self.began_at = 0.0
        self.took_s = 0.0

    async def make_ready(self) -> None:
        """Nothing is missing."""

    async def send(self, request: Request) -> Answer:
        """Answer, a little later."""
        self.began_at = self.began_at or time.monotonic()
        _, container, *rest = request.target.removeprefix("/data/core/xcore").split("/")
        if request.method != "GET":
            self._count(container)
        await asyncio.sleep(LATENCY_S)
        return Response(200, {}, self._read(container, rest) if request.method == "GET" else RECEIPT)

    def _count(self, container: str) -> None:
        if container not in self._left:
            return
        self._left[container] -= 1
        if not self._left[container]:
            del self._left[container]
        if not self._left:
            self.took_s = time.monotonic() - self.began_at
            self._stop.set()

    def _read(self, container: str, rest: Sequence[str]) -> bytes:
        if rest[0] != "queries":
            return text_of("xcore", rest[-1].partition("?")[0])
        first = int(rest[-1].partition("start=")[2] or 0)
        numbers = range(self._sizes[container])
        following = f"/{container}/queries/core/search?start={first + PAGE}" if numbers[first + PAGE :] else ""
        return b'{"_embedded":{"results":[%b],"total":%d},"_links":{"next":{"href":"%b"}}}' % (
            b",".join(text_of("xcore", _object(container, number)) for number in numbers[first : first + PAGE]),
            len(numbers),
            following.encode(),
        )


def _number(container: str, number: int) -> int:
    return int(container[-12:], 16) * 1_000_000 + number


def _object(container: str, number: int) -> str:
    return object_id(_number(container, number))


def measure(place: Place) -> Iterator[Figure]:
    """Yield how much later the small containers are done with a large one beside them."""
    folder, rounds, cpu = place.folder, place.rounds, place.client_cpu
    beside = place.size(100_000, 10_000)
    for guard in (False, True):
        shares = []
        for number in range(rounds):
            click.echo(f"round {number + 1}: fairness", err=True)
            alone, among = (_took_s(folder, rows, cpu, guard=guard) for rows in (0, beside))
            shares.append(among / alone)
        share = statistics.median(shares)
        yield Figure(
            f"{SMALL} containers with {ROWS} rows, one with {beside:,}, {'' if guard else 'no '}guard: small ones done",
            "the small ones alone",
            f"≤ {MOST:.2f} ×",
            f"{share:.2f} ×",
            share <= MOST,
        )


def _took_s(folder: Path, beside: int, cpu: int | None, *, guard: bool) -> float:
    with tempfile.TemporaryDirectory(dir=folder) as place:
        order = msgspec.json.encode(Order(beside, place, guard, cpu))
        command = [sys.executable, "-m", "tests.bench.fairness"]
        ended = subprocess.run(command, input=order, stdout=subprocess.PIPE, cwd=ROOT, check=True)
    return float(ended.stdout)


def _once(order: Order) -> float:
    """Return how long it takes until the small containers have had all their changes, from the first request on."""
    if order.cpu is not None:
        os.sched_setaffinity(0, {order.cpu})
    small = {container_id(number): ROWS for number in range(SMALL)}
    sizes = ({LARGE: order.beside} if order.beside else {}) | small
    path = Path(order.folder) / "input.jsonl"
    with path.open("wb") as file:
        for container, rows in sizes.items():
            for number in range(rows):
                row = {"container": container} | rename("xcore", _number(container, number))
                file.write(msgspec.json.encode(row) + b"\n")
    load = Workload("xcore", sum(sizes.values()), len(sizes), WORKERS, LIMIT)
    settings = settings_for(load, "http://127.0.0.1:9", Path(order.folder) / "runs", guard=order.guard)
    return asyncio.run(_send(path, settings, sizes, small))


async def _send(path: Path, settings: Settings, sizes: Mapping[str, int], small: Mapping[str, int]) -> float:
    done = asyncio.Event()
    stand = Stand(sizes, small, done)

    @asynccontextmanager
    async def around(running: api.Running) -> AsyncIterator[None]:
        async def stop() -> None:
            await done.wait()
            running.engine.stop()

        running.engine._wire.transport = stand
        stopping = asyncio.create_task(stop())
        yield
        await stopping

    await api.execute(make_run(path, settings), settings, around=around)
    return stand.took_s


PART = Part(measure, figures=iter)


if __name__ == "__main__":
    logs.configure(json=True, verbosity=0, colors=False)
    sys.stdout.write(f"{_once(msgspec.json.decode(sys.stdin.buffer.read(), type=Order))}\n")
