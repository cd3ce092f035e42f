"""What a JSON Patch does, and how it is refused."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from migrator.emulator import Choices, Store, documents, patching
from migrator.emulator.errors import ProblemError

ALL = frozenset({"add", "replace", "remove", "copy", "move", "test"})


def document() -> dict[str, Any]:
    return {"name": "A", "tags": ["x"], "rank": {"priority": 1}, "a/b": 1, "xdm:c~d": 2}


def applied(*operations: Any) -> Any:
    return patching.apply(document(), patching.check(list(operations), ALL))


def refusal(*operations: Any, allowed: frozenset[str] = ALL) -> int:
    with pytest.raises(ProblemError) as refused:
        patching.apply(document(), patching.check(list(operations), allowed))
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
