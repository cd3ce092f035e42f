"""Inputs checked and planned: nothing is sent, and what is sought is read."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from migrator.api.service import reading
from migrator.api.target import target_of
from migrator.clock import SystemClock
from migrator.core.errors import MigratorError, ServiceRefused, UsageError
from migrator.core.limits import share_of
from migrator.core.model import EntityType
from migrator.core.styles import STYLES
from migrator.engine import Reader, Unlistable
from migrator.ledger.database import check_sqlite
from migrator.ledger.folder import RunFolder, Runs, new_run_id
from migrator.ledger.reading import Summary, read_run, summarize
from migrator.planning.draft import Draft, Input, draft_plan
from migrator.planning.lookup import LookUp
from migrator.settings import Settings, require_target


@contextmanager
def validate(source: Input, settings: Settings) -> Iterator[Draft]:
    """Check an input without sending anything or keeping anything.

    Yields:
        The draft: ask it for its problems and counts.

    Raises:
        InputError: the file as a whole cannot be used.
    """
    check_sqlite()
    with (
        tempfile.TemporaryDirectory(prefix="migrator-") as folder,
        draft_plan(source, target_of(settings), Path(folder) / "ledger.sqlite", "validate") as draft,
    ):
        draft.merge()
        yield draft


@contextmanager
def plan(source: Input, settings: Settings, *, run_id: str | None = None) -> Iterator[tuple[RunFolder, Draft]]:
    """Check an input and plan a run of it.

    If the draft seeks something, `look_up` does so and merges it; otherwise call its `merge`. Accept it to keep it.

    Args:
        source: the input.
        settings: where it goes.
        run_id: what to call the run; made from the time if `None`.

    Yields:
        The run's folder, and the draft: call its `accept` in the end, or nothing stays.
    """
    require_target(settings)
    with (
        new_run(Runs(settings.runs), run_id) as run,
        draft_plan(source, target_of(settings), run.ledger, run.id) as draft,
    ):
        yield run, draft


@contextmanager
def preview(source: Input, settings: Settings) -> Iterator[tuple[RunFolder, Draft]]:
    """Check an input and plan a run of it that is only to be looked at: `execute` it with `Work.SURVEY`.

    It may be saved by `save_plan`; otherwise nothing stays of it.

    Yields:
        The run's folder, and the draft, as `plan` does.
    """
    with scratch(settings) as elsewhere, plan(source, elsewhere) as planned:
        yield planned


@contextmanager
def scratch(settings: Settings) -> Iterator[Settings]:
    """Yield `settings` for a run that is only to be looked at: no command finds it, and nothing stays of it."""
    with tempfile.TemporaryDirectory(prefix="migrator-") as folder:
        yield settings.model_copy(update={"ledger": Path(folder) / "runs"})


async def look_up(draft: Draft, settings: Settings) -> None:
    """Look up what a draft seeks, and merge it.

    Raises:
        ServiceRefused: the service refuses to be read.
        Stopped: patience ran out.
    """
    async with reading(settings) as (reader,):
        looking = LookUp(
            draft.file.sought, reader, create_missing=settings.create_missing, concurrency=settings.concurrency
        )
        await looking.run()
    draft.merge()


async def refuse_too_many(
    count_changes: Callable[[], Mapping[tuple[str, EntityType], int]], settings: Settings
) -> None:
    """Refuse to change more objects than `max_changes` allows.

    A share is one of the objects of a type in a container: how many there are is asked of the service.

    Args:
        count_changes: counts the objects that would be changed, by container and type; called only if there is a bound.
        settings: what is allowed.

    Raises:
        UsageError: it does.
        ServiceRefused: the service refuses to be read.
        Stopped: patience ran out.
    """
    if not settings.max_changes:
        return
    most, changes = share_of(settings.max_changes), count_changes()
    hint = "is it the right file? --max-changes allows more"
    if most.number is not None and (total := sum(changes.values())) > most.number:
        raise UsageError(f"{total:,} objects would be changed, and --max-changes allows {most.number:,}", hint)
    if most.share is None:
        return
    async with reading(settings) as (reader,):
        for (container, type_), count in changes.items():
            there = await _count(reader, container, type_)
            bound = most.of(there)
            if bound is not None and count > bound:
                message = f"{count:,} of {there:,} objects of type {type_} in container {container} would be changed"
                raise UsageError(f"{message}, and --max-changes allows {settings.max_changes}", hint)


async def _count(reader: Reader, container: str, type_: EntityType) -> int:
    try:
        return await reader.count(container, type_)
    except Unlistable as error:
        message = f"how many objects of type {type_} are in container {container} is not to be told: {error}"
        raise ServiceRefused(message, "give a number instead of a share: --max-changes N") from error


def refuse_other_sandboxes(names: Iterable[str], settings: Settings) -> list[str]:
    """Return the sandboxes that rows of a dps input name beside the one that the settings name.

    Raises:
        UsageError: there are some, and it is a production: only that one is meant then.
    """
    others = sorted(set(names) - {settings.sandbox})
    if not others or STYLES[settings.style].needs_container:
        return []
    if settings.production:
        hint = "take these rows out, or give each sandbox a profile and a file of its own"
        message = f"rows name another sandbox than {settings.sandbox}: {', '.join(others)}; nothing was sent"
        raise UsageError(message, hint)
    return others


def earlier_run(fingerprint: str, settings: Settings) -> Summary | None:
    """Return the newest run that did, or began, exactly what a plan of that fingerprint would do again."""
    for run in reversed(Runs(settings.runs).all()):
        # A ledger of another version, or a broken one, says nothing about this plan.
        with suppress(MigratorError):
            if read_run(run.ledger).fingerprint == fingerprint:
                return summarize(run.ledger)
    return None


@contextmanager
def new_run(runs: Runs, run_id: str | None = None) -> Iterator[RunFolder]:
    """Make the folder of a run; without a ledger in the end, nothing stays of it.

    Args:
        runs: where.
        run_id: what to call it; made from the time if `None`.
    """
    check_sqlite()
    run = runs.create(run_id or new_run_id(SystemClock.now()))
    try:
        yield run
    finally:
        if not run.ledger.exists():
            run.remove()
