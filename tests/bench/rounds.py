"""Measuring: what is measured, each time in a process of its own, and which rounds count."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import click
import msgspec
from msgspec import Struct

from tests.bench import machine
from tests.bench.results import Run
from tests.bench.sender import Client, Kind, Loop, Measured, Order, Protocol, prepared
from tests.bench.target import Record
from tests.bench.workload import Workload, write_input

ROOT = Path(__file__).parents[2]


class Scenario(Struct, frozen=True):
    """One line of the table."""

    name: str
    kind: Kind
    load: Workload
    protocol: Protocol = Protocol()
    client: Client = "aiohttp"
    loop: Loop = "asyncio"

    @property
    def waits(self) -> bool:
        """Whether it ever waits for anything but the target."""
        return self.kind == "pipeline" and self.protocol.intents


class Bench:
    """Measures scenarios against one target."""

    def __init__(self, folder: Path, port: int, cpu: int | None) -> None:
        """Keep inputs and ledgers in `folder`; the target listens on `port`, the client stays on core `cpu`."""
        self.folder = folder
        self.url = f"http://127.0.0.1:{port}"
        self._port = port
        self._cpu = cpu

    def run(
        self, scenario: Scenario, *, under: Sequence[str] = (), counted: int | None = None, apart: bool = False
    ) -> Run:
        """Measure `scenario` once.

        Args:
            scenario: what to measure.
            under: the command that runs the process which sends, such as a profiler.
            counted: see `sender.Order`.
            apart: plan the run in this process, so that the other one only sends.
        """
        listed = scenario.load.rows if scenario.protocol.bases == "listed" else 0
        before = self._ask(f"/reset?{listed},{scenario.load.containers}", "/arrivals")
        steal = machine.Steal()
        measured = self._send(scenario, under, counted, apart)
        stolen = steal.share()
        after = self._ask("/arrivals")
        return Run(measured, after.arrivals, after.cpu_s - before.cpu_s, stolen)

    def _send(self, scenario: Scenario, under: Sequence[str], counted: int | None, apart: bool) -> Measured:
        with tempfile.TemporaryDirectory(dir=self.folder) as runs:
            order = Order(
                kind=scenario.kind,
                protocol=scenario.protocol,
                load=scenario.load,
                input=str(self._input(scenario.load)),
                base_url=self.url,
                runs=runs,
                cpu=self._cpu,
                counted=counted,
                client=scenario.client,
                loop=scenario.loop,
            )
            if apart:
                run, _ = prepared(order)
                order = msgspec.structs.replace(order, planned=str(run.path))
            ended = subprocess.run(
                [*under, sys.executable, "-m", "tests.bench.sender"],
                input=msgspec.json.encode(order),
                stdout=subprocess.PIPE,
                cwd=ROOT,
                env={**os.environ, "no_proxy": "127.0.0.1"},
                check=True,
            )
        # A profiler may have said something before and after.
        found = next(line for line in ended.stdout.splitlines() if line.startswith(b"{"))
        return msgspec.json.decode(found, type=Measured)

    def _input(self, load: Workload) -> Path:
        path = self.folder / f"{load.style}-{load.containers}-{load.rows}.jsonl"
        if not path.exists():
            write_input(load, path)
        return path

    def until_first_write(self, arguments: Sequence[str], environment: Mapping[str, str]) -> float:
        """Return how many seconds it takes from the start of a command to its first write; then stop it cleanly."""
        self._ask("/reset?0,1", "/arrivals")
        began_at = time.monotonic_ns()
        with self.command(arguments, environment) as process:
            over = False
            while not (arrivals := self._ask("/arrivals").arrivals):
                assert not over, f"{arguments} has ended with {process.returncode}"
                over = process.poll() is not None
                time.sleep(0.02)
            process.terminate()
        return (arrivals[0] - began_at) / 1e9

    def reset(self, rows: int) -> None:
        """Let the target have so many objects, and nothing in its books."""
        self._ask(f"/reset?{rows},1", "/arrivals")

    def command(self, arguments: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Start `migrator`, pointed at the target."""
        command = [sys.executable, "-m", "migrator", *arguments]
        pinned = [] if self._cpu is None else ["taskset", "--cpu-list", str(self._cpu)]
        return subprocess.Popen(
            [*pinned, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self.folder,
            env={**os.environ, "no_proxy": "127.0.0.1", "MIGRATOR_BASE_URL": self.url, **environment},
        )

    def _ask(self, *paths: str) -> Record:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        for path in paths:
            connection.request("GET", path)
            body = connection.getresponse().read()
        connection.close()
        return msgspec.json.decode(body, type=Record)

    def rounds(self, scenarios: Sequence[Scenario], wanted: int) -> list[list[Run]]:
        """Measure `scenarios` in turns, until there are `wanted` calm rounds or patience is at an end."""
        found: list[list[Run]] = []
        for number in range(wanted + machine.PATIENCE):
            found.append([self.run(_announced(scenario, number)) for scenario in scenarios])
            calm = [runs for runs in found if all(map(is_calm, scenarios, runs))]
            if len(calm) == wanted:
                return calm
        click.echo(f"{len(calm)} of {len(found)} rounds were calm: others had the machine too", err=True)
        return calm or found


def is_calm(scenario: Scenario, run: Run) -> bool:
    """Whether the machine was ours while `run` was measured."""
    return run.steal <= machine.MOST_STEAL and (scenario.waits or run.busy >= machine.LEAST_BUSY)


def _announced(scenario: Scenario, number: int) -> Scenario:
    click.echo(f"round {number + 1}: {scenario.name}", err=True)
    return scenario


def target(cpu: int | None) -> AbstractContextManager[int]:
    """Keep a target on core `cpu`, and give its port."""
    return serving("tests.bench.target", cpu=cpu)


@contextmanager
def serving(module: str, *arguments: str, cpu: int | None) -> Iterator[int]:
    """Run a module that serves until its standard input ends, on core `cpu`, and give the port that it prints."""
    command = [sys.executable, "-m", module, *arguments, *([] if cpu is None else [str(cpu)])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.stdin.close()
            process.wait(timeout=30)
