"""The ledger of a run that is running: intents and outcomes, committed in groups (`recorder`) by one thread.

All rows of a batch go into *one* statement with many parameters, not through `executemany`: sqlite3 gives up the
interpreter lock at every row, and beside a busy event loop a thread that must win it back thousands of times starves
(`reference/performance.md` section 4).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Any, Self, TypeVar

import msgspec

from migrator.core.errors import LedgerFailed
from migrator.core.model import Base, Doubt, EntityType, Kind, Step
from migrator.core.states import FINAL, State
from migrator.ledger import choosing, lease, statements
from migrator.ledger.columns import (
    TYPES,
    UNSETTLED,
    Columns,
    as_doubt,
    as_step,
    encodable,
    listed,
    one_a_step,
    touched,
)
from migrator.ledger.database import DAMAGED, check_whole, connect, ledger_errors
from migrator.ledger.recorder import Batch, Recorder, fault
from migrator.ledger.upgrade import upgrade
from migrator.ports import Choice, Outcome

T = TypeVar("T")

ROWS = 32
"""Rows of a statement come in multiples of this: SQLite keeps the statement of each size it has met, parameters too."""

MOST_ROWS = 128
"""Rows of one statement at the most: SQLite takes 32,766 parameters."""


class RunLedger(Recorder):
    """The open ledger of a running run. It implements `ports.Ledger`; use as an async context manager.

    Opening it brings it up to our format, takes it over from whoever had it, and puts every intent that an earlier
    process left open in doubt: it may have been sent. The caller holds the run's lock.

    One thread owns the connection. It writes whole batches; once a batch failed, it writes no other, so that the ledger
    never has a later fact without an earlier one.
    """

    def __init__(
        self,
        path: Path,
        *,
        lease_s: float = lease.DURATION_S,
        good_s: float = lease.DURATION_S / 2,
        owner: str | None = None,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare to open a ledger.

        Args:
            path: the file.
            lease_s: for how long each batch keeps other machines away.
            good_s: for how long requests may leave on the strength of a batch; no longer than they can be over before
                the lease is.
            owner: host and process id; those of this process if `None`.
            now: wall-clock seconds since the epoch.
            monotonic: seconds that never go back.
        """
        super().__init__(good_s, monotonic)
        self._path = path
        self._lease_s = lease_s
        self._owner = owner or lease.this_process()
        self._now = now
        self._epoch = 0
        self._objects_indexed = False
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")
        self._opened = ExitStack()

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
        self._batch.intents.clear()
        # The last batch ends the lease, whatever else is in it.
        self._batch.begun = True
        self._thread.submit(self._write_batch, self._batch, expires_at=0.0)
        self._close()
        self._end_all()
        self._check()

    def _open(self) -> None:
        self._db = self._opened.enter_context(closing(connect(self._path)))
        (mode,) = self._db.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise LedgerFailed(f"the ledger {self._path} cannot use a write-ahead log", "use a local disk for --ledger")
        self._db.execute("PRAGMA synchronous = FULL")
        # macOS needs this for a sync that reaches the disk; elsewhere it means nothing.
        self._db.execute("PRAGMA fullfsync = 1")
        check_whole(self._db, self._path)
        upgrade(self._db)
        self._take_over()

    def _take_over(self) -> None:
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            now = self._now()
            self._epoch = lease.take(self._db, self._owner, now, now + self._lease_s)
            self._db.execute(statements.DOUBT_INTENTS)
            self._db.execute(statements.FORGET_BASES)

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

    async def _rows(self, statement: str, *parameters: object) -> list[Any]:
        return await self._in_thread(lambda: self._db.execute(statement, parameters).fetchall())

    async def choose(self, choice: Choice | None) -> Sequence[str]:
        """Hold back the pending steps that are not chosen; without a choice, none, unless a first try is not over yet.

        Returns:
            What was chosen and is the object of no step at all.
        """

        def hold_back() -> Sequence[str]:
            with self._db:
                self._db.execute("BEGIN IMMEDIATE")
                return choosing.hold_back(self._db, choice)

        return await self._in_thread(hold_back)

    async def stages(self) -> Sequence[int]:
        """Return the stages that steps have, in order."""
        return [stage for (stage,) in await self._rows(statements.STAGES)]

    async def containers(self, stage: int) -> Sequence[str]:
        """Return the containers that have steps of `stage` still to send, in the order of their first row."""
        found = await self._rows(statements.CONTAINERS, stage)
        if not all(whole for _, whole in found):
            raise LedgerFailed(f"the ledger {self._path} has lost steps that are still to be sent", DAMAGED)
        return [name for name, _ in found]

    async def pending(self, container: str, stage: int, after: int, limit: int) -> Sequence[Step]:
        """Return up to `limit` steps of `stage` still to send in `container` with `seq > after`, in order."""
        return [as_step(*row) for row in await self._rows(statements.PENDING, container, stage, after, limit)]

    async def doubts(self, states: Collection[State], after: int, limit: int) -> Sequence[Doubt]:
        """Return up to `limit` steps in `states` with `seq > after`, in order."""
        statement = statements.UNSETTLED_DOUBTS if FINAL.isdisjoint(states) else statements.DOUBTS
        return [as_doubt(*row) for row in await self._rows(statement, listed(states), after, limit)]

    async def unbased(self, container: str, stage: int, kinds: Collection[Kind]) -> Mapping[EntityType, int]:
        """Count the steps of `kinds` and `stage` still to send in `container` whose base is not known, by type."""
        counts = await self._rows(statements.UNBASED, container, stage, listed(kinds))
        return {TYPES[type_]: count for type_, count in counts}

    async def unbased_among(
        self, container: str, stage: int, type_: EntityType, kinds: Collection[Kind], objects: Collection[str]
    ) -> Sequence[Step]:
        """Return those of them that are for `objects` of a type."""
        await self._index_objects()
        found = await self._rows(statements.UNBASED_AMONG, listed(objects), container, stage, str(type_), listed(kinds))
        return [as_step(*row) for row in found]

    async def unbased_elsewhere(
        self, container: str, stage: int, type_: EntityType, kinds: Collection[Kind], objects: Collection[str]
    ) -> Sequence[Step]:
        """Return nothing: no other process carries anything out."""
        del container, stage, type_, kinds, objects
        return ()

    async def lend(self, bases: Mapping[int, Base]) -> None:
        """Write nothing: there is nobody to lend to."""
        del bases

    async def reviewed(self) -> bool:
        """Whether any step was reviewed."""
        ((found,),) = await self._rows(statements.ANY_REVIEWED)
        return bool(found)

    async def reviews(self, steps: Collection[int]) -> Mapping[int, Base]:
        """Return what the objects of those of `steps` that were reviewed were then; their bodies are empty."""
        found = await self._rows(statements.REVIEWED, listed(steps))
        return {seq: Base(etag, touched(places), b"", guarded=False, name=name) for seq, etag, places, name in found}

    async def ids(self, references: Collection[str]) -> Mapping[tuple[EntityType, str], str]:
        """Return what objects of the source that are made, or were there already, are referred to by in the target."""
        found = await self._rows(statements.IDS, listed(references))
        return {(TYPES[type_], source): target for type_, source, target in found}

    async def settled_objects(self, objects: Collection[str]) -> Collection[str]:
        """Return which of `objects` steps of this run have been applied to."""
        await self._index_objects()
        return {name for (name,) in await self._rows(statements.SETTLED_OBJECTS, listed(objects))}

    async def _index_objects(self) -> None:
        if not self._objects_indexed:
            await self._rows(statements.INDEX_OBJECTS)
            self._objects_indexed = True

    def _commit(self, batch: Batch) -> Awaitable[None]:
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._thread, self._write_batch, batch, self._now() + self._lease_s)

    def _write_batch(self, batch: Batch, expires_at: float) -> None:
        """Write a batch in one transaction. Whatever goes wrong becomes the failure of the ledger."""
        if self._failure is not None or not batch.begun:
            return
        try:
            with ledger_errors(self._path), self._db:
                self._db.execute("BEGIN IMMEDIATE")
                lease.renew(self._db, self._epoch, expires_at)
                self._write(batch)
        except LedgerFailed as failure:
            self._failure = failure
        except Exception as error:  # noqa: BLE001 (an error of ours must stop the sending as well as one of the disk)
            self._failure = fault(str(self._path), error)

    def _write(self, batch: Batch) -> None:
        for rows in one_a_step([_columns(outcome) for outcome in batch.outcomes], itemgetter(0)):
            self._execute(statements.remember, [row for row in rows if row[1] in UNSETTLED])
            self._execute(statements.record, rows)
        self._execute(statements.keep, batch.bases)
        self._execute(statements.dismiss, [_columns(outcome) for outcome in batch.dismissals])
        self._execute(statements.intend, [msgspec.structs.astuple(intent) for intent in batch.intents])

    def _execute(self, statement: Callable[[int], str], rows: Sequence[Columns]) -> None:
        for begin in range(0, len(rows), MOST_ROWS):
            self._execute_once(statement, rows[begin : begin + MOST_ROWS])

    def _execute_once(self, statement: Callable[[int], str], rows: Sequence[Columns]) -> None:
        size = -(-len(rows) // ROWS) * ROWS
        # Zeros, since for every NULL sqlite3 looks for an adapter, at the price of writing a row.
        unneeded = [0] * (len(rows[0]) * (size - len(rows)))
        try:
            cursor = self._db.execute(statement(size), [*chain.from_iterable(rows), *unneeded])
        except UnicodeEncodeError:
            cursor = self._db.execute(statement(size), [*map(encodable, chain.from_iterable(rows)), *unneeded])
        if cursor.rowcount != len(rows):
            taken = f"{cursor.rowcount} of {len(rows)} records"
            hint = "let nothing but migrator write to it"
            raise LedgerFailed(f"the ledger {self._path} took {taken}: somebody else changed it", hint)


def _columns(outcome: Outcome) -> Columns:
    """Return the members of `outcome`; words as plain texts, for which sqlite3 does not look for an adapter."""
    return (
        outcome.seq,
        str.__str__(outcome.state),
        outcome.at,
        outcome.http_status,
        str.__str__(outcome.error_class),
        outcome.message,
        outcome.etag,
        outcome.object,
        outcome.reference,
        str.__str__(outcome.how),
    )
