"""Committing in groups: what a running ledger is told is collected into batches, which one writer writes in order.

A commit costs a sync of the disk whatever its size, so records are collected into a batch, which is written when
somebody waits for it or is about to, or when a moment has passed. All of a batch shares one transaction: outcomes
first, because the intent of a second attempt of a step needs the outcome of its first; then bases, which have to be
there when the intent that relies on them is; intents last.

Outcomes are not awaited: losing one costs a look-up, losing an intent costs a duplicate. Every commit of an intent
takes all outcomes so far along, so that no more are ever unwritten than steps can be settled between two commits.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection

import msgspec

from migrator.core.errors import LedgerFailed
from migrator.core.model import Base
from migrator.core.states import OPEN
from migrator.ledger.columns import Columns
from migrator.ports import Intent, Outcome

LINGER_S = 0.05
"""How long a record waits for others, unless somebody is in a hurry."""


class Batch:
    """Records that become durable together.

    Attributes:
        outcomes: of steps that were sent.
        bases: rows of the table `base`.
        dismissals: outcomes of steps that were not sent.
        intents: in the order in which they came.
        begun: whether there is anything in it.
        done: whether it is on the disk.
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
        self.done = False
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
        self.done = failure is None
        self._written.set()


class Recorder(ABC):
    """Takes records for writing. A ledger that is one says how a batch is written, and runs `_write_batches`.

    Once a batch failed, no other is written, so that the ledger never has a later fact without an earlier one.
    """

    def __init__(self, good_s: float, monotonic: Callable[[], float]) -> None:
        """Begin with nothing to write.

        Args:
            good_s: for how long requests may leave on the strength of a batch, from its first record on.
            monotonic: seconds that never go back.
        """
        self._good_s = good_s
        self._monotonic = monotonic
        self._wanted = asyncio.Event()
        self._batch = Batch(self._wanted.set)
        self._on_its_way: Batch | None = None
        self._failure: LedgerFailed | None = None
        self.told: Callable[[Collection[int]], None] | None = None
        """Called with the steps that a batch has settled, when it is on the disk, in the order of their outcomes."""

    @abstractmethod
    def _commit(self, batch: Batch) -> Awaitable[None]:
        """Write a batch in one transaction. What goes wrong becomes `_failure`, after which nothing is written."""

    def keep(self, seq: int, base: Base) -> None:
        """Take `base` for writing, in the place of an earlier one. It is on the disk before any later intent.

        Raises:
            LedgerFailed: an earlier write failed.
        """
        self._growing().bases.append(base_row(seq, base))

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
        if self._failure is not None:
            raise self._failure
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
            self._on_its_way, self._batch = self._batch, Batch(self._wanted.set)
            # Whoever cancels this task, the batch is written: what has not begun could be cancelled with it.
            await asyncio.shield(self._commit(self._on_its_way))
            self._end(self._on_its_way)
            self._on_its_way = None
        # Whoever came while the last batch failed waits in vain.
        self._batch.end(self._failure)

    def _end_all(self) -> None:
        """End what was on its way when the writer was cancelled, and then the last batch: both are written."""
        if self._on_its_way is not None:
            self._end(self._on_its_way)
        self._end(self._batch)

    def _end(self, batch: Batch) -> None:
        batch.end(self._failure)
        self._tell(batch)

    def _tell(self, batch: Batch) -> None:
        if self.told is not None and self._failure is None and (settled := batch.settled):
            self.told(settled)


def fault(place: str, error: Exception) -> LedgerFailed:
    """Return how a ledger fails by an error that is none of its disk or its database: it stops the sending as well."""
    hint = "this is a fault of migrator; nothing was sent that is not in the ledger"
    failure = LedgerFailed(f"the ledger {place} cannot take its records: {error!r}", hint)
    failure.__cause__ = error
    return failure


def base_row(seq: int, base: Base) -> tuple[object, ...]:
    """Return `base` of the step `seq` as its table has it."""
    places = None if base.touched is None else msgspec.json.encode(base.touched).decode()
    return seq, base.etag, places, base.body, int(base.guarded), base.name
