"""Refused before the first write: the message says what to type, and nothing has been sent or is left half-made."""

from __future__ import annotations

from typing import Any

import pytest

from migrator.emulator import (
    Emulator,
    EmulatorSettings,
    seeded_container,
    seeded_instance_id,
)
from tests.conftest import seen_by
from tests.runs.appends import HEADER, XCORE_HEADER, assert_explained, changes, patches


async def test_without_configuration_everything_that_is_missing_is_named(migrator: Any) -> None:
    migrator.write("c.csv", HEADER, changes(1))

    ended = await migrator("apply", "c.csv", "--yes")

    assert ended.code == 2
    assert_explained(
        ended.err,
        "MIGRATOR_ORG_ID",
        "MIGRATOR_SANDBOX",
        "MIGRATOR_CLIENT_ID",
        "MIGRATOR_CLIENT_SECRET",
        "migrator emulator",
    )
    assert not (migrator.folder / "runs").exists()


async def test_without_a_terminal_nobody_is_asked_and_nothing_hangs(migrator: Any) -> None:
    ended = await migrator("apply", "c.csv")

    assert ended.code == 2
    assert_explained(ended.err, "--yes")


async def test_an_input_with_errors_is_refused_whole_and_leaves_no_run(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=3)) as server:
        rows = [*changes(3), ("", "add", "/tags/-", "x"), ("o", "move", "/a", ""), ("o", "replace", "name", "x")]
        migrator.point_at(server.url).write("c.csv", HEADER, rows)

        ended = await migrator("apply", "c.csv", "--yes")

        assert ended.code == 2
        assert [line.split(":")[1] for line in ended.out.splitlines()[:-1]] == ["5", "6", "7"]
        assert ended.out.splitlines()[-1] == "c.csv: 3 problems in 6 rows; nothing was sent"
        assert not server.counters.requests
        assert migrator.run_folders() == []


async def test_wrong_credentials_stop_the_run_before_the_first_write(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=1, client_id="other", client_secret="x")) as server:
        migrator.point_at(server.url).write("c.csv", HEADER, changes(1))

        ended = await migrator("apply", "c.csv", "--yes")

        assert ended.code == 5
        assert_explained(ended.err, "refuses the credentials", "MIGRATOR_CLIENT_ID", "migrator resume")
        assert "test-secret-3f9a" not in ended.err + ended.out
        assert patches(server) == 0


async def test_a_ready_token_that_is_refused_stops_the_run(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=1)) as server:
        migrator.point_at(server.url).write("c.csv", HEADER, changes(1))
        del migrator.environment["MIGRATOR_CLIENT_SECRET"]
        migrator.environment["MIGRATOR_ACCESS_TOKEN"] = "stale-token-77aa"

        ended = await migrator("apply", "c.csv", "--yes")

        assert ended.code == 5
        assert_explained(ended.err, "401013", "get a new access token", "migrator resume")
        assert "stale-token-77aa" not in ended.err + ended.out


async def test_an_unknown_sandbox_is_found_before_the_first_write(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=1)) as server:
        migrator.point_at(server.url).write("c.csv", HEADER, changes(1))

        ended = await migrator("apply", "c.csv", "--yes", "--sandbox", "devv")

        assert ended.code == 5
        assert_explained(ended.err, "devv", "sandbox name", "migrator resume")
        assert patches(server) == 0


async def test_a_container_that_is_gone_is_found_before_the_first_write(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=2)) as server:
        rows = [
            (seeded_container(0), seeded_instance_id(0), "replace", "/_instance/xdm:name", "x"),
            ("00000000-0000-0000-0000-000000000000", seeded_instance_id(1), "replace", "/_instance/xdm:name", "x"),
        ]
        migrator.point_at(server.url).write("c.csv", XCORE_HEADER, rows)

        ended = await migrator("apply", "c.csv", "--yes", "--style", "xcore")

        assert ended.code == 5
        assert_explained(ended.err, "container 00000000-0000-0000-0000-000000000000 cannot be used", "migrator resume")
        assert patches(server) == 0


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://no-such-host.invalid"])
async def test_a_host_that_is_down_stops_the_run_after_some_patience(migrator: Any, url: str) -> None:
    migrator.point_at(url).write("c.csv", HEADER, changes(3))
    migrator.environment |= {"MIGRATOR_MAX_ATTEMPTS": "2", "MIGRATOR_BACKOFF_BASE": "0.01"}

    ended = await migrator("apply", "c.csv", "--yes")
    status = await migrator("status")

    assert ended.code == 6
    assert_explained(ended.err, "cannot be reached", "tried 2 times", "migrator resume")
    assert "3 not sent" in status.out


async def test_a_second_process_on_one_run_is_refused(migrator: Any, until: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=40, latency_s=0.2)) as server:
        migrator.point_at(server.url).write("c.csv", HEADER, changes(40))
        first = await migrator.start("apply", "c.csv", "--yes")
        await until(lambda: len(server.effects) > 2)

        second = await migrator("resume")
        ended = await migrator.end(first)

        assert second.code == 6
        assert_explained(second.err, "locked", "another process", "migrator status")
        assert ended.code == 0
        assert set(seen_by(server).values()) == {1}


async def test_resume_refuses_another_input_and_another_target(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=2)) as server:
        migrator.point_at(server.url).write("c.csv", HEADER, changes(2))
        migrator.write("other.csv", HEADER, changes(1))
        await migrator("apply", "c.csv", "--yes")

        other_input = await migrator("resume", "--input", "other.csv")
        same_input = await migrator("resume", "--input", "c.csv")
        migrator.environment["MIGRATOR_SANDBOX"] = "prod"
        other_environment = await migrator("resume")

        assert other_input.code == 2
        assert_explained(other_input.err, "other.csv is not the input of run", "was planned from c.csv")
        assert same_input.code == 0
        assert other_environment.code == 2
        assert_explained(other_environment.err, "goes to sandbox 'dev'", "'prod'", "unset MIGRATOR_SANDBOX")


async def test_there_is_nothing_to_resume(migrator: Any) -> None:
    ended = await migrator("resume")

    assert ended.code == 2
    assert_explained(ended.err, "there is no run in runs", "migrator apply FILE")
