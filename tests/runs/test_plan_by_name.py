"""Objects that an input names as people do: by name, or by the id that others refer to them by."""

from __future__ import annotations

from typing import Any

import pytest

from migrator.emulator import Emulator, EmulatorSettings, seeded_container, seeded_reference
from tests.runs.rows import Row, at, found, lines, names, offer, ours, pointer, scope, touch, write
from tests.soak.job import Style

STYLES = pytest.mark.parametrize("style", ["xcore", "dps"])

ODD_NAMES = [
    "a, b",
    'she said "now"',
    "it's",
    "50% off *all* ?",
    "a*",
    "a?c",
    "name==x",
    "a,b,c",
    "~tilde/slash",
    "ünïcödé 🎉",
    "two  blanks",
    "plus+and&amp;=;#",
    "(brackets) [x]",
    "\\back\\slash",
    "<b>bold</b>",
    "!",
]


def named(style: Style, name: str, description: str = "New") -> Row:
    """Change the description of the offer with a name."""
    row = at(style, 0)
    del row["id"]
    edit = {"op": "add", "path": pointer(style, "description"), "value": description}
    return row | {"name": name, "patch": [edit]}


async def requests(server: Emulator) -> int:
    return sum(server.counters.requests.values())


@STYLES
async def test_odd_names_find_the_one_object_that_is_meant(migrator: Any, style: Style) -> None:
    async with Emulator(EmulatorSettings(seed_offers=len(ODD_NAMES))) as server:
        for index, name in enumerate(ODD_NAMES):
            touch(server, style, index, "name", name)
        rows = [named(style, name) for name in ODD_NAMES[:8]]
        write(migrator.point_at(server.url), rows)
        write(migrator, [named(style, name) for name in ODD_NAMES], "all.jsonl")

        few = await migrator("plan", "c.jsonl", "--style", style, "--output", "json")
        all_ = await migrator("plan", "all.jsonl", "--style", style, "--output", "json", "--out", "p.plan")
        applied = await migrator("apply", "p.plan")

        for planned, count in ((few, 8), (all_, len(ODD_NAMES))):
            assert planned.code == 0, planned.out + planned.err
            steps = [line for line in lines(planned.out) if line["event"] == "step"]
            assert [step["object"] for step in steps] == [offer(style, i) for i in range(count)]
            assert [step["name"] for step in steps] == ODD_NAMES[:count]
        assert applied.code == 0, applied.err
        assert sorted(ours(server)) == sorted(offer(style, i) for i in range(len(ODD_NAMES)))


async def test_xcore_objects_are_found_by_the_id_that_others_refer_to_them_by(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=30, containers=2)) as server:
        rows = [at("xcore", i, 2) | {"id": seeded_reference(i)} for i in range(30)]
        edit = {"op": "replace", "path": "/_instance/xdm:name", "value": "New"}
        write(migrator.point_at(server.url), [row | {"patch": [edit]} for row in rows[:4]])
        write(migrator, [row | {"patch": [edit]} for row in rows], "all.jsonl")

        few = await migrator("plan", "c.jsonl", "--style", "xcore", "--output", "json")
        before = await requests(server)
        all_ = await migrator("plan", "all.jsonl", "--style", "xcore", "--output", "json")

        for planned, count in ((few, 4), (all_, 30)):
            assert planned.code == 0, planned.out + planned.err
            steps = [line for line in lines(planned.out) if line["event"] == "step"]
            assert sorted(step["object"] for step in steps) == sorted(offer("xcore", i) for i in range(count))
        # A page to find them and one to read them in either container, and the first looks.
        assert await requests(server) - before == 6


@STYLES
async def test_a_name_that_several_objects_have_is_told_with_its_line_and_all_ids(migrator: Any, style: Style) -> None:
    async with Emulator(EmulatorSettings(seed_offers=4)) as server:
        for index in (1, 3):
            touch(server, style, index, "name", "Twin")
        write(
            migrator.point_at(server.url), [named(style, "Seeded offer 0"), named(style, "Twin"), named(style, "None")]
        )

        for command in (("plan",), ("apply", "--yes")):
            ended = await migrator(*command, "c.jsonl", "--style", style)

            assert ended.code == 2, ended.err
            assert "c.jsonl:2: name: several of type personalized-offer are called" in ended.out
            assert offer(style, 1) in ended.out
            assert offer(style, 3) in ended.out
            assert 'c.jsonl:3: name: there is no personalized-offer named "None"' in ended.out
        assert ours(server) == []


@STYLES
async def test_rows_that_name_one_object_by_name_and_by_id_become_one_request(migrator: Any, style: Style) -> None:
    async with Emulator(EmulatorSettings(seed_offers=2)) as server:
        edit = {"op": "replace", "path": pointer(style, "name"), "value": "Renamed"}
        write(migrator.point_at(server.url), [named(style, "Seeded offer 1"), at(style, 1) | {"patch": [edit]}])

        applied = await migrator("apply", "c.jsonl", "--style", style, "--yes")

        assert applied.code == 0, applied.err
        assert ours(server) == [offer(style, 1)]
        assert names(server, style, 2) == ["Seeded offer 0", "Renamed"]
        record = found(server, style, 1)
        assert record is not None
        assert b'"New"' in record.document


async def test_a_name_is_looked_for_in_its_own_container(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=4, containers=2)) as server:
        touch(server, "xcore", 0, "name", "Same", 2)
        touch(server, "xcore", 1, "name", "Same", 2)
        row = named("xcore", "Same")
        write(migrator.point_at(server.url), [row, row | {"container": seeded_container(1)}])

        planned = await migrator("plan", "c.jsonl", "--style", "xcore", "--output", "json")

        steps = [line for line in lines(planned.out) if line["event"] == "step"]
        assert [(step["container"], step["object"]) for step in steps] == [
            (scope("xcore", 0), offer("xcore", 0)),
            (scope("xcore", 1), offer("xcore", 1)),
        ]


@pytest.mark.slow
@STYLES
async def test_ten_thousand_names_are_looked_up_through_pages(migrator: Any, style: Style) -> None:
    async with Emulator(EmulatorSettings(seed_offers=10_000)) as server:
        write(migrator.point_at(server.url), [named(style, f"Seeded offer {i}") for i in range(10_000)])

        planned = await migrator("plan", "c.jsonl", "--style", style, "--show", "none")

        assert planned.code == 0, planned.err
        assert "plan: 10,000 to change" in planned.out
        # Once to find them, once to read them.
        assert await requests(server) <= 2 * 1.2 * 10_000 / 100


@STYLES
@pytest.mark.parametrize("rows", [1, 30])
async def test_a_service_that_refuses_to_be_read_ends_the_program_in_its_own_words(
    migrator: Any, style: Style, rows: int
) -> None:
    async with Emulator(EmulatorSettings(seed_offers=30, faults=("forbidden:GET",))) as server:
        write(migrator.point_at(server.url), [named(style, f"Seeded offer {i}") for i in range(rows)])

        for command in (("plan",), ("apply", "--yes"), ("apply", "--dry-run")):
            ended = await migrator(*command, "c.jsonl", "--style", style)
            assert ended.code == 5, ended.err
            assert "fault of ours" not in ended.err
        assert not list((migrator.folder / "runs").glob("*/*"))


@STYLES
async def test_a_list_that_cannot_be_read_is_told_with_a_way_out(migrator: Any, style: Style) -> None:
    async with Emulator(EmulatorSettings(seed_offers=3, faults=("error-inside-before:GET:status=400",))) as server:
        write(migrator.point_at(server.url), [named(style, "Seeded offer 0"), named(style, "Seeded offer 1")])

        planned = await migrator("plan", "c.jsonl", "--style", style)
        write(migrator, [at(style, 0) | {"delete": True}])
        limited = await migrator("apply", "c.jsonl", "--style", style, "--yes", "--max-changes", "90%")

        assert planned.code == 5, planned.err
        assert "name objects by their ids instead" in planned.err
        assert limited.code == 5, limited.err
        assert "give a number instead of a share" in limited.err


async def test_looking_up_counting_and_sending_share_one_limit(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=12)) as server:
        write(migrator.point_at(server.url), [named("dps", f"Seeded offer {index}") for index in range(3)])

        applied = await migrator("apply", "c.jsonl", "--yes", "--rate", "4", "--max-changes", "50%")

        assert applied.code == 0, applied.err
        arrived = sorted(one.arrived_us for one in server.requests if one.style == "dps")
        assert len(arrived) == 3 + 1 + 1 + 3 + 3  # names, a count, a look at the sandbox, objects, changes
        # A second of the emulator's is shorter by what a request takes to arrive.
        assert all(later - first > 900_000 for first, later in zip(arrived, arrived[4:], strict=False))
