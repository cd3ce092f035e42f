"""What `migrator migrate --decision` says that is needed, before anything is written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec

from migrator.emulator import Emulator, seeded_companion
from migrator.emulator.entities import PLACEMENT
from tests.runs.moving import OTHER, SOURCES, Style, library, line, offer, route, served, spelled

DECISION = ("--decision", "Seeded decision 0")

PLACES = {"placement Seeded placement 0", "placement Seeded placement 1"}
TAG, RULE = "tag Seeded tag 0", "decision-rule Seeded rule 0"
OFFERS = {"personalized-offer Seeded offer 0", "personalized-offer Seeded offer 1"}
TREE = {
    "": {"decision Seeded decision 0"},
    "decision Seeded decision 0": {
        "placement Seeded placement 0",
        "collection Seeded collection 0",
        RULE,
        "fallback-offer Seeded offer 0",
    },
    "collection Seeded collection 0": {TAG, *OFFERS},
    "fallback-offer Seeded offer 0": {"placement Seeded placement 0", TAG},
    **{one: {*PLACES, TAG} for one in OFFERS},
}
"""What needs what, in the seeds."""


def told(out: str) -> list[str]:
    """The lines of the tree, which come before the numbers by type."""
    lines = out.splitlines()
    return lines[: next(number for number, text in enumerate(lines) if text.startswith("placement  "))]


def related(lines: list[str]) -> Iterator[tuple[str, str, str]]:
    """Yield of each line what needs it, what it is, and what is said of it."""
    above: list[str] = []
    for text in lines:
        depth = (len(text) - len(text.lstrip())) // 2
        name, _, fate = text.strip().partition(": ")
        name = name.replace('"', "")
        yield above[depth - 1] if depth else "", name, fate
        above[depth:] = [name]


def without_effects(server: Emulator, style: Style) -> bool:
    return not [effect for effect in server.effects if effect.style == style]


@SOURCES
async def test_what_is_needed_is_told_below_what_needs_it_and_unfolded_once(migrator: Any, source: Style) -> None:
    async with served(2) as server:
        library(server, source)

        dry = await migrator.point_at(server.url)(*route(source), *DECISION, "--dry-run")

        lines = list(related(told(dry.out)))
        below: dict[str, set[str]] = {}
        for parent, name, _ in lines:
            below.setdefault(parent, set()).add(name)
        assert dry.code == 0, dry.err
        assert below == TREE
        for one in {name for _, name, _ in lines}:
            first, *others = [fate for _, name, fate in lines if name == one]
            assert first == "to create"
            assert set(others) <= {"to create (above)"}
        assert without_effects(server, OTHER[source])


@SOURCES
async def test_what_is_there_says_how_it_is_known(migrator: Any, source: Style) -> None:
    async with served(1) as server:
        library(server, source)
        await migrator.point_at(server.url)(*route(source), "--type", "tag", "--type", "placement", "--yes")
        await migrator(*route(source), "--type", "decision-rule", "--yes", "--run-id", "rules")
        await migrator("results", "rules")
        server.edit(OTHER[source], *renamed(server, OTHER[source], "eligibility-rule"))

        ids = "runs/rules/results/id-map.csv"
        dry = await migrator(*route(source), *DECISION, "--dry-run", "--id-map", ids)

        fates = {name: fate for _, name, fate in related(told(dry.out)) if "(above)" not in fate}
        assert fates[TAG] == "there already, by its name"
        assert fates[RULE] == "there already, by the id map"
        assert fates["collection Seeded collection 0"] == "to create"


def renamed(server: Emulator, style: Style, word: str) -> tuple[str, str, list[dict[str, str]]]:
    """What gives the one object of a type another name."""
    (record,) = [one for one in server.store if (one.style, one.word) == (style, word)]
    path = "/name" if style == "dps" else "/_instance/xdm:name"
    return record.scope, record.key, [{"op": "replace", "path": path, "value": "Another name"}]


async def test_what_is_refused_and_what_is_left_alone_say_why(migrator: Any) -> None:
    async with served(1) as server:
        library(server, "dps")
        server.edit("dps", "dev", seeded_companion("dps", PLACEMENT), [{"op": "add", "path": "/itemCount", "value": 7}])
        (tag,) = [one for one in server.store if (one.style, one.name) == ("dps", "Seeded tag 0")]
        server.store.put(msgspec.structs.replace(tag, created_by="Mobile_Sheliak"))

        dry = await migrator.point_at(server.url)(*route("dps"), *DECISION, "--dry-run")

        fates = {name: fate for _, name, fate in related(told(dry.out)) if "(above)" not in fate}
        assert dry.code == 3
        assert fates["placement Seeded placement 0"].startswith("refused: /itemCount: ")
        assert fates[TAG] == "of the in-app channel: left alone (--foreign takes it along)"
        assert "is itself refused or left alone" in fates["fallback-offer Seeded offer 0"]
        assert without_effects(server, "xcore")


@SOURCES
async def test_of_many_a_person_is_told_how_many_and_a_program_each(migrator: Any, source: Style) -> None:
    """Those come first that are not made: a list of a thousand must not hide the one."""
    async with served(9) as server:
        tag = next(one.reference for one in server.store if (one.style, one.word) == (source, "tag"))
        nowhere = f"{source}:tag:00000000deadbeef"
        lost = offer(source, "Lost", tags=[tag, nowhere])
        library(server, source, [line(source, "personalized-offer", 99, lost)])
        migrator.point_at(server.url)

        dry = await migrator(*route(source), *DECISION, "--dry-run")
        each = await migrator(*route(source), *DECISION, "--dry-run", "--output", "json")

        lines = [text.strip() for text in told(dry.out)]
        assert "and 5 more of type personalized-offer (--output json names them): 5 to create" in lines
        assert sum(text.startswith("personalized-offer") for text in lines) == 5
        assert any(text.startswith('personalized-offer "Lost": refused: ') for text in lines)
        assert f"tag {nowhere}: not in the source, and the id map has no tag with this id" in lines
        needs = [one for one in map(json.loads, each.out.splitlines()) if one["event"] == "dependency"]
        offers = [one for one in needs if one["type"] == "personalized-offer"]
        assert len(offers) == 10
        assert {one["fate"] for one in offers} == {"to create", "refused"}
        (refused,) = [one["id"] for one in offers if one["name"] == "Lost"]
        assert {one["needed_by"] for one in needs if one["id"] == nowhere} == {refused}


@SOURCES
async def test_what_lies_outside_is_told_with_where_the_id_map_leads(migrator: Any, source: Style) -> None:
    ranking = "ranking-function:18ca80c5b15c5e11"
    async with served(1) as server:
        library(server, source)
        _ranked(server, source, f"{source}:{ranking}")
        migrator.write("ids.csv", ("type", "xcore", "dps"), [("ranking-formula", f"xcore:{ranking}", f"dps:{ranking}")])
        migrator.point_at(server.url)

        without = await migrator(*route(source), *DECISION, "--dry-run")
        mapped = await migrator(*route(source), *DECISION, "--dry-run", "--id-map", "ids.csv")

        nowhere = "not in the source, and the id map has no ranking-formula with this id"
        assert f"  ranking-formula {source}:{ranking}: {nowhere}" in told(without.out)
        assert f"  ranking-formula {source}:{ranking}: there as {OTHER[source]}:{ranking}" in told(mapped.out)


def _ranked(server: Emulator, source: Style, function: str) -> None:
    """Let the decision order its offers by a formula."""
    (decision,) = [one for one in server.store if (one.style, one.word) == (source, "offer-activity")]
    document = msgspec.json.decode(decision.document)
    word = "scoring-function" if source == "dps" else "scoringFunction"
    order = spelled(source, {"orderEvaluationType": word, "function": function})
    (criterion,) = document[next(iter(spelled(source, {"criteria": 0})))]
    criterion |= spelled(source, {"rank": spelled(source, {"priority": 0, "order": order})})
    server.store.put(msgspec.structs.replace(decision, document=msgspec.json.encode(document)))


async def test_without_a_decision_there_are_numbers_alone(migrator: Any) -> None:
    async with served(1) as server:
        library(server, "xcore")

        dry = await migrator.point_at(server.url)(*route("xcore"), "--dry-run")

        assert told(dry.out) == []
