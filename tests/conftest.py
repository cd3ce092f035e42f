"""What several test folders share: the command line as a process, and inputs for the emulator's seeds."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest
from jsonschema_rs import Draft202012Validator

from migrator.cli import events
from migrator.emulator import Emulator
from tests.forking import Mother
from tests.postgres import Server, running

FAST = os.environ.get("TEST_EXTRA") == "fast"
"""Whether the tests run on uvloop, and the commands that they start do that and send by the lean client."""

EXTRA = {"MIGRATOR_EVENT_LOOP": "uvloop", "MIGRATOR_TRANSPORT": "lean"} if FAST else {"MIGRATOR_EVENT_LOOP": "asyncio"}

if FAST:
    import uvloop

    def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
        """Run asynchronous tests on uvloop; where commands are what is tried, those alone."""
        return {"loop": asyncio.new_event_loop if "runs" in item.path.parts else uvloop.new_event_loop}


TIMEOUT_S = 120
"""Far more than any command here takes; a hanging one fails instead of blocking the suite."""


PUBLISHED = Draft202012Validator(events.schema())
"""What `migrator schema` prints, ready to check lines with."""


@dataclass
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str


@dataclass
class CommandLine:
    """Starts `migrator` in a process of its own, in a folder of its own, pointed at an emulator.

    Attributes:
        folder: where.
        environment: what is set beside the environment of the tests.
        mother: forks what is run to its end, if there is one.
    """

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    mother: Mother | None = None

    def point_at(self, url: str) -> CommandLine:
        """Send everything to `url`."""
        self.environment |= {
            "MIGRATOR_BASE_URL": url,
            "MIGRATOR_IMS_URL": url,
            "MIGRATOR_ORG_ID": "TEST@AdobeOrg",
            "MIGRATOR_SANDBOX": "dev",
            "MIGRATOR_CLIENT_ID": "test-client",
            "MIGRATOR_CLIENT_SECRET": "test-secret-3f9a",
            "MIGRATOR_RATE": "0",
        }
        return self

    async def start(
        self, *arguments: str, stdin: int = asyncio.subprocess.DEVNULL, before: Callable[[], None] | None = None
    ) -> asyncio.subprocess.Process:
        """Start a command and leave it running; `before` is called in the new process."""
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "migrator",
            *arguments,
            cwd=self.folder,
            env=self._whole_environment(),
            stdin=stdin,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            preexec_fn=before,
        )

    async def __call__(self, *arguments: str, stdin: bytes | None = None) -> Ended:
        """Run a command to its end. What it prints for programs is held to the schema that is published."""
        ended = await self._run(arguments, stdin)
        if ("--output", "json") in pairwise(arguments) and arguments[0] != "translate":
            for line in ended.out.splitlines():
                PUBLISHED.validate(json.loads(line))
        return ended

    async def _run(self, arguments: Sequence[str], stdin: bytes | None) -> Ended:
        if stdin is not None:
            return await self.end(await self.start(*arguments, stdin=asyncio.subprocess.PIPE), stdin)
        if self.mother is None:
            return await self.end(await self.start(*arguments))
        async with asyncio.timeout(TIMEOUT_S):
            return Ended(*await self.mother.run(arguments, self.folder, self._whole_environment()))

    def _whole_environment(self) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("MIGRATOR_")}
        return {**clean, **EXTRA, **self.environment}

    async def end(self, process: asyncio.subprocess.Process, stdin: bytes | None = None) -> Ended:
        """Wait for a command that was started."""
        async with asyncio.timeout(TIMEOUT_S):
            out, err = await process.communicate(stdin)
        return Ended(process.returncode or 0, out.decode(), err.decode())

    def run_folders(self) -> list[Path]:
        """Return the folders of all runs."""
        return [entry for entry in (self.folder / "runs").iterdir() if entry.is_dir()]

    def run_folder(self) -> Path:
        """Return the folder of the only run."""
        (folder,) = self.run_folders()
        return folder

    def results(self, outcome: str) -> list[dict[str, str]]:
        """Return the rows of a results file of the only run; none if there is no such file."""
        path = self.run_folder() / "results" / f"{outcome}.csv"
        if not path.exists():
            return []
        with path.open(encoding="utf-8", newline="") as stream:
            return list(csv.DictReader(stream))

    def write(self, name: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
        """Write a CSV file into the command's folder."""
        path = self.folder / name
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(header)
            writer.writerows(rows)
        return path


@pytest.fixture(scope="session")
def mother() -> Iterator[Mother]:
    """What forks commands."""
    with Mother() as mother:
        yield mother


@pytest.fixture
def migrator(tmp_path: Path, mother: Mother) -> CommandLine:
    """The command line, not yet pointed anywhere."""
    return CommandLine(tmp_path, mother=mother)


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], object]:
    """Wait until something is so; fails the test if it never is."""

    async def wait(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(TIMEOUT_S):
            while not condition():  # noqa: ASYNC110 (what is watched is another process)
                await asyncio.sleep(0.002)

    return wait


def seen_by(server: Emulator) -> Counter[str]:
    """Return how often the server changed each object."""
    return Counter(effect.id for effect in server.effects)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server for all tests that need a database."""
    with running() as server:
        yield server
