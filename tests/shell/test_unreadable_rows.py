"""What cannot be read of a file is told by its line, and the rows around it are read: headers, widths, quotes, JSON."""

from __future__ import annotations

import pytest

from migrator.core.rows import RowParser
from migrator.core.styles import DPS
from migrator.sources import open_source, records
from tests.shell.inputs import HEADER, ROW, Write, problem_of, read


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
