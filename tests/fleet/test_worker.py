"""What a worker does with a shard that it is handed, whatever becomes of it."""

from __future__ import annotations

import asyncio

import pytest

from migrator.core.errors import LedgerFailed, MigratorError, ServiceRefused, Stopped, UsageError
from migrator.fleet import worker as worker_module
from migrator.fleet.database import LedgerAway
from migrator.fleet.ledger import Shard, ShardTaken
from migrator.fleet.runs import FleetRuns, Stop
from migrator.fleet.worker import Worker
from tests.fleet.conftest import Add
from tests.plans import changes
from tests.waiting import holds, soon


class Attempts:
    """Carries a shard out the way that it is told, one way after the other, and then well.

    Attributes:
        made: the shards, in order.
    """

    def __init__(self, *errors: MigratorError) -> None:
        self.made: list[Shard] = []
        self._errors = list(errors)

    async def carry_out(self, shard: Shard) -> None:
        self.made.append(shard)
        await asyncio.sleep(0)
        if self._errors:
            raise self._errors.pop(0)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "AGAIN_S", 0.01)


@pytest.mark.parametrize("error", [ShardTaken("somebody has it"), LedgerAway("the database is away")])
async def test_what_will_pass_is_waited_for(runs: FleetRuns, add: Add, error: MigratorError) -> None:
    shard = Shard(await add(changes(["a"])), 0)
    attempts = Attempts(error, error)

    await soon(Worker(runs, "me", attempts.carry_out).handle(shard))

    assert attempts.made == [shard] * 3
    assert (await runs.standing(shard.run)).stopped is None


async def test_a_shard_that_somebody_has_taken_over_is_let_go(runs: FleetRuns, add: Add) -> None:
    shard = Shard(await add(changes(["a"])), 0)
    attempts = Attempts(LedgerFailed("taken over"))

    await soon(Worker(runs, "me", attempts.carry_out).handle(shard))

    assert attempts.made == [shard]
    assert (await runs.standing(shard.run)).stopped is None


@pytest.mark.parametrize(("error", "why"), [(ServiceRefused, "refused"), (Stopped, "stopped"), (UsageError, "usage")])
async def test_what_ends_one_shard_for_good_stops_the_run_for_all(
    runs: FleetRuns, add: Add, error: type[MigratorError], why: str
) -> None:
    shard = Shard(await add(changes(["a"])), 0)

    await soon(Worker(runs, "me", Attempts(error("it says no", "ask")).carry_out).handle(shard))

    assert (await runs.standing(shard.run)).stopped == Stop(why, "it says no", "ask")  # type: ignore[arg-type]


async def test_a_shard_that_is_handed_out_twice_is_carried_out_once_at_a_time(runs: FleetRuns) -> None:
    attempts = Attempts()
    worker = Worker(runs, "me", attempts.carry_out)

    await soon(asyncio.gather(worker.handle(Shard("a", 0)), worker.handle(Shard("a", 0)), worker.handle(Shard("a", 1))))

    assert sorted(attempts.made, key=str) == [Shard("a", 0), Shard("a", 1)]


async def test_a_worker_that_stops_takes_nothing_and_waits_for_what_it_has(runs: FleetRuns) -> None:
    going, may_end = asyncio.Event(), asyncio.Event()

    async def carry_out(_: Shard) -> None:
        going.set()
        await may_end.wait()

    worker = Worker(runs, "me", carry_out)
    work = asyncio.create_task(worker.handle(Shard("a", 0)))
    await soon(going.wait())
    worker.stop()
    idle = asyncio.create_task(worker.idle())
    await asyncio.sleep(0)
    assert not idle.done()

    may_end.set()
    await soon(asyncio.gather(work, idle))
    going.clear()
    await soon(worker.handle(Shard("a", 1)))
    assert not going.is_set()


async def test_a_worker_is_heard_of(runs: FleetRuns) -> None:
    beating = asyncio.create_task(Worker(runs, "host 7", Attempts().carry_out).be_heard())
    await holds(runs.workers)
    beating.cancel()
    await asyncio.wait([beating])

    assert [worker.name for worker in await runs.workers()] == ["host 7"]
