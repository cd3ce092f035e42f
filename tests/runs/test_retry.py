"""`migrator retry`: what failed is sent again once its cause is gone, and nothing else, by a run of its own."""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from migrator.emulator import Emulator, EmulatorSettings, seeded_offer_id, seeded_tag

HEADER = ("id", "op", "path", "value", "sku")
GHOST = "dps:personalized-offer:0000000000000000"
ROWS = [
    (seeded_offer_id(0), "replace", "/name", "Fine", "007"),
    (seeded_offer_id(1), "replace", "/name", "Merged", "0080"),  # line 3, and with line 6 one request that fails
    (GHOST, "replace", "/name", "Nobody", '9"9'),
    (seeded_offer_id(2), "replace", "/name", "Fine, too", "1"),
    (seeded_offer_id(1), "replace", "/characteristics/season", "autumn", "2"),
]


def cure(server: Emulator) -> None:
    """Make there what line 6 wants to replace."""
    server.edit(
        "dps", "dev", seeded_offer_id(1), [{"op": "add", "path": "/characteristics", "value": {"season": "summer"}}]
    )


def asked_about(server: Emulator, since: int) -> set[str]:
    """Return the ids of the objects that requests were about, looks and writes, but for the first `since` requests."""
    paths = [one.path.partition("?")[0] for one in server.requests[since:]]
    return {path.rpartition("/offers/")[2].replace("%3A", ":") for path in paths if "/offers/" in path}


def effects(server: Emulator) -> list[str]:
    """Return the ids of the objects that we changed, in order."""
    return [effect.id for effect in server.effects if effect.api_key == "test-client"]


def progress(folder: Path) -> list[Any]:
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as db:
        return db.execute("SELECT * FROM progress ORDER BY step").fetchall()


async def failed_run(migrator: Any, server: Emulator, rows: Sequence[tuple[str, ...]] = ROWS) -> Path:
    """Apply rows of which some fail, take the input away, and return the folder of the run."""
    migrator.point_at(server.url).write("changes.csv", HEADER, rows)
    applied = await migrator("apply", "changes.csv", "--yes", "--run-id", "spring")
    assert applied.code == 3, applied.err
    (migrator.folder / "changes.csv").unlink()
    folder: Path = migrator.folder / "runs" / "spring"
    return folder


async def rows_of(migrator: Any, run: str, outcome: str) -> list[dict[str, str]]:
    await migrator("results", run, "--to", f"results-of-{run}")
    path = migrator.folder / f"results-of-{run}" / f"{outcome}.csv"
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


async def test_failed_rows_are_sent_again_and_only_they(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=3)) as server:
        folder = await failed_run(migrator, server)
        before = progress(folder)
        cure(server)
        already = len(server.requests)

        retried = await migrator("retry", "--yes")

        assert retried.code == 3, retried.err
        assert "run spring: 3 failed rows again: 2 requests to 1 container" in retried.out
        assert "run spring.retry-1: 2 applied · 1 failed (of 3 rows)" in retried.out
        assert asked_about(server, already) == {seeded_offer_id(1), GHOST}
        assert sorted(effects(server)) == sorted(seeded_offer_id(i) for i in range(3))
        assert progress(folder) == before, "what is final stays final"


async def test_results_of_a_retry_are_rows_of_the_input(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=3)) as server:
        await failed_run(migrator, server)
        cure(server)

        await migrator("retry", "--yes")
        applied = await rows_of(migrator, "spring.retry-1", "applied")
        failed = await rows_of(migrator, "spring.retry-1", "failed")

        assert [tuple(row[name] for name in HEADER) for row in applied] == [ROWS[1], ROWS[4]]
        assert [row["_line"] for row in applied] == ["3", "6"]
        assert [tuple(row[name] for name in HEADER) for row in failed] == [ROWS[2]]
        assert [(row["_line"], row["_error_class"]) for row in failed] == [("4", "not_found")]


async def test_lines_of_jsonl_come_back_as_they_were(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=1)) as server:
        line = f'{{ "sku": 1.50, "id": "{GHOST}", "patch": [{{"op": "replace", "path": "/name", "value": "ü"}}]}}'
        (migrator.folder / "c.jsonl").write_text(f"\n{line}\n", encoding="utf-8")
        migrator.point_at(server.url)

        await migrator("apply", "c.jsonl", "--yes", "--run-id", "spring")
        await migrator("retry", "--yes")
        await migrator("results", "spring.retry-1")

        written = (migrator.folder / "runs/spring.retry-1/results/failed.jsonl").read_text(encoding="utf-8")
        assert written.startswith(line.removesuffix("}") + ',"_line":2,')


async def test_only_the_classes_that_are_named_are_retried(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=3)) as server:
        await failed_run(migrator, server)
        already = len(server.requests)

        none = await migrator("retry", "spring", "--yes", "--error-class", "conflict")
        one = await migrator("retry", "spring", "--yes", "--error-class", "not_found")
        of_one = asked_about(server, already)
        both = await migrator("retry", "spring", "--yes", "--error-class", "not_found", "--error-class", "validation")
        unknown = await migrator("retry", "spring", "--yes", "--error-class", "not-found")

        assert [none.code, one.code, both.code, unknown.code] == [0, 3, 3, 2]
        assert none.out == "no row of run spring has failed with conflict: nothing to retry\n"
        assert of_one == {GHOST}
        assert asked_about(server, already) == {seeded_offer_id(1), GHOST}
        assert sorted(entry.name for entry in migrator.run_folders()) == ["spring", "spring.retry-1", "spring.retry-2"]


async def test_a_run_without_failures_has_nothing_to_retry(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=1)) as server:
        migrator.point_at(server.url).write("c.csv", HEADER, ROWS[:1])
        await migrator("apply", "c.csv", "--yes", "--run-id", "spring")

        retried = await migrator("retry")  # without --yes: there is nothing to ask

        assert (retried.code, retried.err) == (0, "")
        assert retried.out == "no row of run spring has failed: nothing to retry\n"
        assert len(migrator.run_folders()) == 1


async def test_a_retry_says_which_run_it_is_from_and_is_resumed_like_any_other(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=3)) as server:
        await failed_run(migrator, server)
        cure(server)

        retried = await migrator("retry", "--yes", "--output", "json")
        resumed = await migrator("resume", "spring.retry-1")

        planned, summary = map(json.loads, retried.out.splitlines())
        assert (planned["event"], planned["run"], planned["retries"]) == ("retry", "spring.retry-1", "spring")
        assert (planned["rows"], planned["steps"]) == (3, 2)
        assert (summary["run"], summary["retries"]) == ("spring.retry-1", "spring")
        assert summary["next"] == "migrator results spring.retry-1"
        assert resumed.code == 3, resumed.err
        with closing(sqlite3.connect(migrator.folder / "runs/spring.retry-1/ledger.sqlite")) as db:
            ((input_, rows, steps),) = db.execute("SELECT input, rows, steps FROM run")
        assert (input_, rows, steps) == ("changes.csv", 3, 2)


async def test_a_retry_of_a_retry_sends_what_failed_there(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=3)) as server:
        await failed_run(migrator, server)
        await migrator("retry", "--yes")  # both fail again
        cure(server)
        already = len(server.requests)

        again = await migrator("retry", "--yes")
        first = await migrator("retry", "spring", "--yes")

        assert "run spring.retry-1.retry-1: 2 applied · 1 failed (of 3 rows)" in again.out
        assert asked_about(server, already) == {seeded_offer_id(1), GHOST}
        assert first.code == 2
        assert "run spring.retry-1.retry-1 has retried these rows already" in first.err
        assert "migrator retry spring.retry-1.retry-1" in first.err


async def test_what_a_retry_has_applied_is_not_sent_once_more_by_mistake(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=3)) as server:
        growing = (seeded_offer_id(1), "add", "/tags/-", seeded_tag("dps", 1), "0080")
        await failed_run(migrator, server, [growing if row[3] == "Merged" else row for row in ROWS])
        cure(server)
        await migrator("retry", "spring", "--yes")
        already = len(server.requests)

        refused = await migrator("retry", "spring", "--yes")
        others = await migrator("retry", "spring", "--yes", "--error-class", "not_found")
        after_refusal = asked_about(server, already)
        allowed = await migrator("retry", "spring", "--yes", "--again")

        assert refused.code == 2
        assert "run spring.retry-1 has retried these rows already" in refused.err
        assert "--again" in refused.err
        assert others.code == 3, "these have all failed again, so that they may be retried"
        assert after_refusal == {GHOST}
        assert allowed.code == 3
        assert effects(server).count(seeded_offer_id(1)) == 2
        assert not (migrator.folder / "runs" / "spring.retry-4").exists()


async def test_a_retry_that_has_not_ended_is_to_be_resumed(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=3)) as server:
        await failed_run(migrator, server)
        migrator.environment |= {"MIGRATOR_MAX_ATTEMPTS": "1"}
        server.add_fault("429:*")
        stopped = await migrator("retry", "spring", "--yes")

        second = await migrator("retry", "spring", "--yes")
        of_it = await migrator("retry", "spring.retry-1", "--yes")

        assert stopped.code == 6
        assert (second.code, of_it.code) == (2, 2)
        assert "go on with `migrator resume spring.retry-1`" in second.err
        assert "run spring.retry-1 has not ended: 3 rows not sent" in of_it.err
        assert "migrator resume spring.retry-1" in of_it.err


@pytest.mark.parametrize(("state", "code"), [("DOUBT", 2), ("UNRESOLVED", 3)])
async def test_what_is_in_doubt_is_not_retried_and_not_passed_over_in_silence(
    migrator: Any, state: str, code: int
) -> None:
    async with Emulator(EmulatorSettings(seed_offers=3)) as server:
        folder = await failed_run(migrator, server, ROWS[1:])
        with closing(sqlite3.connect(folder / "ledger.sqlite", isolation_level=None)) as db:
            (trigger,) = db.execute("SELECT sql FROM sqlite_master WHERE name = 'progress_moves'").fetchone()
            db.execute("DROP TRIGGER progress_moves")  # as if it had been lost from the start
            db.execute("UPDATE progress SET state = ? WHERE state = 'APPLIED'", (state,))
            db.execute(trigger)
        already = len(server.requests)

        retried = await migrator("retry", "spring", "--yes")

        assert retried.code == code, retried.err
        if state == "DOUBT":
            assert "run spring has not ended: 1 row in doubt" in retried.err
            assert "migrator resume spring" in retried.err
            assert len(server.requests) == already
        else:
            assert "1 row unresolved, not retried: `migrator reconcile spring`" in retried.err
            assert asked_about(server, already) == {seeded_offer_id(1), GHOST}


async def test_nobody_is_asked_without_a_terminal_and_nothing_stays(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=3)) as server:
        await failed_run(migrator, server)

        ended = await migrator("retry")

        assert ended.code == 2
        assert "--yes" in ended.err
        assert len(migrator.run_folders()) == 1


async def test_a_retry_goes_where_the_run_went(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=3)) as server:
        await failed_run(migrator, server)
        migrator.environment["MIGRATOR_SANDBOX"] = "prod"

        ended = await migrator("retry", "--yes")

        assert ended.code == 2
        assert "run spring goes to sandbox 'dev'" in ended.err
        assert len(migrator.run_folders()) == 1


async def test_failed_rows_that_are_applied_as_they_are_after_a_retry_are_known(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=1)) as server:
        await failed_run(migrator, server, [ROWS[0], ROWS[2]])
        await migrator("retry", "--yes")
        await migrator("results", "spring", "--to", "out")

        applied = await migrator("apply", "out/failed.csv", "--yes")

        assert applied.code == 2
        assert "run spring.retry-1 is about exactly these changes, and 1 row of it failed" in applied.err


async def test_what_has_failed_is_not_said_to_be_applied(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=1)) as server:
        await failed_run(migrator, server, [ROWS[0], ROWS[2]])
        migrator.write("changes.csv", HEADER, [ROWS[0], ROWS[2]])
        again = await migrator("apply", "changes.csv", "--yes")

        assert again.code == 2
        assert "run spring is about exactly these changes, and 1 row of it failed" in again.err
        assert "`migrator retry spring` sends" in again.err


async def test_a_resume_of_a_finished_run_asks_nobody_anything(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=3)) as server:
        await failed_run(migrator, server)
        cure(server)
        await migrator("retry", "--yes", "--error-class", "validation")
        before, tokens = len(server.requests), server.counters.tokens_issued

        resumed = await migrator("resume", "spring")
        of_retry = await migrator("resume", "spring.retry-1")

        assert (resumed.code, of_retry.code) == (3, 0)
        assert tokens == 2, "the token endpoint is counted, so that this test can fail"
        assert server.counters.tokens_issued == tokens
        assert len(server.requests) == before
