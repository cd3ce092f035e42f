"""`migrator demo`: the main job against a local emulator, with a kill in the middle, and the proof.

Nothing is faked: the emulator is a real server on a free local port, and every run is a process of its own that is
started, killed and resumed with the commands a user types. What the server saw is asked of the server.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click
from msgspec import Struct
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from migrator.cli import eventloop
from migrator.cli.jobs import read_job
from migrator.core.errors import UsageError
from migrator.core.states import State
from migrator.emulator import Effect, Emulator, EmulatorSettings
from migrator.layers import PREFIX
from migrator.ledger.folder import Runs
from migrator.ledger.reading import Summary, summarize

XCORE_PATCH = "xcore-add-text"
DPS_PATCH = "dps-rename"
XCORE_CREATE = "xcore-fallbacks"

SERVER = EmulatorSettings(seed_offers=400, containers=4, rate=100, burst=20, latency_s=0.02)
"""A service with a limit of its own, so that the first job, which sends as fast as it can, meets 429s."""


class Done(Struct):
    """One job of the demo, as it ended.

    Attributes:
        job: name of the job file.
        summary: what its ledger says.
        effects: how often the server changed each object, by the job's doing.
        settled: rows that a kill left in doubt and that the run itself settled by looking.
    """

    job: str
    summary: Summary
    effects: Counter[str]
    settled: int = 0

    @property
    def exactly_once(self) -> bool:
        """Whether the server saw every row's change, and none of them twice."""
        return len(self.effects) == self.summary.run.rows and set(self.effects.values()) == {1}


PACKAGE = Path(__file__).parents[1]

SAMPLES = PACKAGE / "samples" if (PACKAGE / "samples").is_dir() else PACKAGE.parent
"""Where the folders `jobs` and `config` are: a wheel brings them along, a clone has them at its top."""


@click.command()
@click.option(
    "--jobs",
    default=SAMPLES / "jobs",
    show_default="those that come along",
    type=click.Path(path_type=Path),
    help="Folder of the sample jobs.",
)
@click.option(
    "--copy",
    "folder",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Only copy the sample jobs and profiles there, to try them by hand.",
)
def demo(jobs: Path, folder: Path | None) -> int:
    """Show the main job on this machine: apply, a kill -9 half-way, resume, and the proof.

    Takes about twenty seconds. Nothing leaves this machine, and nothing stays on it.

    \b
    Examples:  migrator demo
               migrator demo --copy tour && cd tour
    Exit codes: 0 nothing was lost, and nothing was applied twice · 1 something was · 2 usage
    """
    if folder is not None:
        return _copy(folder)
    for name in (XCORE_PATCH, DPS_PATCH, XCORE_CREATE):
        if not (jobs / f"{name}.toml").is_file():
            raise UsageError(f"there is no sample job {jobs / name}.toml", "leave out --jobs")
    with tempfile.TemporaryDirectory(prefix="migrator-demo-") as scratch:
        return eventloop.run(Tour(jobs, Path(scratch)).walk())


def _copy(folder: Path) -> int:
    """Copy the samples into `folder`, where none of them is yet."""
    for name in ("jobs", "config"):
        if (folder / name).exists():
            raise UsageError(f"{folder / name} is there already", "name another folder, or delete that one")
    for name in ("jobs", "config"):
        try:
            shutil.copytree(SAMPLES / name, folder / name)
        except OSError as error:
            raise UsageError(f"{folder} cannot be written: {error}", "name another folder") from error
        click.echo(folder / name)
    return 0


class Tour:
    """The demo: one emulator, three jobs."""

    def __init__(self, jobs: Path, folder: Path) -> None:
        """Take sample jobs from `jobs` and keep ledgers in `folder`."""
        self._jobs = jobs.resolve()
        self._runs = Runs(folder / "runs")
        self._console = Console(highlight=False)
        self._server = Emulator(SERVER)

    async def walk(self) -> int:
        """Run everything and return the exit code: 0 if every change arrived exactly once."""
        async with self._server:
            limit = f"{SERVER.rate:.0f} requests a second"
            self._say(f"The Offer Library emulator listens on {self._server.url}, with a limit of {limit}.")
            self._say("\n[bold]1. An xcore patch of 60 offers, as fast as it goes: the service says 429.[/]")
            patched = await self._plain(XCORE_PATCH, "--rate 0 -j 16")
            self._say("\n[bold]2. A dps patch of 300 offers, killed with kill -9 half-way.[/]")
            killed = await self._killed(DPS_PATCH, "--rate 80 -j 8")
            self._say("\n[bold]3. Twenty fallback offers created in xcore.[/]")
            created = await self._plain(XCORE_CREATE, "--rate 80")
        done = [patched, killed, created]
        self._report(done)
        return 0 if all(job.exactly_once for job in done) else 1

    async def _plain(self, job: str, flags: str) -> Done:
        before = len(self._server.effects)
        await self._migrator("apply", f"{self._jobs.name}/{job}.toml", "--yes", *flags.split())
        return self._done(job, before)

    async def _killed(self, job: str, flags: str) -> Done:
        before = len(self._server.effects)
        process = await self._start("apply", f"{self._jobs.name}/{job}.toml", "--yes", *flags.split())
        half = before + len(self._lines(job)) // 2
        while len(self._server.effects) < half and process.returncode is None:  # noqa: ASYNC110 (the server cannot call)
            await asyncio.sleep(0.001)
        process.kill()
        await process.wait()
        self._say(f"[red]kill -9 {process.pid}[/]  (the server has seen {len(self._server.effects) - before} changes)")
        await self._migrator("status")
        left = summarize(self._runs.find(None).ledger)
        await self._migrator("resume")
        done = self._done(job, before)
        done.settled = left.count(State.INTENT, State.DOUBT)
        self._say(
            f"{done.settled} rows were on the wire when the process died. Each was looked up before anything else."
        )
        return done

    def _lines(self, job: str) -> list[str]:
        """Return the lines of a job's input file, the header first."""
        file: str = read_job(self._jobs / f"{job}.toml")["input"]
        return (self._jobs / file).read_text(encoding="utf-8").splitlines()

    def _done(self, job: str, before: int) -> Done:
        return Done(job, summarize(self._runs.find(None).ledger), self._effects(before))

    def _effects(self, before: int) -> Counter[str]:
        effects: Sequence[Effect] = list(self._server.effects)[before:]
        return Counter(effect.id for effect in effects)

    async def _migrator(self, *arguments: str) -> None:
        process = await self._start(*arguments)
        if code := await process.wait():
            self._say(f"[yellow](exit code {code})[/]")

    async def _start(self, *arguments: str) -> asyncio.subprocess.Process:
        """Start a command of ours in a process of its own, and show it as it is typed."""
        self._say(f"[cyan]$ migrator {shlex.join(arguments)}[/]")
        environment = {
            # Whatever somebody has set for a service of theirs is not meant for this one, and neither is a proxy.
            **{name: value for name, value in os.environ.items() if not name.startswith(PREFIX)},
            "no_proxy": "127.0.0.1",
            "MIGRATOR_BASE_URL": self._server.url,
            "MIGRATOR_IMS_URL": self._server.url,
            "MIGRATOR_ORG_ID": "EMULATOR@AdobeOrg",
            "MIGRATOR_SANDBOX": SERVER.sandboxes[0],
            "MIGRATOR_CLIENT_ID": "demo-client",
            "MIGRATOR_CLIENT_SECRET": "anything",
            "MIGRATOR_LEDGER": str(self._runs.path),
            # The emulator answers within milliseconds, so that there is little to wait for.
            "MIGRATOR_TIMEOUT": "5",
            "MIGRATOR_QUIET_PERIOD": "2",
        }
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "migrator", *arguments, cwd=self._jobs.parent, env=environment
        )

    def _say(self, text: str) -> None:
        self._console.print(text)
        sys.stdout.flush()

    def _report(self, done: Sequence[Done]) -> None:
        table = Table(
            "",
            *(job.job for job in done),
            box=SIMPLE_HEAD,
            title="What happened, and what the server saw",
            title_justify="left",
        )
        for column in table.columns[1:]:
            column.justify = "right"
        columns = [_facts(job) for job in done]
        for name in columns[0]:
            table.add_row(name, *(facts[name] for facts in columns))
        self._console.print("", table)


def _facts(done: Done) -> dict[str, str]:
    """Say what became of a job: the ledger's count, then the server's."""
    summary = done.summary
    seconds = (summary.ended_at or 0.0) - (summary.started_at or 0.0)
    once = sum(1 for seen in done.effects.values() if seen == 1)
    return {
        "rows": f"{summary.run.rows:,}",
        "requests": f"{summary.attempts:,}",
        "of them repeats": f"{summary.repeats:,}",
        "time": f"{seconds:.1f} s",
        "rate": f"{summary.attempts / max(seconds, 0.001):.0f}/s",
        "in doubt, settled": f"{done.settled:,}",
        "seen exactly once": f"{once:,}",
        "seen twice": f"{len(done.effects) - once:,}",
        "never seen": f"{summary.run.rows - len(done.effects):,}",
    }
