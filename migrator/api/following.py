"""Runs that take up steps of an earlier one: retries and rollbacks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from itertools import count

from migrator.api.planning import new_run
from migrator.api.target import target_of
from migrator.clock import SystemClock
from migrator.core.states import State
from migrator.core.verdict import ErrorClass
from migrator.ledger.conditions import Chosen, failed
from migrator.ledger.folder import RunFolder, Runs
from migrator.ledger.reading import Summary, read_run, summarize, taken_up
from migrator.ledger.records import Origin, RunRecord
from migrator.planning.draft import Draft, draft_after
from migrator.settings import Settings


@contextmanager
def retry(
    earlier: RunFolder, settings: Settings, classes: Collection[ErrorClass] = ()
) -> Iterator[tuple[RunFolder, Draft]]:
    """Plan a run that sends what failed in `earlier` again; accept the draft to keep it, as the settings of a retry.

    What is final stays final: the earlier run is not touched.

    Args:
        earlier: a run.
        settings: those that `resumed` gives back for it.
        classes: what the rows may have failed with; anything if there are none.

    Yields:
        The new run's folder, beside that of `earlier`, and the draft, which may be empty.
    """
    with _after(earlier, "retry", settings) as (run, draft):
        draft.read_failed(earlier.ledger, failed(classes))
        yield run, draft


@contextmanager
def rollback(
    earlier: RunFolder, settings: Settings, chosen: Chosen, *, recreate: bool = False
) -> Iterator[tuple[RunFolder, Draft]]:
    """Plan a run that undoes what was applied in `earlier`; accept the draft to keep it, as the settings of a rollback.

    Args:
        earlier: a run, of which nothing is in doubt.
        settings: those that `resumed` gives back for it.
        chosen: what of it is to be undone: see `applied`.
        recreate: whether to create anew what was deleted.

    Yields:
        The new run's folder, beside that of `earlier`, and the draft, which may be empty; its file says what cannot be
        undone.
    """
    with _after(earlier, "rollback", settings) as (run, draft):
        draft.read_applied(earlier.ledger, chosen, recreate=recreate)
        yield run, draft


@contextmanager
def _after(earlier: RunFolder, what: str, settings: Settings) -> Iterator[tuple[RunFolder, Draft]]:
    """Begin a run that is called after `earlier` and takes up steps of it."""
    runs = Runs(earlier.path.parent)
    names = (f"{earlier.id}.{what}-{number}" for number in count(1))
    with (
        new_run(runs, next(name for name in names if not (runs.path / name).exists())) as run,
        draft_after(earlier.ledger, target_of(settings), run.ledger) as draft,
    ):
        yield run, draft


def accept_after(draft: Draft, run: RunFolder, earlier: RunFolder, settings: Settings, origin: Origin) -> None:
    """Make a draft of `retry` or `rollback` a run, which names the run that it is from."""
    remembered = settings.remembered() | {origin.value: earlier.id}
    draft.accept(run.id, read_run(earlier.ledger).input, remembered, SystemClock.now())


def earlier_retry(run: RunFolder, classes: Collection[ErrorClass]) -> Summary | None:
    """Return the newest run that sends failed rows of `run` again and has not failed with all of them in its turn.

    It may be a retry of a retry: whose failed rows these are is told by the ids, and that it is one by its record.

    Raises:
        MigratorError: the ledger of one cannot be read, so that nobody knows.
    """
    return _earlier_taking_up(run, "retry", failed(classes), lambda later: later.retries is not None)


def earlier_rollback(run: RunFolder, chosen: Chosen) -> Summary | None:
    """Return the newest run that undoes what is chosen of `run`, or some of it, and has not failed with all of that.

    Raises:
        MigratorError: the ledger of one cannot be read, so that nobody knows.
    """
    return _earlier_taking_up(run, "rollback", chosen, lambda later: later.rolls_back == run.id)


def _earlier_taking_up(
    run: RunFolder, what: str, chosen: Chosen, is_one: Callable[[RunRecord], bool]
) -> Summary | None:
    for later in reversed(Runs(run.path.parent).all()):
        if later.id.startswith(f"{run.id}.{what}-") and is_one(read_run(later.ledger)):
            stand = taken_up(run.ledger, later.ledger, chosen)
            if stand.keys() - {State.REJECTED}:
                return summarize(later.ledger)
    return None
