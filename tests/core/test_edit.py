"""Edits: each is found on what those before it leave, and they are kept in a ledger as they were meant."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace

from migrator.core.edit import edits_body, edits_of, located
from migrator.core.model import Edit, Operation, Swap, TextChange
from migrator.core.patch import CannotApply, apply
from migrator.core.pointers import value_at
from migrator.core.styles import DPS, XCORE, Style
from tests.core.styles import STYLES
from tests.core.texts import (
    APP,
    HTML,
    MAIL,
    TEXT,
    WEB,
    content_at,
    found,
    missing,
    put,
    spring,
    text,
    why,
)

# --- swaps ------------------------------------------------------------------------------------------------------------

THING = {"name": "Old", "tags": ["a", "b"], "rank": {"priority": 1}, "none": None, "since": "2024-03-01T00:00:00.000Z"}


@pytest.mark.parametrize(
    ("swap", "operations"),
    [
        # As it was seen: changed, put there, taken away.
        (Swap("/name", "Old", "New"), [put("/name", "New")]),
        (Swap("/rank/priority", 1, 2), [put("/rank/priority", 2)]),
        (Swap("/tags/1", "b", "c"), [put("/tags/1", "c")]),
        (Swap("/tags", ["a", "b"], []), [put("/tags", [])]),
        (Swap("/none", None, 1), [put("/none", 1)]),
        (Swap("/name", "Old", None), [put("/name", None)]),
        (Swap("/more", UNSET, "New"), [Operation("add", "/more", "New")]),
        (Swap("/more", UNSET, None), [Operation("add", "/more", None)]),
        (Swap("/rank/more", value=[]), [Operation("add", "/rank/more", [])]),
        (Swap("/name", "Old"), [Operation("remove", "/name")]),
        (Swap("/tags/0", "a"), [Operation("remove", "/tags/0")]),
        # As wanted already, whatever it was to be.
        (Swap("/name", "Other", "Old"), []),
        (Swap("/name", UNSET, "Old"), []),
        (Swap("/rank", {"priority": 9}, {"priority": 1.0}), []),
        (Swap("/more", "Old"), []),
        (Swap("/more"), []),
        # In a spelling of the service's own.
        (Swap("/since", "2024-03-01T00:00:00Z", "2025-01-01T00:00:00Z"), [put("/since", "2025-01-01T00:00:00Z")]),
    ],
)
def test_a_swap_is_made_where_nobody_has_changed_anything(swap: Swap, operations: list[Operation]) -> None:
    assert found(DPS, [swap], THING) == operations


@pytest.mark.parametrize(
    ("swap", "said"),
    [
        (Swap("/name", "Mine", "New"), '/name is "Old", and was "Mine" when the change was made'),
        (Swap("/name", "Mine"), '/name is "Old", and was "Mine" when the change was made'),
        (Swap("/name", UNSET, "New"), '/name is "Old", and was not there when the change was made'),
        (Swap("/more", "Old", "New"), '/more is not there, and was "Old" when the change was made'),
        (Swap("/none", UNSET, 1), "/none is null, and was not there when the change was made"),
        (Swap("/more", None, 1), "/more is not there, and was null when the change was made"),
        (Swap("/tags", ["a"], []), '/tags is ["a","b"], and was ["a"] when the change was made'),
        (Swap("/rank/priority", True, 2), "/rank/priority is 1, and was true when the change was made"),
        (Swap("/tags/2", "c"), None),
        (Swap("/tags/2", "c", "d"), '/tags/2 is not there, and was "c" when the change was made'),
    ],
)
def test_a_swap_of_what_others_have_changed_is_a_conflict(swap: Swap, said: str | None) -> None:
    if said is None:  # what was to be taken away is gone
        assert found(DPS, [swap], THING) == []
    else:
        assert why(DPS, swap, THING) == f"conflict: {said}"


# --- one after the other ----------------------------------------------------------------------------------------------


@STYLES
def test_each_edit_finds_what_those_before_it_leave(style: Style) -> None:
    names, root = style.texts, style.root
    edits: list[Edit] = [
        text(WEB, "en", "One"),
        Operation("remove", f"{names.representations}/0"),
        text(MAIL, "de-CH", "Two", was="Grüezi"),
        Operation("add", f"{root}/status", "draft"),
        Swap(f"{root}/status", "draft", "approved"),
        text(MAIL, "de-CH", "Three", was="Two"),
    ]

    operations = found(style, edits)

    assert operations == [
        put(content_at(style, 0, 0), "One"),
        Operation("remove", f"{names.representations}/0"),
        put(content_at(style, 0, 2), "Two"),
        Operation("add", f"{root}/status", "draft"),
        put(f"{root}/status", "approved"),
        put(content_at(style, 0, 2), "Three"),
    ]
    after = apply(operations, spring(style))
    assert value_at(after, f"{root}/status") == "approved"
    assert value_at(after, content_at(style, 0, 2)) == "Three"


@STYLES
def test_an_edit_may_be_of_what_an_operation_takes_away(style: Style) -> None:
    removal = Operation("remove", f"{style.texts.representations}/0")

    with pytest.raises(CannotApply, match="no representation for placement"):
        found(style, [removal, text(WEB, "en")])
    with pytest.raises(CannotApply):
        found(style, [Operation("remove", "/nobody"), text(WEB, "en")])


@STYLES
def test_a_text_and_another_value_in_its_place_contradict_each_other(style: Style) -> None:
    place = content_at(style, 0, 0)
    contradicting: list[list[Edit]] = [
        [text(WEB, "en", "One"), text(WEB, "en", "Two", format=HTML)],
        [text(WEB, "en", "One"), put(place, "Two")],
        [put(place, "One"), text(WEB, "en", "Two")],
    ]

    for edits in contradicting:
        with pytest.raises(CannotApply, match=r'contradict each other: one writes "One" to .* and a later one "Two"'):
            found(style, edits)
    assert found(style, [text(WEB, "en", "One"), put(place, "One")]) == [put(place, "One"), put(place, "One")]
    moved: list[Edit] = [put(place, "One"), Operation("remove", place.rpartition("/")[0]), text(WEB, "fr", "Two")]
    assert found(style, moved)[-1] == put(place, "Two")


@STYLES
def test_operations_alone_stay_what_they_are_also_where_they_do_not_fit(style: Style) -> None:
    operations = [put("/nobody", 1), Operation("remove", "/nothing")]

    assert found(style, operations) == operations


@STYLES
def test_the_object_itself_is_not_touched(style: Style) -> None:
    there = spring(style)
    before = json.dumps(there)

    found(
        style, [text(WEB, "en"), text(APP, "x", missing=missing(style, APP)), Swap(f"{style.root}/a", value=1)], there
    )

    assert json.dumps(there) == before


# --- for random edits -------------------------------------------------------------------------------------------------

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
PATHS = NAMES.map("/{}".format)
OPERATIONS = st.one_of(
    st.builds(Operation, st.sampled_from(["add", "replace", "test"]), PATHS, VALUES),
    st.builds(Operation, st.just("remove"), PATHS),
    st.builds(Operation, st.just("copy"), PATHS, source=PATHS),
)
TEXTS = st.builds(
    TextChange, NAMES, NAMES, NAMES, st.none() | NAMES, NAMES, st.none() | st.dictionaries(NAMES, VALUES, max_size=2)
)
SWAPS = st.builds(Swap, PATHS, st.just(UNSET) | VALUES, st.just(UNSET) | VALUES)


@given(st.lists(OPERATIONS | TEXTS | SWAPS, max_size=6).map(tuple))
def test_edits_are_read_back_as_they_were_written(edits: tuple[Edit, ...]) -> None:
    body = edits_body(edits)

    assert edits_of(body) == edits
    assert [*map(type, edits_of(body))] == [*map(type, edits)]
    assert edits_body(edits_of(body)) == body


@given(st.lists(OPERATIONS, max_size=6))
def test_operations_are_written_as_the_service_reads_them(operations: list[Operation]) -> None:
    for one, members in zip(operations, json.loads(edits_body(operations)), strict=True):
        wanted = {"op", "path"} | ({"from"} if one.op == "copy" else set() if one.op == "remove" else {"value"})
        assert set(members) == wanted


LANGUAGES = st.sampled_from(["", "en", "EN", "fr", "de-CH"])


@given(
    st.sampled_from([DPS, XCORE]),
    st.lists(
        st.builds(
            TextChange,
            st.sampled_from([WEB, MAIL, APP]),
            LANGUAGES,
            st.sampled_from(["A", "B"]),
            format=st.sampled_from([HTML, TEXT]),
        ),
        max_size=5,
    ),
)
def test_what_was_located_once_is_as_wanted_afterwards(style: Style, changes: list[TextChange]) -> None:
    # Of several changes of one text the last counts.
    last = {(one.placement, one.language.casefold(), one.format): one for one in changes}
    wanted = [replace(one, missing=missing(style, one.placement)) for one in last.values()]
    there = spring(style)

    once = apply(located(wanted, there, style.texts), there)

    assert not located(wanted, once, style.texts)
