"""Objects as rows of a spreadsheet: cells come back as they went, and what is no cell has no column."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from migrator.core.styles import DPS, XCORE
from migrator.core.values import cell_value
from migrator.core.wide import REMOVED, cell_of, column_problem, is_too_long, members

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("Spring loan", "Spring loan"),
        ("", '""'),
        ("  ", '"  "'),
        ("2024", '"2024"'),
        ("007", "007"),
        ("true", '"true"'),
        ("TRUE", "TRUE"),
        ('"quoted"', '"\\"quoted\\""'),
        ("[draft]", '"[draft]"'),
        ("{{profile.name}}", '"{{profile.name}}"'),
        ("two\r\nlines", "two\r\nlines"),
        ("=SUM(A1:A9)", '"=SUM(A1:A9)"'),
        ("+41 44", '"+41 44"'),
        ("-10 %", '"-10 %"'),
        ("@name", '"@name"'),
        (REMOVED, '"\\\\N"'),
        ("nul\0", '"nul\\u0000"'),
        (None, "null"),
        (True, "true"),
        (3, "3"),
        (2.5, "2.5"),
        (12345678901234567890, "12345678901234567890"),
        ([], "[]"),
        (["a", 1, None], '["a",1,null]'),
        (UNSET, ""),
        ({}, None),
        ([{"a": 1}], None),
        ([["a"]], None),
    ],
)
def test_a_value_has_a_cell(value: Any, cell: str | None) -> None:
    assert cell_of(value) == cell


@given(SCALARS | st.lists(SCALARS))
def test_a_cell_is_read_back_as_the_value_it_was_written_for(value: Any) -> None:
    cell = cell_of(value)

    assert cell not in (None, "", REMOVED)
    assert cell_value(cell) == value
    assert type(cell_value(cell)) is type(value)


@given(st.text())
def test_no_cell_begins_as_a_formula_does(text: str) -> None:
    assert not (cell_of(text) or "").startswith(("=", "+", "-", "@", "\t", "\r"))


def test_members_are_found_in_objects_and_not_in_lists() -> None:
    document = {"name": "A", "rank": {"priority": 1}, "tags": ["t"], "cap": {}, "a/b": {"c~d": 2}, "list": [{"x": 1}]}

    assert list(members(document, "/_instance")) == [
        ("/_instance/name", "A"),
        ("/_instance/rank/priority", 1),
        ("/_instance/tags", ["t"]),
        ("/_instance/a~1b/c~0d", 2),
        ("/_instance/list", [{"x": 1}]),
    ]


@pytest.mark.parametrize(
    ("pointer", "style", "can"),
    [
        ("/name", DPS, True),
        ("/characteristics/a b", DPS, True),
        ("/_instance/xdm:name", XCORE, True),
        ("/definedOn//schema", DPS, True),
        ("/characteristics//a", DPS, False),
        ("/_instance/name", DPS, False),
        ("/characteristics/-", DPS, False),
        ("/characteristics/ends ", DPS, False),
        ("/characteristics/two\nlines", DPS, False),
    ],
)
def test_only_a_pointer_that_is_read_back_is_a_column(pointer: str, style: Any, can: bool) -> None:
    assert (column_problem(pointer, style.rules) == "") is can


@pytest.mark.parametrize(
    ("cell", "long"),
    [("x" * 32_767, False), ("x" * 32_768, True), ("🌞" * 16_383, False), ("🌞" * 16_384, True)],
)
def test_a_spreadsheet_counts_in_units_of_utf_16(cell: str, long: bool) -> None:
    assert is_too_long(cell) is long
