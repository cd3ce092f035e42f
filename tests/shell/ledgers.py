"""What the tests of the ledger share: records to write, and ways to ask the file what it holds."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from migrator.core.states import State
from migrator.ledger.runledger import RunLedger
from migrator.ports import Intent, Outcome

STEPS = 60


def intent(seq: int, attempt: int = 1) -> Intent:
    return Intent(seq, attempt, f"request-{seq}-{attempt}", 1_800_000_000.5)


def outcome(seq: int, state: State = State.APPLIED, message: str = "") -> Outcome:
    return Outcome(seq, state, 1_800_000_001.5, 200, "", message, 7, f"object-{seq}", f"@{seq}")


def read(path: Path, query: str) -> list[Any]:
    """Ask the file, through a connection that is nobody else's."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as db:
        return db.execute(query).fetchall()


def states(path: Path) -> dict[int, str]:
    return dict(read(path, "SELECT step, state FROM progress ORDER BY step"))


async def ask(ledger: RunLedger, query: str) -> Any:
    """Ask through the ledger's own connection."""
    return await ledger._in_thread(lambda: ledger._db.execute(query).fetchone()[0])


@contextmanager
def slow_disk(ledger: RunLedger) -> Iterator[None]:
    """Let nothing be written while the body runs."""
    go_on = threading.Event()
    ledger._thread.submit(go_on.wait)
    try:
        yield
    finally:
        go_on.set()


def statements(ledger: RunLedger, beginning: str) -> list[str]:
    """Collect the statements that begin so from now on."""
    seen: list[str] = []
    ledger._db.set_trace_callback(lambda text: seen.append(text) if text.strip().startswith(beginning) else None)
    return seen


async def some_turns() -> None:
    """Let everybody do what can be done without the ledger's thread."""
    for _ in range(10):
        await asyncio.sleep(0)


class Hands:
    """The clocks of a test."""

    def __init__(self) -> None:
        self.wall = 1_800_000_000.0
        self.steady = 100.0

    def now(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return self.steady
