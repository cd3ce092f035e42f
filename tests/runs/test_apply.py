"""Whole runs: the program as a process, against the emulator, from input file to results file."""

from __future__ import annotations

import gzip
import json
import sqlite3
from typing import Any

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
from tests.conftest import seen_by
from tests.runs.appends import HEADER, changes

OPERATIONS = ("type", "id", "op", "path", "value")
XCORE_OPERATIONS = ("container", *OPERATIONS)
ROWS = 10_000
CONTAINERS = 20


def renames(count: int) -> list[tuple[str, ...]]:
    return [("personalized-offer", seeded_offer_id(i), "replace", "/name", f"Name {i}") for i in range(count)]


def appends(count: int, containers: int = CONTAINERS) -> list[tuple[str, ...]]:
    """The case of the seed pages: each run twice would leave two more tags."""
    return [
        (
            seeded_container(i % containers),
            "personalized-offer",
            seeded_instance_id(i),
            "add",
            "/_instance/xdm:tags/-",
            seeded_tag("xcore", 1),
        )
        for i in range(count)
    ]


def etags(server: Emulator, style: str) -> set[int]:
    """The etags of all personalized offers."""
    return {one.etag for one in server.store if (one.style, one.word) == (style, "personalized-offer")}


@pytest.mark.slow
async def test_ten_thousand_dps_offers_are_each_changed_exactly_once(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=ROWS)) as server:
        migrator.point_at(server.url).write("changes.csv", OPERATIONS, renames(ROWS))

        applied = await migrator("apply", "changes.csv", "--yes", "-j", "32")
        results = await migrator("results")
        sent = sum(server.counters.requests.values())
        resumed = await migrator("resume")

        assert (applied.code, results.code, resumed.code) == (0, 0, 0), applied.err
        assert seen_by(server) == {seeded_offer_id(i): 1 for i in range(ROWS)}
        assert etags(server, "dps") == {2}
        assert sum(server.counters.requests.values()) == sent, "the second resume must not send anything"
        rows = migrator.results("applied")
        assert [row["id"] for row in rows] == [seeded_offer_id(i) for i in range(ROWS)]
        assert {(row["_state"], row["_http_status"], row["_etag"]) for row in rows} == {("APPLIED", "200", "2")}
        assert [int(row["_line"]) for row in rows] == list(range(2, ROWS + 2))


async def test_what_a_page_of_a_list_tells_is_not_read_again_one_by_one(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=100)) as server:
        migrator.point_at(server.url).write("changes.csv", OPERATIONS, renames(100))

        applied = await migrator("apply", "changes.csv", "--yes")

        assert applied.code == 0, applied.err
        # The first look at the container, and one page of a hundred.
        assert server.counters.requests == {("GET", 200): 2, ("PATCH", 200): 100}


@pytest.mark.slow
async def test_ten_thousand_xcore_offers_in_twenty_containers_are_each_changed_exactly_once(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=ROWS, containers=CONTAINERS)) as server:
        migrator.point_at(server.url).write("changes.csv", XCORE_OPERATIONS, appends(ROWS))

        applied = await migrator("apply", "changes.csv", "--style", "xcore", "--yes", "-j", "32")
        await migrator("results")
        sent = sum(server.counters.requests.values())
        resumed = await migrator("resume")

        assert (applied.code, resumed.code) == (0, 0), applied.err
        assert seen_by(server) == {seeded_instance_id(i): 1 for i in range(ROWS)}
        assert etags(server, "xcore") == {2}
        assert sum(server.counters.requests.values()) == sent
        assert len(migrator.results("applied")) == ROWS


async def test_rows_of_one_object_are_one_request_and_each_is_accounted_for(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=3)) as server:
        rows = [
            (seeded_offer_id(0), "/name", "A"),
            (seeded_offer_id(1), "/name", "B"),
            (seeded_offer_id(0), "/status", "draft"),
            (seeded_offer_id(0), "/rank/priority", "9"),
        ]
        migrator.point_at(server.url).write(
            "c.csv", ("id", "op", "path", "value"), [(i, "replace", p, v) for i, p, v in rows]
        )

        applied = await migrator("apply", "c.csv", "--yes")
        await migrator("results")

        assert applied.code == 0, applied.err
        assert seen_by(server) == {seeded_offer_id(0): 1, seeded_offer_id(1): 1}
        assert [(row["_line"], row["_etag"]) for row in migrator.results("applied")] == [
            (str(n), "2") for n in (2, 3, 4, 5)
        ]
        record = server.store.find("dps", "dev", seeded_offer_id(0))
        assert record is not None
        document = json.loads(record.document)
        assert (document["name"], document["status"], document["rank"]["priority"]) == ("A", "draft", 9)


async def test_failed_rows_come_back_as_they_were_and_can_be_mended_and_fed_back(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=3)) as server:
        header = ("id", "op", "path", "value", "sku")
        rows = [
            (seeded_offer_id(0), "replace", "/name", "Fine", "007"),
            ("dps:personalized-offer:0000000000000000", "replace", "/name", "Nobody", "0080"),
            (seeded_offer_id(1), "replace", "/rank/prioritty", "3", '9"9'),
        ]
        migrator.point_at(server.url).write("changes.csv", header, rows)

        applied = await migrator("apply", "changes.csv", "--yes")
        listed = await migrator("results")

        assert applied.code == 3
        assert "1 applied · 2 failed" in applied.out
        assert "next: migrator results" in applied.out
        assert "failed.csv" in listed.out
        failed = migrator.results("failed")
        assert [(row["_line"], row["_http_status"], row["_error_class"]) for row in failed] == [
            ("3", "404", "not_found"),
            ("4", "422", "validation"),
        ]
        assert [tuple(row[name] for name in header) for row in failed] == rows[1:]
        assert len(migrator.results("applied")) == 1

        path = migrator.run_folder() / "results" / "failed.csv"
        mended = path.read_text().replace("prioritty", "priority").replace("0000000000000000", "1a4c5151685dbd7c")
        (migrator.folder / "mended.csv").write_text(mended)
        again = await migrator("apply", "mended.csv", "--yes")

        assert again.code == 0, again.out + again.err
        assert seen_by(server) == {seeded_offer_id(i): 1 for i in range(3)}


async def test_creates_are_sent_once_each(migrator: Any) -> None:
    async with Emulator(EmulatorSettings()) as server:
        lines = [
            {"type": "fallback-offer", "key": f"k{i}", "create": {"name": f"F{i}", "status": "draft"}}
            for i in range(50)
        ]
        (migrator.folder / "new.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

        applied = await migrator.point_at(server.url)("apply", "new.jsonl", "--yes")
        await migrator("results")

        assert applied.code == 0, applied.err
        assert sorted(record.name for record in server.store) == sorted(f"F{i}" for i in range(50))
        written = (migrator.run_folder() / "results" / "applied.jsonl").read_text().splitlines()
        assert [json.loads(line)["key"] for line in written] == [f"k{i}" for i in range(50)]
        assert {json.loads(line)["_etag"] for line in written} == {1}


async def test_deletes_are_sent_in_both_styles(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=2)) as server:
        (migrator.folder / "dps.jsonl").write_text(json.dumps({"id": seeded_offer_id(0), "delete": True}))
        xcore = {"container": seeded_container(0), "id": seeded_instance_id(0), "delete": True}
        (migrator.folder / "xcore.jsonl").write_text(json.dumps(xcore))
        migrator.point_at(server.url)

        codes = [
            (await migrator("apply", "dps.jsonl", "--yes")).code,
            (await migrator("apply", "xcore.jsonl", "--yes", "--style", "xcore")).code,
        ]

        assert codes == [0, 0]
        assert [(effect.method, effect.style) for effect in server.effects] == [("DELETE", "dps"), ("DELETE", "xcore")]


@pytest.mark.parametrize("packed", [False, True])
async def test_standard_input_is_read_packed_or_not(migrator: Any, packed: bool) -> None:
    async with Emulator(EmulatorSettings(seed_offers=1)) as server:
        text = json.dumps(
            {"id": seeded_offer_id(0), "patch": [{"op": "replace", "path": "/name", "value": "X"}]}
        ).encode()
        migrator.point_at(server.url)

        applied = await migrator("apply", "-", "--yes", stdin=gzip.compress(text) if packed else text)

        assert applied.code == 0, applied.err
        assert "standard input: 1 row checked" in applied.out
        assert len(server.effects) == 1


async def test_refused_requests_are_sent_again_and_change_nothing_twice(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=60, rate=40, burst=10)) as server:
        migrator.point_at(server.url).write("changes.csv", OPERATIONS, renames(60))

        applied = await migrator("apply", "changes.csv", "--yes", "-j", "8", "--output", "json")

        assert applied.code == 0, applied.err
        summary = json.loads(applied.out.splitlines()[-1])
        assert server.counters.rejected_by_rate_limit > 0
        assert summary["states"] == {"APPLIED": 60}
        assert summary["requests"] == 60 + sum(
            count for (method, status), count in server.counters.requests.items() if (method, status) == ("PATCH", 429)
        )
        assert set(seen_by(server).values()) == {1}


async def test_a_token_that_ends_in_the_middle_is_renewed(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=40, token_lifetime_s=1, latency_s=0.1)) as server:
        migrator.point_at(server.url).write("changes.csv", OPERATIONS, renames(40))

        applied = await migrator("apply", "changes.csv", "--yes", "-j", "2")

        assert applied.code == 0, applied.err
        assert server.counters.tokens_issued >= 2
        assert set(seen_by(server).values()) == {1}


def lose_answers(every: int) -> Any:
    """Break the connection after the effect of every n-th PATCH."""
    count = 0

    async def middleware(request: Request, proceed: Proceed) -> Response:
        nonlocal count
        response = await proceed(request)
        if request.method == "PATCH":
            count += 1
            if count % every == 0:
                request.hang_up()
        return response

    return middleware


async def test_a_row_whose_answer_was_lost_is_found_by_looking_and_not_sent_again(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=50), middlewares=[lose_answers(10)]) as server:
        migrator.point_at(server.url).write("changes.csv", XCORE_OPERATIONS, appends(50, 1))

        applied = await migrator("apply", "changes.csv", "--style", "xcore", "--yes")
        await migrator("results")

        assert applied.code == 0, applied.err
        assert "50 applied (of 50 rows)" in applied.out
        assert seen_by(server) == {seeded_instance_id(i): 1 for i in range(50)}
        assert sum(count for (method, _), count in server.counters.requests.items() if method == "PATCH") <= 50
        rows = migrator.results("applied")
        assert len(rows) == 50
        assert {row["_etag"] for row in rows} == {"2"}


async def test_the_same_changes_are_not_applied_twice_by_mistake(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=2)) as server:
        growing = [("personalized-offer", seeded_offer_id(i), "add", "/tags/-", seeded_tag("dps", 1)) for i in range(2)]
        migrator.point_at(server.url).write("changes.csv", OPERATIONS, growing)

        await migrator("apply", "changes.csv", "--yes")
        refused = await migrator("apply", "changes.csv", "--yes")
        allowed = await migrator("apply", "changes.csv", "--yes", "--again")

        assert refused.code == 2
        assert "has applied exactly these changes" in refused.err
        assert "--again" in refused.err
        assert allowed.code == 0
        assert set(seen_by(server).values()) == {2}


async def test_what_is_as_wanted_already_is_not_sent(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=3)) as server:
        migrator.point_at(server.url).write("two.csv", OPERATIONS, renames(2))
        migrator.write("three.csv", OPERATIONS, renames(3))

        await migrator("apply", "two.csv", "--yes", "--run-id", "first")
        again = await migrator("apply", "three.csv", "--yes", "--run-id", "second")

        assert again.code == 0, again.err
        assert "1 applied · 2 unchanged (of 3 rows)" in again.out
        assert set(seen_by(server).values()) == {1}


async def test_a_job_file_names_its_input_and_settings(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=5)) as server:
        jobs = migrator.folder / "jobs"
        jobs.mkdir()
        migrator.point_at(server.url).write("jobs/changes.csv", XCORE_OPERATIONS, appends(5, 1))
        (jobs / "job.toml").write_text('input = "changes.csv"\n[settings]\nstyle = "xcore"\nconcurrency = 2\n')

        applied = await migrator("apply", "jobs/job.toml", "--yes")

        assert applied.code == 0, applied.err
        assert {effect.style for effect in server.effects} == {"xcore"}


async def test_a_storm_of_429s_is_sat_out_while_the_run_moves(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=150, rate=50, burst=5)) as server:
        migrator.point_at(server.url).write("c.csv", HEADER, changes(150))

        ended = await migrator("apply", "c.csv", "--yes", "-j", "64")

        assert ended.code == 0, ended.err
        assert server.counters.rejected_by_rate_limit > 64
        assert seen_by(server) == {seeded_offer_id(i): 1 for i in range(150)}


async def test_the_ledger_can_be_asked_in_sql_by_anybody(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=2)) as server:
        migrator.point_at(server.url).write("c.csv", HEADER, [*changes(2), ("nobody", "remove", "/a", "")])
        await migrator("apply", "c.csv", "--yes")

        db = sqlite3.connect(migrator.run_folder() / "ledger.sqlite")
        rows = db.execute("SELECT line, state, http_status, error_class, etag FROM outcomes ORDER BY line").fetchall()
        db.close()

        assert rows == [(2, "APPLIED", 200, "", 2), (3, "APPLIED", 200, "", 2), (4, "REJECTED", 404, "not_found", None)]


async def test_a_ledger_of_another_kind_does_not_block_new_runs(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=1)) as server:
        migrator.point_at(server.url).write("c.csv", HEADER, changes(1))
        old = migrator.folder / "runs" / "old"
        old.mkdir(parents=True)
        (old / "ledger.sqlite").write_bytes(b"garbage")

        ended = await migrator("apply", "c.csv", "--yes")

        assert ended.code == 0, ended.err
        assert "unreadable" in (await migrator("runs")).out
