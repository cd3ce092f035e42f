"""The way back of an export: people edit it, spreadsheets save it, and only what was edited is changed."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from migrator.emulator import Emulator, EmulatorSettings, seeded_container, seeded_instance_id, seeded_offer_id

OFFERS = 12
Record = dict[str, str]


def records(path: Path) -> list[Record]:
    # Not `read_text`, which ends all lines alike.
    return list(csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline="")))


def save(path: Path, rows: Sequence[Record], delimiter: str = ",") -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter, lineterminator="\r\n")
        writer.writeheader()
        writer.writerows(rows)


def edit(path: Path, **cells: str) -> None:
    """Edit cells of the first row, named without their slashes."""
    rows = records(path)
    rows[0] |= {f"/{name.replace('__', '/')}": cell for name, cell in cells.items()}
    save(path, rows)


def document(server: Emulator, key: str) -> Any:
    return next(json.loads(one.document) for one in server.store if one.key == key)


def first_texts(server: Emulator, count: int) -> list[str]:
    """The first text of each of the first offers."""
    offers = [document(server, seeded_offer_id(number)) for number in range(count)]
    return [offer["representations"][0]["components"][0]["content"] for offer in offers]


def somebody_edits(server: Emulator, number: int, path: str, value: Any) -> None:
    server.edit("dps", "dev", seeded_offer_id(number), [{"op": "replace", "path": path, "value": value}])


@pytest.fixture
def sheet(migrator: Any) -> Callable[..., Any]:
    async def export(server: Emulator, *arguments: str) -> Path:
        """Export all offers of the emulator to a spreadsheet."""
        ended = await migrator.point_at(server.url)("export", "--out", "offers.csv", *arguments)
        assert ended.code == 0, ended.err
        path: Path = migrator.folder / "offers.csv"
        return path

    return export


async def test_only_the_edited_cells_are_changed_and_every_row_is_accounted_for(migrator: Any, sheet: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=OFFERS)) as server:
        path = await sheet(server)
        rows = records(path)
        rows[3]["/name"] = "Spring; “loan”"
        rows[5]["/rank/priority"] = "99"
        rows[5]["/description"] = r"\N"
        rows[6]["/characteristics/region"] = "EMEA"
        columns = ["note", "/characteristics/region", *reversed(rows[0])]
        moved = [{"note": "mine"} | row for row in reversed(rows[1:])]  # sorted anew, without the first
        save(path, [{name: row.get(name, "") for name in columns} for row in moved], ";")

        validated = await migrator("validate", "offers.csv")
        applied = await migrator("apply", "offers.csv", "--yes")
        await migrator("results")

        assert "11 rows checked: 3 requests to 1 container; nothing to do for 8 rows" in validated.out
        assert applied.code == 0, applied.err
        assert "3 applied · 8 unchanged (of 11 rows)" in applied.out
        assert sorted(one.id for one in server.effects) == sorted(seeded_offer_id(number) for number in (3, 5, 6))
        named, ranked, grown = (document(server, seeded_offer_id(number)) for number in (3, 5, 6))
        assert named["name"] == "Spring; “loan”"
        assert (ranked["rank"], "description" in ranked) == ({"priority": 99}, False)
        assert grown["characteristics"] == {"region": "EMEA"}
        (folder,) = migrator.run_folders()
        files = {one.name: one.read_text().splitlines() for one in (folder / "results").iterdir()}
        assert {name: len(lines) - 1 for name, lines in files.items()} == {"applied.csv": 3, "unchanged.csv": 8}
        assert (migrator.folder / "offers.csv").exists()


async def test_an_export_that_nobody_has_edited_sends_nothing_at_all(migrator: Any, sheet: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=OFFERS)) as server:
        await sheet(server)
        before = len(server.requests)

        applied = await migrator("apply", "offers.csv", "--yes")

        assert (applied.code, len(server.requests)) == (0, before), applied.err
        assert "0 applied · 12 unchanged (of 12 rows)" in applied.out


async def test_what_somebody_else_has_changed_meanwhile_is_a_conflict_and_only_that(migrator: Any, sheet: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=OFFERS)) as server:
        path = await sheet(server)
        rows = records(path)
        for row in rows[:2]:
            row["/name"] = "Ours"
        save(path, rows)
        somebody_edits(server, 0, "/name", "Theirs")
        somebody_edits(server, 1, "/rank/priority", 42)
        somebody_edits(server, 2, "/name", "Theirs, and nobody minds")

        applied = await migrator("apply", "offers.csv", "--yes")
        await migrator("results")

        assert applied.code == 3
        assert "1 applied · 10 unchanged · 1 failed (of 12 rows)" in applied.out
        (failed,) = migrator.results("failed")
        assert (failed["id"], failed["_error_class"]) == (seeded_offer_id(0), "conflict")
        assert '/name is "Theirs", and was "Seeded offer 0"' in failed["_message"]
        assert document(server, seeded_offer_id(0))["name"] == "Theirs"
        assert document(server, seeded_offer_id(1))["name"] == "Ours"
        assert document(server, seeded_offer_id(1))["rank"] == {"priority": 42}


async def test_failed_rows_come_back_as_an_export_too(migrator: Any, sheet: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=OFFERS, faults=("500-before:PATCH:p=1",))) as server:
        edit(await sheet(server), name="Ours")
        failed = await migrator("apply", "offers.csv", "--yes", "--max-attempts", "1", "--quiet-period", "1s")
        await migrator("results", "--to", "results")
        server.faults.clear()
        (folder,) = (migrator.folder / "results").glob("[!u]*.csv")
        somebody_edits(server, 0, "/rank/priority", 42)

        lost = await migrator("apply", str(folder), "--yes")
        found = await migrator("apply", str(folder), "--yes", "--again", "--snapshot", "offers.csv.snapshot")

        assert failed.code in (3, 4, 6)
        assert lost.code == 2
        assert "--snapshot FILE" in lost.err
        assert found.code == 0, found.err
        assert document(server, seeded_offer_id(0))["name"] == "Ours"
        assert document(server, seeded_offer_id(0))["rank"] == {"priority": 42}


async def test_in_xcore_an_edited_export_is_guarded_as_well(migrator: Any, sheet: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=OFFERS, containers=2)) as server:
        chosen = [f"--container={seeded_container(number)}" for number in (0, 1)]
        path = await sheet(server, "--style", "xcore", *chosen)
        rows = records(path)
        assert {row["container"] for row in rows} == {seeded_container(0), seeded_container(1)}
        for row in rows:
            if row["id"] in (seeded_instance_id(0), seeded_instance_id(1)):
                row["/_instance/xdm:name"] = "Ours"
        save(path, rows)

        wrong = await migrator("apply", "offers.csv", "--yes")
        applied = await migrator("apply", "offers.csv", "--yes", "--style", "xcore")

        assert (wrong.code, "add --style xcore" in wrong.err) == (2, True)
        assert applied.code == 0, applied.err
        assert sorted(one.id for one in server.effects) == sorted([seeded_instance_id(0), seeded_instance_id(1)])
        assert document(server, seeded_instance_id(1))["xdm:name"] == "Ours"


async def test_what_a_spreadsheet_has_done_is_told_with_its_place_before_anything_is_sent(
    migrator: Any, sheet: Any
) -> None:
    async with Emulator(EmulatorSettings(seed_offers=OFFERS)) as server:
        for number, text in enumerate(["0012345", "Für Zürich", "1234567890123456"]):
            somebody_edits(server, number, "/description", text)
        path = await sheet(server)
        rows = records(path)
        for row, cell in zip(rows, ["12345", "FÃ¼r ZÃ¼rich", "1.23457E+15"], strict=False):
            row["/description"] = cell
        for row in rows:
            row["/selectionConstraint/startDate"] = "01.03.2024 00:00"
        rows[0]["/name"] = "Edited"
        save(path, rows)
        edits = len(server.effects)

        refused = await migrator("apply", "offers.csv", "--yes")
        accepted = await migrator("apply", "offers.csv", "--yes", "--accept-reformatted")

        assert refused.code == 2
        assert f"offers.csv:2: /description: is {json.dumps('12345')} and was exported as" in refused.out
        assert "offers.csv: 15 problems in 12 rows" in refused.out
        for said in ("leading zeros", "wrong encoding", "power of ten", "date is written in another way"):
            assert said in refused.out
        assert accepted.code == 0, accepted.err
        assert [one.id for one in server.effects[edits:]] == [seeded_offer_id(0)]
        assert document(server, seeded_offer_id(0))["description"] == "0012345"


@pytest.mark.parametrize(
    ("spoil", "arguments", "said"),
    [
        (lambda folder: (folder / "offers.csv.snapshot").unlink(), (), "--snapshot FILE"),
        (lambda folder: (folder / "offers.csv.snapshot").write_text("gone"), (), "is no snapshot of an export"),
        (lambda _: None, ("--sandbox", "prod"), "add --sandbox dev"),
        (lambda _: None, ("--style", "xcore"), "add --style dps"),
        (lambda _: None, ("--snapshot", "other.csv.snapshot"), "name the snapshot that was written beside it"),
    ],
    ids=["gone", "damaged", "sandbox", "style", "another"],
)
async def test_a_snapshot_that_does_not_fit_is_explained(
    migrator: Any, sheet: Any, spoil: Callable[[Path], object], arguments: Sequence[str], said: str
) -> None:
    async with Emulator(EmulatorSettings(seed_offers=2)) as server:
        await sheet(server)
        await migrator("export", "--out", "other.csv")
        spoil(migrator.folder)

        ended = await migrator("validate", "offers.csv", *arguments)

        assert (ended.code, ended.out) == (2, "")
        assert said in ended.err


async def test_rows_that_are_none_of_the_export_are_problems(migrator: Any, sheet: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=2)) as server:
        path = await sheet(server)
        rows = records(path)
        save(path, [*rows, rows[0] | {"id": "4711"}, rows[1] | {"_export": "", "id": "new"}, rows[0] | {"/name": ""}])

        ended = await migrator("validate", "offers.csv")

        assert ended.code == 2
        places = [line.split(": ")[0] for line in ended.out.splitlines()[:-1]]
        assert places == ["offers.csv:4", "offers.csv:5", "offers.csv:6"]
        assert r"write \N to take the member away" in ended.out


async def test_an_export_can_come_through_a_pipe(migrator: Any, sheet: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=2)) as server:
        path = await sheet(server)
        edit(path, name="Piped")
        arguments = ("apply", "-", "--yes", "--snapshot", "offers.csv.snapshot")

        applied = await migrator(*arguments, stdin=path.read_bytes())

        assert applied.code == 0, applied.err
        assert [one.id for one in server.effects] == [seeded_offer_id(0)]


# Texts


async def test_edited_texts_are_changed_where_they_are_what_they_were(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=3)) as server:
        await migrator.point_at(server.url)("export", "--texts", "--language", "en", "--out", "texts.csv")
        rows = records(migrator.folder / "texts.csv")
        assert len(rows) == 6
        rows[0]["content"] = "<b>New</b>"
        rows[2]["content"] = "<b>Newer</b>"
        save(migrator.folder / "texts.csv", rows)
        place = "/representations/0/components/0/content"
        somebody_edits(server, 1, place, "Theirs")
        somebody_edits(server, 2, place, "Theirs, and nobody minds")

        applied = await migrator("apply", "texts.csv", "--yes")

        assert applied.code == 3
        # The two rows of an offer are one request, and share its fate.
        assert "2 applied · 2 unchanged · 2 failed (of 6 rows)" in applied.out
        assert first_texts(server, 3) == ["<b>New</b>", "Theirs", "Theirs, and nobody minds"]


async def test_a_replacement_is_a_file_that_can_be_reviewed_and_applied(migrator: Any) -> None:
    texts = ["Only 2.9 %!\r\n\t2.9 % for {{profile.rate}}", "Nothing here", "{2.9 %} and 2.9 %\u00a0now"]
    async with Emulator(EmulatorSettings(seed_offers=3)) as server:
        for number, text in enumerate(texts):
            somebody_edits(server, number, "/representations/0/components/0/content", text)
        find = ("--find", "2.9 %", "--replace", "3.1 %")
        ended = await migrator.point_at(server.url)("export", "--texts", *find, "--out", "rates.csv")
        before = len(server.effects)

        applied = await migrator("apply", "rates.csv", "--yes")

        assert ended.code == 0
        assert "4 matches are replaced" in ended.err
        rows = records(migrator.folder / "rates.csv")
        assert [(row["was"], row["content"]) for row in rows] == [
            (text, text.replace("2.9 %", "3.1 %")) for text in (texts[0], texts[2])
        ]
        assert applied.code == 0, applied.err
        assert len(server.effects) == before + 2
        assert first_texts(server, 3) == [text.replace("2.9 %", "3.1 %") for text in texts]


async def test_matches_inside_of_placeholders_are_warned_of(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=1)) as server:
        somebody_edits(server, 0, "/representations/0/components/0/content", "Dear {{profile.name}}, your name")

        ended = await migrator.point_at(server.url)("export", "--texts", "--find", "name", "--replace", "word")

        assert "Dear {{profile.name}}, your word" in ended.out
        assert "warning: 1 matches inside of {placeholders} are left as they are (line 2: 1)" in ended.err


async def test_a_row_that_nobody_has_edited_is_as_written_whatever_others_do(migrator: Any, sheet: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=3)) as server:
        edit(await sheet(server), description="Edited")
        applied = await migrator("apply", "offers.csv", "--yes", "--run-id", "edited")
        nobody = migrator.folder / "deletion.jsonl"
        nobody.write_text(json.dumps({"id": seeded_offer_id(2), "delete": True}), encoding="utf-8")
        deleted = await migrator("apply", "deletion.jsonl", "--yes")
        before = len(server.requests)

        verified = await migrator("verify", "edited")

        assert (applied.code, deleted.code) == (0, 0), applied.err + deleted.err
        assert verified.code == 0, verified.out
        assert "3 of 3 rows as written" in verified.out
        reads = [request.path for request in server.requests[before:] if request.method == "GET"]
        assert sum(seeded_offer_id(number) in path for number in range(3) for path in reads) <= 1
