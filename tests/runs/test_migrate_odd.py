"""`migrator migrate` of libraries as they are: dangling references, no names, odd members, a thousand tags."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from migrator.emulator import Emulator
from migrator.emulator.snapshot import Line
from tests.runs.moving import OTHER, SOURCES, Style, library, line, names, offer, relations, route, spelled, written

RULE = {"type": "PQL", "format": "pql/text", "value": "true"}


async def move(migrator: Any, server: Emulator, source: Style, lines: list[Line], *flags: str) -> Any:
    library(server, source, lines)
    ended = await migrator.point_at(server.url)(*route(source), "--yes", "--run-id", "moving", *flags)
    await migrator("results", "moving")
    return ended


def made(server: Emulator, style: Style, name: str) -> Any:
    (one,) = [one for one in server.store if (one.style, one.name) == (style, name)]
    return msgspec.json.decode(one.document)


@SOURCES
async def test_a_dangling_reference_is_refused_and_named(migrator: Any, source: Style) -> None:
    gone = f"{source}:tag:00000000000000ff"
    async with Emulator() as server:
        lines = [line(source, "personalized-offer", 1, offer(source, "Dangling", tags=[gone]))]

        ended = await move(migrator, server, source, lines)

        assert ended.code == 3
        (why,) = written(migrator.folder, "moving", "failed")
        assert why["_message"].endswith("tags/0: the id map has no tag with this id (references)")
        assert not server.effects


@SOURCES
async def test_what_refers_to_itself_or_in_a_circle_is_refused_and_named(migrator: Any, source: Style) -> None:
    """The field decides of what type a reference is, and so no circle can close; what is in one dangles."""
    decision, collection = f"{source}:offer-activity:{1:016x}", f"{source}:offer-filter:{2:016x}"
    criterion = spelled(source, {"placements": [decision], "optionSelection": spelled(source, {"filter": collection})})
    lines = [
        line(source, "decision", 1, spelled(source, {"name": "D", "fallback": decision, "criteria": [criterion]})),
        line(
            source,
            "collection",
            2,
            spelled(source, {"name": "C", "filterType": "offers", "ids": [collection, decision]}),
        ),
    ]
    async with Emulator() as server:
        ended = await move(migrator, server, source, lines, "--decision", "D")

        assert ended.code == 3, ended.err
        refused = {row["name"]: row["_message"] for row in written(migrator.folder, "moving", "failed")}
        assert refused.keys() == {"C", "D"}
        assert "the id map has no tag or personalized-offer with this id" in refused["C"]
        assert "the id map has no fallback-offer with this id" in refused["D"]
        assert f"  fallback-offer {decision}: not in the source" in ended.out
        assert not server.effects


@SOURCES
async def test_a_dangling_reference_can_be_left_out(migrator: Any, source: Style) -> None:
    async with Emulator() as server:
        tags = [f"{source}:tag:{2:016x}", f"{source}:tag:{255:016x}"]
        lines = [
            line(source, "tag", 2, spelled(source, {"name": "There"})),
            line(source, "personalized-offer", 1, offer(source, "Dangling", tags=tags)),
        ]

        ended = await move(migrator, server, source, lines, "--allow-lossy", "references")
        verified = await migrator("verify", "moving")

        assert ended.code == 0, ended.err
        assert relations(server, OTHER[source])["personalized-offer", "Dangling"] == {"tag There": 1}
        assert verified.code == 0, verified.out


@SOURCES
async def test_what_has_no_name_is_refused_since_it_could_not_be_found_again(migrator: Any, source: Style) -> None:
    async with Emulator() as server:
        ended = await move(migrator, server, source, [line(source, "personalized-offer", 1, offer(source, ""))])

        assert ended.code == 3
        (why,) = written(migrator.folder, "moving", "failed")
        assert why["_message"] == "it has no name, by which it could be found again"
        assert not server.effects


@SOURCES
async def test_names_that_a_filter_could_take_for_more_than_a_name_are_found_again(
    migrator: Any, source: Style
) -> None:
    odd = ["a,b==c", "*", "?", "name==x;y~z", "' OR 1", "%2C", "Angebot – «ü»"]
    async with Emulator() as server:
        lines = [line(source, "tag", number, spelled(source, {"name": name})) for number, name in enumerate(odd, 1)]
        first = await move(migrator, server, source, lines)

        again = await migrator(*route(source), "--yes", "--run-id", "again")

        assert (first.code, again.code) == (0, 0), first.err
        assert "0 applied · 7 unchanged" in again.out
        assert names(server, OTHER[source]) == names(server, source)


@SOURCES
async def test_unknown_members_are_reported_with_their_content(migrator: Any, source: Style) -> None:
    async with Emulator() as server:
        document = offer(source, "Odd") | {"acme:colour": {"deep": ["red", 1]}}
        lines = [line(source, "personalized-offer", 1, document)]

        refused = await move(migrator, server, source, lines, "--report", "losses.jsonl")

        assert refused.code == 3
        (why,) = written(migrator.folder, "moving", "failed")
        assert "acme:colour" in why["_message"]
        told = [json.loads(row) for row in (migrator.folder / "losses.jsonl").read_text().splitlines()]
        (unknown,) = [one for one in told if one["class"] == "unknown"]
        assert unknown["value"] == {"deep": ["red", 1]}
        assert (unknown["line"], unknown["severity"]) == (1, "severe")


@SOURCES
async def test_an_offer_with_a_thousand_tags_keeps_them_all_in_order(migrator: Any, source: Style) -> None:
    async with Emulator() as server:
        tags = [line(source, "tag", number, spelled(source, {"name": f"T{number}"})) for number in range(1, 1001)]
        document = offer(source, "Tagged", tags=[one.reference for one in tags])

        ended = await move(migrator, server, source, [*tags, line(source, "personalized-offer", 2000, document)])

        assert ended.code == 0, ended.err
        member = {"dps": "tags", "xcore": "xdm:tags"}[OTHER[source]]
        called = {one.reference: one.name for one in server.store}
        assert [called[id_] for id_ in made(server, OTHER[source], "Tagged")[member]] == [
            f"T{n}" for n in range(1, 1001)
        ]


@SOURCES
async def test_a_date_without_a_zone_is_reported_and_not_guessed_so_that_the_service_may_refuse_it(
    migrator: Any, source: Style
) -> None:
    dates = {"startDate": "2024-03-01T00:00:00", "endDate": "2034-03-01T00:00:00Z"}
    async with Emulator() as server:
        lines = [line(source, "personalized-offer", 1, offer(source, "Dated", constraint=dates))]

        ended = await move(migrator, server, source, lines, "--report", "losses.jsonl")

        told = [json.loads(row) for row in (migrator.folder / "losses.jsonl").read_text().splitlines()]
        assert [one["value"] for one in told if one["class"] == "dates"] == ["2024-03-01T00:00:00"]
        assert ended.code == 3
        (why,) = written(migrator.folder, "moving", "failed")
        assert "has to be a date and time with an offset" in why["_message"]


async def test_a_rule_in_either_spelling_or_in_both_is_moved(migrator: Any) -> None:
    prefixed = {"xdm:type": "PQL", "xdm:format": "pql/text", "xdm:value": "true"}
    mixed = {"condition": RULE, "xdm:condition": prefixed, "description": "plain", "xdm:description": "prefixed"}
    spellings: dict[str, dict[str, Any]] = {
        "Plain": {"condition": RULE},
        "Prefixed": {"xdm:condition": prefixed},
        "Both": mixed,
    }
    async with Emulator() as server:
        lines = [
            line("xcore", "decision-rule", number, {"xdm:name": name, "xdm:definedOn": {}} | members)
            for number, (name, members) in enumerate(spellings.items(), 1)
        ]

        ended = await move(migrator, server, "xcore", lines)

        assert ended.code == 0, ended.err
        assert [made(server, "dps", name)["condition"] for name in spellings] == [RULE] * 3
        assert made(server, "dps", "Both")["description"] == "prefixed"


@SOURCES
async def test_the_empty_key_below_defined_on_is_kept(migrator: Any, source: Style) -> None:
    schema = {"ref": "https://ns.adobe.com/xdm/context/profile_union", "version": "1"}
    if source == "xcore":
        schema = {"$ref": schema["ref"], "version": "1"}
    inner = spelled(source, {"schema": schema, "referencePaths": ["homeAddress.city"]})
    rule = spelled(source, {"name": "Empty key", "condition": spelled(source, RULE), "definedOn": {"": inner}})
    async with Emulator() as server:
        ended = await move(migrator, server, source, [line(source, "decision-rule", 1, rule)])

        assert ended.code == 0, ended.err
        member = {"dps": "definedOn", "xcore": "xdm:definedOn"}[OTHER[source]]
        assert list(made(server, OTHER[source], "Empty key")[member]) == [""]
