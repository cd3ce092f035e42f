"""Rehearsals: the program as a command against the emulator as a process, and what the emulator saw of it.

Between the two there may be a network that holds up what it carries, for a time that is drawn anew for every piece.

Run as a program, with the settings of the emulator as JSON, the longest delay in seconds and the core to stay on, it
prints the port to send to and that of the emulator, and ends when standard input does, so that it cannot outlive who
started it.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from migrator.emulator import Emulator, EmulatorSettings, seeded_offer_id
from tests.bench.rounds import ROOT
from tests.bench.served import TOKEN

PIECE = 1 << 16
"""Octets that the network carries at a time."""

BETWEEN_READS_S = 0.1
"""Seconds between two reads that measure a round trip."""

MOST_REQUESTS = 1_000_000
"""Requests that the emulator remembers."""


class Seen(Struct, frozen=True):
    """A request that the emulator has seen."""

    arrived: datetime
    answered: datetime
    method: str
    api_key: str
    status: int | None

    @property
    def arrived_s(self) -> float:
        """When it arrived, in seconds since 1970."""
        return self.arrived.timestamp()

    @property
    def answered_s(self) -> float:
        """When it was answered, likewise."""
        return self.answered.timestamp()


def arrivals(requests: Sequence[Seen]) -> list[int]:
    """Return when `requests` arrived, in nanoseconds."""
    return [round(one.arrived_s * 1e6) * 1000 for one in requests]


class Rehearsal:
    """An emulator that runs."""

    def __init__(self, way_in: int, port: int, folder: Path, cpu: int | None) -> None:
        """Send to the port `way_in`; the emulator listens on `port`, inputs and runs go to `folder`."""
        self._way_in = way_in
        self._port = port
        self._folder = folder
        self._cpu = cpu

    def apply(self, rows: int, *options: str, within_s: float = 300) -> None:
        """Rename so many offers with the program, and wait for its end; a run that stops itself has done its part."""
        path = self._folder / f"rename-{rows}.jsonl"
        path.write_bytes(b"".join(_line(number) for number in range(rows)))
        subprocess.run(
            [sys.executable, "-m", "migrator", "apply", str(path), "--yes", "--stats", "1h", *options],
            cwd=self._folder,
            env=_environment(self._way_in),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=None if self._cpu is None else partial(os.sched_setaffinity, 0, {self._cpu}),
            timeout=within_s,
            check=False,
        )

    def apply_beside(self, rows: int, *options: str) -> float:
        """Do as `apply` does, and return how long a read takes beside it: the median for a client with nothing to do.

        What else the machine has to do delays both alike.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self._way_in, timeout=60)
        times = []
        with ThreadPoolExecutor(1) as pool:
            applied = pool.submit(self.apply, rows, *options)
            while not applied.done():
                times.append(_read_s(connection))
                time.sleep(BETWEEN_READS_S)
            applied.result()
        connection.close()
        return statistics.median(times)

    def requests(self) -> list[Seen]:
        """Return the requests of the program to the service so far, in the order of their arrival."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        connection.request("GET", f"/_emulator/requests?last={MOST_REQUESTS}")
        lines = connection.getresponse().read().splitlines()
        connection.close()
        seen = [msgspec.json.decode(line, type=Seen) for line in lines]
        return sorted((one for one in seen if one.api_key == "bench"), key=lambda one: one.arrived)


def _read_s(connection: http.client.HTTPConnection) -> float:
    """Read an object, and return how long that took."""
    headers = {
        "Authorization": f"Bearer {TOKEN}",
        "x-api-key": "somebody-else",
        "x-gw-ims-org-id": "BENCH@AdobeOrg",
        "x-sandbox-name": "dev",
    }
    began_at = time.monotonic()
    connection.request("GET", f"/data/core/dps/offers/{seeded_offer_id(0)}?offer-type=personalized", headers=headers)
    answer = connection.getresponse()
    answer.read()
    took_s = time.monotonic() - began_at
    assert answer.status == HTTPStatus.OK
    return took_s


def _line(number: int) -> bytes:
    change = {
        "type": "personalized-offer",
        "id": seeded_offer_id(number),
        "patch": [{"op": "replace", "path": "/name", "value": f"Renamed {number}"}],
    }
    return msgspec.json.encode(change) + b"\n"


def _environment(port: int) -> Mapping[str, str]:
    url = f"http://127.0.0.1:{port}"
    ours = {
        "BASE_URL": url,
        "IMS_URL": url,
        "ORG_ID": "BENCH@AdobeOrg",
        "SANDBOX": "dev",
        "CLIENT_ID": "bench",
        "ACCESS_TOKEN": TOKEN,
    }
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MIGRATOR_")}
    return {**clean, "PYTHONPATH": str(ROOT), "no_proxy": "127.0.0.1"} | {
        f"MIGRATOR_{name}": value for name, value in ours.items()
    }


@contextmanager
def rehearsing(
    folder: Path, cpus: tuple[int | None, int | None], *, delay_s: float = 0.0, **settings: Any
) -> Iterator[Rehearsal]:
    """Keep an emulator.

    Args:
        folder: for inputs and runs.
        cpus: the cores of the program and of the emulator, if they are to have some.
        delay_s: what the network holds up is held up so long at the most.
        settings: those of `EmulatorSettings`.
    """
    ours, its = cpus
    order = json.dumps({**settings, "request_log": MOST_REQUESTS, "access_token": TOKEN})
    command = [sys.executable, "-m", "tests.bench.rehearsal", order, str(delay_s), *([] if its is None else [str(its)])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            way_in, port = map(int, process.stdout.readline().split())
            yield Rehearsal(way_in, port, folder, ours)
        finally:
            process.stdin.close()
            process.wait(timeout=30)


async def _serve(settings: EmulatorSettings, delay_s: float) -> None:
    ended = asyncio.Event()
    async with Emulator(settings) as server:
        network = await asyncio.start_server(partial(_carry, server.port, delay_s), "127.0.0.1", 0)
        asyncio.get_running_loop().add_reader(sys.stdin, ended.set)
        way_in = network.sockets[0].getsockname()[1] if delay_s else server.port
        sys.stdout.write(f"{way_in} {server.port}\n")
        sys.stdout.flush()
        await ended.wait()
        network.close()


async def _carry(port: int, delay_s: float, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry what comes by one connection to the emulator, and back."""
    far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
    await asyncio.gather(_carry_on(reader, far_writer, delay_s), _carry_on(far_reader, writer, delay_s))


async def _carry_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_s: float) -> None:
    with suppress(ConnectionError):
        while piece := await reader.read(PIECE):
            await asyncio.sleep(random.uniform(0, delay_s))
            writer.write(piece)
    writer.close()


def _main(order: str, delay_s: str, *cpus: str) -> None:
    os.sched_setaffinity(0, {int(cpu) for cpu in cpus} or os.sched_getaffinity(0))
    given = json.loads(order)
    asyncio.run(_serve(EmulatorSettings(**given | {"faults": tuple(given.get("faults", ()))}), float(delay_s)))


if __name__ == "__main__":
    _main(*sys.argv[1:])
