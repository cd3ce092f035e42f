"""`migrator migrate`: everything of one style once in the other, whatever happens on the way; and back again."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
from typing import Any

import pytest

from migrator.emulator import Choices, seeded_reference
from migrator.emulator.observation import repeats
from migrator.emulator.seeds import seeded_offer_id
from tests.runs.moving import (
    OTHER,
    SOURCES,
    Style,
    assert_moved,
    end_the_bad_day,
    kill_and_resume,
    library,
    names,
    relations,
    route,
    served,
)
from tests.soak.killing import QUICK

BAD_DAY = (
    "drop-after:POST:p=0.15",
    "drop-before:POST:p=0.1",
    "429:*:p=0.05:retry-after=none",
    "drop-before:GET:p=0.03",
)


async def moved(migrator: Any, source: Style, *flags: str, run: str = "moving") -> Any:
    """Move everything."""
    return await migrator(*route(source), "--yes", "--run-id", run, *flags)


@SOURCES
async def test_everything_is_made_once_and_refers_to_what_it_referred_to(migrator: Any, source: Style) -> None:
    async with served() as server:
        library(server, source)
        migrator.point_at(server.url)

        ended = await moved(migrator, source)
        verified = await migrator("verify", "moving")

        assert ended.code == 0, ended.err
        assert "20 applied (of 20 rows)" in ended.out
        assert_moved(server, source)
        assert verified.code == 0, verified.out
        assert "20 of 20 rows as written" in verified.out


@SOURCES
async def test_what_is_there_already_is_not_made_again_and_takes_references(migrator: Any, source: Style) -> None:
    target = OTHER[source]
    async with served() as server:
        library(server, source)
        migrator.point_at(server.url)
        first = await moved(
            migrator, source, "--type", "placement", "--type", "tag", "--type", "decision-rule", run="1"
        )
        second = await moved(migrator, source, run="2")
        third = await moved(migrator, source, run="3")
        verified = await migrator("verify", "3")

        assert (first.code, second.code, third.code) == (0, 0, 0), second.err
        assert "13 applied · 7 unchanged" in second.out
        assert "0 applied · 20 unchanged" in third.out
        assert "20 of 20 rows as written" in verified.out
        assert set(names(server, target).values()) == {1}
        assert relations(server, target) == relations(server, source)


@SOURCES
async def test_a_dry_run_shows_each_object_and_what_it_becomes_and_sends_no_write(migrator: Any, source: Style) -> None:
    async with served(1) as server:
        library(server, source)
        migrator.point_at(server.url)

        ended = await migrator(*route(source), "--dry-run")

        assert ended.code == 0, ended.err
        offer = seeded_reference(0) if source == "xcore" else seeded_offer_id(0)
        assert f'+ personalized-offer "Seeded offer 0" from {offer}' in ended.out
        assert "15 to create" in ended.out
        assert {exchange.method for exchange in server.requests if "/data/" in exchange.path} == {"GET"}
        assert not (migrator.folder / "runs").exists()


async def test_a_dry_run_that_is_killed_leaves_nothing_to_go_on_with(migrator: Any) -> None:
    async with served(10) as server:
        library(server, "dps")
        migrator.point_at(server.url)
        ours, theirs = os.pipe()
        fcntl.fcntl(theirs, fcntl.F_SETPIPE_SZ, 4096)  # it waits for its reader before all is shown

        process = await migrator.start(*route("dps"), "--dry-run", before=lambda: os.dup2(theirs, 1))
        os.close(theirs)
        shown = b""
        while b"\n+ " not in shown:
            shown += await asyncio.to_thread(os.read, ours, 512)
        process.kill()
        killed = await migrator.end(process)
        os.close(ours)
        resumed = await migrator("resume")

        assert killed.code == -signal.SIGKILL
        assert (resumed.code, len(server.effects)) == (2, 0), resumed.out


@SOURCES
async def test_lists_that_page_badly_lose_nothing(migrator: Any, source: Style) -> None:
    target = OTHER[source]
    async with served(25, choices=Choices.from_texts({"C-10": "cap:7"})) as server:
        library(server, source)
        migrator.point_at(server.url)

        ended = await moved(migrator, source)
        again = await moved(migrator, source, run="again")

        assert (ended.code, again.code) == (0, 0), ended.err
        assert names(server, target) == names(server, source)
        assert "0 applied · 39 unchanged" in again.out


@SOURCES
async def test_what_is_lost_on_the_way_is_looked_for_and_not_made_twice(migrator: Any, source: Style) -> None:
    async with served(20, faults=BAD_DAY, fault_seed=11) as server:
        library(server, source)
        migrator.point_at(server.url).environment |= QUICK

        ended = await moved(migrator, source)

        assert ended.code == 0, ended.err
        assert any(fault.hits for fault in server.faults)
        assert_moved(server, source)
        assert not repeats(server.effects)


@pytest.mark.slow
@SOURCES
async def test_a_migration_that_is_killed_again_and_again_makes_each_object_once(
    migrator: Any, until: Any, source: Style
) -> None:
    async with served(40, faults=BAD_DAY, fault_seed=3, latency_s=0.02) as server:
        library(server, source)
        migrator.point_at(server.url).environment |= QUICK

        ended = await kill_and_resume(migrator, until, server, source, (3, 14))
        end_the_bad_day(server)
        verified = await migrator("verify", "moving")

        assert ended.code == 0, ended.err
        assert "54 applied (of 54 rows)" in ended.out
        assert_moved(server, source)
        assert not repeats(server.effects)
        assert verified.code == 0, verified.out


@SOURCES
async def test_a_migration_is_rolled_back_and_made_again(migrator: Any, source: Style) -> None:
    target = OTHER[source]
    async with served() as server:
        library(server, source)
        migrator.point_at(server.url)
        await moved(migrator, source)

        undone = await migrator("rollback", "moving", "--yes")
        left = names(server, target)
        again = await moved(migrator, source, run="again")

        assert undone.code == 0, undone.err
        assert not left
        assert again.code == 0, again.err
        assert_moved(server, source)


async def test_nothing_is_lost_of_what_was_made_at_one_moment(migrator: Any) -> None:
    """The cursor of dps is a time: a page may be full of objects of one time, with more of them behind."""
    async with served(25, choices=Choices.from_texts({"C-10": "cap:7"})) as server:
        library(server, "dps", at_once=True)
        migrator.point_at(server.url)

        ended = await moved(migrator, "dps")

        assert ended.code == 0, ended.err
        assert names(server, "xcore") == names(server, "dps")
