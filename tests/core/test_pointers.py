"""JSON Pointers: there and back, what stands at one, and what is an index."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from migrator.core.model import Json
from migrator.core.pointers import is_index, is_inside, parts_of, pointer_to, value_at

DOCUMENT = {"a": [1, {"b/c": None}], "": {"m~n": 2}, "0": "zero", "٣": 3}


@given(st.lists(st.text()))
def test_names_are_spelled_such_that_they_are_read_back(names: list[str]) -> None:
    pointer = ""
    for name in names:
        pointer = pointer_to(pointer, name)

    assert parts_of(pointer) == names


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("", DOCUMENT),
        ("/a/0", 1),
        ("/a/1/b~1c", None),
        ("//m~0n", 2),
        ("/0", "zero"),
        ("/٣", 3),
        ("/a/2", UNSET),
        ("/a/-", UNSET),
        ("/a/٠", UNSET),
        ("/a/0/x", UNSET),
        ("/x", UNSET),
    ],
)
def test_a_pointer_leads_to_what_is_there_or_to_nothing(pointer: str, value: Json) -> None:
    assert value_at(DOCUMENT, pointer) == value


@pytest.mark.parametrize(("part", "is_one"), [("0", True), ("12", True), ("-", False), ("", False), ("٣", False)])
def test_only_ascii_digits_are_an_index(part: str, is_one: bool) -> None:
    assert is_index(part) is is_one


def test_a_place_is_inside_of_what_it_is_part_of_and_not_of_itself() -> None:
    assert is_inside("/a/b", "/a")
    assert not is_inside("/a", "/a")
    assert not is_inside("/ab", "/a")
