"""The folder of runs: one folder a run, with its ledger, its lock and its results.

::

    runs/
      20261122-181502-3fa9/
        ledger.sqlite     see `ledger.schema`
        lock              held while a process runs the run
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
from migrator.ledger.database import ledger_errors, sync
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
    def beside(self) -> Path:
        """Where what is written about the run goes unless told otherwise."""
        return self.path

    @property
    def results(self) -> Path:
        """Where results go unless told otherwise."""
        return self.beside / "results"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run so that no other process runs it.

        Raises:
            Stopped: another process holds it.
        """
        lock = FileLock(self.path / "lock", timeout=0.5)
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

    @property
    def running(self) -> bool:
        """Whether a process is running it now."""
        try:
            with self.locked():
                return False
        except LedgerFailed:
            return False
        except Stopped:
            return True

    def remove(self) -> None:
        """Delete the folder of a run that never began."""
        shutil.rmtree(self.path, ignore_errors=True)


class Runs:
    """All the runs under one folder."""

    def __init__(self, path: Path) -> None:
        """Name the folder `path`, whether it exists or not."""
        self.path = path

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for a moment, so that no run is added between a look and an act."""
        lock = FileLock(self.path / ".lock", timeout=60)
        try:
            lock.acquire()
        except (Timeout, OSError) as error:
            raise LedgerFailed(f"{self.path} cannot be locked", "check the permissions of the folder") from error
        try:
            yield
        finally:
            lock.release()

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
            # What is synced inside a folder is lost all the same if the folder's own entry is.
            sync(self.path)
            sync(self.path.parent)
        except FileExistsError:
            raise _taken(folder) from None
        except OSError as error:
            hint = "name a folder that can be written with --ledger"
            raise LedgerFailed(f"cannot make {folder.path}: {error.strerror}", hint) from error
        return folder

    def all(self) -> list[RunFolder]:
        """Return the runs that have a ledger, oldest first.

        Raises:
            LedgerFailed: the folder cannot be read.
        """
        with ledger_errors(self.path):
            if not self.path.is_dir():
                return []
            found = [RunFolder(entry) for entry in self.path.iterdir() if (entry / LEDGER).is_file()]
            return sorted(found, key=lambda run: (_created_at(run), run.id))

    def find(self, run_id: str | None) -> RunFolder:
        """Return the run called `run_id`, or the newest one for `None`.

        Raises:
            UsageError: there is none.
            LedgerFailed: the folder cannot be read.
        """
        if run_id is not None:
            return self._named(run_id)
        if runs := self.all():
            return runs[-1]
        raise UsageError(f"there is no run in {self.path}", "begin one with `migrator apply FILE`")

    def _named(self, run_id: str) -> RunFolder:
        run = RunFolder(self.path / run_id)
        with ledger_errors(run.path):
            if RUN_ID.fullmatch(run_id) and run.ledger.is_file():
                return run
        raise UsageError(f"there is no run {run_id} in {self.path}", "`migrator runs` lists those there are")


def _taken(folder: RunFolder) -> UsageError:
    """Say why a run cannot have the folder that is there already."""
    if folder.ledger.exists():
        hint = f"go on with `migrator resume {folder.id}`, or choose another --run-id"
        return UsageError(f"there is already a run {folder.id} in {folder.path.parent}", hint)
    hint = "delete that folder unless another migrator is planning in it right now, or choose another --run-id"
    return UsageError(f"{folder.path} is there, and has no ledger: nothing was sent from it", hint)


def _created_at(run: RunFolder) -> float:
    """Return when the run was made, in seconds since the epoch.

    A ledger that cannot be read counts as made when it was last written: if that makes it the newest, it is asked for
    and complains, rather than an older run being taken for the newest without a word.
    """
    try:
        return read_run(run.ledger).created_at
    except MigratorError:
        return run.ledger.stat().st_mtime


def new_run_id(now: float) -> str:
    """Return an id that sorts by time: `20261122-181502-3fa9` (UTC, and four digits against equal seconds)."""
    stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%d-%H%M%S")
    return f"{stamp}-{os.urandom(2).hex()}"
