"""Whatever stops a run: nothing is lost, the message says what to type, and `resume` goes on."""

from __future__ import annotations

import asyncio
import json
import resource
import signal
import sqlite3
from collections import Counter
from typing import Any

import pytest

from migrator.emulator import (
    Emulator,
    EmulatorSettings,
    Proceed,
    Request,
    Response,
    json_answer,
    seeded_container,
    seeded_instance_id,
    seeded_offer_id,
    seeded_tag,
)

HEADER = ("id", "op", "path", "value")
XCORE_HEADER = ("container", *HEADER)


def changes(count: int) -> list[tuple[str, ...]]:
    return [(seeded_offer_id(i), "add", "/tags/-", seeded_tag("dps", 1)) for i in range(count)]


def seen(server: Emulator) -> Counter[str]:
    return Counter(effect.id for effect in server.effects)


def patches(server: Emulator) -> int:
    return sum(count for (method, _), count in server.counters.requests.items() if method == "PATCH")


def assert_explained(err: str, *words: str) -> None:
    """An error is a paragraph for a person: what happened, what to do, and never a traceback."""
    assert "Traceback" not in err
    assert "error: " in err or "interrupted: " in err
    for word in words:
        assert word in err, f"{word!r} is missing in:\n{err}"


# --- before anything is sent ------------------------------------------------------------------------------------------


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
        assert set(seen(server).values()) == {1}


# --- in the middle ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_a_signal_finishes_what_is_in_flight_and_resume_does_the_rest(
    migrator: Any, until: Any, number: int, code: int
) -> None:
    async with Emulator(EmulatorSettings(seed_offers=60, latency_s=0.1)) as server:
        migrator.point_at(server.url).write("c.csv", HEADER, changes(60))
        running = await migrator.start("apply", "c.csv", "--yes")
        await until(lambda: len(server.effects) >= 10)

        running.send_signal(number)
        stopped = await migrator.end(running)
        resumed = await migrator("resume")

        assert stopped.code == code
        assert_explained(stopped.err, "interrupted: what was in flight is recorded", "migrator resume")
        assert "in doubt" not in stopped.out
        assert resumed.code == 0
        assert seen(server) == {seeded_offer_id(i): 1 for i in range(60)}


async def never_answers_a_patch(request: Request, proceed: Proceed) -> Response:
    """Let the effect happen and keep the answer."""
    response = await proceed(request)
    if request.method == "PATCH":
        await asyncio.Event().wait()
    return response


async def test_a_second_signal_stops_at_once_and_leaves_what_was_in_flight_in_doubt(migrator: Any, until: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=20), middlewares=[never_answers_a_patch]) as server:
        migrator.point_at(server.url).write("c.csv", HEADER, changes(20))
        running = await migrator.start("apply", "c.csv", "--yes", "-j", "3")
        await until(lambda: len(server.effects) == 3)

        running.send_signal(signal.SIGINT)
        await asyncio.wait_for(said(running, b"once more to stop at once"), 30)
        running.send_signal(signal.SIGINT)
        stopped = await migrator.end(running)

        assert stopped.code == 130
        assert_explained(stopped.err, "interrupted: what was in flight is in doubt", "migrator resume")
        assert "0 applied · 3 in doubt · 17 not sent" in stopped.out
        assert len(server.effects) == 3


async def said(process: asyncio.subprocess.Process, words: bytes) -> None:
    """Wait until a process has said something on stderr."""
    assert process.stderr is not None
    while words not in await process.stderr.readline():
        pass


async def test_after_kill_9_what_was_in_flight_is_looked_at_and_nothing_is_sent_twice(
    migrator: Any, until: Any
) -> None:
    async with Emulator(EmulatorSettings(seed_offers=80, latency_s=0.05)) as server:
        migrator.point_at(server.url).write("c.csv", HEADER, changes(80))
        migrator.environment |= {"MIGRATOR_TIMEOUT": "3", "MIGRATOR_QUIET_PERIOD": "2"}
        running = await migrator.start("apply", "c.csv", "--yes", "-j", "4")
        await until(lambda: len(server.effects) >= 20)

        running.kill()
        killed = await migrator.end(running)
        resumed = await migrator("resume", "--output", "json")
        sent = patches(server)
        again = await migrator("resume")

        assert killed.code == -signal.SIGKILL
        assert resumed.code == again.code == 0, resumed.err
        assert json.loads(resumed.out.splitlines()[-1])["states"] == {"APPLIED": 80}
        assert seen(server) == {seeded_offer_id(i): 1 for i in range(80)}
        assert patches(server) == sent <= 80 + 4


def goes_down_after(count: int) -> Any:
    """Turn the service away at the gateway from the n-th PATCH on, until told otherwise."""
    state = {"left": count}

    async def middleware(request: Request, proceed: Proceed) -> Response:
        if request.method == "PATCH":
            if state["left"] <= 0:
                return json_answer(503, {"error_code": "503010", "message": "Could not validate"})
            state["left"] -= 1
        return await proceed(request)

    return middleware, state


async def test_a_service_that_goes_away_stops_the_run_and_resume_goes_on(migrator: Any) -> None:
    middleware, state = goes_down_after(25)
    async with Emulator(EmulatorSettings(seed_offers=60), middlewares=[middleware]) as server:
        migrator.point_at(server.url).write("c.csv", HEADER, changes(60))
        migrator.environment |= {"MIGRATOR_MAX_ATTEMPTS": "2", "MIGRATOR_BACKOFF_BASE": "0.01"}

        stopped = await migrator("apply", "c.csv", "--yes")
        state["left"] = 1000
        resumed = await migrator("resume")

        assert stopped.code == 6
        assert_explained(stopped.err, "503010", "tried 2 times", "migrator resume")
        assert "25 applied · 35 not sent" in stopped.out
        assert resumed.code == 0
        assert seen(server) == {seeded_offer_id(i): 1 for i in range(60)}


def small_files() -> None:
    """Let no file of this process grow beyond 300 KiB: the disk is full."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300 * 1024, 300 * 1024))


async def test_a_full_disk_stops_the_sending_at_once_and_resume_goes_on(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=1500)) as server:
        # The plan fits; the write-ahead log of the run does not. What is read before patches would fill it up first.
        rows = [(seeded_offer_id(i), "replace", "/rank/priority", str(i % 7)) for i in range(700)]
        migrator.point_at(server.url).write("c.csv", HEADER, rows)

        migrator.environment |= {"MIGRATOR_TIMEOUT": "3", "MIGRATOR_QUIET_PERIOD": "2"}
        full = await migrator.start("apply", "c.csv", "--yes", "--no-guard", before=small_files)
        stopped = await migrator.end(full)
        sent = len(server.effects)
        resumed = await migrator("resume", "--output", "json")

        assert stopped.code == 6
        assert_explained(stopped.err, "the ledger", "migrator resume")
        assert 0 < sent < 700
        assert json.loads(resumed.out.splitlines()[-1])["states"] == {"APPLIED": 700}
        assert set(seen(server).values()) == {1}


async def test_a_full_disk_while_planning_sends_nothing_and_leaves_nothing(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=1)) as server:
        rows = [(f"offer-{i}", "replace", "/name", "x" * 50) for i in range(5000)]
        migrator.point_at(server.url).write("c.csv", HEADER, rows)

        stopped = await migrator.end(await migrator.start("apply", "c.csv", "--yes", before=small_files))

        assert stopped.code == 6
        assert_explained(stopped.err, "the ledger")
        assert not server.counters.requests
        assert migrator.run_folders() == []


# --- resume -----------------------------------------------------------------------------------------------------------


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


async def test_resume_needs_neither_the_input_nor_the_flags(migrator: Any, until: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=30, latency_s=0.1)) as server:
        tag = seeded_tag("xcore", 1)
        rows = [(seeded_container(0), seeded_instance_id(i), "add", "/_instance/xdm:tags/-", tag) for i in range(30)]
        path = migrator.point_at(server.url).write("c.csv", XCORE_HEADER, rows)
        running = await migrator.start("apply", "c.csv", "--yes", "--style", "xcore")
        await until(lambda: len(server.effects) >= 5)
        running.terminate()
        await migrator.end(running)
        path.unlink()

        resumed = await migrator("resume")

        assert resumed.code == 0, resumed.err
        assert seen(server) == {seeded_instance_id(i): 1 for i in range(30)}


async def test_there_is_nothing_to_resume(migrator: Any) -> None:
    ended = await migrator("resume")

    assert ended.code == 2
    assert_explained(ended.err, "there is no run in runs", "migrator apply FILE")


@pytest.mark.parametrize("secret", ["MIGRATOR_CLIENT_SECRET", "MIGRATOR_ACCESS_TOKEN"])
async def test_no_secret_is_in_anything_that_a_run_leaves(migrator: Any, secret: str) -> None:
    async with Emulator(EmulatorSettings(seed_offers=3, access_token="needle-5c1e")) as server:
        migrator.point_at(server.url).write("c.csv", HEADER, [*changes(2), ("nobody", "remove", "/a", "")])
        del migrator.environment["MIGRATOR_CLIENT_SECRET"]
        migrator.environment[secret] = "needle-5c1e"

        ended = await migrator("apply", "c.csv", "--yes", "-vv", "--log-format", "json")
        await migrator("results")

        assert ended.code == 3
        left = ended.out.encode() + ended.err.encode()
        left += b"".join(path.read_bytes() for path in migrator.run_folder().rglob("*") if path.is_file())
        assert b"needle-5c1e" not in left
        assert b"Bearer" not in left


async def test_the_ledger_can_be_asked_in_sql_by_anybody(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=2)) as server:
        migrator.point_at(server.url).write("c.csv", HEADER, [*changes(2), ("nobody", "remove", "/a", "")])
        await migrator("apply", "c.csv", "--yes")

        db = sqlite3.connect(migrator.run_folder() / "ledger.sqlite")
        rows = db.execute("SELECT line, state, http_status, error_class, etag FROM outcomes ORDER BY line").fetchall()
        db.close()

        assert rows == [(2, "APPLIED", 200, "", 2), (3, "APPLIED", 200, "", 2), (4, "REJECTED", 404, "not_found", None)]


async def test_a_run_whose_listener_has_gone_still_heeds_the_signal(migrator: Any, until: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=60, latency_s=0.1)) as server:
        migrator.point_at(server.url).write("c.csv", HEADER, changes(60))
        running = await migrator.start("apply", "c.csv", "--yes", "-vv")
        await until(lambda: len(server.effects) >= 5)
        # As `apply … 2>&1 | tee log` is left when Ctrl-C ends tee first.
        for pipe in (1, 2):
            running._transport.get_pipe_transport(pipe).close()

        running.send_signal(signal.SIGINT)
        async with asyncio.timeout(60):
            code = await running.wait()

        assert code == 130
        assert len(server.effects) < 60
        assert (await migrator("resume")).code == 0
        assert seen(server) == {seeded_offer_id(i): 1 for i in range(60)}


async def test_log_lines_that_nobody_reads_do_not_stop_a_run(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=30)) as server:
        rows = [("nobody", "remove", f"/a{i}", "") for i in range(3)] + changes(30)
        migrator.point_at(server.url).write("c.csv", HEADER, rows)
        running = await migrator.start("apply", "c.csv", "--yes", "-vv")
        for pipe in (1, 2):
            running._transport.get_pipe_transport(pipe).close()
        async with asyncio.timeout(60):
            code = await running.wait()

        assert code == 3
        assert seen(server) == {seeded_offer_id(i): 1 for i in range(30)}


async def test_a_signal_while_planning_leaves_nothing_behind(migrator: Any, until: Any) -> None:
    migrator.point_at("http://127.0.0.1:9")
    migrator.write("c.csv", HEADER, ((f"o{i}", "replace", "/name", "x" * 50) for i in range(200_000)))
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        running = await migrator.start("apply", "c.csv", "--yes")
        await until(lambda: any((migrator.folder / "runs").glob("*/ledger.planning")))

        running.send_signal(number)
        ended = await migrator.end(running)

        assert ended.code == code
        assert "Traceback" not in ended.err
        assert migrator.run_folders() == []


async def repeats_the_token(request: Request, proceed: Proceed) -> Response:
    """Answer as something on the way might: with the request it got, under a status that says all is well."""
    if request.method != "PATCH":
        return await proceed(request)
    said = request.headers["authorization"]
    if request.path.endswith(seeded_offer_id(0)):
        return json_answer(200, {"status": 422, "detail": f"you sent {said}"})
    return Response(302, headers={"Location": f"https://login.example/{said[7:]}?t={said[7:]}"})


async def test_a_token_that_comes_back_in_an_answer_is_not_kept(migrator: Any) -> None:
    settings = EmulatorSettings(seed_offers=2, access_token="needle-5c1e")
    async with Emulator(settings, middlewares=[repeats_the_token]) as server:
        migrator.point_at(server.url).write("c.csv", HEADER, changes(2))
        del migrator.environment["MIGRATOR_CLIENT_SECRET"]
        migrator.environment["MIGRATOR_ACCESS_TOKEN"] = "needle-5c1e"

        ended = await migrator("apply", "c.csv", "--yes", "-vv", "-j", "1")

        assert ended.code == 5
        left = ended.out.encode() + ended.err.encode()
        left += b"".join(path.read_bytes() for path in migrator.run_folder().rglob("*") if path.is_file())
        assert b"you sent Bearer ***" in left
        assert b"needle-5c1e" not in left


async def test_a_storm_of_429s_is_sat_out_while_the_run_moves(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=150, rate=50, burst=5)) as server:
        migrator.point_at(server.url).write("c.csv", HEADER, changes(150))

        ended = await migrator("apply", "c.csv", "--yes", "-j", "64")

        assert ended.code == 0, ended.err
        assert server.counters.rejected_by_rate_limit > 64
        assert seen(server) == {seeded_offer_id(i): 1 for i in range(150)}


async def test_status_of_a_run_that_is_running_says_so(migrator: Any, until: Any) -> None:
    looked = asyncio.Event()

    async def keeps_answers(request: Request, proceed: Proceed) -> Response:
        response = await proceed(request)
        if request.method == "PATCH":
            await looked.wait()
        return response

    async with Emulator(EmulatorSettings(seed_offers=40), middlewares=[keeps_answers]) as server:
        migrator.point_at(server.url).write("c.csv", HEADER, changes(40))
        running = await migrator.start("apply", "c.csv", "--yes")
        await until(lambda: len(server.effects) > 2)

        status = await migrator("status")
        looked.set()
        await migrator.end(running)
        afterwards = await migrator("status")

        assert ", running: " in status.out
        assert "in doubt" not in status.out
        assert "next:" not in status.out
        assert "running" not in afterwards.out


async def test_a_ledger_of_another_kind_does_not_block_new_runs(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=1)) as server:
        migrator.point_at(server.url).write("c.csv", HEADER, changes(1))
        old = migrator.folder / "runs" / "old"
        old.mkdir(parents=True)
        (old / "ledger.sqlite").write_bytes(b"garbage")

        ended = await migrator("apply", "c.csv", "--yes")

        assert ended.code == 0, ended.err
        assert "unreadable" in (await migrator("runs")).out
