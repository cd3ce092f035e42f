"""The emulator's own speed: beside the least that aiohttp can do, and as the number of its objects grows.

All servers run from the beginning to the end, each in a process of its own and all on one core; only one is asked at a
time. The sender stays on the other core and does no more than write requests that are ready made, and see where an
answer ends.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import quote

import click
import msgspec
from msgspec import Struct
from rich.table import Table

from migrator.core.model import EntityType, Kind, Request, Step
from migrator.core.styles import STYLES
from migrator.core.styles.xcore import SCHEMAS
from migrator.emulator.seeds import seeded_container, seeded_instance_id, seeded_offer_id
from tests.bench import machine
from tests.bench.library import CONTENT
from tests.bench.parts import Figure, Part, Place
from tests.bench.served import TOKEN

ROOT = Path(__file__).parents[2]

CONNECTIONS = 32
"""Requests in flight, each on a connection of its own."""

SANDBOX = "dev"
CONTENTS = {
    "dps": ("/", "representations/0/components/0/content"),
    "xcore": ("/_instance/xdm:", "representations/0/xdm:components/0/xdm:content"),
}
"""By style, what its pointers begin with, and where a text of an offer is."""

LISTS = {
    "dps": "/data/core/dps/offers?offer-type=personalized&limit=50",
    "xcore": f"/data/core/xcore/{seeded_container(0)}/queries/core/search"
    f"?schema={quote(SCHEMAS[EntityType.PERSONALIZED_OFFER], safe='')}&limit=50",
}
"""The first page of an unfiltered list, by style."""


class Extent(Struct, frozen=True):
    """How much to measure.

    Attributes:
        rounds: how often.
        requests: PATCHes of one style to one server in a round.
        offers: personalized offers of each style, in the emulators.
    """

    rounds: int
    requests: int
    offers: tuple[int, ...]


FULL = (5_000, (10_000, 100_000))
QUICK = (1_500, (1_000, 10_000))
"""Requests and offers: see `Extent`."""


class Served(Struct, frozen=True, tag="served"):
    """How fast a server answers PATCHes; medians over the rounds.

    Attributes:
        name: of the scenario.
        requests_per_s: answered.
        cpu_us: microseconds of CPU a request, user and system, of the server.
        busy: share of its core that the server had. Much less than all of it means that the sender was the limit.
        of_bare: requests a second, of the bare handler in the same round; `None` for the bare handler itself.
        cpu_of_bare: CPU a request, of the same.
        first_page_ms: the first unfiltered list page that a server was ever asked for; `None` for the bare handler.
        page_ms: the same page after the PATCHes of a round.
    """

    name: str
    requests_per_s: float
    cpu_us: float
    busy: float
    of_bare: float | None
    cpu_of_bare: float | None
    first_page_ms: float | None
    page_ms: float | None


class Server:
    """A server that runs."""

    def __init__(self, name: str, offers: int, process: subprocess.Popen[bytes]) -> None:
        """Wait until it listens."""
        assert process.stdin is not None
        assert process.stdout is not None
        self.name = name
        self.offers = offers
        self._stdin = process.stdin
        self._stdout = process.stdout
        self.port = int(self._stdout.readline())

    def cpu_s(self) -> float:
        """Return the seconds of CPU it has used since it began."""
        self._stdin.write(b"\n")
        self._stdin.flush()
        return float(self._stdout.readline())


class Once(Struct, frozen=True):
    """One measurement: seconds on the clock, seconds of CPU of the server, requests, and seconds for a list page."""

    wall_s: float
    cpu_s: float
    requests: int
    page_s: float | None

    @property
    def requests_per_s(self) -> float:
        """Requests answered a second."""
        return self.requests / self.wall_s

    @property
    def cpu_us(self) -> float:
        """Microseconds of CPU a request."""
        return self.cpu_s / self.requests * 1e6


Scenario = tuple[str, Server]
"""PATCHes of one style to one server."""


class Round(Struct, frozen=True):
    """All scenarios once, and the share of CPU time that the hypervisor gave to others meanwhile."""

    runs: dict[Scenario, Once]
    steal: float

    @property
    def is_calm(self) -> bool:
        """Whether the machine was ours: every server had nearly all of its core, so that no sender was the limit."""
        least = min(run.cpu_s / run.wall_s for run in self.runs.values())
        return self.steal <= machine.MOST_STEAL and least >= machine.LEAST_BUSY


class Sender(asyncio.Protocol):
    """One connection, which sends a request as soon as the one before is answered."""

    def __init__(self, waiting: Iterator[bytes]) -> None:
        """Send what is `waiting`."""
        self._waiting = waiting
        self._received = b""
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail if requests were still to be sent."""
        self._fail(f"the server closed the connection: {exc}")

    def data_received(self, data: bytes) -> None:
        """Send the next request if this is the end of an answer."""
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        if not head.startswith(b"HTTP/1.1 200 "):
            self._fail(self._received.decode())
        elif len(body) == _length(head):
            self._received = b""
            self._send()

    def _send(self) -> None:
        request = next(self._waiting, None)
        if request is not None:
            self._transport.write(request)
        elif not self.done.done():
            self.done.set_result(None)
            self._transport.close()

    def _fail(self, why: str) -> None:
        if not self.done.done():
            self.done.set_exception(RuntimeError(why))
            self._transport.close()


def _length(head: bytes) -> int:
    return int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])


async def send(port: int, requests: Sequence[bytes], connections: int) -> float:
    """Send `requests` and return how many seconds that took."""
    loop = asyncio.get_running_loop()
    waiting = iter(requests)
    began_at = time.perf_counter()
    opened = [await loop.create_connection(lambda: Sender(waiting), "127.0.0.1", port) for _ in range(connections)]
    await asyncio.gather(*(sender.done for _, sender in opened))
    return time.perf_counter() - began_at


def patches(style: str, number: int, offers: int) -> list[bytes]:
    """Return `number` PATCHes of two operations, spread evenly over `offers` offers, as the program would send them."""
    root, content = CONTENTS[style]
    found = []
    for index in range(number):
        patch = [
            {"op": "replace", "path": f"{root}name", "value": f"Spring in the garden, offer {uuid.uuid4()}"},
            {"op": "replace", "path": f"{root}{content}", "value": f"{index} {CONTENT}"},
        ]
        step = Step(
            seq=index,
            key="",
            container=seeded_container(0) if style == "xcore" else SANDBOX,
            type=EntityType.PERSONALIZED_OFFER,
            object=(seeded_instance_id if style == "xcore" else seeded_offer_id)(index * offers // number),
            kind=Kind.PATCH,
            body=msgspec.json.encode(patch),
        )
        found.append(raw(STYLES[style].render(step, sandbox=SANDBOX, request_id=str(uuid.uuid4()))))
    return found


def raw(request: Request) -> bytes:
    """Return `request` as it goes over the wire, with all that the program and its HTTP client add."""
    body = request.body or b""
    headers = {
        "Host": "127.0.0.1",
        **request.headers,
        "x-api-key": "bench",
        "x-gw-ims-org-id": "bench@AdobeOrg",
        "Authorization": f"Bearer {TOKEN}",
        "User-Agent": "offer-migrator/bench",
        "Accept-Encoding": "gzip, deflate",
        "Content-Length": str(len(body)),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{request.method} {request.target} HTTP/1.1\r\n{head}\r\n".encode() + body


def page_s(server: Server, style: str) -> float:
    """Ask for an unfiltered list page once, and return how many seconds that took."""
    page = Request("GET", LISTS[style], {"x-sandbox-name": SANDBOX}, None, "")
    return asyncio.run(send(server.port, [raw(page)], 1))


def measure_once(server: Server, style: str, extent: Extent) -> Once:
    """Measure the PATCHes of one style."""
    requests = patches(style, extent.requests, server.offers or min(extent.offers))
    before_s = server.cpu_s()
    wall_s = asyncio.run(send(server.port, requests, CONNECTIONS))
    used_s = server.cpu_s() - before_s
    return Once(wall_s, used_s, len(requests), None if server.name == "bare" else page_s(server, style))


def measure(place: Place) -> list[Served]:
    """Measure the bare handler and emulators of each size in turns."""
    extent, server_cpu = Extent(place.rounds, *place.size(FULL, QUICK)), place.target_cpu
    with ExitStack() as stack:
        stack.enter_context(machine.staying_on(place.client_cpu))
        servers = [stack.enter_context(_running("bare", 0, server_cpu))]
        servers += [stack.enter_context(_running("emulator", offers, server_cpu)) for offers in extent.offers]
        scenarios: list[Scenario] = [(style, server) for style in LISTS for server in servers]
        first = {(style, server): page_s(server, style) for style, server in scenarios if server.name != "bare"}
        rounds = _rounds(scenarios, extent)
    return [
        _summed_up(
            f"{server.name}: PATCH, {style}",
            [one.runs[style, server] for one in rounds],
            None if server is servers[0] else [one.runs[style, servers[0]] for one in rounds],
            first.get((style, server)),
        )
        for style, server in scenarios
    ]


def _rounds(scenarios: Sequence[Scenario], extent: Extent) -> list[Round]:
    """Measure `scenarios` in turns, until there are enough calm rounds or patience is at an end."""
    found: list[Round] = []
    for number in range(extent.rounds + machine.PATIENCE):
        click.echo(f"round {number + 1}: the emulator", err=True)
        steal = machine.Steal()
        runs = {one: measure_once(one[1], one[0], extent) for one in scenarios}
        found.append(Round(runs, steal.share()))
        calm = [one for one in found if one.is_calm]
        if len(calm) == extent.rounds:
            return calm
    click.echo(f"{len(calm)} of {len(found)} rounds were calm: others had the machine too", err=True)
    return calm or found


def _summed_up(name: str, runs: Sequence[Once], bare: Sequence[Once] | None, first_s: float | None) -> Served:
    pairs = list(zip(runs, bare, strict=True)) if bare else []
    pages = [run.page_s for run in runs if run.page_s is not None]
    return Served(
        name=name,
        requests_per_s=statistics.median(run.requests_per_s for run in runs),
        cpu_us=statistics.median(run.cpu_us for run in runs),
        busy=statistics.median(run.cpu_s / run.wall_s for run in runs),
        of_bare=statistics.median(run.requests_per_s / floor.requests_per_s for run, floor in pairs) if bare else None,
        cpu_of_bare=statistics.median(run.cpu_us / floor.cpu_us for run, floor in pairs) if bare else None,
        first_page_ms=None if first_s is None else first_s * 1000,
        page_ms=statistics.median(pages) * 1000 if pages else None,
    )


@contextmanager
def _running(kind: str, offers: int, cpu: int | None) -> Iterator[Server]:
    command = [sys.executable, "-m", "tests.bench.served", kind, str(offers), *([] if cpu is None else [str(cpu)])]
    name = f"emulator, {offers:,} offers" if kind == "emulator" else "bare"
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdin is not None
        try:
            yield Server(name, offers, process)
        finally:
            process.stdin.close()
            process.wait(timeout=30)


def figures(results: Sequence[Served]) -> Iterator[Figure]:
    """Yield how fast the emulator is, and what more objects cost it."""
    emulators = [result for result in results if result.of_bare is not None]
    for result in emulators:
        of_bare = result.of_bare or 0.0
        measured = f"{of_bare:.2f} × ({result.requests_per_s:,.0f}/s)"
        yield Figure(result.name, "a bare aiohttp handler", "≥ 0.50 ×", measured, of_bare >= 0.5)
    for style in LISTS:
        fewest, *_, most = (result for result in emulators if result.name.endswith(style))
        more = most.cpu_us / fewest.cpu_us
        yield Figure(f"CPU, {most.name}", fewest.name.partition(":")[0], "≤ 1.15 ×", f"{more:.2f} ×", more <= 1.15)


def details(results: Sequence[Served]) -> Table:
    """Lay out `results` for a person."""
    shown = Table("scenario", title="the emulator")
    for header in ("requests/s", "of bare", "CPU µs/request", "of bare", "list page ms", "the first one ms"):
        shown.add_column(header, justify="right")
    shown.add_column("besides")
    for result in results:
        shown.add_row(
            result.name,
            f"{result.requests_per_s:,.0f}",
            _figure(result.of_bare, "1", 2),
            f"{result.cpu_us:.0f}",
            _figure(result.cpu_of_bare, "1", 2),
            _figure(result.page_ms, "", 1),
            _figure(result.first_page_ms, "", 1),
            f"server {result.busy:.0%} of a core",
        )
    return shown


def _figure(value: float | None, absent: str, digits: int) -> str:
    return absent if value is None else f"{value:.{digits}f}"


PART = Part(measure, figures, details)
