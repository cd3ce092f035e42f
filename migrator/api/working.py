"""Working for a fleet: shards carried out by the engine's loop, as a whole run is on one machine.

It needs the extra `fleet`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from typing import TypeAlias

import msgspec
from msgspec import Struct

from migrator.api.executing import always
from migrator.api.fleet import stated_rate, url_of
from migrator.api.service import caller_of, transport_of
from migrator.api.target import as_begun
from migrator.clock import SystemClock
from migrator.core.limits import Share
from migrator.core.styles import STYLES
from migrator.engine import Decision, Engine, Tally
from migrator.fleet.database import Pool, connected, where
from migrator.fleet.dbos import Dbos
from migrator.fleet.foreman import Foreman
from migrator.fleet.ledger import Shard, ShardLedger
from migrator.fleet.limiter import FleetThrottle, Lanes
from migrator.fleet.moments import Limit, LimitOf, key_of
from migrator.fleet.runs import FleetRuns
from migrator.fleet.worker import Worker
from migrator.ledger.lease import this_process
from migrator.ports import Transport
from migrator.settings import Settings


class Working(Struct, frozen=True):
    """A worker that is at work: what a caller may look at and do.

    Attributes:
        name: of this worker among all.
        stop: stops it cleanly.
        crew: its tallies say what has been done.
    """

    name: str
    stop: Callable[[], None]
    crew: Crew


Around: TypeAlias = Callable[[Working], AbstractAsyncContextManager[None]]


async def work(settings: Settings, *, at_once: int, around: Around) -> None:
    """Be a worker until told to stop: take shards, and carry them out.

    Args:
        settings: name the fleet, and say where the secrets are. What shapes requests is each run's own.
        at_once: shards at a time.
        around: makes the context in which shards are carried out, from the means to look on and to stop.

    Raises:
        LedgerFailed: the database cannot be reached, or refuses us.
        UsageError: it has tables of another version, or none is named.
    """
    url, name = url_of(settings), this_process()
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(connected(url))
        runs = FleetRuns(pool, where(url))
        crew = Crew(pool, where(url), runs, name)
        worker = Worker(runs, name, crew.carry_out)
        dispatcher = await stack.enter_async_context(Dbos(url, name, worker.handle, at_once=at_once))
        foreman = Foreman(pool, runs, dispatcher, place=where(url))
        tasks = [asyncio.create_task(worker.be_heard()), asyncio.create_task(foreman.work())]
        stopped = asyncio.Event()

        def stop() -> None:
            worker.stop()
            crew.stop()
            stopped.set()

        try:
            async with around(Working(name, stop, crew)):
                await stopped.wait()
                await worker.idle()
        finally:
            await _ended(tasks)
            await runs.left([name])


def sum_of(tallies: Iterable[Tally]) -> Tally:
    """Add up what is counted; of what is not, the last word stays."""
    total = Tally()
    for tally in tallies:
        total.requests += tally.requests
        total.retries += tally.retries
        total.reads += tally.reads
        total.applied += tally.applied
        total.unchanged += tally.unchanged
        total.rejected += tally.rejected
        total.in_doubt += tally.in_doubt
        total.unresolved += tally.unresolved
        total.in_flight += tally.in_flight
        total.last_error = tally.last_error or total.last_error
    return total


async def _ended(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


class Way:
    """The way to the service that all shards of a run share in this process.

    Attributes:
        settings: of the run.
        transport: sends.
        lanes: the limits.
        users: how many shards are on it.
    """

    def __init__(self, settings: Settings, transport: Transport, lanes: Lanes, stack: AsyncExitStack) -> None:
        """Begin with nobody on it; `stack` closes it."""
        self.settings = settings
        self.transport = transport
        self.lanes = lanes
        self.users = 0
        self.stack = stack


class Crew:
    """Carries shards out."""

    def __init__(self, pool: Pool, place: str, runs: FleetRuns, name: str) -> None:
        """Prepare to carry shards out as the worker called `name`; `place` names the database in messages."""
        self._pool = pool
        self._place = place
        self._runs = runs
        self._name = name
        self._engines: set[Engine] = set()
        self._ended = Tally()
        self._ways: dict[str, Way] = {}
        self._opening = asyncio.Lock()

    @property
    def shards(self) -> int:
        """How many shards are at work now."""
        return len(self._engines)

    @property
    def tally(self) -> Tally:
        """What has been done since this worker began, in all shards together."""
        return sum_of([self._ended, *(engine.tally for engine in self._engines)])

    @property
    def rates(self) -> Mapping[str, float]:
        """Requests a second that the limits of the runs at work allow to all workers together, by key."""
        return {key: rate for way in self._ways.values() for key, rate in way.lanes.rates.items()}

    @property
    def paused_s(self) -> float:
        """For how long a run at work is paused; 0 if none is."""
        return max((way.lanes.paused_s for way in self._ways.values()), default=0.0)

    def stop(self) -> None:
        """Stop cleanly what is at work: what is in flight is answered and recorded."""
        for engine in self._engines:
            engine.stop()

    async def carry_out(self, shard: Shard) -> None:
        """Do all of a shard that can be done.

        Raises:
            ShardTaken: somebody else has it.
            MigratorError: it, or its run, cannot go on now.
        """
        async with self._way(shard.run) as way, self._taken(shard, way.settings) as ledger:
            engine = self._engine(ledger, way)
            ledger.on_stop = engine.stop
            self._engines.add(engine)
            try:
                await engine.run()
            finally:
                self._engines.discard(engine)
                self._ended = sum_of([self._ended, engine.tally])

    @asynccontextmanager
    async def _way(self, run: str) -> AsyncIterator[Way]:
        """Share the way of a run with all its shards that are at work here; the last one closes it."""
        async with self._opening:
            way = self._ways.get(run) or await self._open(run)
            self._ways[run] = way
            way.users += 1
        try:
            yield way
        finally:
            way.users -= 1
            if way.users == 0:
                del self._ways[run]
                await way.stack.aclose()

    async def _open(self, run: str) -> Way:
        settings = as_begun(await self._runs.settings(run), f"run {run}")
        async with AsyncExitStack() as stack:
            transport = await stack.enter_async_context(transport_of(settings))
            lanes = self._lanes(settings)
            stack.push_async_callback(lanes.close)
            return Way(settings, transport, lanes, stack.pop_all())
        raise AssertionError  # pragma: no cover (a stack swallows nothing)

    def _lanes(self, settings: Settings) -> Lanes:
        """Return the limits that hold for an API key, and for each container, on all hosts."""

        def limit(what: LimitOf, rate: float) -> Limit | None:
            return Limit(key_of(what, settings.org_id, settings.client_id), rate) if rate else None

        return Lanes(
            self._pool,
            self._place,
            rate=limit("rate", stated_rate(settings)),
            write_rate=limit("write_rate", settings.write_rate),
            container_rate=limit("container_rate", settings.container_rate),
        )

    def _taken(self, shard: Shard, settings: Settings) -> ShardLedger:
        return ShardLedger(
            self._pool,
            shard,
            place=self._place,
            lease_s=settings.good_s + settings.timeout,
            good_s=settings.good_s,
            grace_s=settings.timeout,
            owner=self._name,
        )

    def _engine(self, ledger: ShardLedger, way: Way) -> Engine:
        settings = way.settings
        return Engine(
            ledger=ledger,
            transport=way.transport,
            throttle=FleetThrottle(way.lanes),
            clock=SystemClock(),
            style=STYLES[settings.style],
            caller=caller_of(settings),
            policy=settings.policy,
            concurrency=settings.concurrency,
            per_container=settings.container_concurrency,
            guard=settings.guard,
            bounds=settings.bounds,
            # What all workers together may fail is minded by the foreman.
            limits=msgspec.structs.replace(settings.limits, max_failures=Share()),
            decide=always(Decision(settings.on_doubt)),
        )
