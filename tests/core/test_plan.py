"""Merging the rows of one object, and what a step is called."""

from __future__ import annotations

import json

import pytest

from migrator.core.edit import edits_body, edits_of
from migrator.core.model import Change, EntityType, Kind, Operation, Step
from migrator.core.plan import (
    Fingerprint,
    Marker,
    body_of,
    identity,
    merge,
    name_in,
    step_key,
)
from migrator.core.pointers import value_at
from migrator.core.values import Fault

OFFER = EntityType.PERSONALIZED_OFFER


def patch(line: int, *operations: Operation, object_: str = "o1") -> Change:
    return Change(line, "dev", OFFER, object_, Kind.PATCH, operations)


def put(path: str, value: object = 1) -> Operation:
    return Operation("replace", path, value)


def copy(source: str, path: str) -> Operation:
    return Operation("copy", path, source=source)


def create(line: int, document: dict[str, object], key: str = "") -> Change:
    return Change(line, "dev", OFFER, "", Kind.CREATE, document=document, key=key)


def delete(line: int) -> Change:
    return Change(line, "dev", OFFER, "o1", Kind.DELETE)


def replacement(line: int) -> Change:
    return Change(line, "dev", OFFER, "o1", Kind.REPLACE, document={"name": "N"})


def test_the_rows_of_an_object_become_one_patch_in_the_order_of_the_file() -> None:
    step = merge(
        "dps", [patch(2, put("/name", "A")), patch(5, put("/status", "draft")), patch(9, put("/rank/priority"))]
    )

    assert isinstance(step, Step)
    assert step.seq == 2
    assert [operation["path"] for operation in json.loads(step.body)] == ["/name", "/status", "/rank/priority"]


@pytest.mark.parametrize(
    ("operation", "members"),
    [
        (Operation("add", "/a", None), {"op": "add", "path": "/a", "value": None}),
        (Operation("replace", "/a", "é\n"), {"op": "replace", "path": "/a", "value": "é\n"}),
        (Operation("test", "/a", {"b": [1, 1.5, True]}), {"op": "test", "path": "/a", "value": {"b": [1, 1.5, True]}}),
        (Operation("remove", "/a"), {"op": "remove", "path": "/a"}),
        (Operation("copy", "/b", source="/a"), {"op": "copy", "from": "/a", "path": "/b"}),
    ],
)
def test_an_operation_has_the_members_of_its_kind_and_is_read_back(operation: Operation, members: object) -> None:
    body = edits_body([operation])

    assert json.loads(body) == [members]
    assert edits_of(body) == (operation,)


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        (put("/name", "A"), put("/name", "B")),
        (put("/name", "A"), Operation("remove", "/name")),
        (Operation("remove", "/name"), put("/name", "A")),
        (put("/rank/priority", 3), put("/rank", {"priority": 4})),
        (put("/rank/priority", 3), Operation("remove", "/rank")),
        (Operation("remove", "/rank"), put("/rank/priority", 3)),
        (put("/name", 1), put("/name", True)),
        (put("/name", "1"), put("/name", 1)),
        (put("/b", 1), copy("/a", "/b")),
        (put("/b/c", 1), copy("/a", "/b")),
        (copy("/a", "/b"), put("/b", 1)),
        (copy("/a", "/b"), Operation("remove", "/b")),
        (copy("/a", "/b"), copy("/a", "/b")),
        (Operation("remove", "/b"), copy("/a", "/b/c")),
        (put("/tags/0", "t1"), put("/tags/0", "t2")),
    ],
)
def test_rows_that_lose_each_others_change_contradict(earlier: Operation, later: Operation) -> None:
    problems = merge("dps", [patch(2, earlier), patch(7, later)])

    assert isinstance(problems, list)
    assert [(problem.line, problem.column) for problem in problems] == [(7, "path")]
    assert "contradicts line 2" in problems[0].message


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        (put("/name", "A"), put("/name", "A")),
        (put("/name", "A"), Operation("add", "/name", "A")),
        (Operation("remove", "/name"), Operation("remove", "/name")),
        (Operation("add", "/tags/-", "t1"), Operation("add", "/tags/-", "t2")),
        (Operation("remove", "/tags/0"), Operation("remove", "/tags/0")),
        (put("/rank", {"priority": 4}), put("/rank/priority", 3)),
        (put("/name", "A"), Operation("test", "/name", "A")),
        (put("/name", "A"), put("/names", "B")),
        (put("/a~1b", 1), put("/a", 2)),
        (put("/a", 1), copy("/a", "/b")),
        (put("/b", 1), copy("/a", "/c")),
        (copy("/a", "/tags/-"), copy("/b", "/tags/-")),
        (put("/tags/0", "t1"), put("/tags/0", "t1")),
        (put("/tags/0", "t1"), put("/tags/1", "t2")),
        (put("/tags/0", "t1"), Operation("test", "/tags/0", "t1")),
    ],
)
def test_rows_that_can_both_hold_merge(earlier: Operation, later: Operation) -> None:
    step = merge("dps", [patch(2, earlier), patch(7, later)])

    assert isinstance(step, Step)
    assert edits_of(step.body) == (earlier, later)


@pytest.mark.parametrize(
    ("mover", "element"),
    [
        (Operation("add", "/tags/0", "new"), "/tags/0"),
        (Operation("add", "/tags/-", "new"), "/tags/0"),
        (Operation("remove", "/tags/1"), "/tags/0"),
        (copy("/a", "/tags/0"), "/tags/0"),
        (Operation("remove", "/reps/0"), "/reps/0/components/1"),
    ],
)
def test_an_index_may_be_replaced_again_after_the_elements_of_its_array_moved(mover: Operation, element: str) -> None:
    first, last = put(element, "A"), put(element, "B")

    assert isinstance(merge("dps", [patch(2, first), patch(3, mover), patch(4, last)]), Step)
    assert isinstance(merge("dps", [patch(2, first, mover), patch(4, last)]), Step)
    assert isinstance(merge("dps", [patch(2, first), patch(4, mover, last)]), Step)


def test_an_element_is_compared_with_what_an_earlier_row_left_there() -> None:
    mover = Operation("add", "/other/0", 1)
    rows = [patch(2, put("/tags/0", "A"), put("/tags/0", "B")), patch(3, mover), patch(4, put("/tags/0", "B"))]
    assert isinstance(merge("dps", rows), Step)

    problems = merge("dps", [*rows, patch(5, put("/tags/0", "A"))])
    assert isinstance(problems, list)
    assert [(problem.line, "line 2" in problem.message) for problem in problems] == [(5, True)]


@pytest.mark.parametrize("path", ["/name", "/tags/0"])
def test_one_row_may_write_a_place_twice(path: str) -> None:
    assert isinstance(merge("dps", [patch(2, put(path, "A"), put(path, "B"))]), Step)


def test_each_row_that_contradicts_is_named() -> None:
    problems = merge("dps", [patch(2, put("/a", 1)), patch(3, put("/a", 2)), patch(4, put("/a", 3))])

    assert isinstance(problems, list)
    assert [problem.line for problem in problems] == [3, 4]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ([patch(2, put("/a")), delete(3)], "deletes the object that line 2 patches"),
        ([delete(2), patch(3, put("/a"))], "patches the object that line 2 deletes"),
        ([delete(2), delete(3)], "deletes the object that line 2 deletes"),
        ([patch(2, put("/a")), replacement(3)], "replaces the object that line 2 patches"),
        ([replacement(2), patch(3, put("/a"))], "patches the object that line 2 replaces"),
        ([replacement(2), replacement(3)], "replaces the object that line 2 replaces"),
        ([delete(2), replacement(3)], "replaces the object that line 2 deletes"),
        ([create(2, {"name": "x"}, "k"), create(3, {"name": "y"}, "k")], "creates the same object as line 2"),
        ([create(2, {"name": "x"}), create(3, {"name": "x"})], "creates the same object as line 2"),
    ],
)
def test_whole_objects_are_changed_once(changes: list[Change], problem: str) -> None:
    problems = merge("dps", changes)

    assert isinstance(problems, list)
    assert [found.message for found in problems] == [problem]
    assert all(found.hint for found in problems)


def test_a_create_is_known_by_its_key_or_its_content() -> None:
    assert identity(create(2, {"name": "x"}, "spring")) == "key:spring"
    assert identity(create(2, {"name": "x"})) == identity(create(9, {"name": "x"}))
    assert identity(create(2, {"name": "x"})) != identity(create(2, {"name": "y"}))


@pytest.mark.parametrize(
    ("document", "name"),
    [({"name": "A"}, "A"), ({"xdm:name": "A"}, "A"), ({"name": 5, "xdm:name": "A"}, "A"), ({}, ""), (None, "")],
)
def test_an_object_has_the_name_that_its_style_gives_it(document: dict[str, object], name: str) -> None:
    assert name_in(document) == name


@pytest.mark.parametrize(
    ("pointer", "document", "marked"),
    [
        ("/mark", {"name": "A"}, {"name": "A", "mark": "run:7"}),
        ("/characteristics/mark", {"name": "A"}, {"name": "A", "characteristics": {"mark": "run:7"}}),
        ("/a/mark", {"a": {"b": 1}}, {"a": {"b": 1, "mark": "run:7"}}),
        ("/a/b/c", {"a": {}}, {"a": {"b": {"c": "run:7"}}}),
        ("/a~1b/m~0n", {"name": "A"}, {"name": "A", "a/b": {"m~n": "run:7"}}),
    ],
)
def test_a_create_is_marked_with_run_and_line(
    pointer: str, document: dict[str, object], marked: dict[str, object]
) -> None:
    change = create(7, document)
    before = body_of(change)

    found = Marker(pointer, "run").mark(change)

    assert isinstance(found, bytes)
    assert json.loads(found) == marked
    assert value_at(json.loads(found), pointer) == "run:7"
    assert body_of(change) == before, "what a create is known by stays as it is"


@pytest.mark.parametrize(
    ("pointer", "document", "fault"),
    [
        ("/mark", {"mark": "mine"}, "cannot be marked at /mark: there is something already"),
        ("/mark", {"mark": None}, "cannot be marked at /mark: there is something already"),
        ("/tags/mark", {"tags": []}, "cannot be marked at /tags/mark: tags is a list"),
        ("/tags/0/mark", {"tags": [{}]}, "cannot be marked at /tags/0/mark: tags is a list"),
        ("/name/mark", {"name": "A"}, "cannot be marked at /name/mark: name is text"),
    ],
)
def test_a_create_without_a_place_for_the_marker_is_refused(
    pointer: str, document: dict[str, object], fault: str
) -> None:
    found = Marker(pointer, "run").mark(create(7, document))

    assert isinstance(found, Fault)
    assert (found.member, found.message) == ("create", fault)


def test_only_creates_are_marked() -> None:
    assert Marker("/mark", "run").mark(delete(2)) is None
    assert Marker("/mark", "run").mark(patch(2, put("/a"))) is None
    assert Marker("/mark", "run").mark(replacement(2)) is None


KEY = ("dps", "dev", OFFER, "id:o1", Kind.PATCH, b"[]")


def test_the_key_of_a_step_says_what_it_does_to_what() -> None:
    assert step_key(*KEY) == step_key(*KEY)
    others = [
        ("xcore", "dev", OFFER, "id:o1", Kind.PATCH, b"[]"),
        ("dps", "prod", OFFER, "id:o1", Kind.PATCH, b"[]"),
        ("dps", "dev", EntityType.FALLBACK_OFFER, "id:o1", Kind.PATCH, b"[]"),
        ("dps", "dev", OFFER, "id:o2", Kind.PATCH, b"[]"),
        ("dps", "dev", OFFER, "id:o1", Kind.DELETE, b"[]"),
        ("dps", "dev", OFFER, "id:o1", Kind.PATCH, b"[1]"),
    ]
    assert len({step_key(*KEY), *(step_key(*other) for other in others)}) == 7


def test_the_key_does_not_depend_on_the_line() -> None:
    one, other = merge("dps", [patch(2, put("/a"))]), merge("dps", [patch(800, put("/a"))])

    assert isinstance(one, Step)
    assert isinstance(other, Step)
    assert one.key == other.key


def test_a_fingerprint_names_the_target_and_every_change_in_order() -> None:
    def fingerprint(target: tuple[str, ...], *keys: str) -> str:
        found = Fingerprint(*target)
        for key in keys:
            found.add(key)
        return found.hexdigest()

    same = fingerprint(("dps", "dev"), "a" * 32, "b" * 32)
    assert same == fingerprint(("dps", "dev"), "a" * 32, "b" * 32)
    assert same != fingerprint(("dps", "dev"), "b" * 32, "a" * 32)
    assert same != fingerprint(("dps", "prod"), "a" * 32, "b" * 32)
    assert fingerprint(("a", "bc")) != fingerprint(("ab", "c"))


def test_the_body_of_a_replacement_is_what_the_object_is_to_be() -> None:
    step = merge("dps", [replacement(2)])

    assert isinstance(step, Step)
    assert (step.kind, step.object, step.body) == (Kind.REPLACE, "o1", b'{"name":"N"}')


def test_a_delete_has_no_body() -> None:
    assert body_of(delete(2)) == b""


def test_a_thousand_rows_for_one_object_merge_in_linear_time() -> None:
    step = merge("dps", [patch(line, put(f"/characteristics/k{line}", line)) for line in range(2, 3002)])

    assert isinstance(step, Step)
    assert len(edits_of(step.body)) == 3000


def test_a_name_is_read_in_the_words_of_either_style() -> None:
    assert name_in({"name": "A"}) == name_in({"xdm:name": "A"}) == "A"
    assert name_in({"name": 5, "xdm:name": "A"}) == "A"
    assert name_in({}) == name_in(None) == ""
