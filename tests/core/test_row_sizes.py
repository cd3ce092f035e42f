"""From which byte on a row is too large, in each shape."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from migrator.core.values import MAX_OBJECT_BYTES
from tests.core.parsing import MEMBERS, OPERATIONS, RULE, TEXT, parse, parse_line, problem_of, text_cells


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
