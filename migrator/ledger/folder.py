"""The folder of runs: one folder a run, with its ledger, its lock and its results.

::

    runs/
      20261122-181502-3fa9/
        ledger.sqlite     see `ledger.schema`
        lock              held while a process runs the run
        input             a copy of the input, only if it came from standard input
        results/          what `migrator results` writes
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from migrator.core.errors import LedgerFailed, MigratorError, Stopped, UsageError
from migrator.ledger.reading import read_run

LEDGER = "ledger.sqlite"

RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""What a run may be called: it is the name of a folder."""


class RunFolder:
    """One run's folder."""

    def __init__(self, path: Path) -> None:
        """Name the folder `path`, whether it exists or not."""
        self.path = path

    @property
    def id(self) -> str:
        """The run's id."""
        return self.path.name

    @property
    def ledger(self) -> Path:
        """The ledger file."""
        return self.path / LEDGER

    @property
    def results(self) -> Path:
        """Where results go unless told otherwise."""
        return self.path / "results"

    @property
    def input(self) -> Path:
        """Where standard input is kept."""
        return self.path / "input"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run so that no other process runs it.

        Raises:
            Stopped: another process holds it.
        """
        lock = FileLock(self.path / "lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            hint = f"wait for it, or stop it; look with `migrator status {self.id}`"
            raise Stopped(f"run {self.id} is locked: another process is running it", hint) from None
        except OSError as error:
            message = f"run {self.id} cannot be locked: {error.strerror}"
            raise LedgerFailed(message, "check the permissions of its folder") from error
        try:
            yield
        finally:
            lock.release()

    def remove(self) -> None:
        """Delete the folder of a run that never began."""
        shutil.rmtree(self.path, ignore_errors=True)


class Runs:
    """All the runs under one folder."""

    def __init__(self, path: Path) -> None:
        """Name the folder `path`, whether it exists or not."""
        self.path = path

    def create(self, run_id: str) -> RunFolder:
        """Make the folder of a new run.

        Raises:
            UsageError: the id is taken or cannot be a folder's name.
            LedgerFailed: the folder cannot be made.
        """
        if not RUN_ID.fullmatch(run_id):
            raise UsageError(f"{run_id!r} cannot name a run", "use letters, digits, dots, dashes and underscores")
        folder = RunFolder(self.path / run_id)
        try:
            folder.path.mkdir(parents=True)
        except FileExistsError:
            hint = f"go on with `migrator resume {run_id}`, or choose another --run-id"
            raise UsageError(f"there is already a run {run_id} in {self.path}", hint) from None
        except OSError as error:
            hint = "name a folder that can be written with --ledger"
            raise LedgerFailed(f"cannot make {folder.path}: {error.strerror}", hint) from error
        return folder

    def all(self) -> list[RunFolder]:
        """Return the runs that have a ledger, oldest first."""
        if not self.path.is_dir():
            return []
        found = [RunFolder(entry) for entry in self.path.iterdir() if (entry / LEDGER).is_file()]
        return sorted(found, key=lambda run: (_created_at(run), run.id))

    def find(self, run_id: str | None) -> RunFolder:
        """Return the run called `run_id`, or the newest one for `None`.

        Raises:
            UsageError: there is none.
        """
        runs = self.all()
        if run_id is None:
            if not runs:
                raise UsageError(f"there is no run in {self.path}", "begin one with `migrator apply FILE`")
            return runs[-1]
        for run in runs:
            if run.id == run_id:
                return run
        hint = "`migrator runs` lists them" if runs else "begin one with `migrator apply FILE`"
        raise UsageError(f"there is no run {run_id} in {self.path}", hint)


def _created_at(run: RunFolder) -> float:
    """Return when the run was made; a ledger that cannot be read sorts first and complains when it is asked for."""
    try:
        return read_run(run.ledger).created_at
    except MigratorError:
        return 0.0


def new_run_id(now: float) -> str:
    """Return an id that sorts by time: `20261122-181502-3fa9` (UTC, and four digits against equal seconds)."""
    stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%d-%H%M%S")
    return f"{stamp}-{os.urandom(2).hex()}"
