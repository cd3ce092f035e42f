"""What a row of CSV means, and everything that can be wrong with it, with its column and what to type."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.core.model import By, Change, EntityType, Kind, Operation, Sought, TextChange
from migrator.core.rows import RowParser
from migrator.core.styles import DPS, XCORE, Style
from tests.core.parsing import MEMBERS, OPERATIONS, TEXT, change_of, csv_row, parse, problem_of, problems_of, text_cells

NAME = "/_instance/xdm:name"
OFFER = EntityType.PERSONALIZED_OFFER


# --- header ----------------------------------------------------------------------------------------------------------


def test_a_pointer_of_the_other_style_is_a_problem_of_the_header() -> None:
    parser = RowParser(("container", "id", "/name"), XCORE, "prod")
    [problem] = parser.header_problems
    assert (problem.line, problem.column) == (1, "/name")
    assert "is not under /_instance" in problem.message


def test_a_header_without_container_is_one_problem_where_the_style_needs_it() -> None:
    [problem] = RowParser(("id", "op", "path", "value"), XCORE, "prod").header_problems
    assert problem.column == "container"
    assert RowParser(("id", "op", "path", "value"), DPS, "prod").header_problems == []


@pytest.mark.parametrize("header", ["container,id,/name", "id,/_instance/xdm:name", "container,/_instance/xdm:name"])
def test_problems_of_a_header_stand_on_its_line(header: str) -> None:
    [problem] = RowParser(header.split(","), XCORE, "prod", header_line=3).header_problems
    assert problem.line == 3


def test_rows_under_a_bad_header_are_never_changes() -> None:
    parser = RowParser(("id", "op", "path", "/name"), DPS, "prod")
    row = csv_row(("id", "op", "path", "/name"), {"id": "1", "op": "remove", "path": "/name"}, line=9)
    assert [problem.line for problem in problems_of(parser.parse(row))] == [9]


# --- address ---------------------------------------------------------------------------------------------------------


def test_a_row_of_operations_becomes_a_patch_of_one() -> None:
    cells = {"container": "stage", "type": "tag", "id": "007", "op": "replace", "path": "/name", "value": "Spring"}
    assert parse(OPERATIONS, cells) == Change(
        line=2,
        container="stage",
        type=EntityType.TAG,
        object="007",
        kind=Kind.PATCH,
        edits=(Operation("replace", "/name", "Spring"),),
    )


def test_type_and_container_have_defaults_where_the_style_has_them() -> None:
    change = change_of(parse(("id", "op", "path"), {"id": "1", "op": "remove", "path": "/name"}))
    assert (change.type, change.container) == (OFFER, "prod")


def test_an_xcore_row_needs_its_container() -> None:
    problem = problem_of(parse(OPERATIONS, {"id": "1", "op": "remove", "path": NAME}, XCORE))
    assert problem.column == "container"
    assert "xcore has no default" in problem.message
    change = change_of(parse(OPERATIONS, {"container": "c", "id": "1", "op": "remove", "path": NAME}, XCORE))
    assert change.container == "c"


@pytest.mark.parametrize(
    ("cells", "column", "message", "hint"),
    [
        ({"id": ""}, "id", "the id is missing", "fill in the id"),
        ({"id": " 1"}, "id", 'the id " 1" begins or ends with a blank', "take the blank out"),
        ({"id": "1\xa0"}, "id", "begins or ends with a blank", "take the blank out"),
        ({"id": "1\n"}, "id", "begins or ends with a blank", ""),
        ({"id": "1\x002"}, "id", "the invisible character U+0000", "paste it as plain text"),
        ({"id": "1\u200b2"}, "id", "the invisible character U+200B", "type it anew"),
        ({"container": "prod "}, "container", "begins or ends with a blank", "take the blank out"),
        ({"container": "pr\tod"}, "container", "the invisible character U+0009", ""),
        ({"type": "offer"}, "type", "personalized-offer, fallback-offer, placement, decision-rule, tag", ""),
        ({"type": "offer"}, "type", "collection, decision", ""),
        ({"type": "Tag"}, "type", "'Tag' is not a type", "did you mean 'tag'?"),
        ({"type": "fallback offer"}, "type", "is not a type", "did you mean 'fallback-offer'?"),
        ({"op": ""}, "op", "the operation is missing", "write one of add"),
        ({"path": ""}, "path", "the pointer is missing", "name the member"),
        ({"path": "name"}, "path", "is not a JSON Pointer", "/name"),
        ({"op": "move", "value": ""}, "op", "dps has no operation 'move'", "an add and a remove"),
        ({"value": ""}, "value", "replace needs a value", 'write "" for an empty string, null for null'),
        ({"op": "remove"}, "value", "remove takes no value", "leave the value empty"),
        ({"op": "copy", "value": ""}, "from", "copy needs a 'from'", "pointer"),
        ({"from": "/x"}, "from", "replace takes no 'from'", ""),
        ({"value": "[draft] x"}, "value", "looks like JSON but does not parse", "write it as a JSON string"),
    ],
)
def test_a_bad_cell_is_named_with_what_to_type(cells: dict[str, str], column: str, message: str, hint: str) -> None:
    good = {"id": "1", "op": "replace", "path": "/name", "value": "x"}
    problem = problem_of(parse(OPERATIONS, good | cells))
    assert (problem.line, problem.column) == (2, column)
    assert message in problem.message
    assert hint in problem.hint


@pytest.mark.parametrize(
    ("style", "cells", "object_", "sought"),
    [
        (DPS, {"name": "Spring"}, "", Sought(By.NAME, "Spring")),
        (DPS, {"id": "1", "name": "Spring"}, "1", None),
        (DPS, {"id": "xcore:personalized-offer:1"}, "xcore:personalized-offer:1", None),
        (XCORE, {"name": "Spring"}, "", Sought(By.NAME, "Spring")),
        (XCORE, {"id": "1"}, "1", None),
        (XCORE, {"id": "xcore:personalized-offer:1"}, "", Sought(By.REFERENCE, "xcore:personalized-offer:1")),
    ],
)
def test_an_object_that_has_no_id_for_a_url_here_is_to_be_looked_up(
    style: Style, cells: dict[str, str], object_: str, sought: Sought | None
) -> None:
    address = {"container": "c", "op": "remove", "path": NAME if style is XCORE else "/name"}
    change = change_of(parse(("container", "id", "name", "op", "path"), address | cells, style))
    assert (change.object, change.sought) == (object_, sought)


def test_what_the_style_has_against_an_id_is_told() -> None:
    problem = problem_of(parse(OPERATIONS, {"container": "c", "id": "..", "op": "remove", "path": NAME}, XCORE))
    assert problem.column == "id"
    assert problem.message == 'the id ".." is a step in a path, not an id'


def test_all_problems_of_a_row_come_at_once() -> None:
    cells = {"container": " c", "type": "offr", "op": "ad", "path": "name", "value": "{"}
    assert [p.column for p in problems_of(parse(OPERATIONS, cells))] == [
        "container",
        "type",
        "id",
        "value",
        "op",
        "path",
    ]


@given(st.fixed_dictionaries({name: st.text(max_size=6) for name in OPERATIONS}), st.sampled_from([DPS, XCORE]))
def test_any_row_is_a_change_or_has_problems(cells: dict[str, str], style: Style) -> None:
    result = parse(OPERATIONS, cells, style)
    if isinstance(result, list):
        assert {problem.line for problem in result} == {2}


# --- members ---------------------------------------------------------------------------------------------------------


def test_each_filled_cell_sets_its_member_and_an_empty_one_does_not() -> None:
    cells = {"id": "1", "/name": "Spring", "/tags/0": "a", "/tags/-": '"b"', "/rank/priority": ""}
    assert change_of(parse(MEMBERS, cells)).edits == (
        Operation("add", "/name", "Spring"),
        Operation("replace", "/tags/0", "a"),
        Operation("add", "/tags/-", "b"),
    )
    assert change_of(parse(MEMBERS, {"id": "1", "/rank/priority": "0"})).edits == (
        Operation("add", "/rank/priority", 0),
    )


@pytest.mark.parametrize(
    ("pointer", "op"),
    [("/a", "add"), ("/a/-", "add"), ("/a/0", "replace"), ("/a/12", "replace"), ("/0/a", "add"), ("/a/٣", "add")],
)
def test_only_an_element_of_an_array_is_replaced(pointer: str, op: str) -> None:
    change = change_of(parse(("id", pointer), {"id": "1", pointer: "x"}))
    assert change.edits == (Operation(op, pointer, "x"),)


def test_a_row_of_empty_cells_changes_nothing() -> None:
    assert problem_of(parse(MEMBERS, {"id": "1"})).message == "the row changes nothing"


def test_a_bad_value_is_named_by_its_pointer() -> None:
    problems = problems_of(parse(MEMBERS, {"id": "1", "/name": "{", "/tags/0": "[", "/tags/-": "ok"}))
    assert [problem.column for problem in problems] == ["/name", "/tags/0"]


# --- text ------------------------------------------------------------------------------------------------------------


def test_a_text_row_may_name_no_language_and_a_format() -> None:
    change = change_of(parse(TEXT, text_cells(language="", format="text/html")))
    assert change.edits == (TextChange("dps:offer-placement:1", "", "New", format="text/html"),)


@pytest.mark.parametrize(("was", "expected"), [("", None), ("Old", "Old")])
def test_a_text_row_becomes_a_text_change(was: str, expected: str | None) -> None:
    change = change_of(parse(TEXT, text_cells(was=was, content="[7]")))
    assert (change.kind, change.object) == (Kind.EDIT, "1")
    assert change.edits == (TextChange("dps:offer-placement:1", "en", "[7]", expected),)


def test_a_text_row_may_name_its_offer() -> None:
    change = change_of(parse(TEXT, text_cells(id="", name="Spring")))
    assert (change.kind, change.object, change.sought) == (Kind.EDIT, "", Sought(By.NAME, "Spring"))


@pytest.mark.parametrize(
    ("cells", "column", "message"),
    [
        ({"placement": ""}, "placement", "the placement is missing"),
        ({"language": "en "}, "language", "begins or ends with a blank"),
        ({"format": " text/html"}, "format", "begins or ends with a blank"),
        ({"content": ""}, "content", "the content is missing"),
        ({"id": ""}, "id", "the id is missing"),
        ({"id": "", "name": " Spring"}, "name", "begins or ends with a blank"),
        ({"type": "tag"}, "type", "a tag has no texts"),
    ],
)
def test_a_bad_text_row_is_named_with_its_column(cells: dict[str, str], column: str, message: str) -> None:
    problem = problem_of(parse(TEXT, text_cells(**cells)))
    assert problem.column == column
    assert message in problem.message
