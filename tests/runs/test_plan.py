"""`migrator plan`: what it shows, what it takes to show it, and that it leaves no trace."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from migrator.emulator import Emulator, EmulatorSettings, seeded_placement
from tests.runs.rows import (
    at,
    create,
    delete,
    found,
    lines,
    names,
    offer,
    pointer,
    put,
    rename,
    scope,
    touch,
    write,
)
from tests.soak.job import PREFIXES, Style

STYLES = pytest.mark.parametrize("style", ["xcore", "dps"])


def text(style: Style, index: int, content: str, was: str | None = None, language: str = "en") -> dict[str, Any]:
    edit = {"placement": seeded_placement(style), "language": language, "content": content}
    return at(style, index) | {"text": edit | ({} if was is None else {"was": was})}


def mixed(style: Style) -> list[dict[str, Any]]:
    """Two to change, one of each other action."""
    return [
        rename(style, 0),
        text(style, 1, "<b>New</b>"),
        create(style, "Fallback"),
        delete(style, 2),
        rename(style, 3, "Seeded offer 3"),
        text(style, 4, "x", was="something else"),
        at(style, 5) | {"patch": [{"op": "remove", "path": pointer(style, "nothing")}]},
    ]


@pytest.fixture
def temporary(migrator: Any, tmp_path_factory: Any) -> Iterator[Path]:
    """A folder for temporary files, of which nothing may be left."""
    folder: Path = tmp_path_factory.mktemp("temporary")
    migrator.environment["TMPDIR"] = str(folder)
    yield folder
    assert list(folder.iterdir()) == []


@STYLES
async def test_each_object_is_read_and_shown_and_nothing_is_written(
    migrator: Any, temporary: Path, style: Style
) -> None:
    del temporary
    async with Emulator(EmulatorSettings(seed_offers=10)) as server:
        write(migrator.point_at(server.url), mixed(style))

        planned = await migrator("plan", "c.jsonl", "--style", style)

        assert planned.code == 3, planned.err
        assert server.effects == []
        assert sorted(path.name for path in migrator.folder.iterdir()) == ["c.jsonl"]
        shown = planned.out.splitlines()
        assert f'~ personalized-offer {offer(style, 0)} "Seeded offer 0"  line 1' in shown
        assert f'    {pointer(style, "name")}  "Seeded offer 0" → "Renamed 0"' in shown
        assert '+ fallback-offer "Fallback"  line 3' in shown
        assert f'- personalized-offer {offer(style, 2)} "Seeded offer 2"  line 4' in shown
        assert f"! personalized-offer {offer(style, 4)}  line 6" in shown
        assert offer(style, 3) not in planned.out
        assert "    conflict: the text is" in planned.out
        assert f"    cannot apply: remove {pointer(style, 'nothing')}:" in planned.out
        assert (
            "plan: 1 to create · 2 to change · 1 to delete · 1 unchanged · 1 in conflict · 1 cannot be applied" in shown
        )
        # The container, and each object but the one that is created.
        assert server.counters.requests == {("GET", 200): 7}
        assert "to apply: 4 writes and about 7 reads, without a limit of the rate" in shown


@STYLES
async def test_a_program_reads_one_object_a_step_and_then_the_sums(migrator: Any, style: Style) -> None:
    async with Emulator(EmulatorSettings(seed_offers=10)) as server:
        write(migrator.point_at(server.url), mixed(style))

        planned = await migrator(
            "plan", "c.jsonl", "--style", style, "--output", "json", "--show", "all", "--rate", "50"
        )

        _, *steps, sums, estimate = lines(planned.out)
        assert [step["event"] for step in steps] == ["step"] * 7
        assert [(step["action"], step["lines"]) for step in steps] == [
            ("change", [1]),
            ("change", [2]),
            ("create", [3]),
            ("unchanged", [5]),
            ("conflict", [6]),
            ("cannot apply", [7]),
            ("delete", [4]),
        ]
        before_and_after = {"path": pointer(style, "name"), "before": "Seeded offer 0", "after": "Renamed 0"}
        assert steps[0]["differences"] == [before_and_after]
        assert (steps[0]["object"], steps[0]["name"]) == (offer(style, 0), "Seeded offer 0")
        assert {"path": f"/{PREFIXES[style]}name", "after": "Fallback"} in steps[2]["differences"]
        assert steps[4]["error_class"] == "conflict"
        assert sums["containers"] == {
            scope(style): {
                "change": 2,
                "create": 1,
                "unchanged": 1,
                "conflict": 1,
                "cannot apply": 1,
                "delete": 1,
            }
        }
        assert estimate == {"event": "estimate", "writes": 4, "reads": 7, "seconds": 11 / 50}


@pytest.mark.parametrize(
    ("show", "said"), [("changes", ["~"]), ("all", ["~", "="]), ("none", [])], ids=["changes", "all", "none"]
)
async def test_what_is_shown_can_be_chosen(migrator: Any, show: str, said: list[str]) -> None:
    async with Emulator(EmulatorSettings(seed_offers=2)) as server:
        write(migrator.point_at(server.url), [rename("dps", 0), rename("dps", 1, "Seeded offer 1")])

        planned = await migrator("plan", "c.jsonl", "--show", show)

        assert [line[0] for line in planned.out.splitlines() if " personalized-offer " in line] == said
        assert "plan: 1 to change · 1 unchanged" in planned.out


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (rename("dps", 0), 10),
        (create("dps", "New"), 10),
        (rename("dps", 0, "Seeded offer 0"), 0),
        (at("dps", 0) | {"patch": [{"op": "remove", "path": "/nothing"}]}, 3),
        (rename("dps", 77), 3),
        (at("dps", 0), 2),
    ],
    ids=["changes", "creates", "unchanged", "cannot apply", "not there", "input error"],
)
async def test_the_exit_code_tells_whether_there_are_changes(migrator: Any, row: dict[str, Any], code: int) -> None:
    async with Emulator(EmulatorSettings(seed_offers=2)) as server:
        write(migrator.point_at(server.url), [row])

        plain = await migrator("plan", "c.jsonl")
        detailed = await migrator("plan", "c.jsonl", "--detailed-exitcode")

        assert detailed.code == code, detailed.err
        assert plain.code == (0 if code == 10 else code)
        assert server.effects == []


async def test_several_containers_are_named_and_counted_one_by_one(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=5, containers=2)) as server:
        write(migrator.point_at(server.url), [rename("xcore", i, containers=2) for i in range(5)])

        planned = await migrator("plan", "c.jsonl", "--style", "xcore", "--container-rate", "2", "--show", "none")

        assert planned.out.splitlines()[1:] == [
            f"{scope('xcore', 0)}: 3 to change",
            f"{scope('xcore', 1)}: 2 to change",
            "plan: 5 to change",
            "to apply: 5 writes and about 7 reads, about 3 s at 4/s",
        ]


@STYLES
@pytest.mark.parametrize("how", ["apply", "apply a plan"])
async def test_objects_that_are_as_wanted_are_not_sent(migrator: Any, style: Style, how: str) -> None:
    async with Emulator(EmulatorSettings(seed_offers=30)) as server:
        rows = [rename(style, i, f"Seeded offer {i}" if i % 2 else None) for i in range(30)]
        write(migrator.point_at(server.url), rows)

        if how == "apply":
            applied = await migrator("apply", "c.jsonl", "--style", style, "--yes")
        else:
            await migrator("plan", "c.jsonl", "--style", style, "--out", "p.plan", "--show", "none")
            applied = await migrator("apply", "p.plan")
        results = await migrator("results", "--output", "json")

        assert applied.code == 0, applied.err
        assert "15 applied · 15 unchanged (of 30 rows)" in applied.out
        assert len(server.effects) == 15
        assert names(server, style, 30) == [f"Seeded offer {i}" if i % 2 else f"Renamed {i}" for i in range(30)]
        assert {file["outcome"]: file["rows"] for file in lines(results.out)} == {"applied": 15, "unchanged": 15}


@pytest.mark.slow
@STYLES
async def test_ten_thousand_changes_are_planned_through_pages(migrator: Any, temporary: Path, style: Style) -> None:
    del temporary
    async with Emulator(EmulatorSettings(seed_offers=10_000)) as server:
        write(migrator.point_at(server.url), [rename(style, i) for i in range(10_000)])

        planned = await migrator("plan", "c.jsonl", "--style", style, "--show", "none", "--out", "p.plan")

        assert planned.code == 0, planned.err
        assert "plan: 10,000 to change" in planned.out
        assert server.effects == []
        assert sum(server.counters.requests.values()) <= 1.2 * 10_000 / 100


@STYLES
async def test_few_objects_of_a_large_library_are_read_one_by_one(migrator: Any, style: Style) -> None:
    async with Emulator(EmulatorSettings(seed_offers=3000)) as server:
        write(migrator.point_at(server.url), [rename(style, 100 * i) for i in range(20)])

        planned = await migrator("plan", "c.jsonl", "--style", style, "--show", "none")

        assert planned.code == 0, planned.err
        # The container, one page that says how many there are, and the objects.
        assert 21 <= sum(server.counters.requests.values()) <= 22


@STYLES
async def test_a_plan_reads_whether_or_not_changes_are_to_be_guarded(migrator: Any, style: Style) -> None:
    async with Emulator(EmulatorSettings(seed_offers=3)) as server:
        write(migrator.point_at(server.url), [rename(style, 0), rename(style, 1, "Seeded offer 1"), delete(style, 2)])
        migrator.environment["MIGRATOR_GUARD"] = "false"

        planned = await migrator("plan", "c.jsonl", "--style", style, "--out", "p.plan")
        touch(server, style, 2, "description", "edited")
        applied = await migrator("apply", "p.plan")

        assert "plan: 1 to change · 1 to delete · 1 unchanged" in planned.out
        assert applied.code == 7, applied.out
        assert found(server, style, 2) is not None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_plan_that_is_interrupted_leaves_nothing(
    migrator: Any, temporary: Path, until: Any, number: signal.Signals
) -> None:
    del temporary
    async with Emulator(EmulatorSettings(seed_offers=50, latency_s=0.2)) as server:
        write(migrator.point_at(server.url), [rename("dps", i) for i in range(9)])

        running = await migrator.start("plan", "c.jsonl", "--out", "p.plan", "-j", "1")
        await until(lambda: sum(server.counters.requests.values()) >= 3)
        running.send_signal(number)
        ended = await migrator.end(running)

        assert ended.code == 128 + number
        assert "nothing was sent" in ended.err
        assert server.effects == []
        assert [path.name for path in migrator.folder.iterdir()] == ["c.jsonl"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_plan_that_nobody_reads_on_can_be_interrupted(
    migrator: Any, temporary: Path, until: Any, number: signal.Signals
) -> None:
    del temporary
    async with Emulator(EmulatorSettings(seed_offers=1000)) as server:
        write(migrator.point_at(server.url), [put("dps", i, "description", "much text " * 50) for i in range(1000)])

        # More is shown than a pipe holds, so that it waits for a reader, which does not come.
        running = await migrator.start("plan", "c.jsonl", "--out", "p.plan")
        await until(lambda: sum(server.counters.requests.values()) >= 11)
        assert running.stdout is not None
        await running.stdout.readuntil(b"Seeded offer 1")
        running.stdout._transport.pause_reading()
        await asyncio.sleep(1)
        running.send_signal(number)
        running.stdout._transport.resume_reading()
        ended = await migrator.end(running)

        assert ended.code == 128 + number, ended.err
        assert "Traceback" not in ended.err
        assert [path.name for path in migrator.folder.iterdir()] == ["c.jsonl"]


async def test_a_reader_that_has_seen_enough_does_not_trouble_a_plan(migrator: Any, temporary: Path) -> None:
    del temporary
    async with Emulator(EmulatorSettings(seed_offers=400)) as server:
        write(migrator.point_at(server.url), [rename("dps", i) for i in range(400)])

        running = await migrator.start("plan", "c.jsonl", "--out", "p.plan")
        assert running.stdout is not None
        await running.stdout.readline()
        running.stdout._transport.close()
        async with asyncio.timeout(60):
            said = await running.stderr.read() if running.stderr else b""
            code = await running.wait()

        assert code == 0, said
        assert b"Traceback" not in said
        assert b"next: migrator apply p.plan" in said
        assert (migrator.folder / "p.plan").exists()


@pytest.mark.parametrize("depth", [90, 900, 5000])
async def test_a_value_nested_too_deep_is_an_error_of_the_input_or_is_shown(migrator: Any, depth: int) -> None:
    async with Emulator(EmulatorSettings(seed_offers=1)) as server:
        value = "[" * depth + "1" + "]" * depth
        row = f'{{"id": "{offer("dps", 0)}", "patch": [{{"op": "add", "path": "/deep", "value": {value}}}]}}'
        (migrator.point_at(server.url).folder / "c.jsonl").write_text(row + "\n")

        planned = await migrator("plan", "c.jsonl")

        assert planned.code in (0, 2), planned.err
        assert "fault of ours" not in planned.err


@STYLES
async def test_what_is_planned_of_values_of_any_size_can_be_applied(migrator: Any, style: Style) -> None:
    async with Emulator(EmulatorSettings(seed_offers=4)) as server:
        values = [
            {"html": "<p>" + "word " * 40_000 + "</p>"},
            {"json": '{"a":[1,{"b":"\x1b[31m"}]}'},
            {"rtl": "مرحبا 🎉"},
        ]
        rows = [put(style, index, "characteristics", value) for index, value in enumerate(values)]
        write(migrator.point_at(server.url), rows)

        planned = await migrator("plan", "c.jsonl", "--style", style, "--out", "p.plan")
        applied = await migrator("apply", "p.plan")
        again = await migrator("plan", "c.jsonl", "--style", style)

        assert planned.code == 0, planned.err
        assert "\x1b" not in planned.out + planned.err
        assert len(planned.out) < 3000
        assert applied.code == 0, applied.out
        assert "plan: 3 unchanged" in again.out
