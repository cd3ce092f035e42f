"""What is the same to the service, and what it shows of what was written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from migrator.core.compare import instant, same, shows, unlike
from migrator.core.model import Json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([1.0, 1.5, "", "a", "1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (1, 1, True),
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        (True, True, True),
        (True, False, False),
        (None, None, True),
        (None, False, False),
        (None, 0, False),
        ("1", 1, False),
        ("", None, False),
        ("a", "a", True),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({"a": 1}, {"a": True}, False),
        ({"a": 1}, [["a", 1]], False),
        ([1, 2], [1, 2], True),
        ([1, 2], [2, 1], False),
        ([1], [1, 1], False),
        ([1], 1, False),
        ([], {}, False),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00+00:00", False),
    ],
)
def test_two_values_are_the_same_json_or_not(one: Json, other: Json, equal: bool) -> None:
    assert same(one, other) is equal
    assert same(other, one) is equal


@pytest.mark.parametrize(
    ("actual", "written", "shown"),
    [
        # Objects may have more members, at any depth …
        ({"a": 1, "default": 0}, {"a": 1}, True),
        ({"a": {"b": 1, "default": 0}}, {"a": {"b": 1}}, True),
        ([{"a": 1, "default": 0}], [{"a": 1}], True),
        # … but not fewer, and arrays not more.
        ({}, {"a": None}, False),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ([1, 2], [1], False),
        ([2, 1], [1, 2], False),
        ([], {}, False),
        ({}, [], False),
        (1, {}, False),
        (1.0, 1, True),
        (True, 1, False),
        # The same moment in another spelling.
        ("2026-01-01T00:00:00.000+00:00", "2026-01-01T00:00:00Z", True),
        ("2026-01-01T01:00:00+01:00", "2026-01-01T00:00:00Z", True),
        ("2026-01-01T00:00", "2026-01-01T00:00:00Z", True),
        ("2026-01-01T00:00:01Z", "2026-01-01T00:00:00Z", False),
        ("2026-13-01T00:00:00Z", "2026-13-01T00:00:00.0Z", False),
        (5, "2026-01-01T00:00:00Z", False),
        ("2026-01-01T00:00:00Z", None, False),
        ("a", "b", False),
    ],
)
def test_a_document_shows_what_was_written_or_not(actual: Json, written: Json, shown: bool) -> None:
    assert shows(actual, written) is shown


@pytest.mark.parametrize(
    ("actual", "written", "before", "places"),
    [
        ({"a": 1, "default": 0}, {"a": 1}, UNSET, []),
        (1, 2, UNSET, [("", 1, 2)]),
        (UNSET, 1, UNSET, [("", UNSET, 1)]),
        (1, UNSET, UNSET, [("", 1, UNSET)]),
        (UNSET, UNSET, UNSET, []),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, UNSET, [("/a/b", 1, 2)]),
        ({}, {"a": {"b": 2}}, UNSET, [("/a", UNSET, {"b": 2})]),
        ([{"a": 1}, {"a": 2}], [{"a": 1}, {"a": 3}], UNSET, [("/1/a", 2, 3)]),
        ([1, 2], [1], UNSET, [("", [1, 2], [1])]),
        ({"a/b": 1, "c~d": 2}, {"a/b": 0, "c~d": 0}, UNSET, [("/a~1b", 1, 0), ("/c~0d", 2, 0)]),
        # A member that was there before, at whatever depth, is none that the service adds by itself.
        ({"a": 1, "old": 2}, {"a": 1}, {"old": 3}, [("/old", 2, UNSET)]),
        ({"a": {"old": 2}}, {"a": {}}, [{"old": 3}], [("/a/old", 2, UNSET)]),
        ({"a": 1, "old": 2}, {"a": 1, "old": 2}, {"old": 3}, []),
    ],
)
def test_what_differs_is_named_at_its_innermost_place(
    actual: Json, written: Json, before: Json, places: list[tuple[str, Json, Json]]
) -> None:
    assert [(one.path, one.actual, one.written) for one in unlike(actual, written, before)] == places
    assert shows(actual, written, before) is (not places)


@given(VALUES, VALUES)
def test_what_is_the_same_is_shown(one: Json, other: Json) -> None:
    assert same(one, one)
    assert same(one, other) is same(other, one)
    assert shows(one, other) or not same(one, other)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:10Z", 10.0),
        ("1970-01-01T00:00:10", 10.0),  # without a zone it is UTC
        ("1970-01-01T01:00:10+01:00", 10.0),
        ("1970-01-01T00:01", 60.0),
        ("1970-01-01T00:00:00.500Z", 0.5),
        ("1970-01-01", None),
        ("1970-13-01T00:00:00Z", None),
        ("1970-01-01T00:00:10Zulu", None),
        ("10", None),
        ("", None),
    ],
)
def test_an_instant_is_read_as_seconds(text: str, seconds: float | None) -> None:
    assert instant(text) == seconds
