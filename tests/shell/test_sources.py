"""Files become numbered rows, whatever program wrote them; and what cannot be read is told, once and by line."""

from __future__ import annotations

import csv
import errno
import gzip
import hashlib
import io
import json
import os
import tracemalloc
from pathlib import Path
from typing import Any, Protocol

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.core.errors import InputError
from migrator.core.model import Change, Problem, Row
from migrator.core.rows import RowParser
from migrator.core.styles import DPS
from migrator.sources import InputShape, Source, open_source, records
from migrator.sources import octets as octets_module

HEADER = "container,type,id,op,path,value"
ROW = "prod,tag,007,replace,/name,Spring"
CELLS = dict(zip(HEADER.split(","), ROW.split(","), strict=True))


class Write(Protocol):
    """Writes a file, returns its path."""

    def __call__(self, content: str | bytes, name: str = "offers.csv") -> Path: ...


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(content: str | bytes, name: str = "offers.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def read(path: Path, **options: Any) -> list[Any]:
    """Everything a source yields."""
    with open_source(path, **options) as source:
        return list(source)


def rows_of(source: Source) -> list[Row]:
    """Everything a source yields, if all of it is rows."""
    items = list(source)
    rows = [item for item in items if isinstance(item, Row)]
    assert rows == items
    return rows


def problem_of(path: Path, **options: Any) -> Problem:
    """The only thing a source yields: a problem."""
    [problem] = read(path, **options)
    assert isinstance(problem, Problem)
    return problem


# --- rows ------------------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("given", ["", ",,", '"', "\n"])
def test_a_delimiter_that_cannot_be_one_is_refused(write: Write, given: str) -> None:
    with pytest.raises(InputError, match="cannot be a delimiter"):
        open_source(write(HEADER), delimiter=given)


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


def test_an_unknown_format_is_refused(write: Write) -> None:
    with pytest.raises(InputError, match="'xml' is not a format"):
        open_source(write(HEADER), format="xml")


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


# --- files that cannot be used ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        (b"", "is empty", "write a header"),
        (b"\xef\xbb\xbf", "has no rows", "write a header and a row"),
        (b"\n \r\n\t\n", "has no rows", "write a header and a row"),
        (HEADER.encode(), "has no rows", "write a header and a row"),
        (HEADER.encode() + b"\n\n,,,,,\n", "has no rows", "write a header and a row"),
        (gzip.compress(b"", mtime=0), "is empty", ""),
        (b"id,op\0,path\n", "holds NUL bytes: it is not a text file", "--encoding utf-16"),
        (b"PK\x03\x04\x14\x00", "is an Excel workbook", "save it as CSV"),
        (b"\xd0\xcf\x11\xe0\xa1", "is an Excel workbook", "save it as CSV"),
        (b"\x28\xb5\x2f\xfd12", "is packed with zstd", "gzip"),
        (HEADER.encode("utf-16-le").join([b"\xff\xfe", b""]), "is UTF-16", "--encoding utf-16"),
        (HEADER.encode("utf-16-be").join([b"\xfe\xff", b""]), "is UTF-16", "--encoding utf-16"),
        (HEADER.encode("utf-16-le"), "holds NUL bytes", "--encoding utf-16"),
        (gzip.compress(HEADER.encode() * 99, mtime=0)[:-9], "cannot be read to its end", "make the file again"),
        (gzip.compress(HEADER.encode(), mtime=0)[:9] + b"xxxxxxxxx", "cannot be read to its end", ""),
    ],
)
@pytest.mark.parametrize("name", ["offers.csv", "offers.jsonl"])
def test_a_file_that_is_not_one_is_refused_as_a_whole(
    write: Write, content: str | bytes, message: str, hint: str, name: str
) -> None:
    path = write(content, name)
    with pytest.raises(InputError) as caught:
        read(path, format="csv")
    assert str(caught.value).startswith(f"{path} ")
    assert message in str(caught.value)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("content", "hint"),
    [('[{"id": "1"}]', "jq -c '.[]'"), ('[\n{"id": "1"}\n]', "jq -c '.[]'"), ('{\n  "id": "1"\n}', "jq -c . ")],
)
def test_json_that_is_not_jsonl_is_refused_with_the_command_that_converts_it(
    write: Write, content: str | bytes, hint: str
) -> None:
    with pytest.raises(InputError) as caught:
        open_source(write(content, "offers.json"))
    assert hint in caught.value.hint


def test_a_missing_file_and_a_directory_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no file .*missing\.csv"):
        open_source(tmp_path / "missing.csv")
    with pytest.raises(InputError, match="is a directory"):
        open_source(tmp_path)


def test_a_file_without_permission_is_refused(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(HEADER)

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")  # root, as whom tests may run, is never refused

    monkeypatch.setattr(type(path), "open", refuse)
    with pytest.raises(InputError, match="cannot be opened: Permission denied"):
        open_source(path)


def test_a_file_that_breaks_off_late_in_its_gzip_is_refused_there(write: Write) -> None:
    packed = gzip.compress(os.urandom(150_000).hex().encode().join([f"{HEADER}\n{ROW}\n".encode(), b"\n"]))
    with open_source(write(packed[:-20_000], "a.csv.gz")) as source, pytest.raises(InputError, match="to its end"):
        list(source)


@pytest.mark.parametrize("encoding", ["utf8000", "hex"])
def test_an_unknown_encoding_is_refused(write: Write, encoding: str) -> None:
    with pytest.raises(InputError, match=f"there is no encoding '{encoding}'"):
        open_source(write(HEADER), encoding=encoding)


def test_a_line_without_end_is_refused_before_it_takes_the_memory(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(octets_module, "MAX_LINE", 100_000)
    path = write(f"{HEADER}\n{'x' * 200_000}\n")
    with open_source(path) as source, pytest.raises(InputError, match="has a line of more than"):
        list(source)


# --- encodings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "UTF8", "utf-8-sig", "utf-16", "latin-1", "cp1252"])
def test_other_encodings_are_read_when_named(write: Write, encoding: str) -> None:
    [row] = read(write(f"{HEADER}\n{ROW}é\n".encode(encoding)), encoding=encoding)
    assert row.cells["value"] == "Springé"


def test_a_byte_order_mark_is_no_part_of_the_first_column_however_utf8_is_spelt(write: Write) -> None:
    [row] = read(write(f"{HEADER}\n{ROW}\n".encode("utf-8-sig")), encoding="utf8")
    assert row.cells == CELLS


def test_latin_1_bytes_are_told_by_row_and_column_and_the_other_rows_are_read(write: Write) -> None:
    text = f"{HEADER}\n{ROW}\n1,tag,é,remove,/x,Fü\n{ROW}\n"
    first, accent, umlaut, last = read(write(text.encode("latin-1")))
    assert (first.line, last.line) == (2, 4)
    assert (accent.line, accent.column) == (3, "id")
    assert accent.message == "the byte 0xE9 at character 1 is not utf-8-sig"
    assert (umlaut.line, umlaut.column) == (3, "value")
    assert umlaut.message.startswith("the byte 0xFC at character 2")
    assert "--encoding latin-1" in umlaut.hint


def test_latin_1_bytes_in_jsonl_are_told_by_line(write: Write) -> None:
    problem, row = read(write('{"id":"é"}\n{"id":"2"}\n'.encode("latin-1"), "a.jsonl"))
    assert (problem.line, problem.message) == (1, "the byte 0xE9 at character 8 is not utf-8-sig")
    assert row.cells == {"id": "2"}


def test_latin_1_bytes_in_the_header_end_the_reading(write: Write) -> None:
    problem = problem_of(write("id,op,path,größe\n1,remove,/x,y\n".encode("latin-1")))
    assert (problem.line, "0xF6" in problem.message) == (1, True)


def test_a_file_that_is_not_of_the_named_encoding_at_all_is_refused(write: Write) -> None:
    path = write(f"{HEADER}\n{ROW}\n".encode("utf-16")[:-1])
    with open_source(path, encoding="utf-16") as source, pytest.raises(InputError, match="is not utf-16"):
        list(source)


# --- problems of the header ------------------------------------------------------------------------------------------


def test_all_problems_of_a_header_come_at_once_and_alone(write: Write) -> None:
    found = read(write("\ncontainr,id,id,op,path\nx,1,1,remove,/x\n"))
    assert [(problem.line, problem.column) for problem in found] == [(2, "id"), (2, "containr")]
    assert found[1].hint == "did you mean 'container'?"


def test_a_header_is_told_by_its_line_and_all_its_columns_also_to_the_parser(write: Write) -> None:
    with open_source(write("\n\n_line,id,op,path,\n2,1,remove,/x,\n")) as source:
        assert (source.header_line, source.header) == (3, ("_line", "id", "op", "path", ""))
        parser = RowParser(source.header, DPS, "prod", source.header_line)
        assert parser.header_problems == list(source)
    assert parser.header_problems[0].message == "column 5 of the header has no name"


@pytest.mark.parametrize(("content", "name"), [('{"id": "1"}\n', "a.jsonl"), ('id,"op\n', "a.csv")])
def test_without_a_header_that_can_be_read_there_is_none(write: Write, content: str, name: str) -> None:
    with open_source(write(content, name)) as source:
        assert (source.header_line, source.header) == (0, ())


def test_a_far_column_is_carried(write: Write) -> None:
    [row] = read(write("id,op,path,ticket\n1,remove,/x,T-1\n"))
    assert row.cells["ticket"] == "T-1"


# --- rows that cannot be read ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "message", "hint"),
    [
        ("1,2,3", "the row has 3 cells, the header has 6", "give each column a cell"),
        (ROW + ", sale", "the row has 7 cells, the header has 6", "in quotes"),
        (ROW + ",,", "the row has 8 cells, the header has 6", ""),
    ],
)
def test_a_row_of_another_width_is_a_problem_and_the_next_row_is_read(
    write: Write, row: str, message: str, hint: str
) -> None:
    problem, good = read(write(f"{HEADER}\n{row}\n{ROW}\n"))
    assert (problem.line, problem.message) == (2, message)
    assert hint in problem.hint
    assert good.line == 3


@pytest.mark.parametrize(
    ("before", "line", "end"),
    [
        (f'{ROW}\n1,tag,2,add,/x,"Spring\n{ROW}\n', 3, 4),
        (f'{ROW}\n"1",tag,"2\n3",add,/x,"a ""b"" \nc\n{ROW}\n', 4, 6),
        ('1,tag,5" pipe,add,/x,"Spring', 2, 2),
        (f'"1\n{ROW}\n{ROW}', 2, 4),
        ('"1\r2\r\n3",tag,"Spring', 4, 4),
    ],
)
def test_an_unclosed_quote_is_told_by_the_line_on_which_it_opens(
    write: Write, before: str, line: str | int, end: str
) -> None:
    *_, problem = read(write(f"{HEADER}\n{before}"))
    assert problem.line == line
    assert problem.message == f"a quote opens here that is not closed; it takes in everything to line {end}"


def test_a_quote_that_is_closed_too_early_is_told_and_the_next_row_is_read(write: Write) -> None:
    good, problem, last = read(write(f'{HEADER}\n{ROW}\n1,tag,2,add,/x,"a "b" c"\n{ROW}\n'))
    assert (good.line, last.line) == (2, 4)
    assert (problem.line, problem.message) == (3, "a quoted cell has text after its closing quote on line 3")


def test_broken_quotes_in_row_after_row_are_each_told_on_their_line(write: Write) -> None:
    found = read(write(f'{HEADER}\n1,"a"b\n2,"a\nb"c\n3,"a"b\n{ROW}\n'))
    assert [item.line for item in found] == [2, 3, 5, 6]
    assert [item.message[-6:] for item in found[:3]] == ["line 2", "line 4", "line 5"]


def test_a_quote_missing_in_one_row_is_not_blamed_on_the_next(write: Write) -> None:
    problem, last = read(write(f'{HEADER}\n1,tag,2,add,/x,"Spring\n1,tag,2,add,/x,"Summer"\n{ROW}\n'))
    assert (problem.line, problem.message) == (2, "a quoted cell has text after its closing quote on line 3")
    assert last.line == 4


def test_an_unclosed_quote_in_the_header_is_told(write: Write) -> None:
    problem = problem_of(write(f'id,op,"path\n{ROW}\n'))
    assert (problem.line, "not closed" in problem.message) == (1, True)


def test_a_quote_open_for_longer_than_any_cell_ends_the_reading(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "MAX_LINE", 1_000)
    found = read(write(f'{HEADER}\n{ROW}\n1,2,3,4,5,"open\n' + f"{ROW}\n" * 200))
    assert [item.line for item in found] == [2, 3]
    assert "is not closed" in found[1].message


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"id": "1"', "the line is not JSON: it ends too early"),
        ("{'id': '1'}", "the line is not JSON: object keys must be strings near character 2"),
        ('{"id": "é", x}', "the line is not JSON: object keys must be strings near character 13"),
        ('{"id": NaN}', "the line is not JSON: invalid character near character 8"),
        ('{"id": "1", "id": "2"}', "the line is not JSON: the member 'id' stands twice in one object"),
        ('{"x": 0.1234567890123456789}', "the line is not JSON: the number 0.1234567890123456789 would become"),
        ('["id"]', "the line is a list, not an object"),
        ('"id"', "the line is text, not an object"),
        ("7", "the line is a number, not an object"),
        ("null", "the line is null, not an object"),
    ],
)
def test_a_broken_line_is_a_problem_and_the_next_line_is_read(write: Write, line: str | int, message: str) -> None:
    good, problem, last = read(write(f'{{"id": "1"}}\n{line}\n\n{{"id": "2"}}\n', "a.jsonl"), encoding="utf-8")
    assert (good.line, problem.line, last.line) == (1, 2, 4)
    assert problem.message.startswith(message)
    assert problem.hint == "each line is one JSON object"


@pytest.mark.parametrize(
    ("first", "name", "message"),
    [(f"{HEADER}\n", "a.csv", "the row has 1 cell,"), ("", "a.jsonl", "the line is not JSON: invalid character")],
)
def test_a_hole_in_a_file_is_a_problem_of_its_line(write: Write, first: str, name: str, message: str) -> None:
    row = ROW if first else '{"id": "1"}'
    *rows, problem = read(write(first + f"{row}\n" * 6_000 + "\0" * 4_096, name))
    assert problem.line == rows[-1].line + 1
    assert problem.message.startswith(message)
