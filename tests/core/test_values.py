"""Values are read exactly or refused, and what is wrong with them can be placed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.core.model import Problem
from migrator.core.values import Fault, cell_value, exact_json, nearest


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("Spring", "Spring"),
        (" Spring ", " Spring "),
        ("007", "007"),
        ("7", 7),
        (" 7 ", 7),
        ("-0.5", -0.5),
        ("1e3", 1000.0),
        ("1.50", 1.5),
        ("123456789012345678901234567890", 123456789012345678901234567890),
        ("1.", "1."),
        (".5", ".5"),
        ("+5", "+5"),
        ("1,5", "1,5"),
        ("1٣", "1٣"),
        ("2025-01-31", "2025-01-31"),
        ("10% off", "10% off"),
        ("NaN", "NaN"),
        ("Infinity", "Infinity"),
        ("True", "True"),
        ("true", True),
        ("false", False),
        ("null", None),
        ('""', ""),
        ('"007"', "007"),
        ('"true"', "true"),
        ("[]", []),
        (' {"a": [1, null]} ', {"a": [1, None]}),
        ('{"url": "https://example.com", "a" : "b : c"}', {"url": "https://example.com", "a": "b : c"}),
    ],
)
def test_a_cell_is_json_if_it_parses_and_text_if_not(cell: str, value: Any) -> None:
    read = cell_value(cell)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ('{"a": 1', "it ends too early"),
        ("{a: 1}", "object keys must be strings near character 2"),
        ("[1, 2", "it ends too early"),
        ("[draft] Spring", "invalid character near character 2"),
        ('"Spring" sale', "trailing characters near character 11"),
        ("{'a': 1}", "object keys must be strings near character 2"),
        ('["é", x]', "invalid character near character 7"),
        ("[NaN]", "invalid character near character 2"),
        ('{"a": 1, "a": 2}', "the member 'a' stands twice in one object"),
        ('[{"b": {"a": 1, "a" : 1}}]', "the member 'a' stands twice in one object"),
        ("0.1234567890123456789", "would become 0.12345678901234568"),
        ("[1e400]", "would become inf"),
        ("1e-400", "would become 0.0"),
        ("1e-99999999999999999999", "would become 0.0"),
        ("0." + "1" * 5000, "would become 0.1111"),
        ("[" * 100_000, "it is nested too deep"),
        ("1" * 5000, "Integer value out of range"),
    ],
)
def test_a_cell_that_looks_like_json_is_refused_with_the_way_to_send_it_as_text(cell: str, message: str) -> None:
    fault = cell_value(cell)
    assert isinstance(fault, Fault)
    assert "looks like JSON but does not parse" in fault.message
    assert message in fault.message
    assert "write it as a JSON string" in fault.hint
    assert len(fault.message + fault.hint) < 400


def test_the_hint_is_a_json_string_that_can_be_copied() -> None:
    assert cell_value('[draft] "Spring"').hint.endswith(r'"[draft] \"Spring\""')


def test_a_cell_of_blanks_is_refused() -> None:
    assert "only blanks" in cell_value("  ").message


def test_a_lone_surrogate_is_the_callers_matter() -> None:
    with pytest.raises(UnicodeEncodeError):
        exact_json('"\udce9"')


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(json_values, st.sampled_from([None, 1]), st.sampled_from([(",", ":"), (", ", " : "), (" ,", "\t:\r\n")]))
def test_every_json_value_is_read_exactly_however_it_is_spaced(
    value: Any, indent: int | None, separators: tuple[str, str]
) -> None:
    assert exact_json(json.dumps(value, indent=indent, separators=separators)) == value


@given(json_values, st.text(), st.sampled_from([":", " :", "\t: ", "\n:"]))
def test_a_member_given_twice_is_found_however_it_is_hidden(value: Any, name: str, colon: str) -> None:
    member = json.dumps(name) + colon + json.dumps(value)
    fault = exact_json(f'[{{"x": ":", {member}, "y": {{}}, {member}}}]')
    assert isinstance(fault, Fault)
    assert "twice" in fault.message


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("containr", "container"),
        ("CONTAINER", "container"),
        (" container ", "container"),
        ("tpye", "type"),
        ("colour", ""),
        ("", ""),
    ],
)
def test_the_nearest_word_is_found_through_case_blanks_and_one_slip(word: str, meant: str) -> None:
    assert nearest(word, ["container", "type", "id"]) == meant


@pytest.mark.parametrize(
    ("outer", "member", "column"),
    [("patch[2]", "op", "patch[2].op"), ("value", "", "value"), ("", "op", "op"), ("", "", "")],
)
def test_a_fault_is_placed_from_the_inside_out(outer: str, member: str, column: str) -> None:
    assert Fault(member, "is bad", "mend it").within(outer).at(7) == Problem(7, column, "is bad", "mend it")
