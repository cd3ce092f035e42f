"""What people send the same patches with today, as far as it is installed here, beside the program.

None of them has a limit, a ledger, a guard or a repeat in this: it is their speed at its best. Those that take
milliseconds for a request get few. What a command takes to start is taken off, by running it once with hardly anything
to do; of the program, too, the sending part counts, from the first request to the last outcome on the disk.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import click
from msgspec import Struct
from rich.table import Table

from tests.bench.bare import identity_of
from tests.bench.parts import Figure, Part, Place
from tests.bench.rounds import Bench, Scenario
from tests.bench.workload import Workload, rows_of, settings_for

LOAD = Workload("dps", 3_000, 1, 32)

FEW = 2
"""Requests of the run that only shows what a command takes to start."""

TIMEOUT_S = 120


class Sent(Struct, frozen=True):
    """One patch as any tool takes it: where to, and what."""

    url: str
    body: str


class Peer(Struct, frozen=True):
    """A tool.

    Attributes:
        name: how it is called here.
        needs: the command, or the Python package, that has to be there.
        requests: how many it sends.
        command: makes its input in a folder and returns the command that sends it.
    """

    name: str
    needs: str
    requests: int
    command: Callable[[Sequence[Sent], dict[str, str], Path], Sequence[str]]

    @property
    def installed(self) -> bool:
        """Whether it can be run here."""
        return shutil.which(self.needs) is not None or find_spec(self.needs) is not None


class Beside(Struct, frozen=True, tag="beside"):
    """How fast a tool is; medians over the rounds.

    Attributes:
        name: of the tool.
        requests_per_s: sent by it; 0 if it is not here.
        factor: requests a second of the program, of those of the tool.
        lean: the same with the lean client and uvloop.
    """

    name: str
    requests_per_s: float
    factor: float = 0.0
    lean: float = 0.0


def curl(sent: Sequence[Sent], headers: dict[str, str], folder: Path) -> Sequence[str]:
    """Let one curl send all of them, 32 at a time."""
    lines = []
    for one in sent:
        lines += [f"url = {one.url}", "request = PATCH", f"data = {json.dumps(one.body)}", 'output = "/dev/null"']
        lines += [f'header = "{name}: {value}"' for name, value in headers.items()] + ["next"]
    config = folder / f"curl-{len(sent)}"
    config.write_text("\n".join(lines[:-1]))
    return ["curl", "--no-progress-meter", "--parallel", "--parallel-max", "32", "--config", str(config)]


def parallel(sent: Sequence[Sent], headers: dict[str, str], folder: Path) -> Sequence[str]:
    """Let GNU parallel begin a curl for each."""
    lines = folder / f"parallel-{len(sent)}"
    lines.write_text("\n".join(f"{one.url}\t{one.body}" for one in sent))
    given = [part for name, value in headers.items() for part in ("-H", f"'{name}: {value}'")]
    command = ["curl", "-s", "-o", "/dev/null", "-X", "PATCH", *given, "-d", "{2}", "{1}"]
    return ["parallel", "--will-cite", "-j32", "--colsep", r"\t", "-a", str(lines), " ".join(command)]


def newman(sent: Sequence[Sent], headers: dict[str, str], folder: Path) -> Sequence[str]:
    """Let newman go through a file of data, as a collection of Postman's is run."""
    request = {
        "method": "PATCH",
        "url": "{{url}}",
        "header": [{"key": name, "value": value} for name, value in headers.items()],
        "body": {"mode": "raw", "raw": "{{{body}}}"},
    }
    schema = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
    collection = {"info": {"name": "bench", "schema": schema}, "item": [{"name": "patch", "request": request}]}
    (folder / "collection.json").write_text(json.dumps(collection))
    data = folder / f"newman-{len(sent)}.json"
    data.write_text(json.dumps([{"url": one.url, "body": one.body} for one in sent]))
    return ["newman", "run", str(folder / "collection.json"), "-d", str(data), "--reporters", "json", "--silent"]


HTTPX = """
import asyncio, json, sys
import httpx
async def main():
    sent, headers = json.load(open(sys.argv[1]))
    places = asyncio.Semaphore(8)
    async with httpx.AsyncClient(headers=headers) as client:
        async def one(url, body):
            async with places:
                (await client.patch(url, content=body)).raise_for_status()
        await asyncio.gather(*(one(*each) for each in sent))
asyncio.run(main())
"""


def httpx(sent: Sequence[Sent], headers: dict[str, str], folder: Path) -> Sequence[str]:
    """Let a loop of httpx send them, 8 at a time, where it is at its best."""
    script, data = folder / "loop.py", folder / f"httpx-{len(sent)}.json"
    script.write_text(HTTPX)
    data.write_text(json.dumps([[[one.url, one.body] for one in sent], headers]))
    return [sys.executable, str(script), str(data)]


PEERS = (
    Peer("curl --parallel", "curl", LOAD.rows, curl),
    Peer("GNU parallel and curl", "parallel", 60, parallel),
    Peer("newman", "newman", 100, newman),
    Peer("a loop of httpx", "httpx", 500, httpx),
)


def measure(place: Place) -> Iterator[Beside]:
    """Yield the program, and every tool that is here."""
    bench = place.bench
    ours = Scenario("pipeline", "pipeline", LOAD)
    leanest = Scenario("pipeline, lean, uvloop", "pipeline", LOAD, client="lean", loop="uvloop")
    scenarios = [ours, leanest] if find_spec("uvloop") else [ours]
    here = [peer for peer in PEERS if peer.installed]
    found: list[list[float]] = []
    for _ in range(place.rounds):
        speeds = [bench.run(scenario).requests_per_s for scenario in scenarios]
        found.append(speeds + [_speed(peer, bench) for peer in here])
    columns = list(zip(*found, strict=True))
    usual, best = columns[0], columns[len(scenarios) - 1]
    for scenario, column in zip(scenarios, columns, strict=False):
        yield Beside(scenario.name, statistics.median(column))
    for peer, column in zip(here, columns[len(scenarios) :], strict=True):
        yield Beside(peer.name, statistics.median(column), _factor(usual, column), _factor(best, column))
    for peer in PEERS:
        if peer not in here:
            yield Beside(peer.name, 0.0)


def _factor(ours: Sequence[float], theirs: Sequence[float]) -> float:
    return statistics.median(one / other for one, other in zip(ours, theirs, strict=True))


def _speed(peer: Peer, bench: Bench) -> float:
    """Return how many requests a second `peer` sends once it has started."""
    click.echo(f"beside: {peer.name}", err=True)
    settings = settings_for(LOAD, bench.url, bench.folder, guard=False)
    headers = {"Content-Type": "application/json", "x-sandbox-name": "bench", **identity_of(settings)}
    sent = [
        Sent(f"{bench.url}/data/core/dps/offers/{row['id']}", json.dumps(row["patch"]))
        for row in rows_of(LOAD, peer.requests)
    ]
    few, all_ = (_seconds(peer.command(some, headers, bench.folder), bench.folder) for some in (sent[:FEW], sent))
    return (peer.requests - FEW) / max(all_ - few, 1e-3)


def _seconds(command: Sequence[str], folder: Path) -> float:
    began_at = time.monotonic()
    subprocess.run(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True, timeout=TIMEOUT_S
    )
    return time.monotonic() - began_at


def figures(found: Sequence[Beside]) -> Iterator[Figure]:
    """Yield by how much the program is faster than what people use today."""
    for one in found:
        there = f"{one.factor:.1f} ×; lean {one.lean:.1f} ×" if one.factor else "not installed"
        yield Figure("the pipeline, the same patches: requests/s", one.name, "", there)


def details(found: Sequence[Beside]) -> Table:
    """Lay out what was `found` for a person."""
    shown = Table("the same patches by other means", title="medians of interleaved rounds; no limit, no waiting")
    for header in ("requests/s", "the pipeline is", "lean, it is"):
        shown.add_column(header, justify="right")
    for one in found:
        factors = (f"{one.factor:.1f} x", f"{one.lean:.1f} x") if one.factor else ("", "")
        shown.add_row(one.name, f"{one.requests_per_s:,.0f}" if one.requests_per_s else "not installed", *factors)
    return shown


PART = Part(measure, figures, details)
