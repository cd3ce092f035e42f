"""The ledger of one shard that is carried out. It is to PostgreSQL what `ledger.runledger` is to a file.

Records are collected into batches, and each batch is one transaction, in the same order and for the same reasons as
there. What keeps others away is not a lock but the lease of the shard (`reference/resumption.md` section 5): whoever
takes the shard takes the next epoch, every batch renews the lease of its own epoch in its own transaction, and a
process that was taken over from writes nothing any more. Between records the lease is renewed by empty batches, since
a shard may have nothing to say for as long as a pause or a quiet period lasts.

Time is that of the database alone, and leases are durations, so hosts need not agree on what time it is.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, Self

import msgspec
from msgspec import Struct

from migrator.core.errors import LedgerFailed, Stopped
from migrator.core.model import Base, Doubt, EntityType, Kind, Step
from migrator.core.states import State
from migrator.fleet import commit, statements
from migrator.fleet.database import Connection, Pool, postgres_errors
from migrator.ledger.columns import as_doubt, as_step, encodable, one_a_step, touched
from migrator.ledger.lease import this_process
from migrator.ledger.recorder import Batch, Recorder, base_row, fault


class Shard(Struct, frozen=True):
    """What one worker carries out at a time.

    Attributes:
        run: the run it is a part of.
        number: which part.
    """

    run: str
    number: int

    def __str__(self) -> str:
        """Spell it as people and the engine know it."""
        return f"{self.run}/{self.number}"


class ShardTaken(Stopped):
    """Somebody else has the shard."""


class ShardLedger(Recorder):
    """The open ledger of a shard. It implements `ports.Ledger`; use as an async context manager.

    Opening it takes the shard, and puts every intent that an earlier process left open in doubt.

    Attributes:
        on_stop: called when the database says that nobody is to go on with the run.
    """

    def __init__(
        self,
        pool: Pool,
        shard: Shard,
        *,
        place: str = "",
        lease_s: float,
        good_s: float,
        grace_s: float,
        owner: str | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare to take a shard.

        Args:
            pool: connections to the fleet's database.
            shard: which one.
            place: names the database in messages.
            lease_s: for how long each batch keeps others away.
            good_s: for how long requests may leave on the strength of a batch; they are over before the lease is.
            grace_s: for how long the lease of somebody else must have been over.
            owner: host and process id; those of this process if `None`.
            monotonic: seconds that never go back.
        """
        super().__init__(good_s, monotonic)
        self._pool = pool
        self._run, self._number = shard.run, shard.number
        self._shard = shard
        self._place = place
        self._lease_s = lease_s
        self._grace_s = grace_s
        self._owner = owner or this_process()
        self.on_stop: Callable[[], None] | None = None
        self._epoch = 0
        self._writing = asyncio.Lock()

    async def __aenter__(self) -> Self:
        with postgres_errors(self._place):
            async with self._pool.acquire() as connection, connection.transaction():
                await self._take(connection)
        self._writer = asyncio.create_task(self._write_batches(), name=f"ledger-writer {self._shard}")
        self._keeper = asyncio.create_task(self._keep_lease(), name=f"lease-keeper {self._shard}")
        return self

    async def __aexit__(self, *exception: object) -> None:
        for task in (self._keeper, self._writer):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        # Intents that are not written yet are dropped: nobody waits for them any more, so none of them was sent.
        self._batch.intents.clear()
        self._batch.begun = True
        await asyncio.shield(self._write_batch(self._batch, leaving=True))
        self._end_all()
        self._check()

    async def _take(self, connection: Connection) -> None:
        at = (self._run, self._number)
        epoch = await connection.fetchval(statements.TAKE, *at, self._owner, self._lease_s, self._grace_s)
        if epoch is None:
            raise await self._taken(connection)
        self._epoch = epoch
        await connection.execute(statements.DOUBT_INTENTS, *at)
        await connection.execute(statements.FORGET_BASES, *at)

    async def _taken(self, connection: Connection) -> Stopped:
        """Say why the shard cannot be taken."""
        found = await connection.fetchrow(statements.TAKEN, self._run, self._number)
        if found is None:
            return Stopped(f"there is no shard {self._shard}", "its run has been dropped")
        owner, until, stopped = found
        if stopped:
            return Stopped(f"run {self._run} is stopped", f"go on with `migrator resume {self._run}`")
        host, _, process = owner.rpartition(" ")
        at = f"{datetime.fromtimestamp(until, UTC):%Y-%m-%d %H:%M:%S} UTC" if until > 0 else "a moment from now"
        return ShardTaken(f"process {process} on {host} carries out shard {self._shard}, at least until {at}")

    async def _rows(self, statement: str, *parameters: object) -> list[Any]:
        with postgres_errors(self._place):
            found: list[Any] = await self._pool.fetch(statement, self._run, *parameters)
            return found

    async def stages(self) -> Sequence[int]:
        """Return the stages that steps of the shard have, in order."""
        return [stage for (stage,) in await self._rows(statements.STAGES, self._number)]

    async def containers(self, stage: int) -> Sequence[str]:
        """Return the containers that have steps of `stage` still to send, in the order of their first row."""
        return [name for (name,) in await self._rows(statements.CONTAINERS, self._number, stage)]

    async def pending(self, container: str, stage: int, after: int, limit: int) -> Sequence[Step]:
        """Return up to `limit` steps of `stage` still to send in `container` with `seq > after`, in order."""
        found = await self._rows(statements.PENDING, self._number, container, stage, after, limit)
        return [as_step(*row) for row in found]

    async def doubts(self, states: Collection[State], after: int, limit: int) -> Sequence[Doubt]:
        """Return up to `limit` steps in `states` with `seq > after`, in order."""
        found = await self._rows(statements.DOUBTS, self._number, list(map(str, states)), after, limit)
        return [as_doubt(*row) for row in found]

    async def unbased(self, container: str, stage: int, kinds: Collection[Kind]) -> Mapping[EntityType, int]:
        """Count the steps of `kinds` and `stage` still to send in `container` whose base is not known, by type."""
        wanted = list(map(str, kinds))
        counts = await self._rows(statements.UNBASED, self._number, container, stage, wanted)
        return {EntityType(type_): count for type_, count in counts}

    async def unbased_among(
        self, container: str, stage: int, type_: EntityType, kinds: Collection[Kind], objects: Collection[str]
    ) -> Sequence[Step]:
        """Return those of them that are for `objects` of a type."""
        asked = (container, stage, list(map(str, kinds)), str(type_), list(objects))
        return [as_step(*row) for row in await self._rows(statements.UNBASED_AMONG, self._number, *asked)]

    async def unbased_elsewhere(
        self, container: str, stage: int, type_: EntityType, kinds: Collection[Kind], objects: Collection[str]
    ) -> Sequence[Step]:
        """Return the same of the steps in other shards."""
        asked = (container, stage, list(map(str, kinds)), str(type_), list(objects))
        return [as_step(*row) for row in await self._rows(statements.UNBASED_ELSEWHERE, self._number, *asked)]

    async def lend(self, bases: Mapping[int, Base]) -> None:
        """Let other shards find the bases of their steps; what they know by themselves stays."""
        await self._rows(statements.LEND, _json([_base(base_row(seq, base)) for seq, base in bases.items()]))

    async def reviewed(self) -> bool:
        """Whether any step was reviewed."""
        ((found,),) = await self._rows(statements.ANY_REVIEWED)
        return bool(found)

    async def reviews(self, steps: Collection[int]) -> Mapping[int, Base]:
        """Return what the objects of those of `steps` that were reviewed were then; their bodies are empty."""
        found = await self._rows(statements.REVIEWED, list(steps))
        return {seq: Base(etag, touched(places), b"", guarded=False, name=name) for seq, etag, places, name in found}

    async def ids(self, references: Collection[str]) -> Mapping[tuple[EntityType, str], str]:
        """Return what objects of the source that are made, or were there already, are referred to by in the target."""
        found = await self._rows(statements.IDS, list(references))
        return {(EntityType(type_), source): target for type_, source, target in found}

    async def settled_objects(self, objects: Collection[str]) -> Collection[str]:
        """Return which of `objects` steps of this run have been applied to."""
        return {name for (name,) in await self._rows(statements.SETTLED_OBJECTS, list(objects))}

    async def _keep_lease(self) -> None:
        """Renew the lease when nothing else does."""
        while self._failure is None:
            await asyncio.sleep(self._lease_s / 3)
            if self._failure is None:
                self._growing()

    def _commit(self, batch: Batch) -> Awaitable[None]:
        return self._write_batch(batch)

    async def _write_batch(self, batch: Batch, *, leaving: bool = False) -> None:
        """Write a batch in one transaction. Whatever goes wrong becomes the failure of the ledger."""
        async with self._writing:  # one after the other: a later fact is never there without an earlier one
            if self._failure is not None or not batch.begun:
                return
            await self._try_to_write(batch, leaving=leaving)

    async def _try_to_write(self, batch: Batch, *, leaving: bool) -> None:
        try:
            with postgres_errors(self._place):
                stopped = await self._pool.fetchval(COMMIT_BATCH, *self._arguments(batch), leaving)
        except LedgerFailed as failure:
            self._failure = self._explained(failure)
        except Exception as error:  # noqa: BLE001 (an error of ours must stop the sending as well as one of the database)
            self._failure = fault(self._place, error)
        else:
            if stopped and self.on_stop is not None:
                self.on_stop()

    def _explained(self, failure: LedgerFailed) -> LedgerFailed:
        """Say what the database has refused to write, and why."""
        match getattr(failure.__cause__, "sqlstate", None):
            case commit.TAKEN_OVER:
                hint = "nothing that this process has not sent yet is sent by it any more"
                return LedgerFailed(f"another process has taken over shard {self._shard}", hint)
            case commit.NOT_TAKEN:
                message = f"the ledger {self._place} {failure.__cause__}: somebody else changed it"
                return LedgerFailed(message, "let nothing but migrator write to it")
        return failure

    def _arguments(self, batch: Batch) -> Sequence[object]:
        lists = (
            list(one_a_step(batch.outcomes, attrgetter("seq"))),
            [_base(row) for row in {row[0]: row for row in batch.bases}.values()],
            batch.dismissals,
            batch.intents,
        )
        return self._run, self._number, self._epoch, self._lease_s, *map(_json, lists)


COMMIT_BATCH = "SELECT migrator.commit_batch($1, $2, $3, $4, $5, $6, $7, $8, $9)"

_BASE = ("step", "etag", "touched", "body", "guarded", "name")
"""The columns of the table `base`."""


def _base(row: Sequence[object]) -> Mapping[str, object]:
    return dict(zip(_BASE, row, strict=True))


def _json(records: object) -> str:
    """Spell records as the database takes them."""
    with suppress(UnicodeEncodeError):
        text = msgspec.json.encode(records).decode()
        if "\\u0000" not in text:
            return text
    return msgspec.json.encode(_storable(msgspec.to_builtins(records))).decode()


def _storable(value: Any) -> Any:
    """Spell out what PostgreSQL's text cannot hold: what is no text, and the character that C ends text with."""
    match value:
        case str():
            return str(encodable(value)).replace("\0", "\\0")
        case list():
            return [_storable(one) for one in value]
        case dict():
            return {name: _storable(one) for name, one in value.items()}
    return value
