"""Plans that are kept in a file: people look at them, and then they are carried out as they were shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from migrator.api.planning import new_run
from migrator.api.target import as_planned
from migrator.clock import SystemClock
from migrator.ledger import savedplan
from migrator.ledger.folder import RunFolder, Runs
from migrator.ledger.reading import read_run
from migrator.ledger.records import Origin
from migrator.settings import Settings


def save_plan(run: RunFolder, path: Path) -> None:
    """Make the file `path` a plan of a run that was surveyed; the run is gone then.

    Raises:
        UsageError: it cannot be written.
    """
    savedplan.save(run.ledger, path, SystemClock.now())


def plan_target(path: Path, flags: Mapping[str, Any], profile: str | None = None) -> Settings:
    """Return the settings to carry out the saved plan `path` with, see `resumed`.

    Raises:
        UsageError: it is damaged, was edited, is of another version, or goes somewhere else than the settings say.
    """
    savedplan.check(path)
    planned = read_run(path).settings
    return as_planned(planned, f"plan {path}", flags, profile, "give the settings it was made with, or plan anew")


@contextmanager
def planned(path: Path, settings: Settings, *, run_id: str | None = None) -> Iterator[RunFolder]:
    """Make a run of the saved plan `path`.

    Args:
        path: a plan that `plan_target` has found good.
        settings: those that it gave back.
        run_id: what to call the run; made from the time if `None`.
    """
    record = read_run(path)
    with new_run(Runs(settings.runs), run_id) as run:
        remembered = msgspec.json.encode(settings.remembered() | {Origin.PLAN.value: str(path)}).decode()
        savedplan.carry(
            path,
            run.ledger,
            msgspec.structs.replace(record, id=run.id, created_at=SystemClock.now(), settings=remembered),
        )
        yield run
