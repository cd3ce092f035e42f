"""Killed with kill -9 at any moment, again and again: nothing is lost, and nothing happens twice."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from migrator.core.states import State
from migrator.emulator import Emulator, EmulatorSettings
from tests.soak.job import Job, Style
from tests.soak.killing import BAD_DAY, QUICK, after_the_first_effect, after_the_first_request, survive


@pytest.mark.slow
@pytest.mark.parametrize("style", ["xcore", "dps"])
async def test_a_run_that_is_killed_again_and_again_on_a_bad_day_changes_everything_exactly_once(
    migrator: Any, style: Style
) -> None:
    job = Job(style, appends=90, replaces=20, deletes=5, creates=35, containers=2)
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
