"""Whatever stops a run on its way: nothing is lost, the message says what to type, and `resume` goes on."""

from __future__ import annotations

import asyncio
import json
import resource
import signal
import sqlite3
from contextlib import closing
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
from tests.conftest import seen_by
from tests.runs.appends import HEADER, XCORE_HEADER, assert_explained, changes, patches


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
        assert seen_by(server) == {seeded_offer_id(i): 1 for i in range(60)}


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
        assert seen_by(server) == {seeded_offer_id(i): 1 for i in range(60)}


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
        assert seen_by(server) == {seeded_offer_id(i): 1 for i in range(30)}


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
        assert seen_by(server) == {seeded_offer_id(i): 1 for i in range(80)}
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
        assert seen_by(server) == {seeded_offer_id(i): 1 for i in range(60)}


def small_files() -> None:
    """Let no file of this process grow beyond 300 KiB: the disk is full."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300 * 1024, 300 * 1024))


async def test_a_full_disk_stops_the_sending_at_once_and_resume_goes_on(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=1500)) as server:
        # The plan fits; the write-ahead log of the run does not. What is read before patches would fill it up first.
        rows = [(seeded_offer_id(i), "replace", "/rank/priority", str(i % 7)) for i in range(500)]
        migrator.point_at(server.url).write("c.csv", HEADER, rows)

        migrator.environment |= {"MIGRATOR_TIMEOUT": "3", "MIGRATOR_QUIET_PERIOD": "2"}
        full = await migrator.start("apply", "c.csv", "--yes", "--no-guard", before=small_files)
        stopped = await migrator.end(full)
        sent = len(server.effects)
        resumed = await migrator("resume", "--output", "json")

        assert stopped.code == 6
        assert_explained(stopped.err, "the ledger", "migrator resume")
        assert 0 < sent < 500
        assert json.loads(resumed.out.splitlines()[-1])["states"] == {"APPLIED": 500}
        assert set(seen_by(server).values()) == {1}


async def test_a_full_disk_while_planning_sends_nothing_and_leaves_nothing(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=1)) as server:
        rows = [(f"offer-{i}", "replace", "/name", "x" * 50) for i in range(5000)]
        migrator.point_at(server.url).write("c.csv", HEADER, rows)

        stopped = await migrator.end(await migrator.start("apply", "c.csv", "--yes", before=small_files))

        assert stopped.code == 6
        assert_explained(stopped.err, "the ledger")
        assert not server.counters.requests
        assert migrator.run_folders() == []


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
        assert seen_by(server) == {seeded_instance_id(i): 1 for i in range(30)}


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


@pytest.mark.parametrize(
    ("damage", "said", "sent"),
    [
        ("DELETE FROM to_send WHERE step > 2", "does not say where all of its 3 rows stand", 1),
        ("DELETE FROM step WHERE seq = 3", "has lost steps that are still to be sent", 2),
    ],
)
async def test_a_ledger_that_has_lost_rows_or_steps_is_refused_and_never_taken_for_complete(
    migrator: Any, damage: str, said: str, sent: int
) -> None:
    async with Emulator(EmulatorSettings(seed_offers=3)) as server:
        migrator.point_at(server.url).write("c.csv", HEADER, changes(3))
        await migrator("apply", "c.csv", "--yes", "--limit", "1")
        with closing(sqlite3.connect(migrator.run_folder() / "ledger.sqlite")) as db, db:
            db.execute(damage)

        resumed = await migrator("resume")

        assert resumed.code == 6
        assert_explained(resumed.err, said, "the file is damaged")
        assert len(server.effects) == sent
