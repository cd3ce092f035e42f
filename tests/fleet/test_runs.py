"""What the database says of the runs in it, and what it is told."""

from __future__ import annotations

import pytest

from migrator.core.errors import ServiceRefused, UsageError
from migrator.core.model import Change, EntityType, Kind
from migrator.core.states import State
from migrator.fleet.database import Pool
from migrator.fleet.ledger import Shard
from migrator.fleet.limiter import FleetThrottle, Lanes
from migrator.fleet.moments import Limit, key_of
from migrator.fleet.runs import FleetRuns, Stop
from tests.fleet.conftest import PLACE, Add
from tests.plans import change, changes
from tests.waiting import holds

DELETES = [Change(line, f"{line}", EntityType.TAG, f"tag-{line}", Kind.DELETE) for line in (20, 21)]


async def settle(pool: Pool, run: str, number: int, *, settled: bool = True) -> None:
    """Let a shard be done, with all of its steps applied."""
    await pool.execute("UPDATE shard SET done = true WHERE run = $1 AND number = $2", run, number)
    if settled:
        await pool.execute(
            """INSERT INTO progress (run, step, state, attempt, request_id, sent_at)
               SELECT run, seq, 'INTENT', 1, '', 0 FROM step WHERE run = $1 AND shard = $2""",
            run,
            number,
        )
        await pool.execute("UPDATE progress SET state = 'APPLIED' WHERE run = $1 AND state = 'INTENT'", run)


async def test_a_run_shows_how_much_of_its_limits_is_used(runs: FleetRuns, pool: Pool, add: Add) -> None:
    run = await add(changes(["a"]))
    await pool.execute("""UPDATE run SET settings = '{"org_id": "o", "client_id": "ours"}'""")
    assert (await runs.standing(run)).limits == []
    another, rate = (Limit(key_of("rate", "o", client), 8.0) for client in ("another", "ours"))
    for limit in (another, rate):
        throttle = FleetThrottle(Lanes(pool, PLACE, rate=limit, write_rate=None, container_rate=None))
        for _ in range(3):  # the last one tells of those before it
            await throttle.permit("dev")
            throttle.sent("dev")

    (shown,) = (await runs.standing(run)).limits
    assert (shown.key, shown.rate, shown.sent >= 1, shown.paused_s) == (rate.key, 8.0, True, 0.0)
    throttle.pause(60, "HTTP 429")
    await holds(lambda: pool.fetchval("SELECT paused_until > clock_timestamp() FROM permits WHERE key = $1", rate.key))
    assert (await runs.standing(run)).limits[0].paused_s > 30


async def test_a_stage_is_handed_out_when_all_before_it_is_done(runs: FleetRuns, pool: Pool, add: Add) -> None:
    run = await add([*changes(["a", "b", "c"]), *DELETES], size=1)

    first = await runs.next(run, [])
    assert first == {Shard(run, 0): 1, Shard(run, 1): 1, Shard(run, 2): 1}
    await settle(pool, run, 0)
    await settle(pool, run, 2)
    assert await runs.next(run, [1]) == {}
    assert await runs.next(run, []) == {Shard(run, 1): 2}, "what the engine has lost is submitted once more"
    await settle(pool, run, 1)
    assert {shard.number for shard in await runs.next(run, [])} == {3, 4}


async def test_a_run_is_open_until_it_is_done_or_stopped(runs: FleetRuns, pool: Pool, add: Add) -> None:
    done, stopped, going = await add(changes(["a"]), "done"), await add(changes(["b"]), "stopped"), "going"
    await add(changes(["c"]), going)
    await settle(pool, done, 0)
    await runs.stop(stopped, Stop("asked", "it was stopped"))

    assert list(await runs.open()) == [going]
    assert list(await runs.all()) == sorted([done, going, stopped])
    await runs.go_on(stopped)
    assert sorted(await runs.open()) == [going, stopped]


async def test_where_a_run_stands(runs: FleetRuns, pool: Pool, add: Add) -> None:
    run = await add(changes(["a", "b", "c"]), size=1)
    await settle(pool, run, 0)
    await pool.execute("UPDATE shard SET epoch = 1, owner = 'h 1', expires_at = 'infinity' WHERE number = 1")

    standing = await runs.standing(run)
    assert (standing.shards, standing.done, standing.at_work) == (3, 1, 1)
    assert standing.rows == {State.APPLIED: 1, State.PENDING: 2}
    assert not standing.over
    await runs.stop(run, Stop("refused", "HTTP 403", "ask for the right"))
    assert not (await runs.standing(run)).over, "somebody is still at work"
    await pool.execute("UPDATE shard SET expires_at = '-infinity'")
    standing = await runs.standing(run)
    assert standing.over
    assert standing.stopped is not None
    assert isinstance(standing.stopped.error(), ServiceRefused)
    assert standing.stopped.error().hint == "ask for the right"


async def test_the_first_reason_to_stop_stays(runs: FleetRuns, add: Add) -> None:
    run = await add(changes(["a"]))
    await runs.stop(run, Stop("refused", "first"))
    await runs.stop(run, Stop("asked", "second"))

    assert (await runs.standing(run)).stopped == Stop("refused", "first")


async def test_going_on_takes_up_what_was_held_back(runs: FleetRuns, pool: Pool, add: Add) -> None:
    run = await add(changes(["a", "b"]), size=1)
    await pool.execute("INSERT INTO held VALUES ($1, 3)", run)
    await settle(pool, run, 0)
    await settle(pool, run, 1, settled=False)
    assert list(await runs.open()) == []

    await runs.go_on(run, '{"rate": 5.0}')

    assert list(await runs.open()) == [run]
    assert '"rate": 5.0' in await runs.settings(run)
    assert set(await runs.next(run, [])) == {Shard(run, 1)}


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (change(9, "dev", "offer-3"), True),
        (change(9, "prod", "offer-3"), False),
        (Change(9, "dev", EntityType.TAG, "offer-3", Kind.DELETE), False),
        (change(9, "dev", "offer-9"), False),
    ],
)
async def test_two_runs_about_the_same_object_are_noticed_until_one_is_done(
    runs: FleetRuns, pool: Pool, add: Add, other: Change, same: bool
) -> None:
    first = await add(changes(["dev", "dev"]), "first")
    second = await add([other], "second")

    found = await runs.same_objects(second)
    assert (found is not None) is same
    if found:
        assert (found.run, found.count, found.first) == (first, 1, "offer-3")
    await settle(pool, first, 0)
    assert await runs.same_objects(second) is None


async def test_a_run_that_is_dropped_leaves_nothing(runs: FleetRuns, pool: Pool, add: Add) -> None:
    run = await add(changes(["a"]))
    other = await add(changes(["b"]), "other")
    await runs.drop(run)

    assert list(await runs.all()) == [other]
    assert [name for (name,) in await pool.fetch("SELECT DISTINCT run FROM step")] == [other]
    await add(changes(["a"]))


async def test_finding_a_run(runs: FleetRuns, add: Add) -> None:
    with pytest.raises(UsageError, match="there is no run in"):
        await runs.find(None)
    run = await add(changes(["a"]))
    assert await runs.find(None) == await runs.find(run) == run
    with pytest.raises(UsageError, match="there is no run nowhere"):
        await runs.find("nowhere")


async def test_workers_are_heard_of_and_leave(runs: FleetRuns, pool: Pool) -> None:
    await runs.heard("host 1", "1.0", 2)
    await runs.heard("host 2", "1.0", 0)
    await runs.heard("host 1", "1.0", 3)
    await pool.execute("UPDATE worker SET heard_at = heard_at - interval '1 hour' WHERE name = 'host 2'")

    first, second = await runs.workers()
    assert (first.name, first.shards, second.name) == ("host 1", 3, "host 2")
    assert second.silent_s > 3_000
    await runs.left(["host 1"])
    assert [worker.name for worker in await runs.workers()] == ["host 2"]
