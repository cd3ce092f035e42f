"""Texts of offers: from a spreadsheet of placements, languages and contents to what the service holds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal

import pytest

from migrator.emulator import (
    Emulator,
    EmulatorSettings,
    seeded_companion,
    seeded_container,
    seeded_instance_id,
    seeded_offer_id,
    seeded_placement,
    seeded_reference,
)
from migrator.emulator.entities import COLLECTION, DECISION, FALLBACK_OFFER, PLACEMENT, RULE, TAG

StyleName = Literal["xcore", "dps"]

STYLES = pytest.mark.parametrize("style", ["xcore", "dps"])

COLUMNS = ("id", "name", "placement", "language", "format", "content", "was", "sku")
HTML, TEXT = "text/html", "text/plain"

Row = tuple[str, ...]


class Texts:
    """The program, an emulator, and one style of it."""

    def __init__(self, migrator: Any, server: Emulator, style: StyleName) -> None:
        self.migrator = migrator.point_at(server.url)
        self.migrator.environment["MIGRATOR_STYLE"] = style
        self.server = server
        self.style = style
        self.container = seeded_container(0) if style == "xcore" else "dev"

    def offer(self, number: int) -> str:
        """Return the id in the URL of an offer."""
        return seeded_instance_id(number) if self.style == "xcore" else seeded_offer_id(number)

    def write(self, name: str, rows: Sequence[Row]) -> None:
        self.migrator.write(name, ("container", *COLUMNS), [(self.container, *row) for row in rows])

    def contents(self, number: int) -> list[list[tuple[str, str, str]]]:
        """Return language, format and content of each component of each representation of an offer."""
        record = self.server.store.find(self.style, self.container, self.offer(number))
        assert record is not None
        document = json.loads(record.document)
        representations = document[self._spelled("representations")]
        return [
            [
                (
                    ",".join(one.get("dc:language" if self.style == "xcore" else "language", [])),
                    one["dc:format" if self.style == "xcore" else "format"],
                    one[self._spelled("content")],
                )
                for one in representation[self._spelled("components")]
            ]
            for representation in representations
        ]

    def _spelled(self, member: str) -> str:
        return f"xdm:{member}" if self.style == "xcore" else member

    def changed(self) -> list[str]:
        """Return the ids of the objects that we changed, in order."""
        return [effect.id for effect in self.server.effects if effect.api_key == "test-client"]


def english(number: int) -> str:
    return f"<b>Your rate: {number} points</b>"


def french(number: int) -> str:
    return f"<b>Votre taux : {number} points</b>"


@STYLES
async def test_a_spreadsheet_of_texts_is_carried_out_row_by_row(migrator: Any, style: StyleName) -> None:
    async with Emulator(EmulatorSettings(seed_offers=6)) as server:
        it = Texts(migrator, server, style)
        web, mail, free = (seeded_placement(style, number) for number in (0, 1, 2))
        it.write(
            "texts.csv",
            [
                (it.offer(0), "", web, "en", "", "<b>New</b>", "", "a"),  # 2: by ids
                ("", "Seeded offer 1", "Seeded placement 0", "FR", HTML, "<b>Neuf</b>", french(1), "b"),  # 3: by names
                (it.offer(0), "", "Seeded placement 1", "fr", TEXT, "Neuf", "", "c"),  # 4: one request with line 2
                (it.offer(2), "", web, "en", "", english(2), "", "d"),  # 5: as wanted
                (it.offer(3), "", web, "en", "", "X", "Something else", "e"),  # 6: changed by others
                (it.offer(4), "", free, "en", "", "X", "", "f"),  # 7: no representation
                (it.offer(5), "", mail, "it", "", "X", "", "g"),  # 8: no such language
            ],
        )

        applied = await it.migrator("apply", "texts.csv", "--yes", "--run-id", "spring")
        await it.migrator("results")

        assert applied.code == 3, applied.err
        assert "run spring: 3 applied · 1 unchanged · 3 failed (of 7 rows)" in applied.out
        assert it.changed() == [it.offer(0), it.offer(1)]
        assert it.contents(0)[0][0] == ("en", HTML, "<b>New</b>")
        assert it.contents(0)[1][1] == ("fr", TEXT, "Neuf")
        assert it.contents(1)[0] == [("en", HTML, english(1)), ("fr", HTML, "<b>Neuf</b>")]
        found = {
            outcome: [(row["_line"], row["sku"], row["_error_class"]) for row in migrator.results(outcome)]
            for outcome in ("applied", "unchanged", "failed")
        }
        assert found == {
            "applied": [("2", "a", ""), ("3", "b", ""), ("4", "c", "")],
            "unchanged": [("5", "d", "")],
            "failed": [("6", "e", "conflict"), ("7", "f", "cannot_apply"), ("8", "g", "cannot_apply")],
        }
        assert '`was` says "Something else"' in migrator.results("failed")[0]["_message"]


@STYLES
async def test_what_is_missing_is_added_if_that_is_wanted_and_only_once(migrator: Any, style: StyleName) -> None:
    async with Emulator(EmulatorSettings(seed_offers=3)) as server:
        it = Texts(migrator, server, style)
        rows = [
            (it.offer(0), "", "Seeded placement 2", "de", "", "Neu", "", "1"),
            (it.offer(0), "", "Seeded placement 2", "it", "", "Nuovo", "", "2"),
            (it.offer(0), "", "Seeded placement 0", "it", "", "<b>Nuovo</b>", "", "3"),
            (it.offer(1), "", seeded_placement(style, 1), "", "", "Neutral", "", "4"),
            (it.offer(2), "", "Seeded placement 2", "en", "", "X", "Old", "5"),  # what is not there was not "Old"
        ]
        it.write("texts.csv", rows)

        refused = await it.migrator("apply", "texts.csv", "--yes")
        applied = await it.migrator("apply", "texts.csv", "--yes", "--create-missing", "--run-id", "first")
        again = await it.migrator("apply", "texts.csv", "--yes", "--create-missing", "--again", "--run-id", "second")

        assert "0 applied · 5 failed (of 5 rows)" in refused.out, refused.err
        assert "run first: 4 applied · 1 failed (of 5 rows)" in applied.out, applied.err
        assert "run second: 0 applied · 4 unchanged · 1 failed (of 5 rows)" in again.out, again.err
        assert it.changed() == [it.offer(0), it.offer(1)]
        web, _, free = it.contents(0)
        assert free == [("de", TEXT, "Neu"), ("it", TEXT, "Nuovo")]
        assert web == [("en", HTML, english(0)), ("fr", HTML, french(0)), ("it", HTML, "<b>Nuovo</b>")]
        assert it.contents(1)[1][2] == ("", TEXT, "Neutral")


CONTENTS = [
    "<a href=\"https://e.example/?a=1&amp;b=2\" title='x'>50&nbsp;%, now</a>\r\n\t<br/>",
    "Dear {{profile.person.name.firstName}}, {%= offer.rate %} {0}",
    '{"title": "A \\"quoted\\" word", "list": [1, 2.50, null]}',
    "[draft",
    "שלום עולם ١٢٣ مرحبا",
    "👩‍👩‍👧‍👦 🇨🇭 e\u0301 é",
    "  leading\n\nand trailing  \n",
    "0123456789abcdéf" * 17_000,  # near what an offer may be
]


@STYLES
async def test_texts_arrive_byte_for_byte(migrator: Any, style: StyleName) -> None:
    async with Emulator(EmulatorSettings(seed_offers=len(CONTENTS))) as server:
        it = Texts(migrator, server, style)
        rows = [
            (it.offer(number), "", seeded_placement(style, 1), "en", "", content, "", "")
            for number, content in enumerate(CONTENTS)
        ]
        it.write("texts.csv", rows)

        applied = await it.migrator("apply", "texts.csv", "--yes")

        assert applied.code == 0, applied.err
        assert [it.contents(number)[1][0][2] for number in range(len(CONTENTS))] == CONTENTS
        assert [it.contents(number)[0][0][2] for number in range(len(CONTENTS))] == list(
            map(english, range(len(CONTENTS)))
        )


@STYLES
async def test_lines_of_json_change_texts_beside_patches(migrator: Any, style: StyleName) -> None:
    async with Emulator(EmulatorSettings(seed_offers=2)) as server:
        it = Texts(migrator, server, style)
        name = "/_instance/xdm:name" if style == "xcore" else "/name"
        lines: list[dict[str, Any]] = [
            {"id": it.offer(0), "patch": [{"op": "replace", "path": name, "value": "Renamed"}]},
            {"id": it.offer(0), "text": {"placement": "Seeded placement 0", "content": "New", "language": "en"}},
            {
                "name": "Seeded offer 1",
                "text": {"placement": seeded_placement(style, 1), "content": "", "language": "en"},
            },
        ]
        if style == "xcore":
            lines.append({"id": seeded_reference(0), "text": {**lines[1]["text"], "language": "fr", "was": french(0)}})
        path = migrator.folder / "c.jsonl"
        path.write_text("".join(json.dumps({"container": it.container, **line}) + "\n" for line in lines))
        refused = await it.migrator("apply", "c.jsonl", "--yes")
        lines[2]["text"]["content"] = "Full"
        path.write_text("".join(json.dumps({"container": it.container, **line}) + "\n" for line in lines))

        applied = await it.migrator("apply", "c.jsonl", "--yes")

        assert refused.code == 2
        assert "c.jsonl:3: text.content: the content is missing" in refused.out
        assert applied.code == 0, applied.err
        assert it.changed() == [it.offer(0), it.offer(1)]
        assert it.contents(0)[0][0] == ("en", HTML, "New")
        assert it.contents(0)[0][1] == ("fr", HTML, "New" if style == "xcore" else french(0))
        assert it.contents(1)[1][0] == ("en", TEXT, "Full")


@STYLES
async def test_what_moves_while_a_run_is_running_is_found_where_it_is(
    migrator: Any, until: Any, style: StyleName
) -> None:
    """Somebody puts another representation in front between the look and the request."""
    async with Emulator(EmulatorSettings(seed_offers=1)) as server:
        it = Texts(migrator, server, style)
        it.write("texts.csv", [(it.offer(0), "", "Seeded placement 1", "en", "", "New", "Your rate: 0 points", "")])
        server.add_fault("429:PATCH:n=1:retry-after=1")
        running = await it.migrator.start("apply", "texts.csv", "--yes")
        await until(lambda: any(one.method == "PATCH" for one in server.requests))
        record = server.store.find(style, it.container, it.offer(0))
        assert record is not None
        member = "/_instance/xdm:representations" if style == "xcore" else "/representations"
        (first, *_) = json.loads(record.document)[member.rpartition("/")[2]]
        placement = "xdm:placement" if style == "xcore" else "placement"
        inserted = {**first, placement: seeded_placement(style, 3)}
        server.edit(style, it.container, it.offer(0), [{"op": "add", "path": f"{member}/0", "value": inserted}])

        ended = await it.migrator.end(running)

        assert ended.code == 0, ended.err
        assert it.contents(0)[2][0] == ("en", TEXT, "New")
        assert it.contents(0)[1][0] == ("en", HTML, english(0))


@STYLES
async def test_a_text_that_somebody_changes_while_a_run_is_running_is_a_conflict(
    migrator: Any, until: Any, style: StyleName
) -> None:
    async with Emulator(EmulatorSettings(seed_offers=1)) as server:
        it = Texts(migrator, server, style)
        it.write("texts.csv", [(it.offer(0), "", "Seeded placement 0", "en", "", "New", english(0), "")])
        server.add_fault("429:PATCH:n=1:retry-after=1")
        running = await it.migrator.start("apply", "texts.csv", "--yes")
        await until(lambda: any(one.method == "PATCH" for one in server.requests))
        names = ("xdm:representations", "xdm:components", "xdm:content")
        path = "/" + "/0/".join(names if style == "xcore" else [name.removeprefix("xdm:") for name in names])
        path = f"/_instance{path}" if style == "xcore" else path
        server.edit(style, it.container, it.offer(0), [{"op": "replace", "path": path, "value": "Theirs"}])

        ended = await it.migrator.end(running)

        assert ended.code == 3, ended.err
        assert '`was` says "<b>Your rate: 0 points</b>"' in ended.out
        assert it.contents(0)[0][0] == ("en", HTML, "Theirs")


@STYLES
async def test_what_is_deleted_goes_before_what_it_refers_to(migrator: Any, style: StyleName) -> None:
    async with Emulator(EmulatorSettings(seed_offers=2)) as server:
        it = Texts(migrator, server, style)
        types = {
            "tag": (TAG, 0),
            "placement": (PLACEMENT, 0),
            "decision-rule": (RULE, 0),
            "fallback-offer": (FALLBACK_OFFER, 0),
            "collection": (COLLECTION, 0),
            "decision": (DECISION, 0),
        }
        lines: list[dict[str, Any]] = [
            {"type": type_, "id": seeded_companion(style, *which), "delete": True} for type_, which in types.items()
        ]
        lines[2:2] = [
            {"name": "Seeded offer 0", "delete": True},
            {"id": it.offer(1), "delete": True},
            {"type": "fallback-offer", "name": "Seeded offer 1", "delete": True},
            {"type": "tag", "id": f"{style}:tag:1234567890123456", "delete": True},
        ]
        if style == "xcore":
            lines.pop(5)  # which would have to be looked up
        path = migrator.folder / "d.jsonl"
        path.write_text("".join(json.dumps({"container": it.container, **line}) + "\n" for line in lines))

        applied = await it.migrator("apply", "d.jsonl", "--yes")

        assert applied.code == 0, applied.err
        assert "9 applied" in applied.out
        assert ("1 unchanged" in applied.out) == (style == "dps"), "what is gone already"
        order = [effect.type for effect in server.effects if effect.api_key == "test-client"]
        assert order[:2] == ["offer-activity", "offer-filter"]
        assert set(order[2:6]) == {"personalized-offer", "fallback-offer"}
        assert set(order[6:]) == {"tag", "offer-placement", "eligibility-rule"}


@STYLES
async def test_rows_here_and_there_that_do_not_fit_do_not_stop_the_others(migrator: Any, style: StyleName) -> None:
    async with Emulator(EmulatorSettings(seed_offers=40)) as server:
        texts = Texts(migrator, server, style)
        html = seeded_placement(style)
        rows = [(texts.offer(i), "", html, "it" if i % 4 == 0 else "en", "", "New", "", "") for i in range(40)]
        texts.write("c.csv", rows)

        applied = await migrator("apply", "c.csv", "--yes", "--equal-failures", "3")

        assert applied.code == 3, applied.err
        assert "30 applied · 10 failed (of 40 rows)" in applied.out
