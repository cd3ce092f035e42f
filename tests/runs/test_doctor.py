"""`migrator doctor`: each thing that can be wrong is found, named with what to do, and no secret is shown."""

from __future__ import annotations

import base64
import json
import os
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from migrator.emulator import Emulator, EmulatorSettings, Proceed, Request, Response, seeded_container

ALL = {"python", "environment", "profile", "settings", "ledger", "secret", "token", "service", "sandbox", "clock"}


def checks(out: str) -> dict[str, dict[str, Any]]:
    lines = [json.loads(line) for line in out.splitlines()]
    assert lines[-1]["event"] == "doctor"
    return {line["check"]: line for line in lines[:-1]}


async def found(migrator: Any, *arguments: str) -> tuple[int, dict[str, dict[str, Any]]]:
    ended = await migrator("doctor", "--output", "json", *arguments)
    assert "Traceback" not in ended.err
    return ended.code, checks(ended.out)


@pytest.mark.parametrize("style", ["dps", "xcore"])
async def test_where_all_is_well_every_check_says_so_and_nothing_is_left_or_changed(migrator: Any, style: str) -> None:
    async with Emulator(EmulatorSettings(seed_offers=1)) as server:
        migrator.point_at(server.url)

        code, said = await found(migrator, "--style", style)

        assert code == 0
        assert set(said) == ALL | {"limits"}
        assert {check["grade"] for name, check in said.items() if name != "ledger"} == {"ok"}
        assert said["settings"]["details"]["sandbox"] == "dev  (environment MIGRATOR_SANDBOX)"
        assert list(migrator.folder.iterdir()) == []
        assert server.effects == []
        assert [request.method for request in server.requests] == ["POST", "GET"], "a token, and one look"


async def test_xcore_names_the_container_of_the_sandbox_that_rows_have_to_name(migrator: Any) -> None:
    async with Emulator(EmulatorSettings()) as server:
        _, said = await found(migrator.point_at(server.url), "--style", "xcore")

    assert seeded_container(0) in said["sandbox"]["message"]


@pytest.mark.parametrize(
    ("settings", "environment", "arguments", "code", "check", "words"),
    [
        ({}, {"MIGRATOR_SANDBOX": ""}, (), 2, "target", "MIGRATOR_SANDBOX"),
        ({}, {"MIGRATOR_RATE": "fast"}, (), 2, "settings", "rate (MIGRATOR_RATE)"),
        ({}, {}, ("--profile", "nobody"), 2, "settings", "config/nobody.toml"),
        ({}, {}, ("--ledger", "/proc/runs"), 2, "ledger", "/proc"),
        ({}, {}, ("--ledger", "/dev/null"), 2, "ledger", "/dev/null is not a folder"),
        (
            {},
            {"MIGRATOR_CLIENT_SECRET": "", "MIGRATOR_CLIENT_SECRET_COMMAND": "false"},
            (),
            2,
            "secret",
            "client_secret_command failed",
        ),
        ({}, {"MIGRATOR_BASE_URL": "http://127.0.0.1:9"}, (), 6, "service", "Cannot connect"),
        ({}, {"MIGRATOR_IMS_URL": "http://127.0.0.1:9"}, (), 6, "token", "cannot be reached"),
        ({"faults": ("503-before:*:style=ims",)}, {}, (), 6, "token", "HTTP 503"),
        ({"faults": ("500-before:GET",)}, {}, (), 6, "service", "HTTP 500"),
        ({"faults": ("429:*:retry-after=1",)}, {}, (), 6, "service", "HTTP 429"),
        ({"client_secret": "another"}, {}, (), 5, "token", "HTTP 401"),
        ({}, {}, ("--sandbox", "nowhere"), 5, "service", "nowhere"),
        ({}, {}, ("--sandbox", "nowhere", "--style", "xcore"), 5, "service", "nowhere"),
        ({}, {"MIGRATOR_ACCESS_TOKEN": "stale"}, (), 5, "service", "401013"),
    ],
)
async def test_what_would_stop_a_run_fails_with_its_exit_code_and_says_what_to_do(
    migrator: Any,
    settings: dict[str, Any],
    environment: dict[str, str],
    arguments: tuple[str, ...],
    code: int,
    check: str,
    words: str,
) -> None:
    async with Emulator(EmulatorSettings(**settings)) as server:
        migrator.point_at(server.url).environment |= environment

        ended, said = await found(migrator, *arguments)

    assert ended == code
    assert said[check]["grade"] == "fail"
    assert words in said[check]["message"]
    assert said[check]["hint"]


async def test_a_variable_that_nobody_reads_is_a_warning_with_the_nearest_name(migrator: Any) -> None:
    async with Emulator(EmulatorSettings()) as server:
        migrator.point_at(server.url).environment["MIGRATOR_SANDBOXX"] = "dev"

        code, said = await found(migrator)

    assert code == 0
    assert said["environment"]["grade"] == "warn"
    assert "did you mean sandbox?" in said["environment"]["message"]


@pytest.mark.parametrize(
    ("ahead_s", "grade", "code", "words"),
    [
        (0, "ok", 0, "as the service's"),
        (60, "warn", 0, "behind"),
        (-60, "warn", 0, "ahead"),
        (930, "fail", 2, "15 min"),
    ],
)
async def test_a_clock_that_differs_is_told_from_the_date_of_the_answer(
    migrator: Any, ahead_s: int, grade: str, code: int, words: str
) -> None:
    async def dates(request: Request, proceed: Proceed) -> Response:
        answer = await proceed(request)
        answer.headers["Date"] = formatdate(time.time() + ahead_s, usegmt=True)
        return answer

    async with Emulator(EmulatorSettings(), middlewares=[dates]) as server:
        ended, said = await found(migrator.point_at(server.url))

    assert (ended, said["clock"]["grade"]) == (code, grade)
    assert words in said["clock"]["message"]


async def test_rate_limit_headers_are_shown_as_they_were_seen(migrator: Any) -> None:
    async def limits(request: Request, proceed: Proceed) -> Response:
        answer = await proceed(request)
        answer.headers["X-RateLimit-Remaining"] = "41"
        return answer

    async with Emulator(EmulatorSettings(), middlewares=[limits]) as server:
        _, said = await found(migrator.point_at(server.url))

    assert said["limits"]["details"] == {"x-ratelimit-remaining": "41"}


async def test_no_secret_is_shown_wherever_it_is_kept(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(access_token="needle-5c1e")) as server:
        migrator.point_at(server.url).environment["MIGRATOR_CLIENT_SECRET_COMMAND"] = "echo needle-command"
        del migrator.environment["MIGRATOR_CLIENT_SECRET"]
        outputs = [await migrator("doctor"), await migrator("config", "show")]
        migrator.environment["MIGRATOR_ACCESS_TOKEN"] = "needle-5c1e"
        outputs += [await migrator("doctor"), await migrator("config", "show", "--output", "json")]

    assert [ended.code for ended in outputs] == [0, 0, 0, 0]
    assert not any("needle" in ended.out + ended.err for ended in outputs)


def token_ending(in_s: float) -> str:
    """A token with the claims of the identity service, of an hour's life."""
    claims = {"created_at": str(int((time.time() + in_s - 3600) * 1000)), "expires_in": "3600000"}
    return f"e30.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.sig"


@pytest.mark.parametrize(
    ("in_s", "grade", "code", "words"),
    [(-600, "fail", 5, "ended 10 min ago"), (1830, "warn", 0, "ends in 30 min"), (7230, "ok", 0, "ends in 2 h 0 min")],
)
async def test_a_ready_token_says_when_it_ends(migrator: Any, in_s: float, grade: str, code: int, words: str) -> None:
    token = token_ending(in_s)
    async with Emulator(EmulatorSettings(access_token=token)) as server:
        migrator.point_at(server.url).environment["MIGRATOR_ACCESS_TOKEN"] = token

        ended, said = await found(migrator)

    assert (ended, said["token"]["grade"]) == (code, grade)
    assert words in said["token"]["message"]


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text("needle")
    return path


async def test_a_secret_file_that_others_may_read_is_a_warning(migrator: Any, secret: Path) -> None:
    async with Emulator(EmulatorSettings()) as server:
        migrator.point_at(server.url).environment["MIGRATOR_CLIENT_SECRET_FILE"] = str(secret)
        del migrator.environment["MIGRATOR_CLIENT_SECRET"]
        grades = []
        for mode in (0o644, 0o600):
            os.chmod(secret, mode)  # noqa: PTH101 (a path's own method would be taken for a slow one here)
            _, said = await found(migrator)
            grades.append(said["secret"]["grade"])

    assert grades == ["warn", "ok"]


async def test_a_person_reads_a_line_for_each_check_and_the_sum(migrator: Any) -> None:
    async with Emulator(EmulatorSettings()) as server:
        ended = await migrator.point_at(server.url)("doctor")

    lines = ended.out.splitlines()
    assert {line.split()[1] for line in lines if line.startswith(("ok ", "warn "))} >= ALL
    assert lines[-1].startswith("a run would work")
