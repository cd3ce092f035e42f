"""`migrator verify`: how it reads, what it cannot tell, and what stops it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import sys
from contextlib import closing, suppress
from typing import Any

import pytest

from migrator.emulator import Emulator, EmulatorSettings, Proceed, Request, Response
from tests.runs.mixed import Words, applied

BOTH = pytest.mark.parametrize("words", [Words("xcore"), Words("dps")], ids=lambda words: words.style)


class Gate:
    """Holds up the requests of a method once so many have passed, until it is opened."""

    def __init__(self, method: str, passing: int) -> None:
        self.held = 0
        self._method = method
        self._passing = passing
        self._open = asyncio.Event()

    def open(self) -> None:
        self._open.set()

    def shut(self, method: str) -> None:
        """Hold up all requests of a method from now on."""
        self._method, self._passing = method, 0
        self._open.clear()

    @property
    def middleware(self) -> Any:
        async def hold(request: Request, proceed: Proceed) -> Response:
            if request.method == self._method and "/data/core" in request.path:
                if self._passing == 0:
                    self.held += 1
                    await self._open.wait()
                else:
                    self._passing -= 1
            return await proceed(request)

        return hold


def paths(server: Emulator, since: int) -> list[str]:
    """Return the paths of requests but for the first ones, and but for those for tokens."""
    return [one.path.partition("?")[0] for one in server.requests[since:] if one.style != "ims"]


def is_of_one(path: str) -> bool:
    """Whether a path is that of one object."""
    return path.rpartition("/")[2] not in ("offers", "search")


@BOTH
@pytest.mark.parametrize(
    ("offers", "changed", "lists", "looks"),
    [
        (300, 9, 0, 9),  # few: one by one
        (300, 250, 3, 0),  # many: three pages
        (300, 90, 1, 0),  # all of them are on the first page
    ],
)
async def test_many_objects_are_read_from_lists_and_few_one_by_one(
    migrator: Any, words: Words, offers: int, changed: int, lists: int, looks: int
) -> None:
    async with Emulator(EmulatorSettings(seed_offers=offers)) as server:
        await applied(migrator, server, words, list(map(words.rename, range(changed))))
        before = len(server.requests)

        verified = await migrator("verify")

        assert verified.code == 0, verified.out + verified.err
        read = paths(server, before)
        # The container is looked at first.
        assert [sum(map(is_of_one, read)), len(read)] == [looks, 1 + lists + looks]


async def test_a_list_that_is_too_long_is_left_and_the_rest_is_read_one_by_one(migrator: Any) -> None:
    words = Words("dps")
    async with Emulator(EmulatorSettings(seed_offers=2000)) as server:
        await applied(migrator, server, words, list(map(words.rename, [*range(10), 1998, 1999])))
        before = len(server.requests)

        verified = await migrator("verify")

        assert verified.code == 0, verified.out + verified.err
        read = paths(server, before)
        # Twenty pages are more than the twelve objects. The first one is read to see that.
        assert [sum(map(is_of_one, read)), len(read)] == [2, 1 + 1 + 2]


async def test_each_container_has_its_own_lists(migrator: Any) -> None:
    words = Words("xcore")
    async with Emulator(EmulatorSettings(seed_offers=60, containers=3)) as server:
        containers = {record.key: record.scope for record in server.store if record.style == "xcore"}
        lines = [words.rename(number) | {"container": containers[words.id(number)]} for number in range(60)]
        await applied(migrator, server, words, lines)
        before = len(server.requests)

        verified = await migrator("verify")

        assert verified.code == 0, verified.out
        assert len(paths(server, before)) == 3 + 3


async def test_rows_of_one_object_are_read_once_and_all_counted(migrator: Any) -> None:
    words = Words("dps")
    async with Emulator(EmulatorSettings(seed_offers=1)) as server:
        run = await applied(
            migrator, server, words, [words.rename(0), words.patch(0, "replace", "rank", "priority", value=7)]
        )
        before = len(server.requests)
        verified = await migrator("verify")
        assert verified.out.splitlines()[-1] == f"run {run}: 2 of 2 rows as written"
        assert len(paths(server, before)) == 1 + 1

        words.edit(server, 0, "replace", "rank", "priority", value=8)

        verified = await migrator("verify")

        assert verified.out.splitlines()[-1] == f"run {run}: 0 of 2 rows as written · 2 differ"


# --- what is not verified ---------------------------------------------------------------------------------------------


@BOTH
async def test_rows_that_failed_are_not_verified_and_no_difference(migrator: Any, words: Words) -> None:
    async with Emulator(EmulatorSettings(seed_offers=1)) as server:
        nobody = words.rename(0) | {"id": "nobody"}
        run = await applied(migrator, server, words, [words.rename(0), nobody], code=3)

        verified = await migrator("verify")

        assert verified.code == 0
        assert verified.out.splitlines() == [
            f"run {run}: 1 of 2 rows as written",
            "not verified: 1 failed",
            f"next: migrator results {run}",
        ]


async def killed_run(migrator: Any, until: Any, gate: Gate, words: Words, count: int) -> None:
    """Leave a run behind that was killed with a request in flight."""
    path = migrator.folder / "c.jsonl"
    path.write_text("".join(json.dumps(words.rename(number)) + "\n" for number in range(count)))
    running = await migrator.start("apply", "c.jsonl", "--yes", "-j", "1", "--style", words.style, "--run-id", "r")
    await until(lambda: gate.held == 1 or running.returncode is not None)
    running.kill()
    await migrator.end(running)


@BOTH
async def test_what_is_in_doubt_is_said_and_what_is_otherwise_ranks_above_it(
    migrator: Any, until: Any, words: Words
) -> None:
    gate = Gate("PATCH", 2)
    async with Emulator(EmulatorSettings(seed_offers=5), middlewares=[gate.middleware]) as server:
        migrator.point_at(server.url)
        await killed_run(migrator, until, gate, words, 5)

        verified = await migrator("verify")
        assert verified.code == 4, verified.err
        assert verified.out.splitlines() == [
            "run r: 2 of 5 rows as written",
            "not verified: 1 in doubt, 2 not sent",
            "next: migrator resume r",
        ]

        words.edit(server, 0, "replace", "name", value="Theirs")
        assert (await migrator("verify")).code == 3
        gate.open()


async def test_a_run_that_is_running_is_verified_as_far_as_it_is(migrator: Any, until: Any) -> None:
    words, gate = Words("dps"), Gate("PATCH", 2)
    async with Emulator(EmulatorSettings(seed_offers=5), middlewares=[gate.middleware]) as server:
        path = migrator.point_at(server.url).folder / "c.jsonl"
        path.write_text("".join(json.dumps(words.rename(number)) + "\n" for number in range(5)))
        running = await migrator.start("apply", "c.jsonl", "--yes", "-j", "1", "--run-id", "r")
        await until(lambda: gate.held == 1 or running.returncode is not None)

        verified = await migrator("verify", "--output", "json")

        gate.open()
        assert (await migrator.end(running)).code == 0
        assert verified.code == 0, verified.out + verified.err
        (summary,) = map(json.loads, verified.out.splitlines())
        # The second outcome may not be in the ledger yet.
        assert summary["as_written"] in (1, 2)
        assert (summary["running"], summary["rows"], summary["next"]) == (True, 5, "")


async def test_the_ledger_is_left_as_it_is(migrator: Any) -> None:
    words = Words("dps")
    async with Emulator(EmulatorSettings(seed_offers=20)) as server:
        await applied(migrator, server, words, list(map(words.rename, range(20))))
        ledger = migrator.run_folder() / "ledger.sqlite"

        def held() -> tuple[bytes, list[Any]]:
            with closing(sqlite3.connect(ledger)) as db:
                return ledger.read_bytes(), db.execute("SELECT name FROM sqlite_master ORDER BY 1").fetchall()

        before = held()
        assert (await migrator("verify")).code == 0
        assert held() == before


async def test_an_object_that_cannot_be_read_is_no_difference(migrator: Any) -> None:
    words = Words("dps")

    async def fail(request: Request, proceed: Proceed) -> Response:
        if request.method == "GET" and request.path.endswith(words.id(1)):
            return Response(500)
        return await proceed(request)

    async with Emulator(EmulatorSettings(seed_offers=3), middlewares=[fail]) as server:
        run = await applied(migrator, server, words, list(map(words.rename, range(3))), "--no-guard")

        migrator.environment |= {"MIGRATOR_BACKOFF_BASE": "0.01", "MIGRATOR_MAX_ATTEMPTS": "2"}
        verified = await migrator("verify")

        assert verified.code == 4, verified.err
        assert verified.out.splitlines() == [
            f"line 2: personalized-offer {words.id(1)} in dev: cannot be read: HTTP 500: no body",
            f"run {run}: 2 of 3 rows as written",
            "not verified: 1 cannot be read",
        ]


async def test_on_a_terminal_what_is_found_stands_on_lines_of_its_own_above_the_bar(migrator: Any) -> None:
    words = Words("dps")
    async with Emulator(EmulatorSettings(seed_offers=3)) as server:
        run = await applied(migrator, server, words, list(map(words.rename, range(3))))
        words.edit(server, 1, "replace", "name", value="Theirs")
        ours, theirs = os.openpty()
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "migrator", "verify"),
                cwd=migrator.folder,
                env={**os.environ, **migrator.environment, "TERM": "xterm", "COLUMNS": "200"},
                stdin=theirs,
                stdout=theirs,
                stderr=theirs,
            )
            os.close(theirs)
            said = b""
            with suppress(OSError):  # so a terminal says that nobody is left at its other end
                while some := await asyncio.to_thread(os.read, ours, 4096):
                    said += some
            assert await process.wait() == 3
        finally:
            os.close(ours)

        erased = "\x1b[2K"
        last = said.decode().split(erased)[-1].splitlines()
        assert f"{erased}line 2: personalized-offer {words.id(1)} in dev: /name is" in said.decode()
        assert last == [f"run {run}: 2 of 3 rows as written · 1 differ"]


# --- what stops it ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (Words("xcore"), "gone:*:status=404"),  # where every object would seem to be gone, too
        (Words("xcore"), "forbidden:*"),
        (Words("dps"), "forbidden:*"),
    ],
    ids=lambda one: one.style if isinstance(one, Words) else one.partition(":")[0],
)
async def test_a_service_that_refuses_to_be_read_is_not_taken_for_a_difference(
    migrator: Any, words: Words, fault: str
) -> None:
    async with Emulator(EmulatorSettings(seed_offers=3)) as server:
        run = await applied(migrator, server, words, list(map(words.rename, range(3))))
        server.add_fault(fault)

        verified = await migrator("verify")

        assert verified.code == 5, verified.out
        assert verified.out.splitlines() == [f"run {run}: 0 of 3 rows as written", "not verified: 3 not read yet"]
        assert f"container {words.container} cannot be used" in verified.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_it_with_what_was_found_so_far(migrator: Any, until: Any, number: signal.Signals) -> None:
    words, gate = Words("dps"), Gate("GET", -1)
    async with Emulator(EmulatorSettings(seed_offers=3), middlewares=[gate.middleware]) as server:
        run = await applied(migrator, server, words, list(map(words.rename, range(3))))
        gate.shut("GET")
        running = await migrator.start("verify")
        await until(lambda: gate.held == 1 or running.returncode is not None)
        running.send_signal(number)
        ended = await migrator.end(running)
        gate.open()

        assert ended.code == 128 + number, ended.err
        assert ended.out.splitlines() == [f"run {run}: 0 of 3 rows as written", "not verified: 3 not read yet"]
        assert "Traceback" not in ended.err


async def test_reads_keep_to_the_rate_of_the_run(migrator: Any) -> None:
    words = Words("dps")
    async with Emulator(EmulatorSettings(seed_offers=9)) as server:
        await applied(migrator, server, words, list(map(words.rename, range(9))), "--rate", "10/s")
        migrator.environment.pop("MIGRATOR_RATE")
        before = len(server.requests)

        assert (await migrator("verify", "-j", "16")).code == 0

        arrived = [one.arrived_us for one in server.requests[before:] if one.style != "ims"]
        assert len(arrived) == 10
        assert max(arrived) - min(arrived) >= 800_000, "ten requests at ten a second, and some for those on the way"


@BOTH
async def test_a_bad_day_is_waited_for(migrator: Any, words: Words) -> None:
    async with Emulator(EmulatorSettings(seed_offers=9)) as server:
        await applied(migrator, server, words, list(map(words.rename, range(9))))
        for fault in ("429:GET:every=3:retry-after=0", "expire-token:*:n=6", "500-before:GET:every=5"):
            server.add_fault(fault)
        migrator.environment["MIGRATOR_BACKOFF_BASE"] = "0.01"

        verified = await migrator("verify")

        assert verified.code == 0, verified.out + verified.err
        assert {kind for one in server.requests for kind in one.faults} == {"429", "expire-token", "500-before"}
