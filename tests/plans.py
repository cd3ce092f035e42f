"""Plans to try ledgers on: changes, the steps they become, the file made of them, and an intent written to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TypeVar

from migrator.core.errors import LedgerFailed
from migrator.core.model import Change, EntityType, Kind, Operation, Row, Step
from migrator.core.plan import merge, stage_of
from migrator.ledger.planfile import PlanFile
from migrator.ledger.records import RunRecord
from migrator.ports import Intent, Ledger

L = TypeVar("L")

STYLE = "dps"


def change(line: int, container: str = "dev", object_: str | None = None, value: object = "new") -> Change:
    """Set the name of an object: of one that no other line is for, if none is named."""
    return Change(
        line,
        container,
        EntityType.PERSONALIZED_OFFER,
        object_ or f"offer-{line}",
        Kind.PATCH,
        (Operation("replace", "/name", value),),
    )


def changes(containers: Iterable[str]) -> list[Change]:
    """Return a change of an object of its own for each container named, on lines 2, 3 and so on."""
    return [change(line, container) for line, container in enumerate(containers, start=2)]


def steps(of: Iterable[Change]) -> list[Step]:
    """Return the steps of changes of which no two are for the same object."""
    merged = [merge(STYLE, [one]) for one in of]
    return [step for step in merged if isinstance(step, Step)]


def stages(of: Iterable[Change]) -> dict[int, int]:
    """Return the stages of the steps of such changes, by line."""
    return {one.line: stage_of(one) for one in of}


def row(line: int) -> Row:
    """Return the row that a change on `line` was read from."""
    return Row(line, {}, f'["row {line}"]')


def run_record(run_id: str = "a-run", created_at: float = 1_700_000_000.0, rows: int = 0) -> RunRecord:
    """Return what was asked of a run."""
    return RunRecord(run_id, created_at, STYLE, "in.csv", "0" * 64, "{}", "f" * 64, "{}", rows, rows)


def make_plan(path: Path, of: Iterable[Change], run: RunRecord | None = None) -> Path:
    """Plan `of` into the ledger file `path`."""
    with PlanFile(path, STYLE) as plan:
        rows = sum(1 for one in of if plan.add(row(one.line), one))
        plan.merge()
        plan.finish(run or run_record(rows=rows))
    return path


async def written(ledger: Ledger, intent: Intent) -> None:
    """Give `intent` to `ledger` and wait until it is on the disk."""
    await ledger.intend(intent).durable()


@asynccontextmanager
async def failing(opened: AbstractAsyncContextManager[L]) -> AsyncIterator[L]:
    """Open a ledger that is to fail: leaving it says so once more."""
    ledger = await opened.__aenter__()
    try:
        yield ledger
    finally:
        try:
            await opened.__aexit__(None, None, None)
        except LedgerFailed:
            pass
        else:
            raise AssertionError("the ledger did not fail")
