"""`migrator migrate` of a large library: each object is there once, whatever the day and the lists are like."""

from __future__ import annotations

from typing import Any

import pytest

from migrator.emulator import Choices, Emulator, EmulatorSettings
from migrator.emulator.observation import repeats
from tests.runs.large import ALL, Much
from tests.runs.moving import SOURCES, Style, assert_moved, end_the_bad_day, kill_and_resume, library, relations, route
from tests.soak.killing import QUICK

BAD_DAY = (
    "drop-after:POST:p=0.05",
    "drop-before:POST:p=0.03",
    "503-after:POST:p=0.02",
    "429:*:p=0.01:retry-after=none",
    "drop-before:GET:p=0.02",
)

QUICKLY = ("--concurrency", "16")


@pytest.mark.slow
@SOURCES
async def test_a_large_migration_that_is_killed_on_a_bad_day_makes_each_object_once(
    migrator: Any, until: Any, source: Style
) -> None:
    async with Emulator(EmulatorSettings(faults=BAD_DAY, fault_seed=7)) as server:
        library(server, source, Much(source).lines())
        migrator.point_at(server.url).environment |= QUICK

        ended = await kill_and_resume(migrator, until, server, source, (200, 800), *QUICKLY)
        struck = {fault.rule.text: fault.hits for fault in server.faults}
        end_the_bad_day(server)
        verified = await migrator("verify", "moving")

        assert ended.code == 0, ended.err
        assert f"{ALL:,} applied (of {ALL:,} rows)" in ended.out
        assert all(struck.values()), struck
        assert_moved(server, source)
        assert not any(referred["?"] for referred in relations(server, source).values())
        assert not repeats(server.effects)
        assert verified.code == 0, verified.out
        assert f"{ALL:,} of {ALL:,} rows as written" in verified.out
        assert f"{ALL:,} of {ALL:,} objects say the same" in verified.out


@pytest.mark.slow
@SOURCES
async def test_large_lists_of_dps_that_move_while_they_are_read_miss_and_double_nothing(
    migrator: Any, source: Style
) -> None:
    """Others write more objects than fit on a page, all at one time, so that in most orders a walk trips."""
    settings = EmulatorSettings(
        choices=Choices.from_texts({"C-10": "cap:20"}), faults=("walk-edit:GET:style=dps:every=3:count=25",)
    )
    async with Emulator(settings) as server:
        library(server, source, Much(source).lines())
        migrator.point_at(server.url)

        first = await migrator(*route(source), *QUICKLY, "--yes", "--run-id", "first")
        again = await migrator(*route(source), *QUICKLY, "--yes", "--run-id", "again")

        (moving,) = server.faults
        assert (first.code, again.code) == (0, 0), first.err + again.err
        assert moving.hits >= ALL // 20 // 3
        assert f"{ALL:,} applied (of {ALL:,} rows)" in first.out
        assert f"0 applied · {ALL:,} unchanged" in again.out
        assert_moved(server, source)
