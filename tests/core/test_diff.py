"""Differences: together they say all that a change does, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, UnsetType

from migrator.core import diff
from migrator.core.compare import same_place
from migrator.core.diff import common_ends, differences
from migrator.core.model import Json, Touched
from migrator.core.pointers import parts_of, pointer_to

NAMES = st.sampled_from(["a", "b", "a/b", "m~n", "0", "é\x1b"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([1.0, "", "x"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)


def between(before: Json | UnsetType, after: Json | UnsetType, path: str = "") -> list[Touched]:
    return list(differences([Touched(path, before, after)]))


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        (1, 1, []),
        (1, 1.0, []),
        (1, True, [Touched("/p", 1, True)]),
        (UNSET, None, [Touched("/p", UNSET, None)]),
        ("x", UNSET, [Touched("/p", "x", UNSET)]),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, []),
        ({"a": 1, "b": 2}, {"b": 3}, [Touched("/p/a", 1), Touched("/p/b", 2, 3)]),
        ({"a/b": 1, "m~n": 1}, {"a/b": 2, "m~n": 2}, [Touched("/p/a~1b", 1, 2), Touched("/p/m~0n", 1, 2)]),
        (["t1"], ["t1", "t2"], [Touched("/p/1", UNSET, "t2")]),
        (["t1", "t2"], ["t2"], [Touched("/p/0", "t1")]),
        (["t2"], ["t1", "t2"], [Touched("/p/0", UNSET, "t1")]),
        ([{"a": 1, "b": 1}], [{"a": 1, "b": 2}], [Touched("/p/0/b", 1, 2)]),
        ([1, 2, 3], [1.0, 2, 4], [Touched("/p/2", 3, 4)]),
        ([], {}, [Touched("/p", [], {})]),
    ],
)
def test_what_differs_is_said_where_it_is(
    before: Json | UnsetType, after: Json | UnsetType, found: list[Touched]
) -> None:
    assert between(before, after, "/p") == found


@given(before=VALUES, after=VALUES)
def test_equal_values_have_no_difference_and_others_have_one(before: Json, after: Json) -> None:
    assert bool(between(before, after)) == (not same_place(before, after))


@given(before=VALUES, after=VALUES)
def test_the_differences_make_of_what_was_there_what_will_be(before: Json, after: Json) -> None:
    assert same_place(made_of(before, between(before, after)), after)


def made_of(before: Json, found: Sequence[Touched], path: str = "") -> Json:
    """Apply differences. The place of an element is that after, unless it is only there before."""
    if changed := [one for one in found if one.path == path and UNSET not in (one.before, one.after)]:
        return changed[0].after
    new = {one.path: one.after for one in found if one.path.rpartition("/")[0] == path and one.before is UNSET}
    gone = {one.path for one in found if one.after is UNSET}
    if isinstance(before, dict):
        kept = {name: pointer_to(path, name) for name in before if pointer_to(path, name) not in gone}
        added = {parts_of(place)[-1]: value for place, value in new.items()}
        return {name: made_of(before[name], found, place) for name, place in kept.items()} | added
    if isinstance(before, list):
        left = iter([value for index, value in enumerate(before) if f"{path}/{index}" not in gone])
        places = [f"{path}/{index}" for index in range(len(before) - len(gone & places_in(before, path)) + len(new))]
        return [new[place] if place in new else made_of(next(left), found, place) for place in places]
    return before


def places_in(elements: Sequence[Json], path: str) -> set[str]:
    return {f"{path}/{index}" for index in range(len(elements))}


@given(one=st.text("ab", max_size=8), other=st.text("ab", max_size=8))
def test_common_ends_do_not_overlap_and_what_is_between_them_differs(one: str, other: str) -> None:
    start, end = common_ends(one, other)

    assert one[:start] == other[:start]
    assert one[len(one) - end :] == other[len(other) - end :]
    assert start + end <= min(len(one), len(other))
    inner = one[start : len(one) - end], other[start : len(other) - end]
    assert inner == ("", "") or "" in inner or (inner[0][0] != inner[1][0] and inner[0][-1] != inner[1][-1])


def test_of_long_lists_what_both_begin_and_end_with_is_no_difference() -> None:
    before = list(range(5000))

    assert between(before, ["new", *before]) == [Touched("/0", UNSET, "new")]


def test_lists_too_long_to_align_are_compared_element_by_element() -> None:
    side = int(diff.MOST_PAIRS**0.5) + 1
    before, after = [0, *[1] * side, 2], [3, *[1] * side, 4, 5]

    assert between(before, after) == [
        Touched("/0", 0, 3),
        Touched(f"/{side + 1}", 2, 4),
        Touched(f"/{side + 2}", UNSET, 5),
    ]
