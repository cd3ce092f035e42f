"""Results files: what came in comes back, cell by cell, and can be fed back."""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from migrator.core.errors import UsageError
from migrator.core.model import Change, EntityType, Kind, Operation, Row
from migrator.core.states import State
from migrator.ledger.planfile import PlanFile
from migrator.ledger.records import RunRecord
from migrator.reports.results import COLUMNS, OUTCOMES, stale_files, write_results
from migrator.sources import InputShape, open_source

CSV = InputShape("csv", ("id", "note"), ";", "\n")


def ledger_of(path: Path, shape: InputShape, raws: Sequence[str]) -> Path:
    """Make the ledger of a run that has sent nothing yet."""
    path.unlink(missing_ok=True)
    with PlanFile(path, "dps") as plan:
        for line, raw in enumerate(raws, 2):
            change = Change(
                line, "dev", EntityType.PERSONALIZED_OFFER, f"o{line}", Kind.PATCH, (Operation("remove", "/a"),)
            )
            plan.add(Row(line, {}, raw), change)
        plan.merge()
        shown = msgspec.json.encode(shape).decode()
        plan.finish(RunRecord("r", 0.0, "dps", "in", "", shown, "", "{}", len(raws), len(raws)))
    return path


def test_there_is_a_file_for_rows_in_every_state() -> None:
    assert set(OUTCOMES) == set(State)


def test_every_row_is_in_the_file_of_its_outcome(tmp_path: Path) -> None:
    ledger = ledger_of(tmp_path / "l.sqlite", CSV, ['["007","a"]', '["008",""]'])

    (written,) = write_results(ledger, tmp_path / "results")

    assert (written.outcome, written.rows) == ("pending", 2)
    assert written.path.read_text() == (
        "id;note;_line;_state;_http_status;_error_class;_message;_etag;_object\n"
        "007;a;2;PENDING;;;;;o2\n"
        "008;;3;PENDING;;;;;o3\n"
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(
    rows=st.lists(
        st.tuples(*[st.text(st.characters(exclude_categories=["Cs"]), max_size=8)] * 2), min_size=1, max_size=5
    ),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    newline=st.sampled_from(["\n", "\r\n"]),
)
def test_cells_come_back_as_they_were_read(
    tmp_path: Path, rows: list[tuple[str, str]], delimiter: str, newline: str
) -> None:
    shape = InputShape("csv", ("id", "note"), delimiter, newline)
    ledger = ledger_of(tmp_path / "l.sqlite", shape, [json.dumps(row) for row in rows])

    (written,) = write_results(ledger, tmp_path / "results")

    with written.path.open(newline="", encoding="utf-8") as stream:
        _, *found = csv.reader(stream, delimiter=delimiter, strict=True)
    assert [tuple(row[:2]) for row in found] == rows


def test_a_jsonl_line_keeps_its_text_and_gets_our_members(tmp_path: Path) -> None:
    shape = InputShape("jsonl", (), "", "\n")
    line = '{ "id":"o2", "price": 1.10, "delete": true }'
    ledger = ledger_of(tmp_path / "l.sqlite", shape, [line])

    (written,) = write_results(ledger, tmp_path / "results")

    text = written.path.read_text()
    assert text.startswith('{ "id":"o2", "price": 1.10, "delete": true,"_line":2,')
    assert set(COLUMNS) < set(json.loads(text))


def test_members_of_an_earlier_results_file_are_replaced(tmp_path: Path) -> None:
    shape = InputShape("jsonl", (), "", "\n")
    ledger = ledger_of(tmp_path / "l.sqlite", shape, ['{"id":"o2","delete":true,"_line":99,"_state":"REJECTED"}'])

    (written,) = write_results(ledger, tmp_path / "results")

    assert written.path.read_text().count('"_line"') == 1
    assert json.loads(written.path.read_text())["_line"] == 2


def test_a_results_file_can_be_read_as_input(tmp_path: Path) -> None:
    shape = InputShape("csv", ("id", "/name"), ";", "\n")
    ledger = ledger_of(tmp_path / "l.sqlite", shape, ['["007","a\\rb"]'])
    (written,) = write_results(ledger, tmp_path / "results")

    with open_source(written.path) as source:
        (row,) = source

    assert isinstance(row, Row)
    assert row.cells == {"id": "007", "/name": "a\rb"}


def test_files_of_an_earlier_call_do_not_stay(tmp_path: Path) -> None:
    ledger = ledger_of(tmp_path / "l.sqlite", CSV, ['["1",""]'])
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "failed.csv").write_text("of yesterday")

    write_results(ledger, folder)

    assert [path.name for path in folder.iterdir()] == ["pending.csv"]


def test_a_file_of_an_earlier_run_stays_elsewhere_and_is_named(tmp_path: Path) -> None:
    ledger = ledger_of(tmp_path / "l.sqlite", CSV, ['["1",""]'])
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("failed.csv", "pending.csv", "mine.csv"):
        (elsewhere / name).write_text("of yesterday")

    written = write_results(ledger, elsewhere)

    assert stale_files(elsewhere, written) == [elsewhere / "failed.csv"]
    assert (elsewhere / "failed.csv").read_text() == "of yesterday"


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    ledger = ledger_of(tmp_path / "l.sqlite", CSV, ['["1",""]'])
    (tmp_path / "taken").write_text("a file")

    with pytest.raises(UsageError, match=r"results cannot be written to .*taken") as caught:
        write_results(ledger, tmp_path / "taken")
    assert "--to" in caught.value.hint


@pytest.mark.parametrize(
    ("octets", "encoding", "begin"),
    [
        ("id,/name\n7,ä\n".encode(), "utf-8", b"id"),
        ("id,/name\n7,ä\n".encode("utf-8-sig"), "utf-8", b"\xef\xbb\xbfid"),
        ("id,/name\n7,ä\n".encode("cp1252"), "cp1252", b"\xef\xbb\xbfid"),
    ],
)
def test_what_a_spreadsheet_wrote_it_can_read_again(tmp_path: Path, octets: bytes, encoding: str, begin: bytes) -> None:
    (tmp_path / "in.csv").write_bytes(octets)
    with open_source(tmp_path / "in.csv", encoding=encoding) as source:
        rows = [row.raw for row in source if isinstance(row, Row)]
    ledger = ledger_of(tmp_path / "l.sqlite", source.shape, rows)

    (written,) = write_results(ledger, tmp_path / "results")

    assert written.path.read_bytes().startswith(begin)
    with open_source(written.path) as source:
        assert [row.cells for row in source if isinstance(row, Row)] == [{"id": "7", "/name": "ä"}]


def test_the_view_has_the_columns_and_the_cells_of_the_files(tmp_path: Path) -> None:
    header = ("id", "ID", 'my "note"', "/name", "from")
    shape = InputShape("csv", header, ",", "\n")
    ledger = ledger_of(tmp_path / "l.sqlite", shape, ['["007","x","a","1.50",""]', '["008","y","","null","b"]'])
    (written,) = write_results(ledger, tmp_path / "results")

    with closing(sqlite3.connect(ledger)) as db:
        asked = db.execute("SELECT * FROM results ORDER BY _line")
        found = [["" if cell is None else str(cell) for cell in row] for row in asked]
        by_column = db.execute('SELECT "my ""note""", count(*) FROM results GROUP BY 1 ORDER BY 1').fetchall()
    with written.path.open(newline="", encoding="utf-8") as stream:
        names, *rows = csv.reader(stream)
    assert rows == found
    assert [column[0].partition(":")[0] for column in asked.description] == names
    assert by_column == [("", 1), ("a", 1)]


def test_of_json_lines_the_view_has_the_line(tmp_path: Path) -> None:
    shape = InputShape("jsonl", (), "", "\n")
    ledger = ledger_of(tmp_path / "l.sqlite", shape, ['{"id":"o2","sku":"0080","delete":true}'])

    with closing(sqlite3.connect(ledger)) as db:
        assert db.execute("SELECT row ->> '$.sku', _line, _state FROM results").fetchall() == [("0080", 2, "PENDING")]


def test_an_input_of_more_columns_than_sqlite_gives_is_planned_all_the_same(tmp_path: Path) -> None:
    shape = InputShape("csv", tuple(f"c{number}" for number in range(3000)), ",", "\n")
    ledger = ledger_of(tmp_path / "l.sqlite", shape, [json.dumps(["x"] * 3000)])

    with closing(sqlite3.connect(ledger)) as db:
        assert db.execute("SELECT c0, c1899, _line FROM results").fetchall() == [("x", "x", 2)]
