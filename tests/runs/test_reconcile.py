"""What became of rows whose answers were lost: `migrator reconcile`, `--on-doubt`, and the limits that end a run."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import sys
from collections.abc import Awaitable, Callable
from contextlib import closing, suppress
from typing import Any, Literal

import pytest

from migrator.emulator import (
    Emulator,
    EmulatorSettings,
    Proceed,
    Request,
    Response,
    seeded_container,
    seeded_instance_id,
    seeded_offer_id,
    seeded_tag,
)

HEADER = ("container", "id", "op", "path", "value")
Style = Literal["xcore", "dps"]

QUICK = {"MIGRATOR_TIMEOUT": "1", "MIGRATOR_QUIET_PERIOD": "1", "MIGRATOR_BACKOFF_BASE": "0.01"}
"""An emulator on this machine is done with a request as soon as its connection is gone."""


def appends(style: Style, count: int) -> list[tuple[str, ...]]:
    """Append a tag: what is applied twice then has two more."""
    tag = seeded_tag(style, 1)
    if style == "xcore":
        return [(seeded_container(0), seeded_instance_id(i), "add", "/_instance/xdm:tags/-", tag) for i in range(count)]
    return [("", seeded_offer_id(i), "add", "/tags/-", tag) for i in range(count)]


def renames(count: int) -> list[tuple[str, ...]]:
    return [("", seeded_offer_id(i), "replace", "/name", f"Name {i}") for i in range(count)]


def writes(server: Emulator) -> int:
    return sum(count for (method, _), count in server.counters.requests.items() if method != "GET")


def ours(server: Emulator) -> dict[str, int]:
    """Return how often we changed each object."""
    counts: dict[str, int] = {}
    for effect in server.effects:
        if effect.api_key != "somebody-else":
            counts[effect.id] = counts.get(effect.id, 0) + 1
    return counts


def states(migrator: Any) -> dict[str, int]:
    with closing(sqlite3.connect(migrator.run_folder() / "ledger.sqlite")) as db:
        return dict(db.execute("SELECT state, count(*) FROM outcomes GROUP BY 1").fetchall())


class Silence:
    """Carries out every other PATCH, and answers none, until it is broken."""

    def __init__(self) -> None:
        self.patches = 0
        self.broken = False

    @property
    def middleware(self) -> Any:
        async def keep_silent(request: Request, proceed: Proceed) -> Response:
            if request.method != "PATCH" or self.broken:
                return await proceed(request)
            self.patches += 1
            if self.patches % 2:
                await proceed(request)
            await asyncio.Event().wait()
            raise AssertionError

        return keep_silent


async def kill(running: asyncio.subprocess.Process) -> None:
    running.kill()


async def interrupt_twice(running: asyncio.subprocess.Process) -> None:
    assert running.stderr is not None
    running.send_signal(signal.SIGINT)
    async with asyncio.timeout(30):
        while b"once more" not in await running.stderr.readline():
            pass
    running.send_signal(signal.SIGINT)


@pytest.mark.parametrize("style", ["xcore", "dps"])
@pytest.mark.parametrize("end", [kill, interrupt_twice])
async def test_what_a_process_left_in_doubt_is_settled_by_reading_and_the_rest_goes_with_resume(
    migrator: Any, until: Any, style: Style, end: Callable[[asyncio.subprocess.Process], Awaitable[None]]
) -> None:
    silence = Silence()
    async with Emulator(EmulatorSettings(seed_offers=12), middlewares=[silence.middleware]) as server:
        migrator.point_at(server.url).write("c.csv", HEADER, appends(style, 12))
        migrator.environment |= {**QUICK, "MIGRATOR_TIMEOUT": "4"}
        running = await migrator.start("apply", "c.csv", "--yes", "-j", "4", "--style", style)
        await until(lambda: silence.patches == 4 or running.returncode is not None)
        assert running.returncode is None
        await end(running)
        await migrator.end(running)
        silence.broken = True
        before = writes(server), len(server.effects)

        reconciled = await migrator("reconcile", "--output", "json")

        assert (writes(server), len(server.effects)) == before, "it only reads"
        assert before[1] == 2
        assert reconciled.code == 6, reconciled.err
        summary = json.loads(reconciled.out.splitlines()[-1])
        assert summary["states"] == {"APPLIED": 2, "PENDING": 10}
        assert summary["next"] == f"migrator resume {migrator.run_folder().name}"

        again = await migrator("reconcile")
        resumed = await migrator("resume")
        assert again.code == 6
        assert resumed.code == 0, resumed.err
        assert set(ours(server).values()) == {1}
        assert len(ours(server)) == 12


# --- what looking cannot tell -----------------------------------------------------------------------------------------

VICTIM = seeded_offer_id(0)


def undo(server: Emulator) -> None:
    """Let somebody else rename the victim, twice: whether our name was there in between is not to be told."""
    for name in ("Theirs", "Theirs again"):
        server.edit("dps", "dev", VICTIM, [{"op": "replace", "path": "/name", "value": name}])


class Thief:
    """Takes the answer to the first PATCH of the victim, and lets somebody else change it."""

    def __init__(self) -> None:
        self.server: Emulator | None = None

    @property
    def middleware(self) -> Any:
        async def steal(request: Request, proceed: Proceed) -> Response:
            response = await proceed(request)
            if request.method == "PATCH" and request.path.endswith(VICTIM) and self.server is not None:
                undo(self.server)
                self.server = None
                request.hang_up()
            return response

        return steal


@pytest.fixture
async def service(migrator: Any) -> Any:
    """A service at which the first of three rows gets lost."""
    thief = Thief()
    async with Emulator(EmulatorSettings(seed_offers=3), middlewares=[thief.middleware]) as server:
        thief.server = server
        migrator.point_at(server.url).write("c.csv", HEADER, renames(3))
        migrator.environment |= QUICK
        yield server


def name_of_the_victim(server: Emulator) -> str:
    record = server.store.find("dps", "dev", VICTIM)
    assert record is not None
    return record.name


async def test_a_row_that_cannot_be_told_is_held_until_a_person_decides(migrator: Any, service: Emulator) -> None:
    held = await migrator("apply", "c.csv", "--yes")
    await migrator("results")

    assert held.code == 4, held.err
    assert "2 applied · 1 unresolved (of 3 rows)" in held.out
    (row,) = migrator.results("unresolved")
    assert (row["id"], row["_state"], row["_error_class"]) == (VICTIM, "UNRESOLVED", "undecided")
    assert row["_message"].startswith('/name is "Theirs again"; version 1 before, now 4 (last changed ')
    assert row["_message"].endswith("See whether the change is in it, or was and has been undone")

    sent = writes(service)
    looked_again = await migrator("reconcile")
    resumed = await migrator("resume")
    assert (looked_again.code, resumed.code) == (4, 4)

    decided = await migrator("reconcile", "--on-doubt", "assume-applied")
    await migrator("results")
    assert decided.code == 0, decided.err
    assert writes(service) == sent
    assert migrator.results("unresolved") == []
    assert states(migrator) == {"APPLIED": 3}
    assert name_of_the_victim(service) == "Theirs again"


@pytest.mark.parametrize(
    ("decision", "code", "found", "times", "name"),
    [
        ("hold", 4, {"APPLIED": 2, "UNRESOLVED": 1}, 1, "Theirs again"),
        ("assume-applied", 0, {"APPLIED": 3}, 1, "Theirs again"),
        ("resend", 0, {"APPLIED": 3}, 2, "Name 0"),
    ],
)
async def test_a_policy_decides_at_once(
    migrator: Any, service: Emulator, decision: str, code: int, found: dict[str, int], times: int, name: str
) -> None:
    ended = await migrator("apply", "c.csv", "--yes", "--on-doubt", decision)

    assert ended.code == code, ended.err
    assert states(migrator) == found
    assert ours(service) == {VICTIM: times, seeded_offer_id(1): 1, seeded_offer_id(2): 1}
    assert name_of_the_victim(service) == name


async def test_what_is_to_be_sent_again_by_reconcile_goes_with_resume(migrator: Any, service: Emulator) -> None:
    await migrator("apply", "c.csv", "--yes")
    sent = writes(service)

    decided = await migrator("reconcile", "--on-doubt", "resend")
    assert decided.code == 6
    assert writes(service) == sent

    resumed = await migrator("resume")
    assert resumed.code == 0, resumed.err
    assert name_of_the_victim(service) == "Name 0"
    assert ours(service)[VICTIM] == 2


async def test_without_a_terminal_nobody_is_asked(migrator: Any, service: Emulator) -> None:
    ended = await migrator("apply", "c.csv", "--yes", "--on-doubt", "ask")

    assert ended.code == 2
    assert "nobody can be asked here" in ended.err
    assert writes(service) == 0

    await migrator("apply", "c.csv", "--yes", "--again")
    assert (await migrator("reconcile", "--on-doubt", "ask")).code == 2


async def asked(migrator: Any, *arguments: str, answer: str) -> tuple[int, str]:
    """Run a command on a terminal, answer its first question, and return its exit code and what it wrote there."""
    ours, theirs = os.openpty()
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "migrator", *arguments),
            cwd=migrator.folder,
            env={**os.environ, **migrator.environment},
            stdin=theirs,
            stderr=theirs,
            stdout=asyncio.subprocess.DEVNULL,
        )
        os.close(theirs)
        said = b""
        with suppress(OSError):  # so a terminal says that nobody is left at its other end
            while some := await asyncio.to_thread(os.read, ours, 4096):
                said += some
                if b"What now?" in said and answer:
                    os.write(ours, answer.encode() + b"\n")
                    answer = ""
        return await process.wait(), said.decode()
    finally:
        os.close(ours)


@pytest.mark.parametrize(
    ("answer", "code", "found"),
    [
        ("assume-applied", 0, {"APPLIED": 3}),
        ("hold", 4, {"APPLIED": 2, "UNRESOLVED": 1}),
        ("resend", 0, {"APPLIED": 3}),
    ],
)
async def test_a_person_at_a_terminal_is_asked(
    migrator: Any, service: Emulator, answer: str, code: int, found: dict[str, int]
) -> None:
    ended, said = await asked(migrator, "apply", "c.csv", "--yes", "--on-doubt", "ask", answer=answer)

    assert ended == code, said
    assert f'line 2, patch personalized-offer {VICTIM}: /name is "Theirs again"; version 1 before, now 4' in said
    assert states(migrator) == found
    assert ours(service)[VICTIM] == (2 if answer == "resend" else 1)


# --- limits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "value", "failed", "said"),
    [
        ("--max-failures", "2", 3, "3 steps failed, more than --max-failures allows"),
        ("--max-failures", "0", 1, "1 step failed, more than --max-failures allows; the last one: HTTP 404"),
        ("--max-failures", "10%", 3, "3 steps failed, more than --max-failures allows"),
        ("--equal-failures", "4", 4, "4 requests in a row failed alike: HTTP 404"),
    ],
)
async def test_a_run_in_which_too_much_fails_stops_and_goes_on_when_told_to(
    migrator: Any, option: str, value: str, failed: int, said: str
) -> None:
    async with Emulator(EmulatorSettings(seed_offers=20)) as server:
        nobody = [("", f"nobody-{i}", "replace", "/name", "x") for i in range(5)]
        migrator.point_at(server.url).write("c.csv", HEADER, [*nobody, *renames(20)])

        stopped = await migrator("apply", "c.csv", "--yes", "-j", "1", option, value)
        assert stopped.code == 6
        assert said in stopped.err
        assert "then go on with `migrator resume" in stopped.err
        assert states(migrator) == {"REJECTED": failed, "PENDING": 25 - failed}

        resumed = await migrator("resume", "--max-failures", "100%", "--equal-failures", "0")
        assert resumed.code == 3
        assert states(migrator) == {"REJECTED": 5, "APPLIED": 20}
        assert ours(server) == {seeded_offer_id(i): 1 for i in range(20)}


async def test_a_run_that_takes_too_long_stops_and_resume_goes_on(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=40, latency_s=0.1)) as server:
        migrator.point_at(server.url).write("c.csv", HEADER, renames(40))

        stopped = await migrator("apply", "c.csv", "--yes", "-j", "2", "--max-duration", "1s")
        assert stopped.code == 6
        assert "the run has taken the 1 s that --max-duration allows" in stopped.err
        assert set(states(migrator)) == {"APPLIED", "PENDING"}, "what was in flight is recorded"

        resumed = await migrator("resume", "--max-duration", "0")
        assert resumed.code == 0, resumed.err
        assert ours(server) == {seeded_offer_id(i): 1 for i in range(40)}
