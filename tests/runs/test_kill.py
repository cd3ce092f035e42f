"""Killed with kill -9, stopped, started twice: whatever is done to the process, every change happens exactly once."""

from __future__ import annotations

import asyncio
import signal
from random import Random
from typing import Any

import pytest

from migrator.api import LEASE_TIMEOUTS
from migrator.core.states import State
from migrator.emulator import Emulator, EmulatorSettings, Proceed, Request, Response
from tests.soak.job import Job, Style
from tests.soak.killing import BAD_DAY, QUICK, after_the_first_effect, after_the_first_request, survive

STYLES = pytest.mark.parametrize("style", ["xcore", "dps"])


@pytest.mark.slow
@STYLES
async def test_a_run_that_is_killed_again_and_again_on_a_bad_day_changes_everything_exactly_once(
    migrator: Any, style: Style
) -> None:
    job = Job(style, appends=90, replaces=20, deletes=5, creates=35, puts=15, containers=2)
    settings = EmulatorSettings(
        seed_offers=job.offers, containers=job.containers, latency_s=0.03, faults=BAD_DAY, fault_seed=5
    )
    async with Emulator(settings) as server:
        migrator.environment |= QUICK
        chance = Random(style)
        deaths = [after_the_first_effect(chance), after_the_first_request(chance), after_the_first_effect(chance)]

        story = await survive(migrator, server, job, deaths)

        assert story.kills > 0
        assert story.code == 0, story.said
        assert story.found.exactly_once, story.found
        assert story.repeated == 0
        assert story.ledger.states == {State.APPLIED: job.changes}
        assert story.ledger.results == job.changes


@pytest.mark.slow
@STYLES
async def test_a_process_that_is_stopped_for_longer_than_its_lease_goes_on_and_nobody_else_begins(
    migrator: Any, until: Any, style: Style
) -> None:
    job = Job(style, appends=300, creates=100)
    timeout_s = 0.5
    async with Emulator(EmulatorSettings(seed_offers=job.offers, faults=BAD_DAY, fault_seed=3)) as server:
        migrator.point_at(server.url).environment |= {**QUICK, "MIGRATOR_TIMEOUT": str(timeout_s)}
        job.write(migrator.folder / "c.jsonl")
        running = await migrator.start("apply", "c.jsonl", "--yes", "--style", style, "-j", "8")
        await until(lambda: len(server.effects) >= 100)

        running.send_signal(signal.SIGSTOP)
        try:
            refused = await migrator("resume")
            await asyncio.sleep(max(LEASE_TIMEOUTS * timeout_s, float(QUICK["MIGRATOR_QUIET_PERIOD"])))
        finally:
            running.send_signal(signal.SIGCONT)
        ended = await migrator.end(running)

        assert refused.code == 6
        assert "is locked: another process is running it" in refused.err
        assert ended.code == 0, ended.err
        assert job.look(server).exactly_once, job.look(server)


async def test_of_two_resumes_of_one_run_the_second_is_refused_and_the_first_does_it_all(
    migrator: Any, until: Any
) -> None:
    second_is_over = asyncio.Event()

    async def keeps_answers(request: Request, proceed: Proceed) -> Response:
        response = await proceed(request)
        if request.method == "PATCH":
            await second_is_over.wait()
        return response

    job = Job("dps", appends=20)
    async with Emulator(EmulatorSettings(seed_offers=job.offers), middlewares=[keeps_answers]) as server:
        job.write(migrator.point_at(server.url).folder / "c.jsonl")
        killed = await migrator.start("apply", "c.jsonl", "--yes")
        await until(lambda: len(server.effects) == 4)
        killed.kill()
        await migrator.end(killed)

        first = await migrator.start("resume")
        await until(lambda: len(server.effects) == 8)
        second = await migrator("resume")
        second_is_over.set()
        ended = await migrator.end(first)

        assert second.code == 6
        assert "error: run" in second.err
        assert "is locked: another process is running it" in second.err
        assert ended.code == 0, ended.err
        assert job.look(server).exactly_once


async def test_resume_of_a_finished_run_does_not_need_the_service(migrator: Any) -> None:
    job = Job("dps", appends=3, creates=1)
    async with Emulator(EmulatorSettings(seed_offers=job.offers)) as server:
        job.write(migrator.point_at(server.url).folder / "c.jsonl")
        applied = await migrator("apply", "c.jsonl", "--yes")

    resumed = await migrator("resume")

    assert (applied.code, resumed.code) == (0, 0), resumed.err
