"""The ledger of a run that is running: intents and outcomes, committed in groups by one writer.

A commit costs a sync of the disk whatever its size, so records are collected into a batch, which is written when
somebody waits for it or is about to, or when a moment has passed. All of a batch shares one transaction: outcomes
first, because the intent of a second attempt of a step needs the outcome of its first; then bases, which have to be
there when the intent that relies on them is; intents last.

Two shapes matter here. All rows of a batch go into *one* statement with many parameters, not through `executemany`:
sqlite3 gives up the interpreter lock at every row, and beside a busy event loop a thread that must win it back
thousands of times starves (`reference/performance.md` section 4). And outcomes are not awaited: losing one costs a
look-up, losing an intent costs a duplicate. Every commit of an intent takes all outcomes so far along, so that no more
are ever unwritten than steps can be settled between two commits.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from itertools import chain
from pathlib import Path
from typing import Any, Self, TypeAlias, TypeVar

import msgspec

from migrator.core.errors import LedgerFailed
from migrator.core.model import Base, Doubt, EntityType, Kind, Step
from migrator.core.states import OPEN, State
from migrator.ledger import choosing, lease, statements
from migrator.ledger.columns import listed, touched
from migrator.ledger.database import check_whole, connect, ledger_errors
from migrator.ledger.upgrade import upgrade
from migrator.ports import Choice, Intent, Outcome

T = TypeVar("T")

Columns: TypeAlias = tuple[object, ...]
"""A row to be written."""

LINGER_S = 0.02
"""How long a record waits for others, unless somebody is in a hurry."""

ROWS = 32
"""Rows of a statement come in multiples of this: SQLite keeps the statement of each size it has met, parameters too."""

MOST_ROWS = 960
"""Rows of one statement at the most: SQLite takes 32,766 parameters."""

_TYPES = {str(type_): type_ for type_ in EntityType}
_KINDS = {str(kind): kind for kind in Kind}
"""Looked up, because calling an enumeration costs as much as all else that makes a step."""


class Batch:
    """Records that become durable together.

    Attributes:
        outcomes: of steps that were sent.
        bases: rows of the table `base`.
        dismissals: outcomes of steps that were not sent.
        intents: in the order in which they came.
        begun: whether there is anything in it.
        good_until: see `ports.Commit`.
        failure: why it is not on the disk, and never will be.
    """

    def __init__(self, call: Callable[[], None]) -> None:
        """Collect records until the writer comes; `call` calls it."""
        self.outcomes: list[Outcome] = []
        self.bases: list[Columns] = []
        self.dismissals: list[Outcome] = []
        self.intents: list[Intent] = []
        self.begun = False
        self.good_until = 0.0
        self.failure: LedgerFailed | None = None
        self._call = call
        self._written = asyncio.Event()

    @property
    def settled(self) -> Collection[int]:
        """Steps that it settles, in the order of their outcomes."""
        states = {outcome.seq: outcome.state for outcome in (*self.outcomes, *self.dismissals)}
        return [seq for seq, state in states.items() if state not in OPEN]

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
        self._path = path
        self._lease_s = lease_s
        self._good_s = good_s
        self._owner = owner or lease.this_process()
        self._now = now
        self._monotonic = monotonic
        self._epoch = 0
        self._objects_indexed = False
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")
        self._opened = ExitStack()
        self._wanted = asyncio.Event()
        self._batch = Batch(self._wanted.set)
        self._failure: LedgerFailed | None = None
        self.told: Callable[[Collection[int]], None] | None = None
        """Called with the steps that a batch has settled, when it is on the disk, in the order of their outcomes."""

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
        self._tell(self._batch)
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
        return [name for (name,) in await self._rows(statements.CONTAINERS, stage)]

    async def pending(self, container: str, stage: int, after: int, limit: int) -> Sequence[Step]:
        """Return up to `limit` steps of `stage` still to send in `container` with `seq > after`, in order."""
        return [_step(*row) for row in await self._rows(statements.PENDING, container, stage, after, limit)]

    async def doubts(self, states: Collection[State], after: int, limit: int) -> Sequence[Doubt]:
        """Return up to `limit` steps in `states` with `seq > after`, in order."""
        return [_doubt(*row) for row in await self._rows(statements.DOUBTS, listed(states), after, limit)]

    async def unbased(self, container: str, stage: int, kinds: Collection[Kind]) -> Mapping[EntityType, int]:
        """Count the steps of `kinds` and `stage` still to send in `container` whose base is not known, by type."""
        counts = await self._rows(statements.UNBASED, container, stage, listed(kinds))
        return {_TYPES[type_]: count for type_, count in counts}

    async def unbased_among(
        self, container: str, stage: int, type_: EntityType, kinds: Collection[Kind], objects: Collection[str]
    ) -> Sequence[Step]:
        """Return those of them that are for `objects` of a type."""
        await self._index_objects()
        found = await self._rows(statements.UNBASED_AMONG, listed(objects), container, stage, str(type_), listed(kinds))
        return [_step(*row) for row in found]

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
        return {(_TYPES[type_], source): target for type_, source, target in found}

    async def settled_objects(self, objects: Collection[str]) -> Collection[str]:
        """Return which of `objects` steps of this run have been applied to."""
        await self._index_objects()
        return {name for (name,) in await self._rows(statements.SETTLED_OBJECTS, listed(objects))}

    async def _index_objects(self) -> None:
        if not self._objects_indexed:
            await self._rows(statements.INDEX_OBJECTS)
            self._objects_indexed = True

    def keep(self, seq: int, base: Base) -> None:
        """Take `base` for writing, in the place of an earlier one. It is on the disk before any later intent.

        Raises:
            LedgerFailed: an earlier write failed.
        """
        places = None if base.touched is None else msgspec.json.encode(base.touched).decode()
        self._growing().bases.append((seq, base.etag, places, base.body, int(base.guarded), base.name))

    def dismiss(self, outcome: Outcome) -> None:
        """Take for writing how a step ends that was never sent.

        Raises:
            LedgerFailed: an earlier write failed.
        """
        self._growing().dismissals.append(outcome)

    def intend(self, intent: Intent) -> Batch:
        """Take `intent` for writing.

        Returns:
            The batch it is part of. Until that is durable nothing may be sent.

        Raises:
            LedgerFailed: an earlier write failed.
        """
        batch = self._growing()
        batch.intents.append(intent)
        return batch

    def record(self, outcome: Outcome) -> None:
        """Take `outcome` for writing.

        Raises:
            LedgerFailed: an earlier write failed.
        """
        self._growing().outcomes.append(outcome)

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

    def _growing(self) -> Batch:
        """Return the batch that takes the next record. One that has just begun calls the writer, but not at once."""
        self._check()
        batch = self._batch
        if not batch.begun:
            batch.begun = True
            # From the first record on, not from the writing: the quiet period, too, counts from the intent.
            batch.good_until = self._monotonic() + self._good_s
            asyncio.get_running_loop().call_later(LINGER_S, batch.hurry)
        return batch

    async def _write_batches(self) -> None:
        while self._failure is None:
            await self._wanted.wait()
            self._wanted.clear()
            batch, self._batch = self._batch, Batch(self._wanted.set)
            writing = asyncio.get_running_loop().run_in_executor(
                self._thread, self._write_batch, batch, self._now() + self._lease_s
            )
            # Whoever cancels this task, the batch is written: a call that has not begun could be cancelled with it.
            await asyncio.shield(writing)
            batch.end(self._failure)
            self._tell(batch)
        # Whoever came while the last batch failed waits in vain.
        self._batch.end(self._failure)

    def _tell(self, batch: Batch) -> None:
        if self.told is not None and self._failure is None and (settled := batch.settled):
            self.told(settled)

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
            hint = "this is a fault of migrator; nothing was sent that is not in the ledger"
            self._failure = LedgerFailed(f"the ledger {self._path} cannot take its records: {error!r}", hint)
            self._failure.__cause__ = error

    def _write(self, batch: Batch) -> None:
        for rows in _one_a_step([_row(outcome) for outcome in batch.outcomes]):
            self._execute(statements.remember, [row for row in rows if row[1] in UNSETTLED])
            self._execute(statements.record, rows)
        self._execute(statements.keep, batch.bases)
        self._execute(statements.dismiss, [_row(outcome) for outcome in batch.dismissals])
        self._execute(statements.intend, [_row(intent) for intent in batch.intents])

    def _execute(self, statement: Callable[[int], str], rows: Sequence[Columns]) -> None:
        for begin in range(0, len(rows), MOST_ROWS):
            self._execute_once(statement, rows[begin : begin + MOST_ROWS])

    def _execute_once(self, statement: Callable[[int], str], rows: Sequence[Columns]) -> None:
        size = -(-len(rows) // ROWS) * ROWS
        unbound = [None] * (len(rows[0]) * (size - len(rows)))
        try:
            cursor = self._db.execute(statement(size), [*chain.from_iterable(rows), *unbound])
        except UnicodeEncodeError:
            cursor = self._db.execute(statement(size), [*map(_encodable, chain.from_iterable(rows)), *unbound])
        if cursor.rowcount != len(rows):
            taken = f"{cursor.rowcount} of {len(rows)} records"
            hint = "let nothing but migrator write to it"
            raise LedgerFailed(f"the ledger {self._path} took {taken}: somebody else changed it", hint)


UNSETTLED = (State.PENDING, State.UNRESOLVED)
"""How an attempt ends that is history then, or may become so."""

_row = msgspec.structs.astuple


def _one_a_step(rows: Sequence[Columns]) -> Iterator[Sequence[Columns]]:
    """Split outcomes, in order, so that no step comes twice in a part: one statement takes one row of each.

    A step that is lost and then found, or missed, within a moment has two outcomes in a batch.
    """
    while len({row[0] for row in rows}) < len(rows):
        first: dict[object, Columns] = {}
        later = [row for row in rows if first.setdefault(row[0], row) is not row]
        yield list(first.values())
        rows = later
    if rows:
        yield rows


def _step(
    seq: int,
    key: str,
    container: str,
    type_: str,
    object_: str,
    kind: str,
    body: bytes,
    attempts: int,
    misses: int,
    based: int,
    etag: int | None,
    guarded: int,
) -> Step:
    return Step(
        seq,
        key,
        container,
        _TYPES[type_],
        object_,
        _KINDS[kind],
        body,
        attempts,
        misses,
        bool(based),
        etag,
        bool(guarded),
    )


def _doubt(*row: Any) -> Doubt:
    step = _step(*row[:12])
    places, body, name, state, *rest = row[12:]
    base = None
    if step.based:
        base = Base(step.etag, touched(places), body, step.guarded, name)
    return Doubt(step, base, State(state), *rest)


def _encodable(member: object) -> object:
    """Spell out what is no text: a header may hold octets that are no UTF-8, and a message may quote it."""
    return member.encode(errors="backslashreplace").decode() if isinstance(member, str) else member
