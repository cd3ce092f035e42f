"""Nothing that a bad run leaves or shows holds the token or the secret: one search through all of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from migrator.emulator import Emulator, EmulatorSettings, Proceed, Request, Response, json_answer, seeded_offer_id
from tests.runs.appends import HEADER, changes

NEEDLE = "needle-5c1e"
FAULTS = (
    "drop-after:PATCH:every=7",
    "500-after:PATCH:every=5:body=html",
    "429:PATCH:n=9:retry-after=0",
    "cut-body:PATCH:n=11",
)


async def says_all_it_hears(request: Request, proceed: Proceed) -> Response:
    """Put what a request came with into its answer, wherever something on the way might."""
    heard = request.headers.get("authorization", "") + (request.body.decode() if "ims" in request.path else "")
    if "ims" in request.path:
        return json_answer(401, {"error": "invalid_client", "error_description": f"you sent {heard}"})
    answer = await proceed(request)
    if answer.status >= 400 and isinstance(answer.body, bytes):
        answer.body += heard.encode()
    answer.headers["X-RateLimit-For"] = heard
    return answer


def rows() -> list[tuple[str, ...]]:
    there = [(seeded_offer_id(i), "replace", "/name", f"n{i}") for i in range(30)]
    return [*there, ("nobody", "replace", "/name", "x")]


def everything_under(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


async def all_commands(migrator: Any, until: Any, server: Emulator) -> tuple[str, str]:
    """Run, kill and take up again; return what was shown, and the command line as `ps` has it."""
    flags = ("-vv", "--log-file", "run.log", "--metrics-file", "run.prom", "--quiet-period", "1s", "--debug")
    running = await migrator.start("apply", "c.csv", "--yes", *flags)
    await until(lambda: len(server.effects) >= 3)
    listed = (Path("/proc") / str(running.pid) / "cmdline").read_text()
    running.kill()
    shown = [await migrator.end(running)]
    commands = (
        ("resume", *flags, "--log-format", "json"),
        ("results",),
        ("status", "--output", "json"),
        ("verify", *flags[:-1]),
        ("doctor",),
        ("config", "show"),
    )
    shown += [await migrator(*command) for command in commands]
    return "".join(ended.out + ended.err for ended in shown), listed


@pytest.mark.parametrize("kept_in", ["variable", "file"])
async def test_no_artefact_of_a_bad_run_holds_the_token(
    migrator: Any, until: Any, tmp_path_factory: pytest.TempPathFactory, kept_in: str
) -> None:
    settings = EmulatorSettings(seed_offers=30, access_token=NEEDLE, faults=FAULTS, latency_s=0.02)
    async with Emulator(settings, middlewares=[says_all_it_hears]) as server:
        migrator.point_at(server.url).write("c.csv", HEADER, rows())
        del migrator.environment["MIGRATOR_CLIENT_SECRET"]
        if kept_in == "file":
            path = tmp_path_factory.mktemp("kept") / "token"
            path.write_text(f"{NEEDLE}\n")
            migrator.environment["MIGRATOR_ACCESS_TOKEN_FILE"] = str(path)
        else:
            migrator.environment["MIGRATOR_ACCESS_TOKEN"] = NEEDLE

        shown, listed = await all_commands(migrator, until, server)

    left = everything_under(migrator.folder)
    assert {"drop-after", "500-after"} <= {name for request in server.requests for name in request.faults}
    assert b"***" in left, "the service did say it, and it came as far as that"
    assert all((migrator.folder / name).stat().st_size for name in ("run.log", "run.prom"))
    assert NEEDLE.encode() not in left
    assert NEEDLE not in shown
    assert NEEDLE not in listed


async def test_a_secret_that_the_identity_service_repeats_is_shown_nowhere(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=1), middlewares=[says_all_it_hears]) as server:
        migrator.point_at(server.url).write("c.csv", HEADER, rows()[:1])
        migrator.environment["MIGRATOR_CLIENT_SECRET"] = NEEDLE

        ended = [
            await migrator("apply", "c.csv", "--yes", "-vv", "--log-file", "run.log", "--debug"),
            await migrator("doctor", "--output", "json", "--debug"),
        ]

    assert [one.code for one in ended] == [5, 5]
    assert all("you sent" in one.out + one.err for one in ended)
    assert "Traceback" in ended[0].err
    assert not any(NEEDLE in one.out + one.err for one in ended)
    assert NEEDLE.encode() not in everything_under(migrator.folder)


async def test_without_debug_no_error_shows_a_traceback(migrator: Any) -> None:
    ended = await asyncio.gather(
        migrator("apply", "nothing.csv", "--yes"),
        migrator("resume"),
        migrator("doctor", "--profile", "nobody"),
        migrator("no-such-command"),
    )

    assert [one.code for one in ended] == [2, 2, 2, 2]
    assert not any("Traceback" in one.err for one in ended)


@pytest.mark.parametrize("secret", ["MIGRATOR_CLIENT_SECRET", "MIGRATOR_ACCESS_TOKEN"])
async def test_no_secret_is_in_anything_that_a_run_leaves(migrator: Any, secret: str) -> None:
    async with Emulator(EmulatorSettings(seed_offers=3, access_token=NEEDLE)) as server:
        migrator.point_at(server.url).write("c.csv", HEADER, [*changes(2), ("nobody", "remove", "/a", "")])
        del migrator.environment["MIGRATOR_CLIENT_SECRET"]
        migrator.environment[secret] = NEEDLE

        ended = await migrator("apply", "c.csv", "--yes", "-vv", "--log-format", "json")
        await migrator("results")

        assert ended.code == 3
        left = ended.out.encode() + ended.err.encode() + everything_under(migrator.run_folder())
        assert NEEDLE.encode() not in left
        assert b"Bearer" not in left


async def repeats_the_token(request: Request, proceed: Proceed) -> Response:
    """Answer as something on the way might: with the request it got, under a status that says all is well."""
    if request.method != "PATCH":
        return await proceed(request)
    said = request.headers["authorization"]
    if request.path.endswith(seeded_offer_id(0)):
        return json_answer(200, {"status": 422, "detail": f"you sent {said}"})
    return Response(302, headers={"Location": f"https://login.example/{said[7:]}?t={said[7:]}"})


async def test_a_token_that_comes_back_in_an_answer_is_not_kept(migrator: Any) -> None:
    settings = EmulatorSettings(seed_offers=2, access_token=NEEDLE)
    async with Emulator(settings, middlewares=[repeats_the_token]) as server:
        migrator.point_at(server.url).write("c.csv", HEADER, changes(2))
        del migrator.environment["MIGRATOR_CLIENT_SECRET"]
        migrator.environment["MIGRATOR_ACCESS_TOKEN"] = NEEDLE

        ended = await migrator("apply", "c.csv", "--yes", "-vv", "-j", "1")

        assert ended.code == 5
        left = ended.out.encode() + ended.err.encode() + everything_under(migrator.run_folder())
        assert b"you sent Bearer ***" in left
        assert NEEDLE.encode() not in left
