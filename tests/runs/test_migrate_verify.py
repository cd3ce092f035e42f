"""`migrator verify` of a migration: both ends are read, and compared through the mapping."""

from __future__ import annotations

import json
from typing import Any

from migrator.emulator import Choices, Emulator
from tests.runs.moving import OTHER, SCOPES, SOURCES, Style, library, route, served
from tests.runs.undoing import operation


async def moved(migrator: Any, server: Emulator, source: Style) -> None:
    library(server, source)
    ended = await migrator.point_at(server.url)(*route(source), "--yes", "--run-id", "moving")
    assert ended.code == 0, ended.err


def key_of(server: Emulator, style: Style, name: str) -> str:
    (key,) = [one.key for one in server.store if (one.style, one.name) == (style, name)]
    return key


def rename(server: Emulator, style: Style, name: str, new: str) -> None:
    server.edit(style, SCOPES[style], key_of(server, style, name), [operation(style, "replace", "/name", new)])


@SOURCES
async def test_both_ends_say_the_same_right_after(migrator: Any, source: Style) -> None:
    async with served(2, choices=Choices.from_texts({"C-29": "z"})) as server:
        await moved(migrator, server, source)
        before = len(server.effects)

        ended = await migrator("verify", "moving")

        assert ended.code == 0, ended.out
        assert ended.out.endswith("the source as it is now: 16 of 16 objects say the same\n")
        assert len(server.effects) == before


@SOURCES
async def test_a_source_that_has_changed_since_is_named_with_what_differs(migrator: Any, source: Style) -> None:
    async with served(2) as server:
        await moved(migrator, server, source)
        rename(server, source, "Odd keys", "Renamed")
        rename(server, source, "Seeded tag 1", "Back again")
        rename(server, source, "Back again", "Seeded tag 1")

        ended = await migrator("verify", "moving", "--output", "json")

        told = [json.loads(line) for line in ended.out.splitlines()]
        assert ended.code == 3, ended.err
        assert [one["message"] for one in told if one["event"] == "source_changed"] == [
            "version 1 then, 3 now",
            "version 1 then, 2 now",
        ]
        (differs,) = [one for one in told if one["event"] == "disagreement"]
        assert (differs["expected"], differs["found"]) == ("Renamed", "Odd keys")
        assert differs["path"].endswith("name")
        assert told[-1] == {"event": "compared", "run": "moving", "compared": 16, "differ": 1}


@SOURCES
async def test_what_differs_on_the_other_side_is_told_once(migrator: Any, source: Style) -> None:
    async with served(2) as server:
        await moved(migrator, server, source)
        rename(server, OTHER[source], "Odd keys", "Renamed there")

        ended = await migrator("verify", "moving")

        assert ended.code == 3
        assert ended.out.count("Renamed there") == 1
        assert "15 of 16 rows as written · 1 differ" in ended.out
        assert "15 of 16 objects say the same · 1 differ" in ended.out


@SOURCES
async def test_what_was_there_already_and_says_something_else_is_found(migrator: Any, source: Style) -> None:
    target = OTHER[source]
    async with served(2) as server:
        await moved(migrator, server, source)
        placement = key_of(server, target, "Seeded placement 1")
        server.edit(target, SCOPES[target], placement, [operation(target, "replace", "/description", "Elsewhere")])
        again = await migrator(*route(source), "--yes", "--run-id", "again")

        ended = await migrator("verify", "again")

        assert again.code == 0, again.err
        assert ended.code == 3
        assert "16 of 16 rows as written" in ended.out, "nothing was written"
        assert 'description is "Elsewhere", expected "A place for text"' in ended.out


@SOURCES
async def test_a_source_that_is_gone_is_named(migrator: Any, source: Style) -> None:
    async with served(2) as server:
        await moved(migrator, server, source)
        (one,) = [one for one in server.store if (one.style, one.name) == (source, "Odd keys")]
        server.store.remove(one)

        ended = await migrator("verify", "moving")

        assert ended.code == 3
        assert "its source is not there any more" in ended.out
        assert "15 of 16 objects say the same · 1 differ" in ended.out


async def test_what_the_mapping_gives_up_is_no_difference_and_is_told_by_class(migrator: Any) -> None:
    async with served(2) as server:
        library(server, "dps")
        for name in ("Seeded offer 0", "Seeded offer 1"):
            (key,) = {
                one.key
                for one in server.store
                if (one.style, one.word, one.name) == ("dps", "personalized-offer", name)
            }
            server.edit("dps", SCOPES["dps"], key, [{"op": "add", "path": "/labels", "value": ["core/C1"]}])
        first = await migrator.point_at(server.url)(*route("dps"), "--yes", "--allow-lossy", "labels")

        ended = await migrator("verify")

        assert first.code == 0, first.err
        assert ended.code == 0, ended.out
        assert "16 of 16 objects say the same\n" in ended.out
        assert "not quite the same, by the mapping: 2 labels: data governance labels\n" in ended.out
