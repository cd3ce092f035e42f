"""What a line of JSONL means, and everything that can be wrong with it, with its member and what to type."""

from __future__ import annotations

from typing import Any

import pytest

from migrator.core.model import Change, EntityType, Kind, Operation, TextChange
from migrator.core.styles import DPS, XCORE, Style
from tests.core.parsing import RULE, change_of, parse_line, problem_of, problems_of

PATCH = [{"op": "replace", "path": "/name", "value": "x"}]


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
