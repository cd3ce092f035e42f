"""The ledger of a run that is running: intents and outcomes, committed in groups by one writer.

A commit costs a sync of the disk whatever its size, so records are collected into a batch, which is written when
somebody waits for it or is about to, or when a moment has passed. Intents and outcomes of a batch share one
transaction; outcomes go first, because the intent of a second attempt of a step needs the outcome of its first.

Two shapes matter here. All rows of a batch go into *one* statement with many parameters, not through `executemany`:
sqlite3 gives up the interpreter lock at every row, and beside a busy event loop a thread that must win it back
thousands of times starves (`reference/performance.md` section 4). And outcomes are not awaited: losing one costs a
look-up, losing an intent costs a duplicate. Every commit of an intent takes all outcomes so far along, so that no more
are ever unwritten than steps can be settled between two commits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Self, TypeVar

import msgspec

from migrator.core.errors import LedgerFailed
from migrator.core.model import EntityType, Kind, Step
from migrator.core.states import State
from migrator.ledger.database import connect, ledger_errors
from migrator.ports import Intent, Outcome

T = TypeVar("T")

LINGER_S = 0.02
"""How long a record waits for others, unless somebody is in a hurry."""

ROWS = 32
"""Rows of a statement come in multiples of this: SQLite keeps the statement of each size it has met, parameters too."""

MOST_ROWS = 960
"""Rows of one statement at the most: SQLite takes 32,766 parameters."""


@cache
def intend(rows: int) -> str:
    """Return the statement that writes up to so many intents: `Intent`'s members in their order, for each."""
    return f"""
INSERT INTO progress (step, attempt, request_id, sent_at, state)
SELECT *, '{State.INTENT}' FROM ({_values(rows, 4)}) WHERE column1 IS NOT NULL
ON CONFLICT (step) DO UPDATE SET
    state = excluded.state, attempt = excluded.attempt, request_id = excluded.request_id, sent_at = excluded.sent_at,
    ended_at = NULL, http_status = NULL, error_class = '', message = ''
"""


@cache
def record(rows: int) -> str:
    """Return the statement that writes up to so many outcomes: `Outcome`'s members in their order, for each."""
    return f"""
UPDATE progress SET
    state = column2, ended_at = column3, http_status = column4, error_class = column5, message = column6,
    etag = column7, object = column8, reference = column9
FROM ({_values(rows, 9)}) WHERE step = column1
"""


@cache
def remember(rows: int) -> str:
    """Return the statement that keeps up to so many attempts that settled nothing as history."""
    # CROSS JOIN fixes the order of the loops: each outcome finds its row by the primary key.
    return f"""
INSERT INTO attempt
SELECT step, attempt, request_id, sent_at, column3, column4, column5, column6
FROM ({_values(rows, 9)}) CROSS JOIN progress ON step = column1
"""


def _values(rows: int, columns: int) -> str:
    row = f"({', '.join('?' * columns)})"
    return "VALUES " + ", ".join([row] * rows)


_TYPES = {str(type_): type_ for type_ in EntityType}
_KINDS = {str(kind): kind for kind in Kind}
"""Looked up, because calling an enumeration costs as much as all else that makes a step."""

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


class Batch:
    """Records that become durable together."""

    def __init__(self, call: Callable[[], None]) -> None:
        """Collect records until the writer comes; `call` calls it."""
        self.intents: list[Intent] = []
        self.outcomes: list[Outcome] = []
        self.failure: LedgerFailed | None = None
        self._call = call
        self._written = asyncio.Event()

    def hurry(self) -> None:
        """Have it written now: somebody will soon wait for it."""
        if not self._written.is_set():
            self._call()

    async def durable(self) -> None:
        """Return when all of it is on the disk.

        Raises:
            LedgerFailed: it is not, and will not be.
        """
        if not self._written.is_set():
            self.hurry()
            await self._written.wait()
        if self.failure is not None:
            raise self.failure

    def end(self, failure: LedgerFailed | None) -> None:
        """Tell everybody who waits that it is on the disk, or why it never will be."""
        self.failure = failure
        self._written.set()


class RunLedger:
    """The open ledger of a running run. It implements `ports.Ledger`; use as an async context manager.

    Opening it first puts every intent that an earlier process left open in doubt: it may have been sent.

    One thread owns the connection. It writes whole batches; once a batch failed, it writes no other, so that the ledger
    never has a later fact without an earlier one.
    """

    def __init__(self, path: Path) -> None:
        """Prepare to open the ledger file `path`."""
        self._path = path
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")
        self._opened = ExitStack()
        self._wanted = asyncio.Event()
        self._batch = Batch(self._wanted.set)
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
        self._thread.submit(self._write_batch, [], self._batch.outcomes)
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
            Step(seq, key, container, _TYPES[type_], object_, _KINDS[kind], body, attempts)
            for seq, key, type_, object_, kind, body, attempts in rows
        ]

    def intend(self, intent: Intent) -> Batch:
        """Take `intent` for writing.

        Returns:
            The batch it is part of. Until that is durable nothing may be sent.

        Raises:
            LedgerFailed: an earlier write failed.
        """
        self._check()
        self._batch.intents.append(intent)
        return self._grown()

    def record(self, outcome: Outcome) -> None:
        """Take `outcome` for writing.

        Raises:
            LedgerFailed: an earlier write failed.
        """
        self._check()
        self._batch.outcomes.append(outcome)
        self._grown()

    async def flush(self) -> None:
        """Return when everything recorded so far is on the disk.

        Raises:
            LedgerFailed: it is not, and will not be.
        """
        self._check()
        # A batch may be on its way with what was recorded before; batches are written one after the other.
        await self._batch.durable()

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _grown(self) -> Batch:
        """Call the writer for a batch that has just begun, but not at once."""
        batch = self._batch
        if len(batch.intents) + len(batch.outcomes) == 1:
            asyncio.get_running_loop().call_later(LINGER_S, batch.hurry)
        return batch

    async def _write_batches(self) -> None:
        while self._failure is None:
            await self._wanted.wait()
            self._wanted.clear()
            batch, self._batch = self._batch, Batch(self._wanted.set)
            writing = asyncio.get_running_loop().run_in_executor(
                self._thread, self._write_batch, batch.intents, batch.outcomes
            )
            # Whoever cancels this task, the batch is written: a call that has not begun could be cancelled with it.
            await asyncio.shield(writing)
            batch.end(self._failure)
        # Whoever came while the last batch failed waits in vain.
        self._batch.end(self._failure)

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
        unsettled = [outcome for outcome in outcomes if outcome.state is State.PENDING]
        for statement, records in ((remember, unsettled), (record, outcomes), (intend, intents)):
            for begin in range(0, len(records), MOST_ROWS):
                self._execute(statement, records[begin : begin + MOST_ROWS])

    def _execute(self, statement: Callable[[int], str], records: Sequence[Intent] | Sequence[Outcome]) -> None:
        rows = list(map(msgspec.structs.astuple, records))
        size = -(-len(rows) // ROWS) * ROWS
        # What is not bound is NULL, and a row without a step is none.
        unbound = [None] * (len(rows[0]) * (size - len(rows)))
        try:
            cursor = self._db.execute(statement(size), [*chain.from_iterable(rows), *unbound])
        except UnicodeEncodeError:
            cursor = self._db.execute(statement(size), [*map(_encodable, chain.from_iterable(rows)), *unbound])
        if cursor.rowcount != len(rows):
            taken = f"{cursor.rowcount} of {len(rows)} records"
            hint = "let nothing but migrator write to it"
            raise LedgerFailed(f"the ledger {self._path} took {taken}: somebody else changed it", hint)


def _encodable(member: object) -> object:
    """Spell out what is no text: a header may hold octets that are no UTF-8, and a message may quote it."""
    return member.encode(errors="backslashreplace").decode() if isinstance(member, str) else member
