"""What a JSON Patch does, and how it is refused."""

from __future__ import annotations

import copy
import json
from collections import Counter
from typing import Any

import pytest

from migrator.emulator import Choices, Store, bodies, documents, patching
from migrator.emulator.errors import ProblemError

ALL = frozenset({"add", "replace", "remove", "copy", "move", "test"})


def document() -> dict[str, Any]:
    return {"name": "A", "tags": ["x"], "rank": {"priority": 1}, "a/b": 1, "xdm:c~d": 2}


def apply(given: Any, operations: list[Any], *, upsert: bool = False) -> Any:
    result, failure = patching.apply(given, operations, upsert=upsert)
    if failure is not None:
        raise failure
    return result


def applied(*operations: Any) -> Any:
    return apply(document(), patching.check(list(operations), ALL))


def refusal(*operations: Any, allowed: frozenset[str] = ALL) -> int:
    with pytest.raises(ProblemError) as refused:
        apply(document(), patching.check(list(operations), allowed))
    return refused.value.status


@pytest.mark.parametrize(
    ("operation", "change"),
    [
        ({"op": "add", "path": "/new", "value": 1}, {"new": 1}),
        ({"op": "add", "path": "/name", "value": "B"}, {"name": "B"}),
        ({"op": "add", "path": "/tags/-", "value": "y"}, {"tags": ["x", "y"]}),
        ({"op": "add", "path": "/tags/0", "value": "y"}, {"tags": ["y", "x"]}),
        ({"op": "replace", "path": "/rank/priority", "value": None}, {"rank": {"priority": None}}),
        ({"op": "replace", "path": "/a~1b", "value": 9}, {"a/b": 9}),
        ({"op": "replace", "path": "/xdm:c~0d", "value": 9}, {"xdm:c~d": 9}),
        ({"op": "remove", "path": "/tags/0"}, {"tags": []}),
        ({"op": "copy", "from": "/name", "path": "/label"}, {"label": "A"}),
        ({"op": "test", "path": "/rank", "value": {"priority": 1}}, {}),
    ],
)
def test_an_operation_does_what_rfc_6902_says(operation: Any, change: dict[str, Any]) -> None:
    assert applied(operation) == document() | change


def test_operations_follow_each_other() -> None:
    path = "/rank/priority"
    result = applied({"op": "replace", "path": path, "value": 2}, {"op": "test", "path": path, "value": 2})
    assert result["rank"] == {"priority": 2}


@pytest.mark.parametrize(
    "operation",
    [
        "add",
        {},
        {"op": 1, "path": "/name"},
        {"op": "append", "path": "/name", "value": "x"},
        {"op": "add", "path": "/name"},
        {"op": "replace", "path": "/name"},
        {"op": "test", "path": "/name"},
        {"op": "remove"},
        {"op": "copy", "path": "/name"},
        {"op": "remove", "path": None},
        {"op": "remove", "path": ["name"]},
        {"op": "remove", "path": "name"},
        {"op": "remove", "path": "/na~me"},
        {"op": "copy", "path": "/name", "from": "name"},
    ],
)
def test_an_ill_formed_operation_is_a_bad_request(operation: Any) -> None:
    assert refusal(operation) == 400


@pytest.mark.parametrize("patch", [{}, None, "add", 1, {"op": "remove", "path": "/name"}])
def test_a_patch_that_is_no_array_is_a_bad_request(patch: Any) -> None:
    with pytest.raises(ProblemError) as refused:
        patching.check(patch, ALL)
    assert refused.value.status == 400


def test_an_operation_that_the_style_does_not_list_is_a_bad_request() -> None:
    move = {"op": "move", "from": "/name", "path": "/label"}
    assert refusal(move, allowed=ALL - {"move"}) == 400


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "replace", "path": "/absent", "value": 1},
        {"op": "remove", "path": "/absent"},
        {"op": "add", "path": "/absent/deeper", "value": 1},
        {"op": "add", "path": "/absent/-", "value": 1},
        {"op": "add", "path": "/tags/9", "value": 1},
        {"op": "add", "path": "/tags/x", "value": 1},
        {"op": "add", "path": "/tags/-1", "value": 1},
        {"op": "replace", "path": "/tags/-", "value": 1},
        {"op": "replace", "path": "/tags/01", "value": 1},
        {"op": "remove", "path": "/tags/-"},
        {"op": "remove", "path": "/tags/1"},
        {"op": "replace", "path": "/name/0", "value": "x"},
        {"op": "add", "path": "/name/x", "value": "x"},
        {"op": "add", "path": "/rank/priority/x", "value": "x"},
        {"op": "copy", "from": "/absent", "path": "/label"},
        {"op": "copy", "from": "/tags/-", "path": "/label"},
        {"op": "remove", "path": ""},
    ],
)
def test_a_pointer_that_leads_nowhere_is_unprocessable(operation: Any) -> None:
    assert refusal(operation) == 422


@pytest.mark.parametrize(
    ("path", "value"),
    [("/name", "B"), ("/absent", None), ("/rank/priority", "1"), ("/rank/priority", True), ("/tags/-", "x")],
)
def test_a_failed_test_is_a_conflict(path: str, value: Any) -> None:
    assert refusal({"op": "test", "path": path, "value": value}) == 409


# --- the hard cases ---------------------------------------------------------------------------------------------------

ARRAY = ["a", "b"]


@pytest.mark.parametrize(
    ("before", "operation", "after"),
    [
        # pointers
        ({"~1": 10, "/": 9}, {"op": "replace", "path": "/~01", "value": 0}, {"~1": 0, "/": 9}),
        ({"~1": 10, "/": 9}, {"op": "replace", "path": "/~1", "value": 0}, {"~1": 10, "/": 0}),
        ({"": {"": 1}}, {"op": "replace", "path": "//", "value": 2}, {"": {"": 2}}),
        ({"0": "x"}, {"op": "remove", "path": "/0"}, {}),
        ({"-": "x"}, {"op": "replace", "path": "/-", "value": "y"}, {"-": "y"}),
        ({"01": "x"}, {"op": "replace", "path": "/01", "value": "y"}, {"01": "y"}),
        # arrays
        (ARRAY, {"op": "add", "path": "/-", "value": "c"}, ["a", "b", "c"]),
        (ARRAY, {"op": "add", "path": "/2", "value": "c"}, ["a", "b", "c"]),
        (ARRAY, {"op": "add", "path": "/0", "value": "c"}, ["c", "a", "b"]),
        (ARRAY, {"op": "add", "path": "/1", "value": ["c"]}, ["a", ["c"], "b"]),
        (ARRAY, {"op": "remove", "path": "/0"}, ["b"]),
        (ARRAY, {"op": "replace", "path": "/1", "value": None}, ["a", None]),
        (ARRAY, {"op": "copy", "from": "/0", "path": "/-"}, ["a", "b", "a"]),
        (ARRAY, {"op": "move", "from": "/0", "path": "/1"}, ["b", "a"]),
        (ARRAY, {"op": "move", "from": "/0", "path": "/-"}, ["b", "a"]),
        # the whole document
        ({"a": 1}, {"op": "replace", "path": "", "value": [1]}, [1]),
        ({"a": 1}, {"op": "add", "path": "", "value": None}, None),
        ({"a": {"b": 1}}, {"op": "copy", "from": "/a", "path": ""}, {"b": 1}),
        ({"a": 1}, {"op": "test", "path": "", "value": {"a": 1}}, {"a": 1}),
        ({"a": 1}, {"op": "move", "from": "", "path": ""}, {"a": 1}),
        # a value and its own inside
        ({"a": {"b": 1}}, {"op": "copy", "from": "/a", "path": "/a/c"}, {"a": {"b": 1, "c": {"b": 1}}}),
        ({"a": {"b": 1}}, {"op": "copy", "from": "", "path": "/c"}, {"a": {"b": 1}, "c": {"a": {"b": 1}}}),
        ({"a": {"b": 1}}, {"op": "move", "from": "/a/b", "path": "/a"}, {"a": 1}),
        ({"a": 1}, {"op": "move", "from": "/a", "path": "/a"}, {"a": 1}),
        ({"a": 1, "ab": 2}, {"op": "move", "from": "/a", "path": "/ab"}, {"ab": 1}),
        # null is a value
        ({"a": None}, {"op": "test", "path": "/a", "value": None}, {"a": None}),
        ({"a": None}, {"op": "replace", "path": "/a", "value": 1}, {"a": 1}),
        ({"a": None}, {"op": "remove", "path": "/a"}, {}),
        ({}, {"op": "add", "path": "/a", "value": None}, {"a": None}),
        # what an operation has beyond its own members means nothing
        ({"a": 1}, {"op": "add", "path": "/b", "value": 2, "xyz": 3, "from": 4}, {"a": 1, "b": 2}),
        ({"a": 1}, {"op": "remove", "path": "/a", "value": 1}, {}),
    ],
)
def test_the_hard_cases_that_succeed(before: Any, operation: Any, after: Any) -> None:
    assert apply(copy.deepcopy(before), patching.check([operation], ALL)) == after


@pytest.mark.parametrize(
    ("before", "operation"),
    [
        (ARRAY, {"op": "add", "path": "/3", "value": "d"}),
        (ARRAY, {"op": "add", "path": "/01", "value": "d"}),
        (ARRAY, {"op": "add", "path": "/1e0", "value": "d"}),
        (ARRAY, {"op": "add", "path": "/٣", "value": "d"}),
        (ARRAY, {"op": "add", "path": f"/{'9' * 5000}", "value": "d"}),
        (ARRAY, {"op": "replace", "path": "/00", "value": "d"}),
        (ARRAY, {"op": "replace", "path": "/2", "value": "d"}),
        (ARRAY, {"op": "remove", "path": "/-1"}),
        (ARRAY, {"op": "move", "from": "/-", "path": "/0"}),
        ({"a": {"b": 1}}, {"op": "move", "from": "/a", "path": "/a/c"}),
        ({"a": 1}, {"op": "move", "from": "", "path": "/b"}),
        ({"a": 1}, {"op": "move", "from": "/b", "path": "/b"}),
        ({"a": 1}, {"op": "remove", "path": ""}),
        ({"a": "text"}, {"op": "add", "path": "/a/0", "value": "d"}),
        ({"a": None}, {"op": "add", "path": "/a/b", "value": "d"}),
        ({"~1": 1}, {"op": "remove", "path": "/~1"}),
    ],
)
def test_the_hard_cases_that_lead_nowhere(before: Any, operation: Any) -> None:
    document = copy.deepcopy(before)
    result, failure = patching.apply(document, patching.check([operation], ALL))
    assert failure is not None
    assert (failure.status, failure.kind) == (422, "patch-unresolvable")
    assert result == before, "an operation that fails changes nothing"


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        (1, 1.0, True),
        (10, 1e1, True),
        (0, -0.0, True),
        (1, 2, False),
        (1, True, False),
        (0, False, False),
        (1.0, True, False),
        (True, True, True),
        (True, False, False),
        ("1", 1, False),
        ("", None, False),
        (0, None, False),
        (False, None, False),
        (None, None, True),
        ([], {}, False),
        ([1], [1.0], True),
        ([1], [True], False),
        ([1, 2], [2, 1], False),
        ([1], [1, 1], False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({"a": 1}, {"a": 1, "b": None}, False),
        ({"a": {"b": [0]}}, {"a": {"b": [False]}}, False),
        ({"a": {"b": [0]}}, {"a": {"b": [0.0]}}, True),
        ("é", "e\u0301", False),
    ],
)
def test_a_test_compares_json_and_not_python(one: Any, other: Any, alike: bool) -> None:
    for found, wanted in ((one, other), (other, one)):
        operation = {"op": "test", "path": "/v", "value": wanted}
        _, failure = patching.apply({"v": found}, [operation])
        assert (failure is None) is alike


def test_what_is_copied_has_a_life_of_its_own() -> None:
    patch: list[dict[str, Any]] = [
        {"op": "copy", "from": "/a", "path": "/b"},
        {"op": "add", "path": "/a/-", "value": 2},
        {"op": "replace", "path": "/b/0", "value": 3},
    ]
    assert apply({"a": [1]}, patch) == {"a": [1, 2], "b": [3]}


def test_a_value_that_is_nested_too_deeply_is_refused() -> None:
    deep: Any = []
    for _ in range(5000):
        deep = [deep]
    for operation in (
        {"op": "copy", "from": "/a", "path": "/b"},
        {"op": "test", "path": "/a", "value": [[[deep]]]},
    ):
        result, failure = patching.apply({"a": deep}, [operation])
        assert failure is not None
        assert (failure.status, failure.kind) == (422, "too-deep")
        assert list(result) == ["a"]


def test_a_move_that_fails_half_way_is_undone() -> None:
    for document, source in (({"a": 1, "b": []}, "/a"), ({"a": [1, 2], "b": []}, "/a/0")):
        before = copy.deepcopy(document)
        result, failure = patching.apply(document, [{"op": "move", "from": source, "path": "/b/9"}])
        assert failure is not None
        assert result == before


def test_upsert_adds_an_absent_member_and_no_element() -> None:
    replace = {"op": "replace", "path": "/new", "value": 1}
    assert apply({}, [replace], upsert=True) == {"new": 1}
    for path in ("/a/b", "/list/0", "/list/-"):
        _, failure = patching.apply({"list": []}, [replace | {"path": path}], upsert=True)
        assert failure is not None


@pytest.mark.parametrize(
    ("body", "number"),
    [
        ('[{"op": "add", "path": "/a", "value": 1, "op": "remove"}]', 0),
        ('[{"op": "remove", "path": "/a"}, {"op": "remove", "path": "/b", "path": "/c"}]', 1),
        ('[{"op": "add", "path": "/a", "value": 1, "value": 1}]', 0),
        ('[{"op": "copy", "from": "/a", "path": "/b", "from": "/a"}]', 0),
    ],
)
def test_an_operation_with_a_member_twice_is_a_bad_request(body: str, number: int) -> None:
    with pytest.raises(ProblemError) as refused:
        bodies.decode_patch(body.encode())
    assert (refused.value.status, refused.value.pointer) == (400, f"/{number}")


@pytest.mark.parametrize(
    "body",
    [
        '[{"op": "add", "path": "/a", "value": {"op": 1, "path": 2, "value": 3, "from": 4}}]',
        '[{"op": "add", "path": "/a", "value": [{"value": 1}, {"value": 2}]}]',
        '[{"op": "add", "path": "/a", "value": "\\"op\\": \\"op\\""}]',
        '{"op": "x"}',
        "[]",
    ],
)
def test_a_member_that_occurs_again_inside_a_value_is_no_double(body: str) -> None:
    assert bodies.decode_patch(body.encode()) == json.loads(body)


def reach(spelling: documents.Spelling, *pointers: str) -> documents.Reach:
    rules = documents.Rules(spelling, Store(), Choices(), Counter(), guarded=False)
    return rules.reach([{"op": "remove", "path": pointer} for pointer in pointers])


@pytest.mark.parametrize(
    ("spelling", "pointer", "kind"),
    [
        (documents.XCORE, "/xdm:name", "pointer-outside"),
        (documents.XCORE, "/repo:etag", "pointer-outside"),
        (documents.XCORE, "/_instanceX", "pointer-outside"),
        (documents.XCORE, "", "pointer-outside"),
        (documents.XCORE, "/_instance/@id", "service-owned"),
        (documents.DPS, "/id", "service-owned"),
        (documents.DPS, "/etag", "service-owned"),
        (documents.DPS, "/schemas/0", "service-owned"),
    ],
)
def test_pointers_outside_the_document_are_unprocessable(spelling: documents.Spelling, pointer: str, kind: str) -> None:
    with pytest.raises(ProblemError) as refused:
        reach(spelling, f"{spelling.root}/a", pointer)
    assert (refused.value.status, refused.value.kind, refused.value.pointer) == (422, kind, pointer)


@pytest.mark.parametrize(
    ("spelling", "pointers", "touched"),
    [
        (documents.XCORE, ["/_instance/xdm:name", "/_instance/xdm:tags/0"], {"xdm:name", "xdm:tags"}),
        (documents.XCORE, ["/_instance/xdm:name", "/_instance"], None),
        (documents.DPS, ["/a~1b/c", "/ids", "/ids/0"], {"a/b", "ids"}),
        (documents.DPS, ["/ids", ""], None),
        (documents.DPS, ["//x"], {""}),
    ],
)
def test_a_patch_knows_which_members_it_touches(
    spelling: documents.Spelling, pointers: list[str], touched: set[str] | None
) -> None:
    assert reach(spelling, *pointers).touched == touched
