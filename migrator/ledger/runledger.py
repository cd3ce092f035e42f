"""The ledger of a run that is running: intents and outcomes, committed in groups by one writer.

A commit costs a sync of the disk whatever its size, so everything that arrives while one batch is being written forms
the next batch. Intents and outcomes of a batch share one transaction; outcomes go first, because the intent of a
second attempt of a step needs the outcome of its first.

Two shapes matter here. The batch is written by *one* statement over `json_each`, not by `executemany`: sqlite3 gives
up the interpreter lock at every row, and beside a busy event loop a thread that must win it back thousands of times
starves (`reference/performance.md` section 4). And outcomes are not awaited one by one, only held back when too many
are unwritten: losing one costs a look-up, losing an intent costs a duplicate.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Self, TypeVar

import msgspec

from migrator.core.errors import LedgerFailed
from migrator.core.model import EntityType, Kind, Step
from migrator.core.states import State
from migrator.ledger.database import connect, ledger_errors
from migrator.ports import Intent, Outcome

T = TypeVar("T")

BACKLOG = 1024
"""Outcomes that may be unwritten before `record` makes its caller wait."""

INTEND = f"""
INSERT INTO progress (step, state, attempt, request_id, sent_at)
SELECT json_extract(value, '$[0]'), '{State.INTENT}', json_extract(value, '$[1]'),
       json_extract(value, '$[2]'), json_extract(value, '$[3]')
FROM json_each(?) WHERE true
ON CONFLICT (step) DO UPDATE SET
    state = excluded.state, attempt = excluded.attempt, request_id = excluded.request_id, sent_at = excluded.sent_at,
    ended_at = NULL, http_status = NULL, error_class = '', message = ''
"""

# CROSS JOIN fixes the order of the loops: each outcome finds its row by the primary key.
REMEMBER = f"""
INSERT INTO attempt
SELECT p.step, p.attempt, p.request_id, p.sent_at, json_extract(o.value, '$[2]'), json_extract(o.value, '$[3]'),
       json_extract(o.value, '$[4]'), json_extract(o.value, '$[5]')
FROM json_each(?) AS o CROSS JOIN progress AS p ON p.step = json_extract(o.value, '$[0]')
WHERE json_extract(o.value, '$[1]') = '{State.PENDING}'
"""

RECORD = """
UPDATE progress SET
    state = o.state, ended_at = o.at, http_status = o.http_status, error_class = o.error_class, message = o.message,
    etag = o.etag, object = o.object, reference = o.reference
FROM (
    SELECT json_extract(value, '$[0]') AS step, json_extract(value, '$[1]') AS state, json_extract(value, '$[2]') AS at,
           json_extract(value, '$[3]') AS http_status, json_extract(value, '$[4]') AS error_class,
           json_extract(value, '$[5]') AS message, json_extract(value, '$[6]') AS etag,
           json_extract(value, '$[7]') AS object, json_extract(value, '$[8]') AS reference
    FROM json_each(?)
) AS o WHERE progress.step = o.step
"""

TO_SEND = f"(p.state IS NULL OR p.state = '{State.PENDING}')"

PENDING = f"""
SELECT s.seq, s.key, s.type, s.object, s.kind, s.body, coalesce(p.attempt, 0)
FROM step AS s LEFT JOIN progress AS p ON p.step = s.seq
WHERE s.container = (SELECT id FROM container WHERE name = ?) AND s.seq > ? AND {TO_SEND}
ORDER BY s.seq LIMIT ?
"""

CONTAINERS = f"""
SELECT c.name FROM container AS c WHERE EXISTS (
    SELECT 1 FROM step AS s LEFT JOIN progress AS p ON p.step = s.seq WHERE s.container = c.id AND {TO_SEND}
) ORDER BY c.id
"""

DOUBT_INTENTS = f"""
UPDATE progress SET state = '{State.DOUBT}', error_class = 'no_answer',
       message = 'the run ended between sending and the answer'
WHERE state = '{State.INTENT}'
"""


class RunLedger:
    """The open ledger of a running run. It implements `ports.Ledger`; use as an async context manager.

    Opening it first puts every intent that an earlier process left open in doubt: it may have been sent.

    One thread owns the connection. It writes whole batches and answers with events; once a batch failed, it writes no
    other, so that the ledger never has a later fact without an earlier one.
    """

    def __init__(self, path: Path) -> None:
        """Prepare to open the ledger file `path`."""
        self._path = path
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")
        self._opened = ExitStack()
        self._intents: list[Intent] = []
        self._outcomes: list[Outcome] = []
        self._wanted = asyncio.Event()
        self._written = asyncio.Event()
        """Set when the batch that is being collected now has been written, or cannot be any more."""
        self._failure: LedgerFailed | None = None

    async def __aenter__(self) -> Self:
        try:
            await self._in_thread(self._open)
        except BaseException:
            self._close()
            raise
        self._writer = asyncio.create_task(self._write_batches(), name="ledger-writer")
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._writer.cancel()
        # Intents that are not written yet are dropped: nobody waits for them any more, so none of them was sent.
        self._thread.submit(self._write_batch, [], self._outcomes)
        self._close()
        self._check()

    def _open(self) -> None:
        self._db = self._opened.enter_context(closing(connect(self._path)))
        (mode,) = self._db.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise LedgerFailed(f"the ledger {self._path} cannot use a write-ahead log", "use a local disk for --ledger")
        self._db.execute("PRAGMA synchronous = FULL")
        # macOS needs this for a sync that reaches the disk; elsewhere it means nothing.
        self._db.execute("PRAGMA fullfsync = 1")
        self._db.execute(DOUBT_INTENTS)

    def _close(self) -> None:
        """Let the thread end what it has to do, then close.

        The loop stands still meanwhile, a few syncs of the disk long: what does not wait for the loop cannot be
        cancelled, whatever signal arrives now.
        """
        self._thread.submit(self._opened.close)
        self._thread.shutdown()

    async def _in_thread(self, call: Callable[[], T]) -> T:
        def guarded() -> T:
            with ledger_errors(self._path):
                return call()

        return await asyncio.get_running_loop().run_in_executor(self._thread, guarded)

    async def containers(self) -> Sequence[str]:
        """Return the containers that have steps still to send, in the order of their first row."""
        rows = await self._in_thread(lambda: self._db.execute(CONTAINERS).fetchall())
        return [name for (name,) in rows]

    async def pending(self, container: str, after: int, limit: int) -> Sequence[Step]:
        """Return up to `limit` steps still to send in `container` with `seq > after`, in order."""
        rows = await self._in_thread(lambda: self._db.execute(PENDING, (container, after, limit)).fetchall())
        return [
            Step(seq, key, container, EntityType(type_), object_, Kind(kind), body, attempts)
            for seq, key, type_, object_, kind, body, attempts in rows
        ]

    async def intend(self, intent: Intent) -> None:
        """Return when `intent` is on the disk. Until then nothing may be sent.

        Raises:
            LedgerFailed: it is not, and will not be.
        """
        self._check()
        self._intents.append(intent)
        await self._next_batch()

    async def record(self, outcome: Outcome) -> None:
        """Take `outcome` for writing. Returns at once, or waits while too many are unwritten.

        Raises:
            LedgerFailed: this or an earlier write failed.
        """
        self._check()
        self._outcomes.append(outcome)
        self._wanted.set()
        if len(self._outcomes) > BACKLOG:
            await self._next_batch()

    async def flush(self) -> None:
        """Return when everything recorded so far is on the disk.

        Raises:
            LedgerFailed: it is not, and will not be.
        """
        self._check()
        # A batch may be on its way with what was recorded before; what is waiting goes with the next.
        await self._next_batch()

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    async def _next_batch(self) -> None:
        """Wait until the batch that is being collected now is written."""
        self._wanted.set()
        await self._written.wait()
        self._check()

    async def _write_batches(self) -> None:
        while self._failure is None:
            await self._wanted.wait()
            self._wanted.clear()
            intents, self._intents = self._intents, []
            outcomes, self._outcomes = self._outcomes, []
            written, self._written = self._written, asyncio.Event()
            writing = asyncio.get_running_loop().run_in_executor(self._thread, self._write_batch, intents, outcomes)
            # Whoever cancels this task, the batch is written: a call that has not begun could be cancelled with it.
            await asyncio.shield(writing)
            written.set()
        # Whoever came while the last batch failed is told by `_check`.
        self._written.set()

    def _write_batch(self, intents: Sequence[Intent], outcomes: Sequence[Outcome]) -> None:
        """Write a batch in one transaction. Whatever goes wrong becomes the failure of the ledger."""
        if self._failure is not None or not (intents or outcomes):
            return
        try:
            with ledger_errors(self._path), self._db:
                self._db.execute("BEGIN IMMEDIATE")
                self._write(intents, outcomes)
        except LedgerFailed as failure:
            self._failure = failure
        except Exception as error:  # noqa: BLE001 (an error of ours must stop the sending as well as one of the disk)
            hint = "this is a fault of migrator; nothing was sent that is not in the ledger"
            self._failure = LedgerFailed(f"the ledger {self._path} cannot take its records: {error!r}", hint)
            self._failure.__cause__ = error

    def _write(self, intents: Sequence[Intent], outcomes: Sequence[Outcome]) -> None:
        if outcomes:
            batch = _rows(outcomes)
            if any(outcome.state is State.PENDING for outcome in outcomes):
                self._db.execute(REMEMBER, (batch,))
            self._expect(self._db.execute(RECORD, (batch,)), len(outcomes))
        if intents:
            self._expect(self._db.execute(INTEND, (_rows(intents),)), len(intents))

    def _expect(self, cursor: sqlite3.Cursor, rows: int) -> None:
        if cursor.rowcount != rows:
            taken = f"{cursor.rowcount} of {rows} records"
            hint = "let nothing but migrator write to it"
            raise LedgerFailed(f"the ledger {self._path} took {taken}: somebody else changed it", hint)


def _rows(values: Sequence[Intent] | Sequence[Outcome]) -> str:
    """Spell a batch as the JSON text that `json_each` reads: an array of arrays in the order of the members."""
    rows = [msgspec.structs.astuple(value) for value in values]
    try:
        return msgspec.json.encode(rows).decode()
    except UnicodeEncodeError:
        return msgspec.json.encode([[_encodable(member) for member in row] for row in rows]).decode()


def _encodable(member: object) -> object:
    """Spell out what is no text: a header may hold octets that are no UTF-8, and a message may quote it."""
    return member.encode(errors="backslashreplace").decode() if isinstance(member, str) else member
