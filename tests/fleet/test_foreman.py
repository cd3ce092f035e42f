"""Whoever is foreman sees to it that every shard is handed out until it is done."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping

import msgspec
import pytest

from migrator.fleet.database import Pool
from migrator.fleet.foreman import Foreman
from migrator.fleet.ledger import Shard
from migrator.fleet.runs import FleetRuns, Stop
from tests.fleet.conftest import PLACE, Add
from tests.plans import changes
from tests.waiting import holds, soon

REJECT = """
INSERT INTO progress (run, step, state, attempt, request_id, sent_at) VALUES ($1, $2, 'REJECTED', 0, '', 0)
"""


class FakeDispatcher:
    """Keeps what is submitted, and can lose it.

    Attributes:
        submitted: every submission, in order.
        at_hand: the shards that are waiting, by run.
        revived: the workers whose shards were handed out again.
    """

    def __init__(self) -> None:
        self.submitted: list[tuple[Shard, int]] = []
        self.at_hand: dict[str, set[int]] = {}
        self.revived: list[str] = []
        self.changed = asyncio.Event()

    async def submit(self, shards: Mapping[Shard, int]) -> None:
        self.submitted += shards.items()
        for shard in shards:
            self.at_hand.setdefault(shard.run, set()).add(shard.number)
        self.changed.set()

    async def waiting(self, run: str) -> Collection[int]:
        return self.at_hand.get(run, set())

    async def revive(self, workers: Collection[str]) -> int:
        self.revived += workers
        return 0

    async def forget(self, run: str) -> None:
        self.at_hand.pop(run, None)


@pytest.fixture
def dispatcher() -> FakeDispatcher:
    return FakeDispatcher()


@pytest.fixture
def foreman(pool: Pool, runs: FleetRuns, dispatcher: FakeDispatcher) -> Foreman:
    return Foreman(pool, runs, dispatcher, place=PLACE, every_s=0.05, silent_s=10)


async def test_shards_are_submitted_once_while_they_wait(
    foreman: Foreman, dispatcher: FakeDispatcher, add: Add
) -> None:
    run = await add(changes(["a", "b"]), size=1)
    await foreman.look()
    await foreman.look()

    assert dispatcher.submitted == [(Shard(run, 0), 1), (Shard(run, 1), 1)]


async def test_what_the_engine_has_lost_is_submitted_again_until_the_ledger_says_that_it_is_done(
    foreman: Foreman, dispatcher: FakeDispatcher, pool: Pool, add: Add
) -> None:
    run = await add(changes(["a"]))
    await foreman.look()
    dispatcher.at_hand.clear()
    await foreman.look()
    assert dispatcher.submitted == [(Shard(run, 0), 1), (Shard(run, 0), 2)]

    dispatcher.at_hand.clear()
    await pool.execute("UPDATE shard SET done = true")
    await foreman.look()
    assert len(dispatcher.submitted) == 2


async def test_of_a_run_that_was_stopped_nothing_is_submitted(
    foreman: Foreman, dispatcher: FakeDispatcher, runs: FleetRuns, add: Add
) -> None:
    run = await add(changes(["a"]))
    await runs.stop(run, Stop("asked", "enough"))
    await foreman.look()
    assert dispatcher.submitted == []

    await runs.go_on(run)
    await foreman.look()
    assert dispatcher.submitted == [(Shard(run, 0), 1)]


@pytest.mark.parametrize(
    ("allowed", "failed", "stops"), [("1", 1, False), ("1", 2, True), ("50%", 2, True), ("", 3, False)]
)
async def test_a_run_of_which_too_much_fails_over_all_workers_is_stopped(
    foreman: Foreman, runs: FleetRuns, pool: Pool, add: Add, allowed: str, failed: int, stops: bool
) -> None:
    run = await add(changes(["a", "b", "c"]), size=1)
    settings = msgspec.json.encode({"max_failures": allowed}).decode()
    await pool.execute("UPDATE run SET settings = $1", settings)
    for seq in range(2, 2 + failed):
        await pool.execute(REJECT, run, seq)
    await foreman.look()

    stopped = (await runs.standing(run)).stopped
    assert (stopped is not None) is stops
    if stopped:
        assert f"{failed} of 3 requests have failed, and --max-failures allows 1" in stopped.message


async def test_what_a_silent_worker_had_is_handed_out_again_once(
    foreman: Foreman, dispatcher: FakeDispatcher, runs: FleetRuns, pool: Pool
) -> None:
    await runs.heard("alive", "1", 0)
    await runs.heard("dead", "1", 2)
    await pool.execute("UPDATE worker SET heard_at = heard_at - interval '1 minute' WHERE name = 'dead'")
    await foreman.look()
    await foreman.look()

    assert dispatcher.revived == ["dead"]
    assert [worker.name for worker in await runs.workers()] == ["alive"]


async def test_of_two_one_acts_and_the_other_takes_over(pool: Pool, runs: FleetRuns, add: Add) -> None:
    both = [FakeDispatcher(), FakeDispatcher()]
    tasks = [asyncio.create_task(Foreman(pool, runs, one, place=PLACE, every_s=0.05).work()) for one in both]
    await add(changes(["a"]))

    async def acts() -> bool:
        return any(one.submitted for one in both)

    await holds(acts)
    acting = next(number for number, one in enumerate(both) if one.submitted)
    idle = both[1 - acting]
    assert idle.submitted == []

    tasks[acting].cancel()
    await asyncio.wait([tasks[acting]])
    await soon(idle.changed.wait())
    tasks[1 - acting].cancel()
    await asyncio.wait(tasks)
