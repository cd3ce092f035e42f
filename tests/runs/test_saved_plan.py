"""`apply PLAN`: each object as it was shown, or not at all."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from migrator.core.states import State
from migrator.emulator import Emulator, EmulatorSettings, seeded_placement
from migrator.ledger.reading import summarize
from tests.runs.rows import at, create, delete, found, lines, names, offer, ours, pointer, put, rename, touch, write
from tests.soak.job import Style
from tests.soak.killing import QUICK

STYLES = pytest.mark.parametrize("style", ["xcore", "dps"])


async def planned(
    migrator: Any, style: Style, *rows: dict[str, Any], options: tuple[str, ...] = (), code: int = 0
) -> None:
    """Save a plan of rows as p.plan."""
    write(migrator, rows)
    ended = await migrator("plan", "c.jsonl", "--style", style, "--out", "p.plan", "--show", "none", *options)
    assert ended.code == code, ended.err
    assert (migrator.folder / "p.plan").exists()


def reword(style: Style, index: int, content: str, was: str | None = None) -> dict[str, Any]:
    text = {"placement": seeded_placement(style), "language": "en", "content": content}
    return at(style, index) | {"text": text if was is None else text | {"was": was}}


def text_pointer(style: Style) -> str:
    if style == "dps":
        return "/representations/0/components/0/content"
    return "/_instance/xdm:representations/0/xdm:components/0/xdm:content"


def forget(server: Emulator, style: Style, index: int) -> None:
    """Delete an offer as somebody else."""
    record = found(server, style, index)
    assert record is not None
    server.store.remove(record)


@STYLES
async def test_a_plan_is_carried_out_as_it_was_shown_without_a_question(migrator: Any, style: Style) -> None:
    async with Emulator(EmulatorSettings(seed_offers=10)) as server:
        migrator.point_at(server.url)
        rows = [rename(style, 0), reword(style, 1, "<b>New</b>"), create(style, "Fallback"), delete(style, 2)]
        await planned(migrator, style, *rows)
        (migrator.folder / "c.jsonl").unlink()

        shown = await migrator("plan", "p.plan")
        applied = await migrator("apply", "p.plan")
        results = await migrator("results")

        assert "plan: 1 to create · 2 to change · 1 to delete" in shown.out
        assert (applied.code, results.code) == (0, 0), applied.err
        assert "4 applied (of 4 rows)" in applied.out
        assert len(server.effects) == 4
        assert names(server, style, 3) == ["Renamed 0", "Seeded offer 1", ""]
        assert (migrator.folder / "p.plan").exists()


@STYLES
async def test_of_objects_that_have_changed_since_none_is_touched_and_all_others_are_done(
    migrator: Any, style: Style
) -> None:
    async with Emulator(EmulatorSettings(seed_offers=20)) as server:
        migrator.point_at(server.url)
        rows = [
            rename(style, 0),
            rename(style, 1),
            rename(style, 2),
            rename(style, 3),
            reword(style, 4, "<b>New</b>"),
            reword(style, 5, "<b>New</b>", was="<b>Your rate: 5 points</b>"),
            delete(style, 6),
            put(style, 7, "description", "added"),
            at(style, 8) | {"patch": [{"op": "replace", "path": text_pointer(style), "value": "x"}]},
            *(rename(style, i) for i in range(10, 20)),
        ]
        await planned(migrator, style, *rows)
        touch(server, style, 1, "name", "Theirs")  # where the change is
        touch(server, style, 2, "status", "approved")  # elsewhere
        forget(server, style, 3)
        patch = [{"op": "replace", "path": text_pointer(style), "value": "Theirs"}]
        for index in (4, 5):
            server.edit(style, "dev" if style == "dps" else at(style, 0)["container"], offer(style, index), patch)
        touch(server, style, 6, "status", "approved")
        touch(server, style, 7, "description", "theirs")
        touch(server, style, 8, "representations", [])  # so that the change fits no more

        applied = await migrator("apply", "p.plan")
        status = await migrator("status", "--output", "json")
        results = await migrator("results", "--output", "json")

        assert applied.code == 7, applied.out + applied.err
        assert "11 applied · 8 failed (of 19 rows)" in applied.out
        assert "migrator plan on its failed rows" in applied.out
        assert sorted(ours(server)) == sorted(offer(style, i) for i in (0, *range(10, 20)))
        (summary,) = lines(status.out)
        assert summary["states"] == {"APPLIED": 11, "REJECTED": 8}
        assert {file["outcome"]: file["rows"] for file in lines(results.out)} == {"applied": 11, "failed": 8}
        failed = jsonl(migrator.run_folder() / "results" / "failed.jsonl")
        assert {row["_error_class"] for row in failed} == {"drifted"}
        said = {row["_line"]: row["_message"] for row in failed}
        assert all(message.startswith("the object has changed meanwhile: ") for message in said.values())
        assert "Theirs" in said[2]
        assert "not where the change touches it" in said[3]
        assert "it has been deleted" in said[4]
        assert '"Theirs"' in said[5]
        assert '"Theirs"' in said[6]


@STYLES
async def test_however_many_objects_have_changed_all_others_are_done(migrator: Any, style: Style) -> None:
    async with Emulator(EmulatorSettings(seed_offers=12)) as server:
        migrator.point_at(server.url)
        await planned(migrator, style, *(rename(style, i) for i in range(12)))
        for index in range(8):
            touch(server, style, index, "status", "approved")

        applied = await migrator("apply", "p.plan", "--equal-failures", "3")

        assert applied.code == 7, applied.out + applied.err
        assert "4 applied · 8 failed (of 12 rows)" in applied.out


def jsonl(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@STYLES
async def test_what_has_drifted_can_be_planned_again_from_its_results(migrator: Any, style: Style) -> None:
    async with Emulator(EmulatorSettings(seed_offers=3)) as server:
        migrator.point_at(server.url)
        await planned(migrator, style, rename(style, 0), rename(style, 1))
        touch(server, style, 1, "status", "approved")
        await migrator("apply", "p.plan")
        await migrator("results")

        failed = str(next(migrator.run_folder().glob("results/failed.jsonl")))
        again = await migrator("plan", failed, "--style", style, "--out", "q.plan")
        applied = await migrator("apply", "q.plan")

        assert "plan: 1 to change" in again.out
        assert applied.code == 0, applied.err
        assert names(server, style, 2) == ["Renamed 0", "Renamed 1"]


@STYLES
async def test_drift_between_the_read_and_the_write_is_refused_and_not_made_anew(migrator: Any, style: Style) -> None:
    member = "xdm:name" if style == "xcore" else "name"
    async with Emulator(EmulatorSettings(seed_offers=5, faults=(f"foreign-edit:PATCH:n=2:member={member}",))) as server:
        migrator.point_at(server.url).environment |= QUICK
        await planned(migrator, style, *(rename(style, i) for i in range(5)))

        applied = await migrator("apply", "p.plan", "-j", "1")

        assert applied.code == 7, applied.out + applied.err
        assert ours(server) == [offer(style, i) for i in (0, 2, 3, 4)]
        assert names(server, style, 5)[1] not in ("Renamed 1", "Seeded offer 1")
        assert "4 applied · 1 failed (of 5 rows)" in applied.out


@STYLES
async def test_an_edit_that_somebody_beats_to_it_is_refused_as_drifted(migrator: Any, style: Style) -> None:
    member = "xdm:representations" if style == "xcore" else "representations"
    async with Emulator(EmulatorSettings(seed_offers=2)) as server:
        migrator.point_at(server.url).environment |= QUICK
        await planned(migrator, style, reword(style, 0, "<b>New</b>", was="<b>Your rate: 0 points</b>"))
        server.add_fault(f"foreign-edit:PATCH:n=1:member={member}:value=gone")

        applied = await migrator("apply", "p.plan", "-j", "1")

        assert applied.code == 7, applied.out + applied.err
        assert ours(server) == []


@STYLES
async def test_drift_is_checked_by_a_resume_after_a_kill(migrator: Any, until: Any, style: Style) -> None:
    async with Emulator(EmulatorSettings(seed_offers=120)) as server:
        migrator.point_at(server.url).environment |= QUICK
        rows = [*(rename(style, i) for i in range(90)), *(put(style, i, "description", "New") for i in range(90, 110))]
        await planned(migrator, style, *rows, *(delete(style, i) for i in range(110, 120)))

        running = await migrator.start("apply", "p.plan", "--rate", "60", "-j", "2")
        await until(lambda: len(server.effects) >= 10)
        running.kill()
        await migrator.end(running)
        done = len(server.effects)
        # All of them were read, a long time ago as it may be.
        for index in (70, 71, 95, 96, 112):
            touch(server, style, index, "status", "approved")
        touch(server, style, 97, "description", "Theirs")
        forget(server, style, 72)
        resumed = await migrator("resume")

        assert done < 60
        assert resumed.code == 7, resumed.out + resumed.err
        assert "113 applied · 7 failed (of 120 rows)" in resumed.out
        touched = {offer(style, i) for i in (70, 71, 72, 95, 96, 97, 112)}
        assert touched.isdisjoint(ours(server))
        assert len(ours(server)) == len(set(ours(server))) == 113


async def test_a_deletion_is_read_right_before_it_is_sent(migrator: Any, until: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=40)) as server:
        migrator.point_at(server.url).environment |= QUICK
        await planned(migrator, "dps", *(delete("dps", i) for i in range(40)))

        running = await migrator.start("apply", "p.plan", "--rate", "20", "-j", "1")
        await until(lambda: len(server.effects) >= 1)
        touch(server, "dps", 39, "status", "approved")
        ended = await migrator.end(running)

        assert ended.code == 7, ended.err
        assert found(server, "dps", 39) is not None
        assert len(ours(server)) == 39


async def test_a_plan_that_was_carried_out_is_refused_unless_asked_again(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=2)) as server:
        migrator.point_at(server.url)
        await planned(migrator, "dps", rename("dps", 0), create("dps", "Fallback"))

        await migrator("apply", "p.plan")
        refused = await migrator("apply", "p.plan")
        from_input = await migrator("apply", "c.jsonl", "--yes")
        again = await migrator("apply", "p.plan", "--again")

        assert (refused.code, from_input.code) == (2, 2)
        assert "has applied exactly these changes" in refused.err
        assert len(server.effects) == 3  # the offer, and the fallback offer twice, as asked for
        assert again.code == 7
        assert "1 applied · 1 failed" in again.out


async def test_two_at_once_carry_a_plan_out_once(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=20, latency_s=0.05)) as server:
        migrator.point_at(server.url)
        await planned(migrator, "dps", *(rename("dps", i) for i in range(20)))

        both = await asyncio.gather(migrator("apply", "p.plan"), migrator("apply", "p.plan"))

        assert sorted(ended.code for ended in both) == [0, 2]
        assert len(server.effects) == 20


@STYLES
async def test_every_row_of_a_plan_is_accounted_for(migrator: Any, style: Style) -> None:
    async with Emulator(EmulatorSettings(seed_offers=40)) as server:
        migrator.point_at(server.url)
        rows = [
            reword(style, 0, "x", was="not this"),  # in conflict
            at(style, 1) | {"patch": [{"op": "remove", "path": pointer(style, "nothing")}]},  # cannot be applied
            rename(style, 2, "Seeded offer 2"),  # as wanted
            *(rename(style, i) for i in range(3, 13)),
        ]
        await planned(migrator, style, *rows, options=("--limit", "6"), code=3)

        applied = await migrator("apply", "p.plan")
        status = await migrator("status")
        results = await migrator("results", "--output", "json")
        resumed = await migrator("resume")

        assert applied.code == 3, applied.err
        assert "3 applied · 1 unchanged · 7 left out · 2 failed (of 13 rows)" in applied.out
        assert "3 applied · 1 unchanged · 7 left out · 2 failed (of 13 rows)" in status.out
        assert {file["outcome"]: file["rows"] for file in lines(results.out)} == {
            "applied": 3,
            "unchanged": 1,
            "left-out": 7,
            "failed": 2,
        }
        assert resumed.code == 3
        assert len(server.effects) == 3


async def test_what_a_limited_plan_left_out_can_be_applied_from_its_results(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=5)) as server:
        migrator.point_at(server.url)
        await planned(migrator, "dps", *(rename("dps", i) for i in range(5)), options=("--limit", "2"))
        await migrator("apply", "p.plan")

        whole = await migrator("apply", "c.jsonl", "--yes")
        await migrator("results")
        rest = await migrator("apply", str(migrator.run_folder() / "results" / "left-out.jsonl"), "--yes")

        assert whole.code == 2
        assert "left out 3 rows" in whole.err
        assert "to a file `left-out`, to be applied" in whole.err
        assert rest.code == 0, rest.err
        assert names(server, "dps", 5) == [f"Renamed {i}" for i in range(5)]
        assert len(server.effects) == 5


@STYLES
async def test_an_object_deleted_between_plan_and_apply_is_drift_unless_it_was_to_be_deleted(
    migrator: Any, style: Style
) -> None:
    async with Emulator(EmulatorSettings(seed_offers=3)) as server:
        migrator.point_at(server.url)
        await planned(migrator, style, rename(style, 0), delete(style, 1), reword(style, 2, "x"))
        for index in range(3):
            forget(server, style, index)

        applied = await migrator("apply", "p.plan")

        assert applied.code == 7, applied.out
        assert "0 applied · 1 unchanged · 2 failed" in applied.out, "what was to be deleted is gone, as wanted"


# Plans that are not ours to carry out


@pytest.mark.parametrize(
    ("environment", "options", "said"),
    [
        ({"MIGRATOR_SANDBOX": "prod"}, (), "goes to sandbox 'dev', and the settings now say 'prod'"),
        ({}, ("--sandbox", "prod"), "goes to sandbox 'dev', and the settings now say 'prod'"),
        ({"MIGRATOR_BASE_URL": "http://127.0.0.1:9"}, (), "goes to base_url"),
        ({"MIGRATOR_ORG_ID": "OTHER@AdobeOrg"}, (), "goes to org_id"),
        ({}, ("--style", "xcore"), "goes to style 'dps', and the settings now say 'xcore'"),
        ({}, ("--dry-run",), "is a plan already"),
    ],
)
async def test_a_plan_for_somewhere_else_is_refused_before_anything_is_made(
    migrator: Any, environment: dict[str, str], options: tuple[str, ...], said: str
) -> None:
    async with Emulator(EmulatorSettings(seed_offers=2)) as server:
        migrator.point_at(server.url)
        await planned(migrator, "dps", rename("dps", 0))
        before = dict(server.counters.requests)
        migrator.environment |= environment

        applied = await migrator("apply", "p.plan", *options)

        assert applied.code == 2, applied.err
        assert said in applied.err
        assert not (migrator.folder / "runs").exists()
        assert server.counters.requests == before


async def test_what_is_no_whole_plan_is_refused_and_nothing_is_made(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=2)) as server:
        migrator.point_at(server.url)
        await planned(migrator, "dps", rename("dps", 0))
        folder = migrator.folder
        plan = (folder / "p.plan").read_bytes()
        (folder / "cut.plan").write_bytes(plan[: len(plan) // 2])
        (folder / "short.plan").write_bytes(plan[:50])
        (folder / "empty.plan").touch()
        shutil.copy(folder / "p.plan", folder / "edited.plan")
        with closing(sqlite3.connect(folder / "edited.plan")) as db, db:
            db.execute("UPDATE step SET object = 'o'")

        for name, said in (
            ("cut.plan", "make it anew with `migrator plan FILE --out PLAN`"),
            ("short.plan", "make it anew"),
            ("empty.plan", "empty"),
            ("edited.plan", "is not as it was made"),
        ):
            for command in (("apply", name, "--yes"), ("plan", name)):
                ended = await migrator(*command)
                assert ended.code == 2, (name, ended.err)
                assert said in ended.err, (name, ended.err)
        assert migrator.run_folders() == []
        assert server.effects == []


async def test_the_ledger_of_a_run_is_no_plan(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=2)) as server:
        write(migrator.point_at(server.url), [rename("dps", 0)])
        await migrator("apply", "c.jsonl", "--yes")
        ledger = migrator.run_folder() / "ledger.sqlite"
        before = ledger.read_bytes()

        applied = await migrator("apply", str(ledger))
        onto = await migrator("plan", "c.jsonl", "--out", str(ledger))

        assert (applied.code, onto.code) == (2, 2)
        assert "`migrator resume RUN` goes on with one" in applied.err
        assert "is there and is no saved plan" in onto.err
        assert ledger.read_bytes() == before
        assert summarize(ledger).rows == {State.APPLIED: 1}


async def test_an_input_that_is_called_a_plan_is_an_input(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=2)) as server:
        write(migrator.point_at(server.url), [rename("dps", 0)], "c.plan")

        shown = await migrator("plan", "c.plan")
        applied = await migrator("apply", "c.plan", "--yes")

        assert "plan: 1 to change" in shown.out
        assert applied.code == 0, applied.err
        assert len(server.effects) == 1


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("missing/p.plan", "there is no folder missing"),
        (".", ". is a folder"),
        ("c.jsonl", "c.jsonl is there and is no saved plan"),
        ("c.jsonl/p.plan", "there is no folder c.jsonl"),
    ],
)
async def test_a_place_where_no_plan_can_be_is_told_before_anything_is_read(migrator: Any, out: str, said: str) -> None:
    async with Emulator(EmulatorSettings(seed_offers=2)) as server:
        path = write(migrator.point_at(server.url), [rename("dps", 0)])
        before = path.read_bytes()

        ended = await migrator("plan", "c.jsonl", "--out", out)

        assert ended.code == 2
        assert said in ended.err
        assert path.read_bytes() == before
        assert [entry.name for entry in migrator.folder.iterdir()] == ["c.jsonl"]
        assert sum(server.counters.requests.values()) == 0


@pytest.mark.parametrize("options", [("--out", "q.plan"), ("--limit", "1")])
async def test_a_plan_of_a_plan_only_shows_it(migrator: Any, options: tuple[str, ...]) -> None:
    async with Emulator(EmulatorSettings(seed_offers=2)) as server:
        migrator.point_at(server.url)
        await planned(migrator, "dps", rename("dps", 0), rename("dps", 1))
        before = dict(server.counters.requests)

        refused = await migrator("plan", "p.plan", *options)
        shown = await migrator("plan", "p.plan", "--detailed-exitcode")

        assert (refused.code, shown.code) == (2, 10)
        assert "p.plan is a plan already" in refused.err
        assert not (migrator.folder / "q.plan").exists()
        assert "2 to change" in shown.out
        assert server.counters.requests == before


async def test_a_plan_is_no_input_to_be_checked(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=1)) as server:
        migrator.point_at(server.url)
        await planned(migrator, "dps", rename("dps", 0))
        (migrator.folder / "job.toml").write_text('input = "p.plan"\n')

        for command in (("validate", "p.plan"), ("apply", "job.toml", "--yes")):
            ended = await migrator(*command)

            assert ended.code == 2
            assert "p.plan is a saved plan, and no input" in ended.err
            assert "migrator apply p.plan" in ended.err


async def test_a_plan_holds_no_secret(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=2)) as server:
        migrator.point_at(server.url)
        await planned(migrator, "dps", rename("dps", 0))

        assert b"test-secret-3f9a" not in (migrator.folder / "p.plan").read_bytes()
