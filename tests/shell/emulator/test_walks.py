"""Shelves, orders and pages."""

from __future__ import annotations

import random
import time
from typing import Any

import msgspec
import pytest

from migrator.emulator import Record, paging
from migrator.emulator.errors import ProblemError
from migrator.emulator.store import Shelf


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
        for name in "abc":
            assert {one.key for one in shelf.named(name)} == {one.key for one in shelf if one.name == name}


@pytest.mark.parametrize("orderby", ["value", "-value", ""])
def test_an_order_that_was_long_not_asked_for_has_missed_no_write(orderby: str) -> None:
    chance = random.Random(8)
    shelf = shelf_of(*(record(f"k{number:03}", number % 7) for number in range(100)))
    for _ in range(200):
        # up to 12 changes are moved to their places, with more the 100 are sorted anew
        for _ in range(chance.randrange(30)):
            key = f"k{chance.randrange(120):03}"
            if chance.random() < 0.3 and shelf.get(key):
                shelf.remove(key)
            else:
                shelf.put(record(key, chance.randrange(7)))
        assert walked(shelf, orderby) == walked(shelf_of(*shelf), orderby)


def test_an_order_by_what_no_write_changes_costs_a_page_nothing_after_writes() -> None:
    """Our own walks of dps are in the order of ids, between thousands of patches."""
    reads: list[str] = []

    def key_of(one: Record, path: str) -> str:
        reads.append(path)
        return one.key

    shelf = shelf_of(*(record(f"k{number:03}") for number in range(100)))
    order = paging.order_by(paging.parse_terms("-id"), key_of, fixed={"id"})
    first = list(shelf.ordered(order))
    reads.clear()
    for number in range(100):
        shelf.put(record(f"k{number:03}", "changed"))
    assert list(shelf.ordered(order)) == first
    assert not reads
    shelf.remove("k050")
    shelf.put(record("k1"))
    assert [one.key for one in shelf.at(shelf.ordered(order))] == sorted((one.key for one in shelf), reverse=True)


def test_records_are_found_by_reference_and_name() -> None:
    shelf = shelf_of(record("a", name="one"), record("b", name="two"), record("c", name="two"))
    assert [one.key for one in shelf.named("two")] == ["b", "c"]
    assert shelf.referenced("ref-b") is shelf.get("b")
    assert shelf.named("three") == []
    assert shelf.referenced("ref-z") is None
    shelf.remove("b")
    assert [one.key for one in shelf.named("two")] == ["c"]
    assert shelf.referenced("ref-b") is None


def test_an_order_that_has_made_room_for_others_is_built_anew() -> None:
    shelf = shelf_of(record("a", 1), record("b", 2))
    assert walked(shelf, "-value") == ["b", "a"]
    for number in range(20):
        walked(shelf, f"other{number}")
    shelf.put(record("c", 3))
    assert walked(shelf, "-value") == ["c", "b", "a"]


def test_a_write_costs_the_same_on_a_shelf_of_any_size() -> None:
    def seconds(size: int) -> float:
        shelf = shelf_of(*(record(f"{number:06}", number) for number in range(size)))
        walked(shelf, "-value")
        began = time.perf_counter()
        for number in range(2000):
            shelf.put(record(f"{number % size:06}", size + number))
        return time.perf_counter() - began

    # A list that is copied or sorted at each write would make this sixty times as slow.
    assert min(seconds(60_000) for _ in range(3)) < 4 * max(seconds(1000) for _ in range(3))


def test_a_page_begins_after_a_key_or_with_a_value() -> None:
    shelf = shelf_of(*(record(key, value) for key, value in zip("abcdef", [1, 1, 1, 2, 2, 3], strict=True)))
    terms = paging.parse_terms("value")
    keys = shelf.ordered(paging.order_by(terms, member))
    strict = paging.cut(shelf, keys, 2, after=(terms[0].rank(1), "b"))
    assert [one.key for one in strict.records] == ["c", "d"]
    assert (strict.before, strict.before_that, strict.after) == (shelf.get("a"), None, shelf.get("e"))
    assert strict.total == 6
    inclusive = paging.cut(shelf, keys, 2, since=(terms[0].rank(2),))
    assert [one.key for one in inclusive.records] == ["d", "e"]
    assert (inclusive.before, inclusive.before_that) == (shelf.get("b"), shelf.get("a"))
    last = paging.cut(shelf, keys, 2, since=(terms[0].rank(3),))
    assert ([one.key for one in last.records], last.after) == (["f"], None)


@pytest.mark.parametrize(("text", "limit"), [("1", 1), ("50", 50), ("100", 100), ("5000", 100)])
def test_a_large_limit_is_cut_without_a_word(text: str, limit: int) -> None:
    assert paging.parse_limit({"limit": text}, 100) == limit
    assert paging.parse_limit({}, 100) == 50
    assert paging.parse_limit({"limit": text}, None) == 50


@pytest.mark.parametrize("text", ["0", "-1", "ten", "", "1.5", "²", "9" * 5000])
def test_a_limit_is_a_positive_number(text: str) -> None:
    with pytest.raises(ProblemError) as refused:
        paging.parse_limit({"limit": text}, 100)
    assert refused.value.status == 400
