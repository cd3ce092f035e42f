"""A shard is carried out by one process at a time."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from migrator.core.errors import LedgerFailed, Stopped
from migrator.core.model import Base, EntityType, Kind
from migrator.core.states import State
from migrator.fleet.database import Pool
from migrator.fleet.ledger import Shard, ShardLedger, ShardTaken
from migrator.fleet.runs import FleetRuns, Stop
from migrator.ports import Intent, Outcome
from tests.fleet.conftest import PLACE, Add
from tests.plans import changes, failing, written
from tests.waiting import holds, soon


def ledger(pool: Pool, shard: Shard, owner: str, *, lease_s: float = 60.0, grace_s: float = 0.0) -> ShardLedger:
    return ShardLedger(pool, shard, place=PLACE, lease_s=lease_s, good_s=lease_s / 2, grace_s=grace_s, owner=owner)


async def expire(pool: Pool, ago_s: float) -> None:
    await pool.execute("UPDATE shard SET expires_at = clock_timestamp() - make_interval(secs => $1)", ago_s)


async def test_nobody_takes_a_shard_that_somebody_else_has(pool: Pool, add: Add) -> None:
    shard = Shard(await add(changes(["dev"])), 0)
    async with ledger(pool, shard, "host-a 1"):
        with pytest.raises(ShardTaken, match="process 1 on host-a carries out shard a-run/0, at least until 20"):
            await ledger(pool, shard, "host-b 2").__aenter__()


async def test_a_shard_that_was_left_can_be_taken_at_once(pool: Pool, add: Add) -> None:
    shard = Shard(await add(changes(["dev"])), 0)
    async with ledger(pool, shard, "host-a 1"):
        pass
    async with ledger(pool, shard, "host-b 2", grace_s=3_600):
        pass


async def test_a_shard_is_taken_over_when_its_lease_and_the_time_of_a_request_are_over(pool: Pool, add: Add) -> None:
    shard = Shard(await add(changes(["dev", "dev"])), 0)
    async with failing(ledger(pool, shard, "host-a 1")) as paused:
        await soon(written(paused, Intent(2, 1, "request", 1.5)))
        await expire(pool, ago_s=5)
        with pytest.raises(ShardTaken):
            await ledger(pool, shard, "host-b 2", grace_s=10).__aenter__()

        async with ledger(pool, shard, "host-b 2", grace_s=4) as successor:
            (doubt,) = await successor.doubts([State.DOUBT], 0, 9)
            assert doubt.step.seq == 2
            with pytest.raises(LedgerFailed, match="another process has taken over shard a-run/0"):
                await soon(written(paused, Intent(3, 1, "request", 1.5)))


async def test_a_process_may_take_again_what_it_has_lost(pool: Pool, add: Add) -> None:
    shard = Shard(await add(changes(["dev"])), 0)
    async with failing(ledger(pool, shard, "host-a 1")) as first, ledger(pool, shard, "host-a 1"):
        with pytest.raises(LedgerFailed):
            await soon(written(first, Intent(2, 1, "request", 1.5)))


async def test_a_lease_is_renewed_while_there_is_nothing_to_write(pool: Pool, add: Add) -> None:
    shard = Shard(await add(changes(["dev"])), 0)
    async with ledger(pool, shard, "host-a 1", lease_s=0.3):
        before = await pool.fetchval("SELECT expires_at FROM shard")
        await holds(lambda: pool.fetchval("SELECT expires_at > $1 FROM shard", before))


async def test_who_writes_is_told_that_the_run_was_stopped_and_may_still_write(pool: Pool, add: Add) -> None:
    shard = Shard(await add(changes(["dev"])), 0)
    told = asyncio.Event()
    async with ledger(pool, shard, "host-a 1") as open_:
        open_.on_stop = told.set
        await soon(written(open_, Intent(2, 1, "request", 1.5)))
        assert not told.is_set()
        await FleetRuns(pool, PLACE).stop(shard.run, Stop("asked", "enough"))
        open_.record(Outcome(2, State.APPLIED, 2.5))
        await soon(open_.flush())
        assert told.is_set()
    assert await pool.fetchval("SELECT state FROM progress") == "APPLIED"


@pytest.mark.parametrize(
    ("state", "held", "done"),
    [
        (State.APPLIED, False, True),
        (State.REJECTED, False, True),
        (State.DOUBT, False, False),
        (State.PENDING, False, False),
        (State.PENDING, True, True),
    ],
)
async def test_a_shard_is_done_when_there_is_nothing_left_to_do_about_it(
    pool: Pool, add: Add, state: State, held: bool, done: bool
) -> None:
    shard = Shard(await add(changes(["dev"])), 0)
    async with ledger(pool, shard, "host-a 1") as open_:
        await soon(written(open_, Intent(2, 1, "request", 1.5)))
        open_.record(Outcome(2, state, 2.5))
        await soon(open_.flush())
        if held:
            await pool.execute("INSERT INTO held VALUES ($1, 2)", shard.run)
    assert await pool.fetchval("SELECT done FROM shard") is done


async def test_a_shard_that_is_not_there_cannot_be_taken(pool: Pool) -> None:
    with pytest.raises(Stopped, match="there is no shard nowhere/0"):
        await ledger(pool, Shard("nowhere", 0), "host-a 1").__aenter__()


@pytest.mark.parametrize(
    ("said", "kept"), [("a\0b", "a\\0b"), ("\udcff", "\\udcff"), ("\\u0000 Ä\u2028", "\\u0000 Ä\u2028")]
)
async def test_what_the_database_cannot_hold_is_spelled_out(pool: Pool, add: Add, said: str, kept: str) -> None:
    shard = Shard(await add(changes(["dev"])), 0)
    async with ledger(pool, shard, "host-a 1") as open_:
        await soon(written(open_, Intent(2, 1, "request", 1.5)))
        open_.record(Outcome(2, State.REJECTED, 2.5, 400, "validation", said))
    assert await pool.fetchval("SELECT message FROM progress") == kept


BASE = Base(7, None, b'{"lent":true}', guarded=True)


async def test_a_base_is_lent_to_whoever_carries_out_the_step(pool: Pool, add: Add) -> None:
    run = await add(changes(["a", "b", "c"]), size=1)  # each a shard of its own
    asked = (0, EntityType.PERSONALIZED_OFFER, [Kind.PATCH], ["offer-2", "offer-3", "offer-4"])
    async with ledger(pool, Shard(run, 0), "host-a 1") as ours, ledger(pool, Shard(run, 1), "host-b 2") as theirs:
        assert [step.seq for step in await ours.unbased_elsewhere("b", *asked)] == [3]
        assert list(await ours.unbased_elsewhere("a", *asked)) == []
        await ours.lend({3: BASE, 4: BASE})
        (step,) = await theirs.pending("b", 0, 0, 9)
        assert (step.based, step.etag, step.body) == (True, 7, BASE.body)
        assert list(await ours.unbased_elsewhere("b", *asked)) == []


async def test_what_is_lent_changes_nothing_for_a_step_that_has_a_base_or_was_begun(pool: Pool, add: Add) -> None:
    run = await add(changes(["a", "b", "b"]), size=1)
    own = msgspec.structs.replace(BASE, etag=8)
    async with ledger(pool, Shard(run, 0), "host-a 1") as ours, ledger(pool, Shard(run, 1), "host-b 2") as theirs:
        theirs.keep(3, own)
        await theirs.flush()
        await soon(written(theirs, Intent(4, 1, "request", 1.5)))
        await ours.lend({3: BASE, 4: BASE})
    assert [tuple(row) for row in await pool.fetch("SELECT step, etag FROM base")] == [(3, 8)]
