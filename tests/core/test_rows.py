"""What a row means, and everything that can be wrong with it, with its column and what to type."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.core.model import By, Change, EntityType, Kind, Operation, Problem, Row, Sought, TextChange
from migrator.core.rows import RowParser
from migrator.core.styles import DPS, XCORE, Style
from migrator.core.values import MAX_OBJECT_BYTES

OPERATIONS = ("container", "type", "id", "op", "path", "value", "from")
MEMBERS = ("container", "type", "id", "/name", "/tags/0", "/tags/-", "/rank/priority")
TEXT = ("container", "type", "id", "name", "placement", "language", "format", "content", "was")
NAME = "/_instance/xdm:name"
OFFER = EntityType.PERSONALIZED_OFFER


def csv_row(header: Sequence[str], cells: dict[str, str], line: int = 2) -> Row:
    """A row of CSV in which the cells that are not given are empty."""
    full = dict.fromkeys(header, "") | cells
    return Row(line, full, json.dumps(list(full.values())))


def parse(header: Sequence[str], cells: dict[str, str], style: Style = DPS) -> Change | list[Problem]:
    return RowParser(header, style, "prod").parse(csv_row(header, cells))


def parse_line(line: dict[str, Any], style: Style = DPS) -> Change | list[Problem]:
    return RowParser((), style, "prod").parse(Row(7, line, json.dumps(line)))


def problems_of(result: Change | list[Problem]) -> list[Problem]:
    assert isinstance(result, list), result
    return result


def problem_of(result: Change | list[Problem]) -> Problem:
    """The only problem of a row."""
    [problem] = problems_of(result)
    return problem


def change_of(result: Change | list[Problem]) -> Change:
    assert isinstance(result, Change), result
    return result


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


def text_cells(**cells: str) -> dict[str, str]:
    return {"id": "1", "placement": "dps:offer-placement:1", "language": "en", "content": "New"} | cells


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


# --- JSONL -----------------------------------------------------------------------------------------------------------

PATCH = [{"op": "replace", "path": "/name", "value": "x"}]
RULE = {"type": "decision-rule", "id": "1"}


def test_a_line_with_a_patch_becomes_a_patch() -> None:
    change = change_of(parse_line({"id": "007", "patch": [*PATCH, {"op": "remove", "path": "/tags/0"}]}))
    assert (change.line, change.object, change.kind) == (7, "007", Kind.PATCH)
    assert change.edits == (Operation("replace", "/name", "x"), Operation("remove", "/tags/0"))


def test_a_line_with_a_text_becomes_a_text_change() -> None:
    text = {"placement": "p", "language": "en", "content": "New"}
    assert change_of(parse_line({"id": "1", "text": text})).edits == (TextChange("p", "en", "New", None),)
    assert change_of(parse_line({"id": "1", "text": text | {"was": ""}})).edits == (TextChange("p", "en", "New", ""),)


def test_a_line_with_a_create_becomes_a_create() -> None:
    line = {"type": "fallback-offer", "create": {"name": "Spring"}, "key": "spring"}
    change = change_of(parse_line(line))
    assert change == Change(
        7, "prod", EntityType.FALLBACK_OFFER, "", Kind.CREATE, document={"name": "Spring"}, key="spring"
    )


@pytest.mark.parametrize(
    ("style", "type_", "document", "own"),
    [
        (DPS, "decision-rule", {"name": "R", "condition": {}}, {"name": "R", "condition": {}}),
        (DPS, "decision-rule", {"id": "r", "etag": 3, "name": "R", "created": "x", "schemas": []}, {"name": "R"}),
        (XCORE, "tag", {"xdm:name": "T", "@id": "xcore:tag:1", "id": 1}, {"xdm:name": "T", "id": 1}),
        (XCORE, "personalized-offer", {"xdm:name": "T", "deep": {"@id": 1}}, {"xdm:name": "T", "deep": {"@id": 1}}),
    ],
)
def test_a_line_with_a_replace_becomes_a_replacement_without_what_the_service_writes(
    style: Style, type_: str, document: dict[str, Any], own: dict[str, Any]
) -> None:
    line = {"container": "c", "type": type_, "id": "007", "replace": document}
    assert change_of(parse_line(line, style)) == Change(7, "c", EntityType(type_), "007", Kind.REPLACE, document=own)


@pytest.mark.parametrize("type_", EntityType)
def test_what_can_be_replaced_as_a_whole_depends_on_the_style(type_: EntityType) -> None:
    line = {"container": "c", "type": type_.value, "id": "1"}
    assert change_of(parse_line(line | {"replace": {"xdm:name": "x"}}, XCORE)).type is type_

    found = parse_line(line | {"replace": {"name": "x"}})
    if type_ is EntityType.DECISION_RULE:
        assert change_of(found).type is type_
    else:
        problem = problem_of(found)
        assert problem.column == "type"
        assert problem.message == f"dps cannot replace a {type_} as a whole, only a decision-rule"
        assert problem.hint.startswith('change it by a patch, e.g. [{"op"')


def test_a_replacement_without_a_type_is_one_of_the_type_that_is_meant() -> None:
    problem = problem_of(parse_line({"id": "1", "replace": {"name": "x"}}))
    assert (problem.column, "personalized-offer" in problem.message) == ("type", True)


def test_a_line_with_a_delete_becomes_a_delete() -> None:
    change = change_of(parse_line({"type": "tag", "id": "1", "delete": True}))
    assert (change.kind, change.type, change.object) == (Kind.DELETE, EntityType.TAG, "1")


@pytest.mark.parametrize("extra", ["ticket", "_state", "created", "created_at", "owner_name", "ids"])
def test_other_members_are_carried_without_complaint(extra: str) -> None:
    assert change_of(parse_line({"id": "1", "patch": PATCH, extra: 1})).kind is Kind.PATCH


@pytest.mark.parametrize(
    ("line", "column", "message", "hint"),
    [
        ({"id": "1"}, "", "says nothing to do", "patch, text, create, replace, delete"),
        ({"id": "1", "patch": PATCH, "delete": True}, "", "the line has patch and delete", "one line for each"),
        ({"id": "1", "patch": PATCH, "key": "k"}, "key", "only a create has a key", ""),
        ({"id": 1, "patch": PATCH}, "id", "must be text, not a number", '"id": "…"'),
        ({"id": None, "patch": PATCH}, "id", "must be text, not null", ""),
        ({"patch": PATCH}, "id", "the id is missing", ""),
        ({"name": "Spring ", "patch": PATCH}, "name", "begins or ends with a blank", ""),
        ({"name": 5, "patch": PATCH}, "name", "must be text, not a number", ""),
        ({"id": "1", "type": 5, "patch": PATCH}, "type", "must be text, not a number", ""),
        ({"id": "1", "type": ["tag"], "patch": PATCH}, "type", "must be text, not a list", ""),
        ({"id": "1", "container": {}, "patch": PATCH}, "container", "must be text, not an object", ""),
        ({"id": "1", "container": False, "patch": PATCH}, "container", "must be text, not false", ""),
        ({"id": "1", "patch": []}, "patch", "not an empty list", '[{"op"'),
        ({"id": "1", "patch": {}}, "patch", "must be a list of operations, not an object", '[{"op"'),
        ({"id": "1", "patch": "x"}, "patch", "must be a list of operations, not text", ""),
        ({"id": "1", "patch": [*PATCH, 5]}, "patch[1]", "must be an object, not a number", ""),
        ({"id": "1", "patch": [*PATCH, *PATCH, {"op": "remove"}]}, "patch[2].path", "is missing", ""),
        ({"id": "1", "patch": [{"op": "add", "path": "/a"}]}, "patch[0].value", "add needs a value", ""),
        ({"id": "1", "text": "x"}, "text", "must be an object, not text", ""),
        ({"id": "1", "delete": False}, "delete", "can only be true", "delete the line"),
        ({"id": "1", "delete": 1}, "delete", "can only be true", ""),
        ({"create": []}, "create", "must be an object, not a list", ""),
        ({"create": {}}, "create", "is empty", ""),
        ({"create": {"xdm:name": "x"}}, "create", "the object has `xdm:name` but no `name`", ""),
        ({"create": {"name": "x"}, "id": "1"}, "id", "a create has no id of its own", "give each a key"),
        ({"create": {"name": "x"}, "name": "y"}, "name", "a create has no name of its own", ""),
        ({"create": {"name": "x"}, "key": 5}, "key", "must be text, not a number", ""),
        ({"create": {"name": "x"}, "key": ""}, "key", "the key is missing", ""),
        (RULE | {"replace": []}, "replace", "must be an object, not a list", ""),
        (RULE | {"replace": "x"}, "replace", "must be an object, not text", ""),
        (RULE | {"replace": {}}, "replace", "the object is empty", "write all its members"),
        (RULE | {"replace": {"xdm:name": "x"}}, "replace", "the object has `xdm:name` but no `name`", ""),
        (RULE | {"replace": {"id": "1", "etag": 2}}, "replace", "the object has no `name`", ""),
        ({"type": "decision-rule", "replace": {"name": "x"}}, "id", "the id is missing", ""),
        (RULE | {"type": "decision_rule", "replace": {"name": "x"}}, "type", "is not a type", "'decision-rule'?"),
        (RULE | {"replace": {"name": "x"}, "key": "k"}, "key", "only a create has a key", ""),
        (RULE | {"replace": {"name": "x"}, "patch": PATCH}, "", "the line has patch and replace", "one line for each"),
        ({"id": "1", "patch": PATCH, "typ": "tag"}, "typ", "the member 'typ' is not known", "did you mean 'type'?"),
        ({"id": "1", "patch": PATCH, "Type": "tag"}, "Type", "the member 'Type' is not known", "'type'?"),
        ({"id": "1", "patch": PATCH, "Delete": True}, "Delete", "is not known", "did you mean 'delete'?"),
    ],
)
def test_a_bad_line_is_named_with_its_member_and_what_to_type(
    line: dict[str, Any], column: str, message: str, hint: str
) -> None:
    problem = problem_of(parse_line(line))
    assert (problem.line, problem.column) == (7, column)
    assert message in problem.message
    assert hint in problem.hint


def test_a_misspelt_action_is_told_beside_its_absence() -> None:
    problems = problems_of(parse_line({"id": "1", "pach": PATCH}))
    assert (problems[0].column, problems[0].hint) == ("pach", "did you mean 'patch'?")
    assert problems[1].message == "the line says nothing to do"


@pytest.mark.parametrize(
    ("fields", "column", "hint"),
    [
        ({"content": 5}, "text.content", ""),
        ({"was": None}, "text.was", "leave it out"),
        ({"placement": 5}, "text.placement", ""),
        ({"language": 5}, "text.language", ""),
        ({"language": None}, "text.language", ""),
        ({"format": ["text/html"]}, "text.format", ""),
        ({"langauge": "en"}, "text.langauge", "did you mean 'language'?"),
        ({"x": "en"}, "text.x", "placement, language, format, content, was"),
    ],
)
def test_a_bad_member_of_a_text_is_named_with_its_path(fields: dict[str, Any], column: str, hint: str) -> None:
    text = {"placement": "p", "language": "en", "content": "New"} | fields
    problem = problem_of(parse_line({"id": "1", "text": text}))
    assert problem.column == column
    assert hint in problem.hint


# --- size ------------------------------------------------------------------------------------------------------------


def body_size(value: Any) -> int:
    return len(msgspec.json.encode(value))


@pytest.mark.parametrize("extra", [0, 1])
@pytest.mark.parametrize("letter", ["x", "é"])
def test_a_create_is_refused_from_the_first_byte_too_many(letter: str, extra: int) -> None:
    width = len(letter.encode())
    room = (MAX_OBJECT_BYTES - body_size({"name": "x", "text": ""})) // width + extra
    result = parse_line({"create": {"name": "x", "text": letter * room}})
    assert isinstance(result, list) == bool(extra)
    if extra:
        assert problem_of(result).column == "create"


@pytest.mark.parametrize("extra", [0, 1])
def test_a_replacement_is_refused_from_the_first_byte_too_many(extra: int) -> None:
    room = MAX_OBJECT_BYTES - body_size({"name": ""}) + extra
    result = parse_line({**RULE, "replace": {"name": "x" * room}})
    assert isinstance(result, list) == bool(extra)
    if extra:
        assert problem_of(result).column == "replace"


@pytest.mark.parametrize("extra", [0, 1])
def test_a_patch_is_refused_from_the_first_byte_too_many(extra: int) -> None:
    room = MAX_OBJECT_BYTES - body_size([{"op": "add", "path": "/name", "value": ""}]) + extra
    value = "x" * room
    results = [
        parse(OPERATIONS, {"id": "1", "op": "add", "path": "/name", "value": value}),
        parse(MEMBERS, {"id": "1", "/name": value}),
        parse_line({"id": "1", "patch": [{"op": "add", "path": "/name", "value": value}]}),
    ]
    assert [isinstance(result, list) for result in results] == [bool(extra)] * 3
    if extra:
        assert [problem_of(result).column for result in results] == ["value", "", "patch"]
        assert "307,201 bytes" in problem_of(results[0]).message


def test_a_text_of_five_megabytes_is_too_large() -> None:
    problem = problem_of(parse(TEXT, text_cells(content="x" * 5_000_000)))
    assert (problem.column, "5,000,002 bytes" in problem.message) == ("content", True)
