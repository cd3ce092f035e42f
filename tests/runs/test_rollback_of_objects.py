"""`migrator rollback` of what a run has created and deleted: what goes away again, what comes back, in which order."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from typing import Any

import msgspec
import pytest

from migrator.emulator import Emulator, EmulatorSettings, Record, seeded_placement, seeded_tag
from migrator.emulator.entities import COLLECTION, FALLBACK_OFFER
from migrator.emulator.seeds import seeded_companion
from tests.runs.undoing import SCOPES, STYLES, Style, applied, documents, offer_id, operation, results, row
from tests.soak.killing import QUICK

HTML = {"dps": "html", "xcore": "https://ns.adobe.com/experience/offer-management/content-component-html"}
WEB = "https://ns.adobe.com/xdm/channel-types/web"


def spelled(style: Style, members: dict[str, Any]) -> dict[str, Any]:
    return {name if style == "dps" else f"xdm:{name}": value for name, value in members.items()}


def family(style: Style) -> list[dict[str, Any]]:
    """Rows that create one object of most types, in no order at all, with references to seeds."""
    criteria = [
        spelled(
            style,
            {
                "placements": [seeded_placement(style)],
                "optionSelection": spelled(style, {"filter": seeded_companion(style, COLLECTION)}),
            },
        )
    ]
    representation = spelled(style, {"channel": WEB, "placement": seeded_placement(style), "components": []})
    made: dict[str, dict[str, Any]] = {
        "placement": {"componentType": HTML[style], "channel": WEB},
        "decision": {"fallback": seeded_companion(style, FALLBACK_OFFER), "criteria": criteria},
        "tag": {},
        "fallback-offer": {"status": "draft", "representations": [representation], "tags": [seeded_tag(style)]},
        "collection": {"filterType": "anyTags", "ids": [seeded_tag(style)]},
    }
    return [
        row(style, {"create": spelled(style, {"name": f"Made {type_}", **members})}, type=type_)
        for type_, members in made.items()
    ]


def made(server: Emulator, style: Style) -> dict[str, Record]:
    """What the rows of `family` have made, by type."""
    return {record.word: record for record in server.store if record.style == style and record.name.startswith("Made")}


def let_them_refer_to_each_other(server: Emulator, style: Style) -> None:
    """Put what was made in the place of the seeds that it refers to, as if it had been made so."""
    new = {word: record.reference for word, record in made(server, style).items()}
    seeds = {
        seeded_placement(style): new["offer-placement"],
        seeded_tag(style): new["tag"],
        seeded_companion(style, FALLBACK_OFFER): new["fallback-offer"],
        seeded_companion(style, COLLECTION): new["offer-filter"],
    }

    def lines() -> Iterable[bytes]:
        for one in server.snapshot():
            text = msgspec.json.encode(one).decode()
            if one.id in {record.key for record in made(server, style).values()}:
                for seed, reference in seeds.items():
                    text = text.replace(seed, reference)
            yield text.encode()

    assert not server.load(list(lines()))


def deletions(style: Style, server: Emulator) -> list[dict[str, Any]]:
    """Rows that delete a decision, its collection, an offer, and a tag and a placement that nobody uses."""
    words = {"decision": "offer-activity", "collection": "offer-filter", "tag": "tag", "placement": "offer-placement"}
    last = {
        type_: [r for r in server.store if (r.style, r.word) == (style, word)][-1].key for type_, word in words.items()
    }
    ids = last | {"personalized-offer": offer_id(style, 0)}
    return [row(style, {"delete": True}, type=type_, id=ids[type_]) for type_ in sorted(ids, reverse=True)]


def order(server: Emulator, method: str) -> list[str]:
    return [effect.type for effect in server.effects if effect.method == method]


@STYLES
async def test_what_was_created_is_deleted_before_what_it_refers_to(migrator: Any, style: Style) -> None:
    async with Emulator(EmulatorSettings(seed_offers=1)) as server:
        before = await applied(migrator, server, style, family(style))
        let_them_refer_to_each_other(server, style)

        undone = await migrator("rollback", "spring", "--yes", "-j", "8")

        assert undone.code == 0, undone.err
        assert "run spring: 5 objects to delete\n" in undone.out
        assert documents(server, style) == before
        assert order(server, "DELETE")[:3] == ["offer-activity", "offer-filter", "fallback-offer"]


@STYLES
async def test_what_somebody_has_edited_since_it_was_created_stays(migrator: Any, style: Style) -> None:
    async with Emulator(EmulatorSettings(seed_offers=1)) as server:
        await applied(migrator, server, style, family(style))
        tag = made(server, style)["tag"]
        server.edit(style, SCOPES[style], tag.key, [operation(style, "replace", "/name", "Made by us, used by them")])

        undone = await migrator("rollback", "spring", "--yes")
        await migrator("results", "spring.rollback-1")
        again = await migrator("retry", "spring.rollback-1", "--yes")

        assert undone.code == 3, undone.err
        assert "4 applied · 1 failed (of 5 rows)" in undone.out
        (failed,) = results(migrator, "spring.rollback-1", "failed")
        assert failed["_error_class"] == "drifted"
        assert (
            "the object has changed meanwhile: version 1 then, 2 now (last changed by somebody-else"
            in failed["_message"]
        )
        assert failed["type"] == "tag"
        assert again.code == 3, "a retry does not free it of its condition"
        assert list(made(server, style)) == ["tag"]


@STYLES
async def test_what_is_edited_while_the_fate_of_its_deletion_is_unknown_stays(
    migrator: Any, until: Any, style: Style
) -> None:
    async with Emulator(EmulatorSettings(seed_offers=1)) as server:
        await applied(migrator, server, style, family(style)[2:3])
        tag = made(server, style)["tag"]
        migrator.environment |= QUICK
        lost = server.add_fault("drop-before:DELETE")
        running = await migrator.start("rollback", "spring", "--yes")
        await until(lambda: lost.hits > 0)
        server.edit(style, SCOPES[style], tag.key, [operation(style, "replace", "/name", "Made by us, used by them")])
        server.remove_fault(lost.number)

        undone = await migrator.end(running)

        assert undone.code == 3, undone.err
        assert "changed meanwhile" in undone.out
        assert made(server, style)["tag"].etag == 2


@STYLES
async def test_of_many_that_were_created_each_is_looked_at_and_not_a_list_that_may_be_behind(
    migrator: Any, style: Style
) -> None:
    rows = [
        row(style, {"create": spelled(style, {"name": f"Made {number}"})}, type="tag", key=str(number))
        for number in range(15)
    ]
    async with Emulator(EmulatorSettings(seed_offers=1)) as server:
        before = await applied(migrator, server, style, rows)
        server.add_fault("search-lag:GET:seconds=60")
        edited = next(record.key for record in server.store if record.style == style and record.name == "Made 9")
        server.edit(style, SCOPES[style], edited, [operation(style, "replace", "/name", "Theirs")])

        undone = await migrator("rollback", "spring", "--yes")

        assert undone.code == 3, undone.err
        assert "14 applied · 1 failed (of 15 rows)" in undone.out
        after = documents(server, style)
        assert after.keys() - before.keys() == {edited}


@STYLES
async def test_what_was_deleted_is_listed_and_created_anew_if_that_is_wanted(migrator: Any, style: Style) -> None:
    async with Emulator(EmulatorSettings(seed_offers=1)) as server:
        before = await applied(migrator, server, style, deletions(style, server))
        assert order(server, "DELETE")[0] == "offer-activity"

        listed = await migrator("rollback", "spring", "--yes")
        undone = await migrator("rollback", "spring", "--yes", "--recreate")
        await migrator("results", "spring.rollback-1")

        assert listed.code == 3
        assert listed.out.count("cannot be undone: it was deleted: --recreate creates it anew, under another id") == 5
        assert "run spring: nothing to undo; 5 objects cannot be undone" in listed.out
        assert undone.code == 3, undone.err
        assert "run spring: 5 objects to create anew" in undone.out
        after = documents(server, style)
        gone = [before[key] for key in before.keys() - after.keys()]
        back = [after[key] for key in after.keys() - before.keys()]
        # The decision refers to its collection by an id that nobody has any more.
        (failed,) = results(migrator, "spring.rollback-1", "failed")
        assert failed["type"] == "decision"
        assert failed["_http_status"] == 422
        assert len(back) == 4
        assert all(document in gone for document in back)
        sent = [one.path for one in server.requests if one.method == "POST" and "/data/core/" in one.path]
        assert len(sent) == 5
        assert set(order(server, "POST")[:2]) == {"tag", "offer-placement"}
        assert order(server, "POST")[2:] == ["personalized-offer", "offer-filter"]


@STYLES
async def test_a_rollback_of_creates_is_undone_by_creating_anew(migrator: Any, style: Style) -> None:
    async with Emulator(EmulatorSettings(seed_offers=1)) as server:
        await applied(migrator, server, style, family(style))
        created = sorted(map(str, documents(server, style).values()))
        await migrator("rollback", "spring", "--yes")

        again = await migrator("rollback", "spring.rollback-1", "--yes", "--recreate")
        created_again = sorted(map(str, documents(server, style).values()))
        back = await migrator("rollback", "spring.rollback-1.rollback-1", "--yes")

        assert (again.code, back.code) == (0, 0), again.err + back.err
        assert created_again == created
        assert not made(server, style)


@STYLES
async def test_a_create_that_was_found_in_a_later_version_is_not_deleted(migrator: Any, style: Style) -> None:
    async with Emulator(EmulatorSettings(seed_offers=1)) as server:
        await applied(migrator, server, style, family(style)[2:3])
        with closing(sqlite3.connect(migrator.folder / "runs/spring/ledger.sqlite", isolation_level=None)) as db:
            (trigger,) = db.execute("SELECT sql FROM sqlite_master WHERE name = 'progress_moves'").fetchone()
            db.execute("DROP TRIGGER progress_moves")
            db.execute("UPDATE progress SET how = 'look', etag = 2")
            db.execute(trigger)

        ended = await migrator("rollback", "spring", "--yes")

        assert ended.code == 3
        assert "cannot be undone: whether somebody has edited it since cannot be told" in ended.out
        assert made(server, style)


@pytest.mark.parametrize("style", ["xcore"])
async def test_deletions_that_are_only_accepted_at_first_are_waited_for(migrator: Any, style: Style) -> None:
    async with Emulator(EmulatorSettings(seed_offers=1, delete_async=True)) as server:
        before = await applied(migrator, server, style, family(style)[2:3])
        migrator.environment |= QUICK

        undone = await migrator("rollback", "spring", "--yes")

        assert undone.code == 0, undone.err
        assert documents(server, style) == before
