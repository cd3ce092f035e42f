"""`migrator rollback`: a run is undone from its ledger, by a run of its own, and nobody else's work with it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from migrator.emulator import Emulator, EmulatorSettings, seeded_tag
from migrator.emulator.observation import repeats
from tests.conftest import seen_by
from tests.runs.undoing import (
    SCOPES,
    STYLES,
    Style,
    applied,
    changes,
    documents,
    etags,
    offer_id,
    operation,
    results,
    row,
)
from tests.soak.killing import QUICK


@STYLES
async def test_what_is_undone_is_exactly_as_it_was(migrator: Any, style: Style) -> None:
    async with Emulator(EmulatorSettings(seed_offers=8)) as server:
        before = await applied(migrator, server, style, changes(style))
        changed = documents(server, style)

        undone = await migrator("rollback", "spring", "--yes")

        assert undone.code == 0, undone.err
        assert "run spring: 7 objects to change back\n" in undone.out
        assert "run spring.rollback-1: 7 applied (of 7 rows)" in undone.out
        assert sum(before[key] != changed[key] for key in before) == 7
        assert documents(server, style) == before
        assert etags(server, style)[offer_id(style, 0)] == 3
        assert etags(server, style)[offer_id(style, 7)] == 1


@STYLES
async def test_a_rollback_that_is_undone_has_made_the_changes_again(migrator: Any, style: Style) -> None:
    async with Emulator(EmulatorSettings(seed_offers=7)) as server:
        before = await applied(migrator, server, style, changes(style))
        changed = documents(server, style)
        await migrator("rollback", "spring", "--yes")

        again = await migrator("rollback", "spring.rollback-1", "--yes")
        changed_again = documents(server, style)
        back = await migrator("rollback", "spring.rollback-1.rollback-1", "--yes")

        assert (again.code, back.code) == (0, 0), again.err + back.err
        assert changed_again == changed
        assert documents(server, style) == before


@STYLES
async def test_what_others_have_edited_elsewhere_stays(migrator: Any, style: Style) -> None:
    async with Emulator(EmulatorSettings(seed_offers=7)) as server:
        before = await applied(migrator, server, style, changes(style))
        for number in range(7):
            edit = operation(style, "replace", "/selectionConstraint/endDate", "2031-01-01T00:00:00Z")
            server.edit(style, SCOPES[style], offer_id(style, number), [edit])

        undone = await migrator("rollback", "spring", "--yes")

        assert undone.code == 0, undone.err
        after = documents(server, style)
        constraint, end = (
            ("selectionConstraint", "endDate") if style == "dps" else ("xdm:selectionConstraint", "xdm:endDate")
        )
        for number in range(7):
            document = before[offer_id(style, number)]
            document[constraint] |= {end: "2031-01-01T00:00:00Z"}
        assert after == before


@STYLES
async def test_what_others_have_edited_in_the_same_place_stays_and_is_told(migrator: Any, style: Style) -> None:
    async with Emulator(EmulatorSettings(seed_offers=7)) as server:
        before = await applied(migrator, server, style, changes(style))
        theirs = [
            operation(style, "replace", "/name", "Theirs"),
            operation(style, "add", "/tags/-", seeded_tag(style, 1)),
            operation(style, "add", "/tags", []),
            operation(style, "add", "/characteristics/1", "autumn"),  # inside of what we added
        ]
        for number, edit in enumerate(theirs):
            server.edit(style, SCOPES[style], offer_id(style, number), [edit])
        edited = documents(server, style)

        undone = await migrator("rollback", "spring", "--yes")
        written = await migrator("results", "spring.rollback-1")
        of_the_run = await migrator("results", "spring")

        assert undone.code == 3, undone.err
        assert "3 applied · 4 failed (of 7 rows)" in undone.out
        assert "warning: these are the rows of run spring, which were undone" in written.err
        assert "warning" not in of_the_run.err
        after = documents(server, style)
        assert all(after[offer_id(style, number)] == edited[offer_id(style, number)] for number in range(4))
        assert all(after[offer_id(style, number)] == before[offer_id(style, number)] for number in range(4, 7))
        failed = results(migrator, "spring.rollback-1", "failed")
        assert [one["_line"] for one in failed] == [1, 2, 3, 4]
        assert {one["_error_class"] for one in failed} == {"conflict"}
        assert "Theirs" in failed[0]["_message"]
        assert failed[0]["id"] == offer_id(style, 0)


@STYLES
async def test_lost_answers_and_lost_requests_undo_nothing_twice(migrator: Any, style: Style) -> None:
    appends = [
        row(style, {"patch": [operation(style, "add", "/tags/-", seeded_tag(style, 1))]}, id=offer_id(style, number))
        for number in range(7, 47)
    ]
    faults = (
        "drop-after:PATCH:p=0.15",
        "drop-before:PATCH:p=0.15",
        "429:*:p=0.1:retry-after=none",
        "503-after:PATCH:p=0.1",
    )
    async with Emulator(EmulatorSettings(seed_offers=47, fault_seed=3)) as server:
        before = await applied(migrator, server, style, changes(style) + appends)
        migrator.environment |= QUICK
        struck = [server.add_fault(fault) for fault in faults]

        undone = await migrator("rollback", "spring", "--yes")

        assert undone.code == 0, undone.err
        assert all(fault.hits for fault in struck)
        assert documents(server, style) == before
        assert set(seen_by(server).values()) == {2}
        assert not repeats(server.effects)


@STYLES
async def test_a_rollback_that_is_killed_is_resumed_and_undoes_everything_once(
    migrator: Any, until: Any, style: Style
) -> None:
    more = [
        row(style, {"patch": [operation(style, "add", "/tags/-", seeded_tag(style, 1))]}, id=offer_id(style, number))
        for number in range(7, 40)
    ]
    async with Emulator(EmulatorSettings(seed_offers=40, latency_s=0.03)) as server:
        before = await applied(migrator, server, style, changes(style) + more, "-j", "8")
        migrator.environment |= QUICK
        running = await migrator.start("rollback", "spring", "--yes")
        await until(lambda: len(server.effects) >= 40 + 10)
        running.kill()
        killed = await migrator.end(running)

        resumed = await migrator("resume")

        assert killed.code == -9
        assert resumed.code == 0, resumed.err
        assert "run spring.rollback-1: 40 applied (of 40 rows)" in resumed.out
        assert documents(server, style) == before
        assert set(seen_by(server).values()) == {2}


# --- what is not undone -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "told", "next_step"),
    [
        ("DOUBT", "run spring has 7 rows in doubt", "migrator resume spring"),
        ("INTENT", "run spring has 7 rows in doubt", "migrator reconcile spring"),
        ("UNRESOLVED", "run spring has 7 rows unresolved", "migrator reconcile spring"),
        ("PENDING", "run spring has not ended: 7 rows not sent", "migrator resume spring"),
    ],
)
async def test_a_run_that_is_in_doubt_or_has_not_ended_is_not_undone(
    migrator: Any, state: str, told: str, next_step: str
) -> None:
    async with Emulator(EmulatorSettings(seed_offers=7)) as server:
        await applied(migrator, server, "dps", changes("dps"))
        put_all(migrator, state)
        already = len(server.requests)

        refused = await migrator("rollback", "spring", "--yes")

        assert refused.code == 2
        assert told in refused.err
        assert next_step in refused.err
        assert len(server.requests) == already
        assert len(migrator.run_folders()) == 1


def put_all(migrator: Any, state: str, where: str = "true") -> None:
    """Change steps in the ledger of the run `spring` as if they had never got further."""
    with closing(sqlite3.connect(migrator.folder / "runs/spring/ledger.sqlite", isolation_level=None)) as db:
        (trigger,) = db.execute("SELECT sql FROM sqlite_master WHERE name = 'progress_moves'").fetchone()
        db.execute("DROP TRIGGER progress_moves")
        db.execute(f"UPDATE progress SET state = ? WHERE {where}", (state,))
        db.execute(trigger)


async def test_what_is_applied_of_an_unfinished_run_is_undone_if_that_is_wanted(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=7)) as server:
        before = await applied(migrator, server, "dps", changes("dps"))
        changed = documents(server, "dps")
        put_all(migrator, "PENDING", "step > 3")

        undone = await migrator("rollback", "spring", "--yes", "--unfinished")

        assert undone.code == 0, undone.err
        assert "3 objects to change back" in undone.out
        after = documents(server, "dps")
        assert all(after[offer_id("dps", number)] == before[offer_id("dps", number)] for number in range(3))
        assert all(after[offer_id("dps", number)] == changed[offer_id("dps", number)] for number in range(3, 7))


async def test_of_a_run_without_a_guard_what_was_there_is_not_known_and_all_of_it_is_listed(migrator: Any) -> None:
    rows = [
        row("dps", {"patch": [operation("dps", "replace", "/name", "New")]}, id=offer_id("dps", number))
        for number in range(23)
    ]
    async with Emulator(EmulatorSettings(seed_offers=23)) as server:
        await applied(migrator, server, "dps", rows, "--no-guard")

        ended = await migrator("rollback", "spring")
        for_a_program = await migrator("rollback", "spring", "--output", "json")

        assert ended.code == 3
        lines = ended.out.splitlines()
        assert lines[0].startswith(f"line 1, personalized-offer {offer_id('dps', 0)}: cannot be undone: what was there")
        assert lines[20:] == ["run spring: nothing to undo; 23 objects cannot be undone"]
        assert "and 3 more" in ended.err
        *listed, summary = map(json.loads, for_a_program.out.splitlines())
        assert [one["line"] for one in listed] == list(range(1, 24))
        assert (summary["event"], summary["lasting"], summary["rows"]) == ("nothing", 23, 0)
        assert len(migrator.run_folders()) == 1


async def test_what_can_be_undone_is_undone_whatever_cannot(migrator: Any) -> None:
    patches = [
        row("dps", {"patch": [operation("dps", "replace", "/name", "New")]}, id=offer_id("dps", number))
        for number in range(7, 32)
    ]
    async with Emulator(EmulatorSettings(seed_offers=32)) as server:
        text = offer_id("dps", 6)  # without a look there is no telling where a text is
        before = await applied(migrator, server, "dps", changes("dps")[6:] + patches, "--no-guard")

        undone = await migrator("rollback", "spring", "--yes")
        resumed = await migrator("resume")

        assert "run spring: 1 object to change back; 25 objects cannot be undone" in undone.out
        assert "run spring.rollback-1: 1 applied (of 1 row)" in undone.out
        assert undone.code == 3, "not all of it is undone"
        assert resumed.code == 0
        assert documents(server, "dps")[text] == before[text]


async def test_a_run_that_has_applied_nothing_has_nothing_to_undo(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=1)) as server:
        same = row("dps", {"text": changes("dps")[6]["text"] | {"content": "<b>Your rate: 0 points</b>"}})
        await applied(migrator, server, "dps", [same | {"id": offer_id("dps", 0)}])

        ended = await migrator("rollback", "spring")  # without --yes: there is nothing to ask

        assert (ended.code, ended.err) == (0, "")
        assert ended.out == "run spring: nothing to undo\n"
        assert len(migrator.run_folders()) == 1


async def test_what_a_rollback_has_undone_is_not_undone_once_more_by_mistake(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=7)) as server:
        await applied(migrator, server, "dps", changes("dps"))
        first = await migrator("rollback", "spring", "--yes", "--lines", "1-2,4")
        already = len(server.requests)

        refused = await migrator("rollback", "spring", "--yes")
        after_refusal = len(server.requests)
        others = await migrator("rollback", "spring", "--yes", "--lines", "3,5-9")
        again = await migrator("rollback", "spring", "--yes", "--again")

        assert (first.code, refused.code, others.code, again.code) == (0, 2, 0, 0)
        assert "run spring.rollback-1 has undone these rows already" in refused.err
        assert "--again" in refused.err
        assert after_refusal == already
        assert len(server.effects) == 7 + 3 + 4, "what is as it was needs no request"
        assert sorted(entry.name for entry in migrator.run_folders())[1:] == [
            f"spring.rollback-{number}" for number in (1, 2, 3)
        ]


@pytest.mark.parametrize(
    ("flags", "undone"),
    [
        (("--lines", "2"), [1]),
        (("--lines", "1-2,7"), [0, 1, 6]),
        (("--object", offer_id("dps", 4)), [4]),
        (("--object", offer_id("dps", 4), "--object", offer_id("dps", 0), "--lines", "7"), [0, 4, 6]),
    ],
)
async def test_only_what_is_named_is_undone(migrator: Any, flags: tuple[str, ...], undone: list[int]) -> None:
    async with Emulator(EmulatorSettings(seed_offers=7)) as server:
        before = await applied(migrator, server, "dps", changes("dps"))

        ended = await migrator("rollback", "spring", "--yes", *flags)

        assert ended.code == 0, ended.err
        after = documents(server, "dps")
        assert [
            number for number in range(7) if after[offer_id("dps", number)] == before[offer_id("dps", number)]
        ] == undone


@pytest.mark.parametrize("lines", ["", "a", "3-", "1,,2", "2-x"])
async def test_lines_that_are_none_are_refused(migrator: Any, lines: str) -> None:
    ended = await migrator("rollback", "spring", "--lines", lines)

    assert ended.code == 2
    assert "write 12, 12-40 or 12-40,57" in ended.err


async def test_nobody_is_asked_without_a_terminal_and_nothing_stays(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=7)) as server:
        await applied(migrator, server, "dps", changes("dps"))

        ended = await migrator("rollback", "spring")

        assert ended.code == 2
        assert "--yes" in ended.err
        assert len(migrator.run_folders()) == 1


async def test_a_rollback_goes_where_the_run_went(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=7)) as server:
        await applied(migrator, server, "dps", changes("dps"))
        migrator.environment["MIGRATOR_SANDBOX"] = "prod"

        ended = await migrator("rollback", "spring", "--yes")

        assert ended.code == 2
        assert "run spring goes to sandbox 'dev'" in ended.err


async def test_a_run_of_an_earlier_format_is_left_to_the_version_that_made_it(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=7)) as server:
        await applied(migrator, server, "dps", changes("dps"))
        with closing(sqlite3.connect(migrator.folder / "runs/spring/ledger.sqlite")) as db:
            db.execute("PRAGMA user_version = 2")

        ended = await migrator("rollback", "spring", "--yes")

        assert ended.code == 2
        assert "was written by an earlier version of migrator (format 2)" in ended.err
        assert len(migrator.run_folders()) == 1


async def test_a_rollback_says_which_run_it_undoes(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=7)) as server:
        await applied(migrator, server, "dps", changes("dps"))

        undone = await migrator("rollback", "spring", "--yes", "--output", "json")

        planned, summary = map(json.loads, undone.out.splitlines())
        assert (planned["event"], planned["run"], planned["rolls_back"]) == ("rollback", "spring.rollback-1", "spring")
        assert (planned["rows"], planned["steps"], planned["edit"], planned["lasting"]) == (7, 7, 7, 0)
        assert (summary["run"], summary["rolls_back"], summary["retries"]) == ("spring.rollback-1", "spring", None)


async def test_without_a_run_those_that_can_be_undone_are_offered_newest_first(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=3)) as server:
        nothing = await migrator("rollback", "--yes")
        migrator.point_at(server.url)
        for number, name in enumerate(("undone", "spring", "summer")):
            migrator.write("c.csv", ("id", "/name"), [(offer_id("dps", number), name)])
            await migrator("apply", "c.csv", "--yes", "--run-id", name)
        migrator.write("failed.csv", ("id", "/name"), [("nobody", "x")])
        await migrator("apply", "failed.csv", "--yes", "--run-id", "failed")
        await migrator("rollback", "undone", "--yes")
        (migrator.folder / "runs" / "broken").mkdir()
        (migrator.folder / "runs" / "broken" / "ledger.sqlite").write_bytes(b"garbage")
        written = len(server.effects)

        offered = await migrator("rollback", "--yes")

    assert (nothing.code, offered.code) == (2, 2)
    assert "there is no run that can be undone\n  `migrator runs` lists" in nothing.err
    first, *lines = offered.err.splitlines()
    assert first == "error: name the run that is to be undone"
    assert [line.split("   ")[0].strip() for line in lines] == [
        "migrator rollback undone.rollback-1",
        "migrator rollback summer",
        "migrator rollback spring",
    ]
    assert lines[1].endswith(" UTC, 1 of 1 rows applied, c.csv")
    assert len(server.effects) == written == 4
