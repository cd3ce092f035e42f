"""Runs carried out by workers in processes of their own, that are killed, paused, and lose their database."""

from __future__ import annotations

import asyncio
import re
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from migrator.emulator import Emulator, EmulatorSettings, seeded_offer_id
from tests.postgres import Server
from tests.soak.job import Job, Style
from tests.soak.killing import BAD_DAY, QUICK
from tests.waiting import TIMEOUT_S, holds

STYLES = pytest.mark.parametrize("style", ["xcore", "dps"])


@pytest.fixture
def fleet(migrator: Any, postgres: Server) -> str:
    """Name a database of its own for the runs of this test."""
    migrator.environment |= {**QUICK, "MIGRATOR_LEDGER": postgres.database()}
    return str(migrator.environment["MIGRATOR_LEDGER"])


@asynccontextmanager
async def working(migrator: Any, count: int) -> AsyncIterator[list[Process]]:
    """Run so many workers; those that are still there in the end are stopped cleanly."""
    workers = [await start_worker(migrator) for _ in range(count)]
    try:
        yield workers
        for worker in alive(workers):
            worker.terminate()
        codes = [(await migrator.end(worker)).code for worker in workers]
        assert set(codes) <= {0, -signal.SIGKILL}
    finally:
        for worker in alive(workers):
            worker.kill()


def alive(workers: list[Process]) -> list[Process]:
    return [worker for worker in workers if worker.returncode is None]


async def start_worker(migrator: Any, *fleet: str) -> Process:
    ledger = ("--ledger", *fleet) if fleet else ()
    metrics = ("--metrics-file", "worker.prom", "--stats", "0.2")
    process: Process = await migrator.start("worker", "--shards", "4", *metrics, *ledger)
    assert process.stderr is not None
    async with asyncio.timeout(TIMEOUT_S):
        while line := await process.stderr.readline():
            if line == b"ready\n":
                return process
    raise AssertionError((await migrator.end(process)).err)


def emulator(job: Job, **settings: Any) -> Emulator:
    return Emulator(EmulatorSettings(seed_offers=job.offers, containers=job.containers, **settings))


def lay_out(migrator: Any, server: Emulator, job: Job) -> None:
    migrator.point_at(server.url)
    job.furnish(server)
    job.write(migrator.folder / "c.jsonl")


def apply(style: Style) -> tuple[str, ...]:
    return ("apply", "c.jsonl", "--yes", "--style", style, "--run-id", "spring")


def results(folder: Path) -> dict[str, Any]:
    """Read results without what differs each time: what was made is called another name, and at other times."""

    def same(row: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in row.items() if name not in {"_object", "_etag"}}

    return {
        file.name: [same(msgspec.json.decode(line)) for line in file.read_bytes().splitlines()]
        for file in sorted(folder.iterdir())
    }


@STYLES
async def test_a_fleet_leaves_what_one_machine_leaves(migrator: Any, fleet: str, style: Style) -> None:
    job = Job(style, appends=60, replaces=20, deletes=10, creates=20, puts=5, containers=3)
    for name, ledger, workers in (("alone", "runs", 0), ("fleet", fleet, 2)):
        migrator.environment["MIGRATOR_LEDGER"] = ledger
        async with emulator(job) as server:
            lay_out(migrator, server, job)
            async with working(migrator, workers):
                applied = await migrator(*apply(style))
                assert applied.code == 0, applied.err
                assert job.look(server).exactly_once
                assert (await migrator("results", "spring", "--to", name)).code == 0
                assert (await migrator("report", "spring", "--out", f"{name}.html")).code == 0
                verified = await migrator("verify", "spring")
                assert (verified.code, "115 of 115 rows" in verified.out) == (0, True), verified.out
    assert results(migrator.folder / "fleet") == results(migrator.folder / "alone")


@pytest.mark.slow
@STYLES
async def test_everything_happens_exactly_once_whatever_happens_to_workers_and_to_the_database(
    migrator: Any, postgres: Server, fleet: str, until: Any, style: Style
) -> None:
    job = Job(style, appends=300, replaces=40, deletes=20, creates=60, puts=10, containers=4)
    async with emulator(job, latency_s=0.02, faults=BAD_DAY, fault_seed=7) as server:
        lay_out(migrator, server, job)
        async with working(migrator, 3) as workers:
            running = await migrator.start(*apply(style), "-j", "2")

            await until(lambda: len(server.effects) >= 60)
            workers[0].kill()
            workers[1].send_signal(signal.SIGSTOP)
            await until(lambda: len(server.effects) >= 140)
            await asyncio.to_thread(postgres.stop, "immediate")
            before = len(server.effects)
            await asyncio.sleep(1.5)  # what was in flight, and what the emulator does late
            quiet = len(server.effects)
            await asyncio.sleep(1)
            assert len(server.effects) == quiet, "nothing is sent while no intent can be written"
            assert quiet - before < 40
            await asyncio.to_thread(postgres.start)
            workers.append(await start_worker(migrator))
            await until(lambda: len(server.effects) >= 300)
            workers[1].send_signal(signal.SIGCONT)
            ended = await migrator.end(running)

            assert ended.code == 0, ended.err[-2_000:]
            found = job.look(server)
            assert found.exactly_once, found


async def test_a_run_waits_for_workers_and_can_be_stopped_and_gone_on_with(
    migrator: Any, fleet: str, until: Any
) -> None:
    job = Job("dps", appends=200, containers=1)
    async with emulator(job, latency_s=0.05) as server:
        lay_out(migrator, server, job)
        watching = await migrator.start(*apply("dps"), "-j", "1")
        async with working(migrator, 1):
            await until(lambda: len(server.effects) >= 10)
            stopped = await migrator("stop")
            assert stopped.code == 0, stopped.err
            ended = await migrator.end(watching)
            assert (ended.code, "run spring was stopped" in ended.err) == (6, True), ended.err
            assert "migrator resume spring" in ended.err
            so_far = len(server.effects)
            status = await migrator("status", "--watch", "--output", "json")
            assert '"stopped"' in status.out

            resumed = await migrator("resume", "-j", "16")
            assert resumed.code == 0, resumed.err
        assert so_far < 200
        assert job.look(server).exactly_once


async def test_whoever_looks_on_sees_how_much_of_the_limit_is_used(migrator: Any, fleet: str, until: Any) -> None:
    job = Job("dps", appends=80)
    async with emulator(job) as server:
        lay_out(migrator, server, job)
        running = await migrator.start(*apply("dps"), "--rate", "30/s")
        async with working(migrator, 1):
            await until(lambda: len(server.effects) >= 5)
            await holds(
                partial(_is_metered, migrator, r'^migrator_worker_rate_limit{kind="rate .*",worker=".*"} 30.0$')
            )
            seen = await migrator("status", "--watch", "--output", "json")
            ended = await migrator.end(running)
    lines = [msgspec.json.decode(line) for line in seen.out.splitlines()]
    limits = [line for line in lines if line["event"] == "limit"]
    assert {(limit["rate"], limit["paused_s"]) for limit in limits} == {(30.0, 0.0)}
    assert 1 < max(limit.get("used", 0) for limit in limits) < 40
    assert {line["shards"] for line in lines if line["event"] == "worker"} >= {1}
    assert re.search(r"rows/s · \d+\.\d of 30 requests/s", ended.err), ended.err


async def test_the_list_of_a_huge_container_is_read_by_the_first_shards_and_by_no_other(
    migrator: Any, fleet: str
) -> None:
    job = Job("dps", appends=320)
    migrator.environment["MIGRATOR_SHARD_STEPS"] = "20"
    async with emulator(job) as server:
        lay_out(migrator, server, job)
        async with working(migrator, 1):  # with four shards at a time
            assert (await migrator(*apply("dps"))).code == 0
        assert job.look(server).exactly_once
        reads = [one.path for one in server.requests if one.method == "GET"]
    probes, pages = 16, -(-320 // 100)
    assert len(reads) <= probes + 4 * pages + 16, reads


async def test_what_a_fleet_has_applied_is_rolled_back_by_it(migrator: Any, fleet: str) -> None:
    job = Job("dps", appends=20, replaces=10)
    async with emulator(job) as server:
        lay_out(migrator, server, job)
        before = {one.key: one.document for one in server.store if one.word == "personalized-offer"}
        async with working(migrator, 1):
            assert (await migrator(*apply("dps"))).code == 0
            undone = await migrator("rollback", "spring", "--yes")
            assert undone.code == 0, undone.err
            again = await migrator("rollback", "spring", "--yes")
            assert again.code == 2, again.out
        assert {one.key: one.document for one in server.store if one.key in before} == before
        assert await _is_metered(migrator, r'^migrator_worker_steps_total{kind="applied",worker=".*"} 60.0$')
        listed = await migrator("runs")
        assert [line.split()[0] for line in listed.out.splitlines()] == ["spring", "spring.rollback-1"]


async def test_two_runs_about_the_same_objects_are_not_run_side_by_side(migrator: Any, fleet: str) -> None:
    job = Job("dps", appends=10)
    async with emulator(job) as server:
        lay_out(migrator, server, job)
        first = await migrator.start(*apply("dps"))  # no worker is there yet
        await holds(partial(_is_added, migrator))
        second = await migrator("apply", "c.jsonl", "--yes", "--style", "dps", "--run-id", "summer", "--again")
        assert second.code == 2
        assert "run spring is still to change 10 of the same objects" in second.err

        async with working(migrator, 1):
            assert (await migrator.end(first)).code == 0
        assert job.look(server).exactly_once


async def test_the_same_changes_under_another_name_and_others_under_the_same_name_are_refused(
    migrator: Any, fleet: str
) -> None:
    job, other = Job("dps", appends=3), Job("dps", appends=2)
    async with emulator(job) as server:
        lay_out(migrator, server, job)
        async with working(migrator, 1):
            first = await migrator(*apply("dps"))
            same = await migrator(*apply("dps"))
            twice = await migrator("apply", "c.jsonl", "--yes", "--style", "dps")
            other.write(migrator.folder / "c.jsonl")
            refused = await migrator(*apply("dps"))

        assert (first.code, same.code, twice.code, refused.code) == (0, 0, 2, 2), first.err + same.err
        assert "run spring has applied exactly these changes to this sandbox already" in twice.err
        assert "run spring is there already, and about other changes" in refused.err
        assert "choose another --run-id" in refused.err
        assert job.look(server).exactly_once


async def _is_metered(migrator: Any, line: str) -> bool:
    numbers = (migrator.folder / "worker.prom").read_text(encoding="utf-8")
    return re.search(line, numbers, re.MULTILINE) is not None


async def _is_added(migrator: Any) -> bool:
    return "spring" in (await migrator("runs")).out


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--rate", "auto"), "--rate 50/s"),
        (("--rate", "50/s", "--strict-rate"), "without --strict-rate"),
        (("--on-doubt", "ask"), "a fleet has nobody to ask"),
        (("--limit", "1"), "try those first on one machine"),
        (("--sample", "1"), "try those first on one machine"),
        (("--ids", "ids.txt"), "try those first on one machine"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
async def test_what_does_not_go_to_a_fleet_is_refused(
    migrator: Any, fleet: str, flags: tuple[str, ...], said: str
) -> None:
    migrator.point_at("http://127.0.0.1:9")
    (migrator.folder / "ids.txt").write_text(f"{seeded_offer_id(0)}\n", encoding="utf-8")
    Job("dps", appends=2).write(migrator.folder / "c.jsonl")
    ended = await migrator(*apply("dps"), *flags)
    assert (ended.code, said in ended.err) == (2, True), ended.err
    assert (await migrator("runs")).out == ""


async def test_what_has_failed_in_a_fleet_is_retried_by_it(migrator: Any, fleet: str) -> None:
    job = Job("dps", appends=3)
    async with emulator(job, faults=("error-inside-before:PATCH:max=1",)) as server:
        lay_out(migrator, server, job)
        async with working(migrator, 1):
            assert (await migrator(*apply("dps"))).code == 3
            retried = await migrator("retry", "spring", "--yes")
            assert retried.code == 0, retried.err
        assert job.look(server).exactly_once


async def test_a_database_that_cannot_be_used_is_named(migrator: Any, fleet: str) -> None:
    migrator.point_at("http://127.0.0.1:9")
    Job("dps", appends=1).write(migrator.folder / "c.jsonl")
    for url, said in (
        ("postgresql://migrator@127.0.0.1:1/fleet", "cannot be reached"),
        (fleet + "x", "does not exist"),
        ("postgresql://me:secret@127.0.0.1/fleet", "PGPASSWORD"),
        ("postgresql://127.0.0.1", "must name a database"),
    ):
        migrator.environment["MIGRATOR_LEDGER"] = url
        ended = await migrator("worker")
        assert ended.code in {2, 6}
        assert said in ended.err
        assert "secret" not in ended.err


async def test_a_run_that_was_begun_alone_is_ended_by_a_fleet_and_the_other_way_round(
    migrator: Any, fleet: str, until: Any
) -> None:
    job = Job("dps", appends=60, creates=20)
    async with emulator(job, latency_s=0.02) as server:
        lay_out(migrator, server, job)
        migrator.environment["MIGRATOR_LEDGER"] = "runs"
        alone = await migrator.start(*apply("dps"))
        await until(lambda: len(server.effects) >= 10)
        alone.kill()
        await migrator.end(alone)

        moved = await migrator("ledger", "copy", "spring", "--from", "runs", "--to", fleet)
        assert moved.code == 0, moved.err
        assert (await migrator("resume", "spring")).code == 2, "it is not here any more"
        async with working(migrator, 0):
            worker = await start_worker(migrator, fleet)
            await until(lambda: len(server.effects) >= 30)
            worker.kill()
            await migrator.end(worker)

        moved = await migrator("ledger", "copy", "spring", "--from", fleet, "--to", "runs")
        assert moved.code == 0, moved.err
        assert (await migrator("runs", "--ledger", fleet)).out == ""
        assert (await migrator("resume", "spring")).code == 0
        assert job.look(server).exactly_once


async def test_to_move_a_run_it_has_to_be_named(migrator: Any) -> None:
    job = Job("dps", appends=1)
    async with emulator(job) as server:
        lay_out(migrator, server, job)
        await migrator(*apply("dps"))

    ended = await migrator("ledger", "copy", "--from", "runs", "--to", "postgresql:///fleet")

    assert ended.code == 2
    assert "error: name the run that is to be moved\n" in ended.err
    assert "  migrator ledger copy spring --from runs --to postgresql:///fleet   " in ended.err
