"""The runs of the fleet: which there are, where each stands, why one was stopped, and who works.

Every question here is one statement, answered by the database as it is at that moment.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct

from migrator.core.errors import MigratorError, ServiceRefused, Stopped, UsageError
from migrator.core.model import EntityType
from migrator.core.states import FINE, OPEN, State
from migrator.core.verdict import ErrorClass
from migrator.fleet.database import Connection, Pool, postgres_errors
from migrator.fleet.ledger import Shard
from migrator.fleet.moments import LimitOf, key_of, rate_of
from migrator.fleet.schema import PARTITIONED
from migrator.ledger.history import Refusal
from migrator.ledger.reading import Summary
from migrator.ledger.records import RunRecord

_OPEN = ", ".join(f"'{state}'" for state in sorted(OPEN))

Why = Literal["refused", "stopped", "usage", "asked"]


class Stop(Struct, frozen=True):
    """Why nobody is to go on with a run now.

    Attributes:
        why: the service refused it, patience or a limit was at its end, no worker can do it, or somebody asked.
        message: what happened.
        hint: what to do.
    """

    why: Why
    message: str
    hint: str = ""

    def error(self) -> MigratorError:
        """Return what the process that watches the run ends with."""
        kinds: Mapping[Why, type[MigratorError]] = {"refused": ServiceRefused, "stopped": Stopped, "usage": UsageError}
        return kinds.get(self.why, Stopped)(self.message, self.hint)


def stop_of(error: MigratorError) -> Stop:
    """Return how a run is stopped that ended a worker's part of it with `error`."""
    why: Why = (
        "refused" if isinstance(error, ServiceRefused) else "usage" if isinstance(error, UsageError) else "stopped"
    )
    return Stop(why, str(error), error.hint)


class Standing(Struct, frozen=True):
    """Where a run stands.

    Attributes:
        run: its id.
        rows: input rows by state.
        shards: how many it has.
        done: how many of them there is nothing left to do about.
        at_work: how many somebody works on now.
        stopped: why nobody is to go on with it now, or `None`.
        limits: those that it has, as far as a worker has asked for them; not those of single containers.
    """

    run: str
    rows: Mapping[State, int]
    shards: int
    done: int
    at_work: int
    stopped: Stop | None
    limits: Sequence[LimitUse] = ()

    @property
    def settled(self) -> int:
        """How many rows there is nothing left to do about by itself."""
        return sum(count for state, count in self.rows.items() if state not in OPEN)

    @property
    def over(self) -> bool:
        """Whether nobody works on it any more, and nobody will by itself."""
        return self.at_work == 0 and (self.stopped is not None or self.done == self.shards)


class LimitUse(Struct, frozen=True):
    """How much of a limit is used, by all runs and workers that have it.

    Attributes:
        key: whose, and of what.
        rate: requests a second that it allows.
        sent: requests so far. A worker tells of its own with each reservation.
        paused_s: for how long nobody is to send, 0 if that is not so.
    """

    key: str
    rate: float
    sent: int
    paused_s: float


class SameObjects(Struct, frozen=True):
    """Objects that two runs are about.

    Attributes:
        run: the other one, which is not over.
        count: how many of its steps are still to be sent to them.
        first: the id of one.
    """

    run: str
    count: int
    first: str


class Worker(Struct, frozen=True):
    """A process that carries shards out.

    Attributes:
        name: host and process id.
        version: of migrator.
        shards: how many it has now.
        silent_s: for how long it has not been heard of.
    """

    name: str
    version: str
    shards: int
    silent_s: float


STANDING = """
SELECT count(*), count(*) FILTER (WHERE done), count(*) FILTER (WHERE expires_at > clock_timestamp() AND NOT done)
FROM shard WHERE run = $1
"""

LIMITS = """
SELECT key, gap_s, sent, greatest(extract(epoch FROM paused_until - clock_timestamp()), 0)::double precision
FROM permits WHERE key = ANY($1::text[]) ORDER BY key
"""

ROWS = f"""
SELECT coalesce(p.state, '{State.PENDING}'), count(*)
FROM input_row AS i LEFT JOIN progress AS p ON p.run = $1 AND p.step = i.step WHERE i.run = $1 GROUP BY 1
"""

STEPS = f"""
SELECT coalesce(p.state, '{State.PENDING}'), count(*)
FROM step AS s LEFT JOIN progress AS p ON p.run = $1 AND p.step = s.seq WHERE s.run = $1 GROUP BY 1
"""

FAILURES = f"""
SELECT count(*), (SELECT steps FROM run WHERE id = $1)
FROM progress WHERE run = $1 AND state IN ('{State.REJECTED}', '{State.UNRESOLVED}')
"""

SPAN = """
SELECT coalesce(sum(attempt - coalesce(unsent, 0)), 0)::bigint,
       count(*) FILTER (WHERE attempt > coalesce(unsent, 0)),
       min(sent_at) FILTER (WHERE attempt > 0), max(ended_at)
FROM progress LEFT JOIN (
    SELECT step, count(*) AS unsent FROM attempt WHERE run = $1 AND error_class = '' GROUP BY step
) AS taken_back USING (step)
WHERE run = $1
"""

LAST_ERROR = f"""
SELECT message FROM progress WHERE run = $1 AND state <> '{State.APPLIED}' AND error_class <> ''
ORDER BY ended_at DESC LIMIT 1
"""

DRIFTED = f"""
SELECT count(*) FROM input_row AS i JOIN progress AS p ON p.run = $1 AND p.step = i.step
WHERE i.run = $1 AND p.state = '{State.REJECTED}' AND p.error_class = '{ErrorClass.DRIFTED}'
"""

HELD = "SELECT count(*) FROM held AS h JOIN input_row AS i ON i.run = $1 AND i.step = h.step WHERE h.run = $1"

REFUSALS = f"""
SELECT p.error_class, p.http_status, p.message, p.state, count(*), min(i.line),
       (array_agg(s.type ORDER BY i.line))[1], (array_agg(coalesce(nullif(s.object, ''), p.object) ORDER BY i.line))[1]
FROM input_row AS i JOIN progress AS p ON p.run = $1 AND p.step = i.step
JOIN step AS s ON s.run = $1 AND s.seq = i.step
WHERE i.run = $1 AND p.error_class <> '' AND p.state NOT IN ({", ".join(f"'{state}'" for state in sorted(FINE))})
GROUP BY 1, 2, 3, 4
"""

RECORD = f"SELECT {', '.join(RunRecord.__struct_fields__)} FROM run WHERE id = $1"

NEXT = """
UPDATE shard SET submitted = submitted + 1
WHERE run = $1 AND NOT done AND number <> ALL($2::integer[])
  AND stage = (SELECT min(stage) FROM shard WHERE run = $1 AND NOT done)
RETURNING number, submitted
"""
"""A stage begins when all of the stages before it are done: what it makes may refer to what they have made."""

SAME_OBJECTS = f"""
SELECT b.run, count(*), min(a.object)
FROM step AS a
JOIN step AS b ON b.run <> $1 AND b.object = a.object AND b.type = a.type
JOIN run AS r ON r.id = b.run
JOIN container AS c ON c.run = $1 AND c.id = a.container
JOIN container AS d ON d.run = b.run AND d.id = b.container AND d.name = c.name
LEFT JOIN progress AS p ON p.run = b.run AND p.step = b.seq
WHERE a.run = $1 AND a.object <> '' AND coalesce(p.state, '{State.PENDING}') IN ({_OPEN})
GROUP BY b.run ORDER BY b.run LIMIT 1
"""


class FleetRuns:
    """The runs in one database."""

    def __init__(self, pool: Pool, place: str) -> None:
        """Ask through `pool`; `place` names the database in messages."""
        self._pool = pool
        self._place = place

    async def _rows(self, statement: str, *parameters: object) -> Sequence[Any]:
        with postgres_errors(self._place):
            found: Sequence[Any] = await self._pool.fetch(statement, *parameters)
            return found

    async def _do(self, statement: str, *parameters: object) -> int:
        """Write, and return how many rows that changed."""
        with postgres_errors(self._place):
            status = await self._pool.execute(statement, *parameters)
            return int(status.rpartition(" ")[2])

    async def all(self) -> Sequence[str]:
        """Return the ids of all runs, oldest first."""
        return [run for (run,) in await self._rows("SELECT id FROM run ORDER BY created_at, id")]

    async def find(self, run: str | None) -> str:
        """Return the id of `run`, or of the newest one for `None`.

        Raises:
            UsageError: there is none.
        """
        runs = await self.all()
        if run is None and runs:
            return runs[-1]
        if run in runs:
            return str(run)
        missing = f"there is no run {run} in {self._place}" if run else f"there is no run in {self._place}"
        raise UsageError(missing, "`migrator runs` lists those there are" if run else "begin one with `migrator apply`")

    async def open(self) -> Sequence[str]:
        """Return the runs that somebody is to go on with, oldest first."""
        found = await self._rows(
            """SELECT id FROM run WHERE stopped = '' AND EXISTS (
                   SELECT 1 FROM shard WHERE shard.run = run.id AND NOT done
               ) ORDER BY created_at, id"""
        )
        return [run for (run,) in found]

    async def settings(self, run: str) -> str:
        """Return what a run was planned with, as `RunRecord.settings` has it."""
        ((settings,),) = await self._rows("SELECT settings FROM run WHERE id = $1", run)
        return str(settings)

    async def fingerprint(self, run: str) -> str:
        """Return what a run is about, as `RunRecord.fingerprint` has it."""
        ((fingerprint,),) = await self._rows("SELECT fingerprint FROM run WHERE id = $1", run)
        return str(fingerprint)

    async def about(self, fingerprint: str) -> str | None:
        """Return the newest run that did, or began, exactly what a plan of that fingerprint would do again."""
        found = await self._rows(
            "SELECT id FROM run WHERE fingerprint = $1 ORDER BY created_at DESC, id DESC LIMIT 1", fingerprint
        )
        return str(found[0][0]) if found else None

    async def failures(self, run: str) -> tuple[int, int]:
        """Return how many steps of a run have failed, and how many it has."""
        ((failed, steps),) = await self._rows(FAILURES, run)
        return int(failed), int(steps)

    async def standing(self, run: str) -> Standing:
        """Return where a run stands."""
        ((shards, done, at_work),) = await self._rows(STANDING, run)
        rows = {State(state): count for state, count in await self._rows(ROWS, run)}
        ((stopped,),) = await self._rows("SELECT stopped FROM run WHERE id = $1", run)
        stop = msgspec.json.decode(stopped, type=Stop) if stopped else None
        return Standing(run, rows, shards, done, at_work, stop, await self._limits(run))

    async def _limits(self, run: str) -> Sequence[LimitUse]:
        settings = msgspec.json.decode(await self.settings(run))
        shared: tuple[LimitOf, ...] = ("rate", "write_rate")
        keys = [key_of(limit, settings.get("org_id", ""), settings.get("client_id", "")) for limit in shared]
        found = await self._rows(LIMITS, keys)
        return [LimitUse(key, round(rate_of(gap_s), 6), sent, paused_s) for key, gap_s, sent, paused_s in found]

    async def summary(self, run: str) -> tuple[Summary, Sequence[Refusal]]:
        """Count a run, and what its rows were told, as is done with a file; all of it at one moment."""
        one_moment = {"isolation": "repeatable_read", "readonly": True}
        with postgres_errors(self._place):
            async with self._pool.acquire() as connection, connection.transaction(**one_moment):
                return await _summary(connection, run), await _refusals(connection, run)

    async def stop(self, run: str, stop: Stop) -> None:
        """Let nobody go on with a run. The first reason stays."""
        reason = msgspec.json.encode(stop).decode()
        await self._do("UPDATE run SET stopped = $2 WHERE id = $1 AND stopped = ''", run, reason)

    async def go_on(self, run: str, settings: str = "{}") -> None:
        """Let the workers go on with a run, with what was held back too.

        Args:
            run: its id.
            settings: those that are others from now on, as `RunRecord.settings` has them.
        """
        await self._do("DELETE FROM held WHERE run = $1", run)
        await self._do(REOPEN, run)
        change = "UPDATE run SET stopped = '', settings = (settings::jsonb || $2::jsonb)::text WHERE id = $1"
        await self._do(change, run, settings)

    async def next(self, run: str, waiting: Collection[int]) -> Mapping[Shard, int]:
        """Take note that the shards of the stage a run is in are submitted once more, but for those that are `waiting`.

        Returns:
            Those shards, each with how often it has been submitted now.
        """
        found = await self._rows(NEXT, run, list(waiting))
        return {Shard(run, number): submitted for number, submitted in found}

    async def same_objects(self, run: str) -> SameObjects | None:
        """Return another run that is still to change objects that `run` changes, if there is one."""
        found = await self._rows(SAME_OBJECTS, run)
        return SameObjects(*found[0]) if found else None

    async def drop(self, run: str) -> None:
        """Forget a run and all that is known of it."""
        with postgres_errors(self._place):
            async with self._pool.acquire() as connection, connection.transaction():
                await _drop(connection, run)

    # Workers

    async def heard(self, name: str, version: str, shards: int) -> None:
        """Note that a worker is there."""
        await self._do(
            """INSERT INTO worker VALUES ($1, $2, clock_timestamp(), clock_timestamp(), $3)
               ON CONFLICT (name) DO UPDATE SET heard_at = excluded.heard_at, shards = excluded.shards""",
            name,
            version,
            shards,
        )

    async def workers(self) -> Sequence[Worker]:
        """Return the workers that were heard of, the most recent first."""
        found = await self._rows(
            """SELECT name, version, shards, extract(epoch FROM clock_timestamp() - heard_at)::double precision
               FROM worker ORDER BY heard_at DESC"""
        )
        return [Worker(*row) for row in found]

    async def left(self, names: Collection[str]) -> None:
        """Forget workers."""
        await self._do("DELETE FROM worker WHERE name = ANY($1::text[])", list(names))


REOPEN = f"""
UPDATE shard SET done = false WHERE run = $1 AND done AND EXISTS (
    SELECT 1 FROM step AS s LEFT JOIN progress AS p ON p.run = $1 AND p.step = s.seq
    WHERE s.run = $1 AND s.shard = shard.number AND coalesce(p.state, '{State.PENDING}') IN ({_OPEN})
)
"""


async def _summary(connection: Connection, run: str) -> Summary:
    record = RunRecord(*await connection.fetchrow(RECORD, run))
    rows, steps = await _counts(connection, ROWS, run), await _counts(connection, STEPS, run)
    attempts, tried, first, last = await connection.fetchrow(SPAN, run)
    return Summary(
        record,
        rows,
        steps,
        attempts,
        tried,
        first,
        last,
        await connection.fetchval(LAST_ERROR, run) or "",
        await connection.fetchval(DRIFTED, run) if record.plan else 0,
        await connection.fetchval(HELD, run),
    )


async def _refusals(connection: Connection, run: str) -> Sequence[Refusal]:
    return [
        Refusal(error, status, message, State(state), rows, line, EntityType(type_), object_)
        for error, status, message, state, rows, line, type_, object_ in await connection.fetch(REFUSALS, run)
    ]


async def _counts(connection: Connection, query: str, run: str) -> Mapping[State, int]:
    return {State(state): count for state, count in await connection.fetch(query, run)}


async def _drop(connection: Connection, run: str) -> None:
    number = await connection.fetchval("DELETE FROM run WHERE id = $1 RETURNING number", run)
    for table in PARTITIONED if number is not None else ():
        await connection.execute(f"DROP TABLE {table}_{number}")
