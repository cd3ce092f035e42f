"""What `migrator migrate` takes, what it leaves alone, what it refuses, and what it says before it writes."""

from __future__ import annotations

import csv
import json
import shlex
from collections import Counter
from typing import Any

import msgspec
import pytest

from migrator.emulator import Choices, Emulator, seeded_companion
from migrator.emulator.entities import PLACEMENT
from tests.runs.moving import (
    CONTAINER,
    OTHER,
    SOURCES,
    Style,
    assert_moved,
    library,
    line,
    names,
    offer,
    relations,
    route,
    served,
    spelled,
    written,
)

IN_APP = "Mobile_Sheliak"


def words(server: Emulator, style: Style) -> Counter[str]:
    """How many objects of each type there are."""
    return Counter(word for word, _ in names(server, style).elements())


async def move(migrator: Any, server: Emulator, source: Style, *flags: str, run: str = "moving") -> Any:
    migrator.point_at(server.url)
    ended = await migrator(*route(source), "--yes", "--run-id", run, *flags)
    if (migrator.folder / "runs" / run).exists():
        await migrator("results", run)
    return ended


# Selection


async def test_only_objects_of_a_type_and_a_name_are_taken(migrator: Any) -> None:
    async with served() as server:
        library(server, "xcore")

        ended = await move(migrator, server, "xcore", "--type", "tag", "--type", "placement", "--name", "*0")

        assert ended.code == 0, ended.err
        assert names(server, "dps") == {("offer-placement", "Seeded placement 0"): 1, ("tag", "Seeded tag 0"): 1}


@SOURCES
async def test_a_decision_is_taken_with_all_it_needs_also_the_offers_that_its_tags_pick(
    migrator: Any, source: Style
) -> None:
    target = OTHER[source]
    async with served(4) as server:
        library(server, source, [line(source, "tag", 90, spelled(source, {"name": "Nobody needs it"}))])

        ended = await move(migrator, server, source, "--decision", "Seeded decision 0")

        assert ended.code == 0, ended.err
        assert words(server, target) == {
            "offer-placement": 2,
            "eligibility-rule": 1,
            "tag": 1,
            "personalized-offer": 4,
            "fallback-offer": 1,
            "offer-filter": 1,
            "offer-activity": 1,
        }
        made = relations(server, target)
        assert {name: made[name] for name in made} == {name: relations(server, source)[name] for name in made}


async def test_a_decision_that_is_not_there_is_named(migrator: Any) -> None:
    async with served(1) as server:
        library(server, "xcore")

        ended = await move(migrator, server, "xcore", "--decision", "Seeded decision")

        assert ended.code == 2
        assert f'there is no decision "Seeded decision" in {CONTAINER}' in ended.err
        assert "did you mean 'Seeded decision 0'?" in ended.err


@SOURCES
async def test_what_needs_something_that_was_not_chosen_is_refused_before_anything_is_sent(
    migrator: Any, source: Style
) -> None:
    async with served(2) as server:
        library(server, source)

        ended = await move(migrator, server, source, "--type", "personalized-offer", "--type", "tag")

        assert ended.code == 3
        assert words(server, OTHER[source]) == {"tag": 2, "personalized-offer": 1}
        assert "personalized-offer   3 refused · 1 to create" in ended.out
        refused = written(migrator.folder, "moving", "failed")
        assert {row["_error_class"] for row in refused} == {"cannot_apply"}
        assert "the id map has no placement with this id" in refused[-1]["_message"]


# What is left alone


async def test_objects_of_other_products_are_left_alone_unless_they_are_asked_for(migrator: Any) -> None:
    rule = {
        "name": "Theirs",
        "exdRule": True,
        "condition": {"type": "PQL", "format": "pql/text", "value": "true"},
        "definedOn": {},
    }
    foreign = [line("dps", "tag", 91, {"name": "In app"}, IN_APP), line("dps", "decision-rule", 92, rule)]
    async with served(1) as server:
        library(server, "dps", foreign)

        ended = await move(migrator, server, "dps")
        asked = await move(migrator, server, "dps", "--foreign", "--allow-lossy", "decisioning", run="asked")

        assert ended.code == 0, ended.err
        left = written(migrator.folder, "moving", "left-out")
        assert {row["name"] for row in left} == {"In app", "Theirs"}
        assert all("left alone (--foreign takes it along)" in row["_message"] for row in left)
        assert asked.code == 0, asked.err
        assert written(migrator.folder, "asked", "applied")[-1]["name"] == "In app"


# What is refused


async def test_a_refused_object_and_what_refers_to_it_are_named_and_all_else_is_made(migrator: Any) -> None:
    placement = seeded_companion("dps", PLACEMENT)
    async with served(2) as server:
        library(server, "dps")
        server.edit("dps", "dev", placement, [{"op": "add", "path": "/itemCount", "value": 7}])

        dry = await migrator.point_at(server.url)(*route("dps"), "--dry-run")
        ended = await move(migrator, server, "dps")

        refused = {row["name"]: row["_message"] for row in written(migrator.folder, "moving", "failed")}
        assert ended.code == 3
        assert "itemCount" in refused.pop("Seeded placement 0")
        # The decision refers to it, and so do the offers, one of which is in a collection.
        assert {"Seeded offer 0", "Seeded offer 1", "Chosen", "Seeded decision 0"} <= set(refused)
        assert f"{placement} is itself refused or left alone" in refused["Seeded offer 0"]
        assert '! personalized-offer "Seeded offer 0"' in dry.out
        assert dry.code == 3
        assert not [
            effect for effect in server.effects if effect.type == "personalized-offer" and "Seeded" in effect.id
        ]


@SOURCES
async def test_audiences_and_ranking_are_taken_from_the_id_map_or_refused(migrator: Any, source: Style) -> None:
    target, theirs = OTHER[source], "ranking-function:18ca80c5b15c5e11"
    order = spelled(source, {"orderEvaluationType": "scoring-function" if source == "dps" else "scoringFunction"})
    order |= spelled(source, {"function": f"{source}:{theirs}"})
    async with served(1) as server:
        library(server, source)
        (decision,) = [one for one in server.store if one.style == source and one.word == "offer-activity"]
        document = msgspec.json.decode(decision.document)
        criterion = document["criteria" if source == "dps" else "xdm:criteria"][0]
        criterion["rank" if source == "dps" else "xdm:rank"] = spelled(source, {"priority": 0, "order": order})
        replaced = msgspec.structs.replace(decision, document=msgspec.json.encode(document))
        server.store.put(replaced)
        migrator.write(
            "ids.csv",
            ("type", "xcore", "dps"),
            [("ranking-formula", f"xcore:{theirs}", f"dps:{theirs}")],
        )

        refused = await move(migrator, server, source)
        mapped = await move(migrator, server, source, "--id-map", "ids.csv", run="mapped")

        assert refused.code == 3
        (why,) = written(migrator.folder, "moving", "failed")
        assert "(ranking)" in why["_message"]
        assert mapped.code == 0, mapped.err
        (made,) = [one for one in server.store if one.style == target and one.word == "offer-activity"]
        assert f"{target}:{theirs}" in made.document.decode()


def twins(source: Style) -> list[Any]:
    """Two offers of one name that differ."""
    return [
        line(source, "personalized-offer", n, offer(source, "Twin", rank=spelled(source, {"priority": n})))
        for n in (95, 96)
    ]


@SOURCES
async def test_names_that_are_there_more_than_once_are_not_guessed_but_mapped(migrator: Any, source: Style) -> None:
    target = OTHER[source]
    async with served(1) as server:
        library(server, source, twins(source))

        first = await move(migrator, server, source)
        second = await move(migrator, server, source, run="second")
        id_map = migrator.folder / "runs" / "moving" / "results" / "id-map.csv"
        third = await move(migrator, server, source, "--id-map", str(id_map), run="third")

        assert first.code == 0, first.err
        assert second.code == 3
        assert [row["name"] for row in written(migrator.folder, "second", "failed")] == ["Twin", "Twin"]
        assert third.code == 0, third.err
        assert "0 applied · 17 unchanged" in third.out
        assert names(server, target) == names(server, source)


@SOURCES
async def test_names_that_are_there_more_than_once_say_the_lines_to_write_and_what_to_type(
    migrator: Any, source: Style
) -> None:
    """A person who does what is said, word by word, gets on."""
    type_ = "personalized-offer"
    async with served(1) as server:
        library(server, source, twins(source))
        await move(migrator, server, source, "--type", type_, "--name", "Twin", run="first")

        refused = await move(migrator, server, source, "--type", type_, "--name", "Twin")
        told = [row["_message"] for row in written(migrator.folder, "moving", "failed")]
        ids = {
            style: [one.reference for one in server.store if one.name == "Twin" and one.style == style]
            for style in OTHER
        }
        lines = [text.partition(" such as ")[2] for text in told]
        (migrator.folder / "ids.csv").write_text("\n".join(["type,xcore,dps", *lines]) + "\n")
        command = refused.out.partition("  migrator ")[2].splitlines()[0]
        again = await migrator(*shlex.split(command))

        target = OTHER[source]
        assert refused.code == 3
        assert told[0].startswith(f'"Twin" is the name of 2 of type {type_} here, {", ".join(ids[source])}, ')
        assert all(id_ in told[0] for id_ in ids[target])
        assert sorted(lines) == [
            f"{type_},{xcore},{dps}" for xcore, dps in zip(*map(sorted, (ids["xcore"], ids["dps"])), strict=True)
        ]
        assert command.endswith("--id-map ids.csv")
        assert "--run-id" not in command
        assert again.code == 0, again.err
        assert "0 applied · 2 unchanged" in again.out


@SOURCES
async def test_of_more_twins_here_than_there_the_others_are_made_once_one_is_mapped(
    migrator: Any, source: Style
) -> None:
    async with served(1) as server:
        library(server, source, twins(source)[:1])
        await move(migrator, server, source, "--name", "Twin", run="first")
        lines = [*server.snapshot(), twins(source)[1]]
        assert not server.load([msgspec.json.encode(one) for one in lines])

        refused = await move(migrator, server, source, "--name", "Twin")
        told = [row["_message"] for row in written(migrator.folder, "moving", "failed")]
        (migrator.folder / "ids.csv").write_text("type,xcore,dps\n" + told[0].partition(" such as ")[2] + "\n")
        again = await move(migrator, server, source, "--name", "Twin", "--id-map", "ids.csv", run="again")

        assert refused.code == 3
        assert told[1].endswith("say in --id-map which of them are there, and the others are made")
        assert again.code == 0, again.err
        assert "1 applied · 1 unchanged" in again.out


async def test_what_is_there_under_the_same_id_is_not_made_again(migrator: Any) -> None:
    async with served(2, choices=Choices.from_texts({"C-14": "mirrored"})) as server:
        ended = await move(migrator, server, "xcore")

        assert ended.code == 0, ended.err
        assert not server.effects
        assert {row["_message"] for row in written(migrator.folder, "moving", "unchanged")} == {
            "there already, by its id"
        }


# Ends that cannot be read


@SOURCES
@pytest.mark.parametrize("status", [404, 410])
async def test_a_container_that_is_gone_is_an_explained_stop_and_no_empty_source(
    migrator: Any, source: Style, status: int
) -> None:
    fault = f"gone:GET:style=xcore:after=2:status={status}"
    async with served(1, faults=(fault,)) as server:
        library(server, source)

        ended = await move(migrator, server, source)

        assert ended.code == 5
        assert CONTAINER in ended.err
        assert f"HTTP {status}" in ended.err
        assert "nothing was written; see that the container is there" in ended.err
        assert not server.effects


async def test_a_container_that_never_was_is_an_explained_stop(migrator: Any) -> None:
    async with served(1) as server:
        ended = await migrator.point_at(server.url)(
            "migrate", "--from", "xcore", "--to", "dps", "--container", "nope", "--yes"
        )

        assert ended.code == 5
        assert "container nope cannot be used: HTTP 404" in ended.err
        assert not server.effects


# The id map


@SOURCES
async def test_the_id_map_says_which_object_is_which(migrator: Any, source: Style) -> None:
    async with served() as server:
        library(server, source)
        ended = await move(migrator, server, source)
        path = migrator.folder / "runs" / "moving" / "results" / "id-map.csv"

        assert ended.code == 0, ended.err
        with path.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        assert list(rows[0]) == ["type", "xcore", "dps", "instance_id", "container"]
        lines = path.with_suffix(".jsonl").read_bytes().splitlines()
        assert [msgspec.json.decode(line) for line in lines] == rows
        by_reference = {one.reference: one for one in server.store}
        assert len(rows) == 20
        for row in rows:
            xcore, dps = by_reference[row["xcore"]], by_reference[row["dps"]]
            assert (xcore.name, xcore.word) == (dps.name, dps.word)
            assert (row["instance_id"], row["container"]) == (xcore.key, CONTAINER)


async def test_changes_are_translated_with_the_id_map_of_a_migration(migrator: Any) -> None:
    async with served() as server:
        library(server, "xcore")
        await move(migrator, server, "xcore")
        offers = [one for one in server.store if one.word == "personalized-offer" and one.name == "Seeded offer 3"]
        change: dict[str, Any] = {
            "container": CONTAINER,
            "type": "personalized-offer",
            "id": next(o.key for o in offers if o.style == "xcore"),
        }
        change |= {"patch": [{"op": "replace", "path": "/_instance/xdm:status", "value": "archived"}]}
        (migrator.folder / "c.jsonl").write_text(json.dumps(change) + "\n")

        ids = "runs/moving/results/id-map.csv"
        ended = await migrator("translate", "c.jsonl", "--from", "xcore", "--to", "dps", "--id-map", ids)

        assert ended.code == 0, ended.err
        assert json.loads(ended.out)["id"] == next(one.key for one in offers if one.style == "dps")


# Runs like any other


@SOURCES
async def test_a_migration_is_not_retried_but_given_again_and_then_takes_up_what_failed(
    migrator: Any, source: Style
) -> None:
    """Here the service refuses one of the objects, and with it all that needs it, for a reason that passes."""
    async with served(2, faults=("gateway:POST:n=2:code=400001",)) as server:
        library(server, source)
        ended = await move(migrator, server, source)
        made = Counter(names(server, OTHER[source]).keys())
        for fault in list(server.faults):
            server.remove_fault(fault.number)

        retried = await migrator("retry", "moving", "--yes")
        command = retried.err.partition("`migrator ")[2].partition("`")[0]
        again = await migrator(*shlex.split(command))

        failed = len(written(migrator.folder, "moving", "failed"))
        assert ended.code == 3
        assert retried.code == 2
        assert "run moving is a migration" in retried.err
        assert shlex.split(command) == [*route(source), "--yes"]
        assert again.code == 0, again.err
        assert f"{failed} applied · {made.total()} unchanged" in again.out
        assert_moved(server, source)
