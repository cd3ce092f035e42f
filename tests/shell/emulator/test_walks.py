"""Shelves, orders and pages."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from migrator.emulator import Record, paging
from migrator.emulator.errors import ProblemError
from migrator.emulator.store import BY_NAME, BY_REFERENCE, Shelf


def record(key: str, value: Any = None, name: str = "n") -> Record:
    return Record(
        style="dps",
        scope="dev",
        word="tag",
        key=key,
        reference=f"ref-{key}",
        name=name,
        document=msgspec.json.encode({"value": value}),
        created_us=0,
        modified_us=0,
        created_by="",
        modified_by="",
    )


def member(one: Record, path: str) -> Any:
    return paging.dotted(msgspec.json.decode(one.document), path)


def shelf_of(*records: Record) -> Shelf:
    shelf = Shelf()
    for one in records:
        shelf.put(one)
    return shelf


def walked(shelf: Shelf, orderby: str) -> list[str]:
    return [one.key for one in shelf.at(shelf.ordered(paging.order_by(paging.parse_terms(orderby), member)))]


def test_absent_values_come_before_numbers_before_text_before_the_rest() -> None:
    shelf = shelf_of(record("a", [1]), record("b", "x"), record("c", 2), record("d"), record("e", 1.5))
    assert walked(shelf, "value") == ["d", "e", "c", "b", "a"]
    assert walked(shelf, "-value") == ["a", "b", "c", "e", "d"]


def test_ties_are_broken_by_key_in_both_directions() -> None:
    shelf = shelf_of(record("b", "x"), record("a", "x"), record("c", "y"))
    assert walked(shelf, "value") == ["a", "b", "c"]
    assert walked(shelf, "-value") == ["c", "a", "b"]


def test_an_order_in_use_follows_every_write() -> None:
    chance = random.Random(7)
    shelf, orders = Shelf(), ("value", "-value")
    for _ in range(500):
        key = f"k{chance.randrange(40)}"
        if chance.random() < 0.3 and shelf.get(key):
            shelf.remove(key)
        else:
            shelf.put(record(key, chance.choice([None, 1, 2, "x", "y"]), name=chance.choice("abc")))
        for orderby in orders:
            assert walked(shelf, orderby) == walked(shelf_of(*shelf), orderby)
        assert {one.key for one in shelf.matching(BY_NAME, "a")} == {one.key for one in shelf if one.name == "a"}


def test_records_are_found_by_reference_and_name() -> None:
    shelf = shelf_of(record("a", name="one"), record("b", name="two"), record("c", name="two"))
    assert [one.key for one in shelf.matching(BY_NAME, "two")] == ["b", "c"]
    assert [one.key for one in shelf.matching(BY_REFERENCE, "ref-b")] == ["b"]
    assert shelf.matching(BY_NAME, "three") == []


def test_a_list_ordered_by_name_and_a_look_up_by_name_do_not_mix() -> None:
    shelf = shelf_of(record("a", name="one"), record("b", name="two"))
    order = paging.order_by(paging.parse_terms("name"), lambda one, _: one.name)
    assert [one.key for one in shelf.at(shelf.ordered(order))] == ["a", "b"]
    assert [one.key for one in shelf.matching(BY_NAME, "two")] == ["b"]
    assert [one.key for one in shelf.at(shelf.ordered(order))] == ["a", "b"]


def test_a_page_begins_after_a_key_or_with_a_value() -> None:
    shelf = shelf_of(*(record(key, value) for key, value in zip("abcdef", [1, 1, 1, 2, 2, 3], strict=True)))
    terms = paging.parse_terms("value")
    keys = shelf.ordered(paging.order_by(terms, member))
    strict = paging.cut(shelf, keys, 2, after=(terms[0].rank(1), "b"))
    assert [one.key for one in strict.records] == ["c", "d"]
    assert (strict.before, strict.after, strict.total) == (shelf.get("a"), shelf.get("e"), 6)
    inclusive = paging.cut(shelf, keys, 2, since=(terms[0].rank(2),))
    assert [one.key for one in inclusive.records] == ["d", "e"]
    last = paging.cut(shelf, keys, 2, since=(terms[0].rank(3),))
    assert ([one.key for one in last.records], last.after) == (["f"], None)


@pytest.mark.parametrize(("text", "limit"), [("1", 1), ("50", 50), ("100", 100), ("5000", 100)])
def test_a_large_limit_is_cut_without_a_word(text: str, limit: int) -> None:
    assert paging.parse_limit({"limit": text}) == limit
    assert paging.parse_limit({}) == 50


@pytest.mark.parametrize("text", ["0", "-1", "ten", "", "1.5"])
def test_a_limit_is_a_positive_number(text: str) -> None:
    with pytest.raises(ProblemError) as refused:
        paging.parse_limit({"limit": text})
    assert refused.value.status == 400


@pytest.mark.parametrize("text", ["rank.priority>=3", "name~x", "name!=x", "name", "==x"])
def test_conditions_other_than_equality_are_not_emulated(text: str) -> None:
    with pytest.raises(ProblemError) as refused:
        paging.parse_conditions([text])
    assert refused.value.status == 501
