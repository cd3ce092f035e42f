"""A few first: --limit, --sample and --ids hold the others back; --max-changes and a production ask before anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from migrator.emulator import Emulator, EmulatorSettings
from tests.runs.rows import create, delete, lines, names, offer, ours, rename, touch, write
from tests.soak.job import Style
from tests.soak.killing import QUICK

STYLES = pytest.mark.parametrize("style", ["xcore", "dps"])


def reads(server: Emulator) -> int:
    """Requests that only read."""
    return sum(count for (method, _), count in server.counters.requests.items() if method == "GET")


@STYLES
async def test_only_the_first_are_read_and_sent_and_resume_does_the_others(migrator: Any, style: Style) -> None:
    async with Emulator(EmulatorSettings(seed_offers=20)) as server:
        write(migrator.point_at(server.url), [rename(style, i) for i in range(20)])

        applied = await migrator("apply", "c.jsonl", "--style", style, "--yes", "--limit", "3")
        read, sent = reads(server), ours(server)
        status = await migrator("status", "--output", "json")
        verified = await migrator("verify")
        more = await migrator("resume", "--limit", "5")
        after_more = ours(server)
        rest = await migrator("resume")

        assert (applied.code, more.code, rest.code) == (6, 6, 0), applied.err + rest.err
        assert "3 applied · 17 held back (of 20 rows)" in applied.out
        assert "next: migrator resume" in applied.out
        assert (verified.code, "3 of 20 rows as written\nnot verified: 17 held back\n" in verified.out) == (0, True)
        assert sent == [offer(style, i) for i in range(3)]
        assert read == 1 + 3
        assert lines(status.out)[0]["states"] == {"APPLIED": 3, "PENDING": 17}
        assert sorted(after_more) == sorted(offer(style, i) for i in range(8))
        assert sorted(ours(server)) == sorted(offer(style, i) for i in range(20))


async def test_a_sample_is_the_same_each_time_and_not_the_first(migrator: Any) -> None:
    sent = []
    for _ in range(2):
        async with Emulator(EmulatorSettings(seed_offers=50)) as server:
            write(migrator.point_at(server.url), [rename("dps", i) for i in range(50)])
            applied = await migrator("apply", "c.jsonl", "--yes", "--again", "--sample", "8")
            assert applied.code == 6, applied.err
            sent.append(sorted(ours(server)))

    assert sent[0] == sent[1]
    assert len(set(sent[0])) == 8
    assert sent[0] != sorted(offer("dps", i) for i in range(8))


@STYLES
async def test_only_the_objects_of_a_file_are_read_and_sent(migrator: Any, style: Style) -> None:
    async with Emulator(EmulatorSettings(seed_offers=20)) as server:
        write(migrator.point_at(server.url), [*(rename(style, i) for i in range(20)), create(style, "Fallback")])
        ids = migrator.folder / "ids.txt"
        ids.write_text(f"\ufeff{offer(style, 4)}\r\n\r\n  {offer(style, 9)}\nnobody\n", encoding="utf-8")

        shown = await migrator("plan", "c.jsonl", "--style", style, "--ids", "ids.txt", "--show", "all")
        applied = await migrator("apply", "c.jsonl", "--style", style, "--yes", "--ids", "ids.txt")

        assert "plan: 2 to change · 19 left out" in shown.out
        assert applied.code == 6, applied.err
        assert sorted(ours(server)) == sorted([offer(style, 4), offer(style, 9)])
        assert "run.unknown_ids" in applied.err
        assert "nobody" in applied.err
        assert reads(server) == 2 * 3


async def test_an_id_with_a_limit_is_both(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=9)) as server:
        write(migrator.point_at(server.url), [rename("dps", i) for i in range(9)])
        (migrator.folder / "ids.txt").write_text("\n".join(offer("dps", i) for i in (7, 5, 3)))

        await migrator("apply", "c.jsonl", "--yes", "--ids", "ids.txt", "--limit", "2")

        assert ours(server) == [offer("dps", 3), offer("dps", 5)]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--limit", "1", "--sample", "1"), "--limit and --sample exclude each other"),
        (("--limit", "0"), "not in the range"),
        (("--ids", "missing.txt"), "cannot be read"),
        (("--ids", "empty.txt"), "there is no id in empty.txt"),
        (("--ids", "binary.txt"), "cannot be read"),
    ],
)
async def test_a_choice_that_cannot_be_meant_is_refused_before_anything_is_made(
    migrator: Any, options: tuple[str, ...], said: str
) -> None:
    write(migrator.point_at("http://127.0.0.1:9"), [rename("dps", 0)])
    (migrator.folder / "empty.txt").write_text("\n \n")
    (migrator.folder / "binary.txt").write_bytes(b"\xff\xfe\x00")
    for command in (("apply", "c.jsonl", "--yes"), ("plan", "c.jsonl")):
        ended = await migrator(*command, *options)
        assert ended.code == 2
        assert said in ended.err
    assert not (migrator.folder / "runs").exists()


@STYLES
async def test_creates_and_deletions_are_held_back_too_and_deletions_come_last(migrator: Any, style: Style) -> None:
    async with Emulator(EmulatorSettings(seed_offers=6)) as server:
        rows = [delete(style, 0), create(style, "One"), rename(style, 1), create(style, "Two"), delete(style, 2)]
        write(migrator.point_at(server.url), rows)

        applied = await migrator("apply", "c.jsonl", "--style", style, "--yes", "--limit", "2")
        first = [(effect.method, effect.id) for effect in server.effects]
        rest = await migrator("resume")

        assert applied.code == 6
        assert [method for method, _ in first] == ["POST", "PATCH"]
        assert rest.code == 0, rest.err
        assert [effect.method for effect in server.effects[2:]] == ["POST", "DELETE", "DELETE"]
        assert names(server, style, 3) == ["", "Renamed 1", ""]


async def test_a_run_that_is_killed_in_a_first_try_goes_on_with_as_few(migrator: Any, until: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=40)) as server:
        write(migrator.point_at(server.url), [rename("dps", i) for i in range(40)])
        migrator.environment |= QUICK

        running = await migrator.start("apply", "c.jsonl", "--yes", "--limit", "20", "--rate", "20", "-j", "1")
        await until(lambda: len(server.effects) >= 3)
        running.kill()
        await migrator.end(running)
        before = len(server.effects)
        status = await migrator("status")
        resumed = await migrator("resume", "--limit", "5")

        assert "20 held back" in status.out
        assert resumed.code == 6, resumed.err
        # What was in flight when it was killed may have been done, and is no part of the five.
        assert before <= len(server.effects) <= before + 6
        assert len(set(ours(server))) == len(ours(server))


async def test_a_first_try_that_is_interrupted_is_ended_before_anything_else_is_sent(migrator: Any, until: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=40)) as server:
        write(migrator.point_at(server.url), [rename("dps", i) for i in range(40)])
        migrator.environment |= QUICK

        running = await migrator.start("apply", "c.jsonl", "--yes", "--limit", "20", "--rate", "20", "-j", "1")
        await until(lambda: len(server.effects) >= 3)
        running.kill()
        await migrator.end(running)
        settled = await migrator("reconcile")
        tried = await migrator("resume")
        first = ours(server)
        rest = await migrator("resume")

        assert "20 held back" in settled.out
        assert "20 applied · 20 held back (of 40 rows)" in tried.out
        assert tried.code == 6
        assert "next: migrator resume" in tried.out
        assert sorted(first) == sorted(offer("dps", i) for i in range(20))
        assert rest.code == 0, rest.err
        assert sorted(ours(server)) == sorted(offer("dps", i) for i in range(40))


async def test_nobody_is_told_to_send_the_others_to_get_out_of_a_first_try(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=4)) as server:
        write(migrator.point_at(server.url), [rename("dps", 9), *(rename("dps", i) for i in range(4))])
        await migrator("apply", "c.jsonl", "--yes", "--limit", "2", "--run-id", "few")

        retried = await migrator("retry", "few", "--yes")
        undone = await migrator("rollback", "few", "--yes")

        assert (retried.code, undone.code) == (2, 2)
        assert "\n  `migrator results few` writes the failed rows to a file, to be applied; or go on" in retried.err
        assert "\n  add --unfinished to undo what is applied, or go on" in undone.err


@STYLES
async def test_a_saved_plan_can_be_tried_on_a_few(migrator: Any, style: Style) -> None:
    async with Emulator(EmulatorSettings(seed_offers=12)) as server:
        write(migrator.point_at(server.url), [rename(style, i) for i in range(12)])
        await migrator("plan", "c.jsonl", "--style", style, "--out", "p.plan")

        first = await migrator("apply", "p.plan", "--limit", "2")
        touch(server, style, 5, "status", "approved")
        rest = await migrator("resume")

        assert first.code == 6, first.err
        assert "2 applied · 10 held back" in first.out
        assert rest.code == 7, rest.out
        assert "11 applied · 1 failed" in rest.out
        assert offer(style, 5) not in ours(server)


# Too many


@pytest.mark.parametrize("how", ["apply", "apply a plan"])
@pytest.mark.parametrize(
    ("most", "said"),
    [
        ("10", ""),
        ("9", "10 objects would be changed, and --max-changes allows 9"),
        ("0", "10 objects would be changed, and --max-changes allows 0"),
        ("29%", ""),
        ("25%", ""),
        ("24.9%", "10 of 40 objects of type personalized-offer in container dev would be changed"),
        ("10%%", "max_changes (MIGRATOR_MAX_CHANGES)"),
        ("-3", "max_changes (MIGRATOR_MAX_CHANGES)"),
    ],
)
async def test_more_changes_than_allowed_are_refused_and_nothing_is_sent(
    migrator: Any, how: str, most: str, said: str
) -> None:
    async with Emulator(EmulatorSettings(seed_offers=40)) as server:
        rows = [*(rename("dps", i) for i in range(8)), delete("dps", 8), delete("dps", 9), create("dps", "New")]
        write(migrator.point_at(server.url), rows)
        command: tuple[str, ...] = ("apply", "c.jsonl", "--yes")
        if how == "apply a plan":
            await migrator("plan", "c.jsonl", "--out", "p.plan", "--show", "none")
            command = ("apply", "p.plan")

        applied = await migrator(*command, "--max-changes", most)

        assert applied.code == (2 if said else 0), applied.err
        assert said in applied.err
        assert len(server.effects) == (0 if said else 11)
        assert not said or not list((migrator.folder / "runs").glob("*/ledger.sqlite"))


async def test_a_share_is_reckoned_as_people_do(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=100)) as server:
        write(migrator.point_at(server.url), [rename("dps", i) for i in range(29)])

        applied = await migrator("apply", "c.jsonl", "--yes", "--max-changes", "29%")  # 0.29 × 100 < 29 in binary

        assert applied.code == 0, applied.err


# Production


@pytest.fixture
def production(migrator: Any) -> Path:
    """A profile of a production."""
    (migrator.folder / "config").mkdir()
    (migrator.folder / "config" / "prod.toml").write_text("production = true\n")
    migrator.environment["MIGRATOR_PROFILE"] = "prod"
    folder: Path = migrator.folder
    return folder


async def test_in_a_production_somebody_has_to_name_the_sandbox(migrator: Any, production: Path) -> None:
    del production
    async with Emulator(
        EmulatorSettings(seed_offers=6, faults=("500-before:PATCH:path=*1a4c51506e5dbd7c*:max=1",))
    ) as server:
        rows = [rename("dps", 0), rename("dps", 77), rename("dps", 2), rename("dps", 3)]
        write(migrator.point_at(server.url), rows)
        named = ("--confirm-sandbox", "dev")

        shown = await migrator("plan", "c.jsonl", "--out", "p.plan")
        for command in (("apply", "c.jsonl", "--yes"), ("apply", "p.plan")):
            for wrong in ((), ("--confirm-sandbox", "prod"), ("--confirm-sandbox", "")):
                refused = await migrator(*command, *wrong)
                assert refused.code == 2
                assert "production sandbox 'dev'" in refused.err
                assert "add --confirm-sandbox dev if it is meant" in refused.err
        assert server.effects == []

        applied = await migrator("apply", "c.jsonl", "--yes", "--limit", "2", *named)
        for options in (("resume",), ("retry", "--yes")):
            refused = await migrator(*options)
            assert refused.code == 2
            assert "add --confirm-sandbox dev if it is meant" in refused.err
        looked = await migrator("reconcile")
        resumed = await migrator("resume", *named)
        retried = await migrator("retry", "--yes", *named)

        assert shown.code == 3
        assert applied.code in (3, 6)
        assert looked.code == applied.code, looked.err
        assert (resumed.code, retried.code) == (3, 3), resumed.err + retried.err
        assert len(server.effects) == 3


async def test_a_run_remembers_that_it_goes_to_a_production(migrator: Any, production: Path) -> None:
    del production
    async with Emulator(EmulatorSettings(seed_offers=3)) as server:
        write(migrator.point_at(server.url), [rename("dps", i) for i in range(3)])
        await migrator("plan", "c.jsonl", "--out", "p.plan")
        del migrator.environment["MIGRATOR_PROFILE"]

        refused = await migrator("apply", "p.plan")
        applied = await migrator("apply", "p.plan", "--limit", "1", "--confirm-sandbox", "dev")
        resumed = await migrator("resume")

        assert (refused.code, applied.code, resumed.code) == (2, 6, 2)
        assert "add --confirm-sandbox dev" in resumed.err


async def test_in_a_production_no_row_goes_to_another_sandbox(migrator: Any, production: Path) -> None:
    del production
    async with Emulator(EmulatorSettings(seed_offers=2)) as server:
        write(migrator.point_at(server.url), [rename("dps", 0), {**rename("dps", 1), "container": "prod"}])
        planned = await migrator("plan", "c.jsonl", "--out", "p.plan")

        for command in (("apply", "c.jsonl", "--yes"), ("apply", "p.plan")):
            refused = await migrator(*command, "--confirm-sandbox", "dev")
            assert refused.code == 2
            assert "rows name another sandbox than dev: prod; nothing was sent" in refused.err

        assert planned.code in (0, 3), planned.err
        assert server.effects == []


async def test_elsewhere_nobody_is_asked(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=1)) as server:
        write(migrator.point_at(server.url), [rename("dps", 0)])

        applied = await migrator("apply", "c.jsonl", "--yes")

        assert applied.code == 0, applied.err
