"""Files become numbered rows, whatever program wrote them: formats, delimiters, lines."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.core.model import Change, Row
from migrator.core.rows import RowParser
from migrator.core.styles import DPS
from migrator.sources import InputShape, open_source
from tests.shell.inputs import CELLS, HEADER, ROW, Write, read, rows_of


def test_a_csv_row_has_its_line_its_cells_and_its_raw_form(write: Write) -> None:
    [row] = read(write(f"{HEADER}\n{ROW}\n"))
    assert row == Row(2, CELLS, '["prod","tag","007","replace","/name","Spring"]')


def test_a_jsonl_row_has_its_line_its_members_and_the_line_as_it_was(write: Write) -> None:
    line = ' {"id": "007",  "delete": true} '
    [row] = read(write(f"\n \t\r\n{line}\r\n", "offers.jsonl"))
    assert row == Row(3, {"id": "007", "delete": True}, line)


def test_a_lone_carriage_return_is_a_blank_to_json_and_ends_no_line(write: Write) -> None:
    [row] = read(write('{"id":\r"1"}\n', "a.jsonl"))
    assert row.cells == {"id": "1"}


def test_the_last_line_needs_no_end(write: Write) -> None:
    assert [row.line for row in read(write(f"{HEADER}\n{ROW}\n{ROW}"))] == [2, 3]
    assert [row.line for row in read(write('{"id":"1"}\n{"id":"2"}', "a.jsonl"))] == [1, 2]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "BOM"])
def test_every_delimiter_line_end_and_byte_order_mark_is_found(
    write: Write, delimiter: str, newline: str, mark: bytes
) -> None:
    text = f"{HEADER}\n{ROW}\n".replace(",", delimiter).replace("\n", newline)
    with open_source(write(mark + text.encode())) as source:
        assert source.shape == InputShape("csv", tuple(HEADER.split(",")), delimiter, newline, bool(mark))
        assert [row.cells for row in rows_of(source)] == [CELLS]


def test_the_delimiter_is_the_one_that_gives_known_columns_not_the_most_columns(write: Write) -> None:
    with open_source(write("id;op;path;my,own,rather,long,column\n1;remove;/x;a\n")) as source:
        assert source.shape.delimiter == ";"
        assert source.shape.header == ("id", "op", "path", "my,own,rather,long,column")


@pytest.mark.parametrize("given", [":", "\\t", "tab"])
def test_a_given_delimiter_is_used(write: Write, given: str) -> None:
    mark = ":" if given == ":" else "\t"
    with open_source(write(f"id{mark}op{mark}path\n1{mark}remove{mark}/x\n"), delimiter=given) as source:
        assert source.shape.delimiter == mark
        assert [row.cells for row in rows_of(source)] == [{"id": "1", "op": "remove", "path": "/x"}]


def test_lines_are_counted_as_an_editor_does_after_quoted_newlines_and_blank_lines(write: Write) -> None:
    text = f'\n{HEADER}\n{ROW}\n\n  \n1,tag,2,add,/x,"a\nb\r\nc"\n{ROW}\n,,,,,\n{ROW}'
    rows = read(write(text))
    assert [row.line for row in rows] == [3, 6, 9, 11]
    assert rows[1].cells["value"] == "a\nb\r\nc"


def test_a_header_may_hold_a_quoted_newline(write: Write) -> None:
    rows = read(write('id,op,path,"two\nlines"\n1,remove,/x,y\n'))
    assert [(row.line, row.cells["two\nlines"]) for row in rows] == [(3, "y")]


def test_a_file_of_old_mac_lines_is_read(write: Write) -> None:
    assert [row.line for row in read(write(f"{HEADER}\r{ROW}\r{ROW}\r"))] == [2, 3]


@pytest.mark.parametrize(
    ("name", "first", "expected"),
    [
        ("a.csv", "id,/x\n1,2\n", "csv"),
        ("a.TSV", "{id}\t/x\n1\t2\n", "csv"),
        ("a.txt", "id,/x\n1,2\n", "csv"),
        ("a.txt.gz", "id,/x\n1,2\n", "csv"),
        ("a.jsonl", '{"id": "1"}', "jsonl"),
        ("a.NDJSON", "7", "jsonl"),
        ("a.json", '{"id": "1"}', "jsonl"),
        ("a.jsonl.GZ", '{"id": "1"}', "jsonl"),
        ("spooled", '\n \n {"id": "1"}', "jsonl"),
        ("spooled", "id,/x\n1,2\n", "csv"),
    ],
)
def test_the_format_is_told_by_the_name_else_by_the_first_character(
    write: Write, name: str, first: str, expected: str
) -> None:
    with open_source(write(first, name)) as source:
        assert source.shape.format == expected


def test_a_given_format_beats_the_name(write: Write) -> None:
    with open_source(write('{"id": "1"}\n', "a.csv"), format="jsonl") as source:
        assert source.shape == InputShape("jsonl", (), "", "\n")
        assert [row.cells for row in rows_of(source)] == [{"id": "1"}]


def test_gzip_is_known_by_its_first_octets_and_hashed_unpacked(write: Write) -> None:
    text = f"{HEADER}\n{ROW}\n".encode()
    for content, name in [(text, "a.csv"), (gzip.compress(text), "b.csv.gz"), (gzip.compress(text), "c.csv")]:
        with open_source(write(content, name)) as source:
            assert [row.cells for row in rows_of(source)] == [CELLS]
            assert source.sha256 == hashlib.sha256(text).hexdigest()


def test_the_hash_covers_the_whole_file_even_when_its_header_is_refused(write: Write) -> None:
    content = b"alpha,beta\n" + b"1,2\n" * 50_000
    with open_source(write(content)) as source:
        assert [item.line for item in source] == [1]
        assert source.sha256 == hashlib.sha256(content).hexdigest()


def test_the_name_is_as_the_user_gave_it(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write(f"{HEADER}\n{ROW}\n").parent)
    with open_source("./offers.csv") as source:
        assert source.name == "./offers.csv"


def test_a_far_column_is_carried(write: Write) -> None:
    [row] = read(write("id,op,path,ticket\n1,remove,/x,T-1\n"))
    assert row.cells["ticket"] == "T-1"


def test_a_results_file_can_be_fed_back(write: Write) -> None:
    text = f"_line,{HEADER},ticket,_state,_message,_state\n2,{ROW},T-1,failed,,x\n"
    with open_source(write(text)) as source:
        assert source.shape.header == (*HEADER.split(","), "ticket")
        [row] = rows_of(source)
    assert row == Row(2, CELLS | {"ticket": "T-1"}, json.dumps([*CELLS.values(), "T-1"], separators=(",", ":")))
    assert isinstance(RowParser(source.shape.header, DPS, "prod").parse(row), Change)


def test_a_cell_of_five_megabytes_is_read_and_then_refused_as_too_large(write: Write) -> None:
    path = write(f"id,/name\n1,{'x' * 5_000_000}\n2,Spring\n")
    with open_source(path) as source:
        parser = RowParser(source.shape.header, DPS, "prod")
        big, small = [parser.parse(row) for row in rows_of(source)]
    assert isinstance(small, Change)
    assert isinstance(big, list)
    [problem] = big
    assert (problem.line, "more than the 307,200" in problem.message) == (2, True)


def test_reading_a_file_takes_the_memory_of_a_few_rows(write: Write) -> None:
    path = write("id,/name\n" + "1,Spring\n" * 50_000)
    with open_source(path) as source:
        tracemalloc.start()
        count = sum(1 for _ in source)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert count == 50_000
    assert peak < 1_000_000  # the rows together would be twenty times that


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
tables = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(cells, min_size=width, max_size=width).filter(any), min_size=1, max_size=8)
)


# Under an LF terminator the csv module of Python 3.11 leaves a lone CR unquoted, unless told to quote everything.
@given(tables, st.sampled_from(",;\t|"), st.sampled_from([("\n", csv.QUOTE_ALL), ("\r\n", csv.QUOTE_MINIMAL)]))
def test_any_table_written_by_the_csv_module_is_read_back_with_its_lines(
    tmp_path_factory: pytest.TempPathFactory, table: list[list[str]], delimiter: str, dialect: tuple[str, Any]
) -> None:
    newline, quoting = dialect
    header = ["id", *(f"/{number}" for number in range(len(table[0])))]
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=delimiter, lineterminator=newline, quoting=quoting)
    writer.writerow(header)
    expected = []
    for record in table:
        expected.append((len(buffer.getvalue().replace("\r\n", "\n").replace("\r", "\n").split("\n")), ["7", *record]))
        writer.writerow(["7", *record])
    path = tmp_path_factory.getbasetemp() / "table.csv"
    path.write_bytes(buffer.getvalue().encode())
    rows = read(path)
    assert [(row.line, list(row.cells.values())) for row in rows] == expected
    assert [json.loads(row.raw) for row in rows] == [record for _, record in expected]
