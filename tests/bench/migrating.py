"""How much of the rate limit a migration uses, from its first request to its last, as the emulator sees them arrive.

Both ends are read, all is planned, and then it is written: whatever is done between requests shows as less than all of
the limit.
"""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import click
import msgspec
from msgspec import Struct
from rich.table import Table

from tests.bench import machine
from tests.bench.parts import Figure, Part, Place
from tests.bench.rounds import serving
from tests.bench.served import TOKEN
from tests.runs.large import ALL, Much
from tests.runs.moving import OTHER, Style, route

ROOT = Path(__file__).parents[2]

LIMITS = (100, 300)
"""Requests a second."""

CONCURRENCY = 32

SHORT_S = 0.1
"""A silence of this length is told."""


class Exchange(Struct):
    """A request as the emulator's log has it."""

    arrived: datetime
    method: str
    style: str


class Migrated(Struct, frozen=True, tag="migrated"):
    """How a migration used its limit.

    Attributes:
        name: of the scenario.
        limit: requests a second.
        requests: sent in all.
        seconds: from the first to the last.
        used: the share of the limit that was used.
        reading_s: from the first request to the first write.
        silences: the longest times without a request, each with when it began, in seconds from the first request.
    """

    name: str
    limit: int
    requests: int
    seconds: float
    used: float
    reading_s: float
    silences: tuple[tuple[float, float], ...]


def measure(place: Place) -> Iterator[Migrated]:
    """Yield how each limit is used, in both directions, by a migration of a large library: the median of the rounds."""
    folder, client_cpu, server_cpu = place.folder, place.client_cpu, place.target_cpu
    rounds = place.rounds // 2 + 1
    for source in ("xcore", "dps"):
        for limit in LIMITS:
            click.echo(f"migrating from {source} at {limit}/s", err=True)
            found = [_once(source, limit, folder, client_cpu, server_cpu) for _ in range(rounds)]
            yield sorted(found, key=lambda one: one.used)[rounds // 2]


def _once(source: Style, limit: int, folder: Path, client_cpu: int | None, server_cpu: int | None) -> Migrated:
    server = serving("tests.bench.served", "emulator", "0", cpu=server_cpu)
    with server as port, tempfile.TemporaryDirectory(dir=folder) as place:
        return _migrated(source, limit, port, Path(place), client_cpu)


def _migrated(source: Style, limit: int, port: int, folder: Path, cpu: int | None) -> Migrated:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("PUT", "/_emulator/snapshot", b"\n".join(map(msgspec.json.encode, Much(source).lines())))
    loaded = connection.getresponse()
    told = loaded.read()
    assert loaded.status < 300, told
    _run(source, limit, port, folder, cpu)
    connection.request("GET", "/_emulator/requests")
    log = connection.getresponse().read().splitlines()
    connection.close()
    exchanges = [msgspec.json.decode(line, type=Exchange) for line in log]
    return _judged(f"{source} → {OTHER[source]}, {limit}/s", limit, [one for one in exchanges if one.style in OTHER])


def _run(source: Style, limit: int, port: int, folder: Path, cpu: int | None) -> None:
    url = f"http://127.0.0.1:{port}"
    names = {"BASE_URL": url, "IMS_URL": url, "ORG_ID": "BENCH@AdobeOrg", "SANDBOX": "dev", "CLIENT_ID": "bench"}
    environment = {f"MIGRATOR_{name}": value for name, value in names.items()}
    environment |= {"MIGRATOR_ACCESS_TOKEN": TOKEN, "no_proxy": "127.0.0.1", "PYTHONPATH": str(ROOT)}
    flags = ("--rate", f"{limit}/s", "--concurrency", str(CONCURRENCY), "--yes")
    with machine.staying_on(cpu):
        ended = subprocess.run(
            [sys.executable, "-m", "migrator", *route(source), *flags],
            cwd=folder,
            env={**os.environ, **environment},
            capture_output=True,
            check=False,
        )
    assert f"{ALL:,} applied" in ended.stdout.decode(), ended.stderr.decode()


def _judged(name: str, limit: int, exchanges: Sequence[Exchange]) -> Migrated:
    arrived = sorted(one.arrived.timestamp() for one in exchanges)
    first = arrived[0]
    seconds = arrived[-1] - first
    silences = [(now - before, before - first) for before, now in pairwise(arrived)]
    silences = [one for one in silences if one[0] >= SHORT_S]
    reads = {"GET", "HEAD"}
    write = min(one.arrived.timestamp() for one in exchanges if one.method not in reads)
    return Migrated(
        name,
        limit,
        len(arrived),
        seconds,
        (len(arrived) - 1) / (limit * seconds),
        write - first,
        tuple(sorted(silences, reverse=True)[:8]),
    )


def figures(found: Sequence[Migrated]) -> Iterator[Figure]:
    """Yield how much of its limit a migration uses."""
    for one in found:
        what = f"migrating {one.requests:,} requests, {one.name}: used from the first to the last"
        yield Figure(what, "the limit", "≥ 95 %", f"{one.used:.1%}", one.used >= 0.95)


def details(found: Sequence[Migrated]) -> Table:
    """Lay out what was `found` for a person."""
    shown = Table("migrating a library", title="the limit, from the first request to the last")
    for header in ("requests", "seconds", "reading s", "of the limit"):
        shown.add_column(header, justify="right")
    shown.add_column("longest silences")
    for one in found:
        silences = ", ".join(f"{length:.2f} s at {at:.1f}" for length, at in one.silences)
        shown.add_row(
            one.name, f"{one.requests:,}", f"{one.seconds:.1f}", f"{one.reading_s:.1f}", f"{one.used:.3f}", silences
        )
    return shown


PART = Part(measure, figures, details)
