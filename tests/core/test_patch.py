"""Which JSON Patch operations a style accepts, and what is said about the others."""

from __future__ import annotations

from typing import Any

import jsonpointer
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.core.model import Operation
from migrator.core.patch import (
    RFC_OPERATIONS,
    operation,
    operation_faults,
    pointer_syntax_fault,
)
from migrator.core.styles.base import PatchRules
from migrator.core.values import Fault

XCORE = PatchRules("xcore", frozenset({"add", "remove", "replace"}), "/_instance")
DPS = PatchRules("dps", frozenset({"add", "remove", "replace", "copy", "test"}), "")


def said(faults: list[Fault]) -> list[str]:
    """What a person would read: member, sentence and hint of each fault."""
    return [f"{fault.member}: {fault.message} | {fault.hint}" for fault in faults]


@pytest.mark.parametrize(
    ("raw", "rules"),
    [
        ({"op": "add", "path": "/name", "value": "x"}, DPS),
        ({"op": "add", "path": "/name", "value": None}, DPS),
        ({"op": "add", "path": "/tags/-", "value": "x"}, DPS),
        ({"op": "replace", "path": "/rank/priority", "value": 0}, DPS),
        ({"op": "test", "path": "/status", "value": ""}, DPS),
        ({"op": "remove", "path": "/tags/0"}, DPS),
        ({"op": "copy", "path": "/tags/-", "from": "/tags/0"}, DPS),
        ({"op": "remove", "path": "/a~0b~1c"}, DPS),
        ({"op": "remove", "path": "/name", "comment": "RFC 6902 lets other members be"}, DPS),
        ({"op": "remove", "path": "/_instances"}, DPS),
        ({"op": "add", "path": "/_instance/xdm:tags/-", "value": []}, XCORE),
    ],
)
def test_a_good_operation_has_no_fault(raw: dict[str, Any], rules: PatchRules) -> None:
    assert operation_faults(raw, rules) == []


@pytest.mark.parametrize(
    ("raw", "rules", "member", "message", "hint"),
    [
        ({"path": "/name"}, DPS, "op", "the operation is missing", "write one of add, copy, remove, replace, test"),
        ({"op": "", "path": "/name"}, DPS, "op", "missing", "write one of"),
        ({"op": 5, "path": "/name"}, DPS, "op", "must be text, not a number", ""),
        ({"op": None, "path": "/name"}, DPS, "op", "must be text, not null", ""),
        ({"op": ["add"], "path": "/name"}, DPS, "op", "must be text, not a list", ""),
        ({"op": "move", "from": "/a", "path": "/b"}, DPS, "op", "dps has no operation 'move'", "an add and a remove"),
        ({"op": "move", "path": "/_instance/b"}, XCORE, "op", "xcore has no operation 'move'", "add, remove, replace"),
        ({"op": "copy", "path": "/_instance/b"}, XCORE, "op", "xcore has no operation 'copy'", "it has add, remove"),
        ({"op": "test", "path": "/_instance/b"}, XCORE, "op", "xcore has no operation 'test'", "it has add, remove"),
        ({"op": "Replace", "path": "/name"}, DPS, "op", "'Replace' is not an operation", "did you mean 'replace'?"),
        ({"op": "repalce", "path": "/name"}, DPS, "op", "'repalce' is not", "did you mean 'replace'?"),
        ({"op": "upsert", "path": "/name"}, DPS, "op", "'upsert' is not", "write one of add"),
        ({"op": "remove"}, DPS, "path", "the pointer is missing", "name the member to change"),
        ({"op": "remove", "path": ""}, DPS, "path", "the pointer is missing", "name the member"),
        ({"op": "remove", "path": 7}, DPS, "path", "must be text, not a number", ""),
        ({"op": "remove", "path": "name"}, DPS, "path", "'name' is not a JSON Pointer", "/name"),
        ({"op": "remove", "path": "/a~b"}, DPS, "path", "has a ~ at character 3", "~0 for ~ and ~1 for /"),
        ({"op": "remove", "path": "/a~"}, DPS, "path", "has a ~ at character 3", "~0"),
        ({"op": "remove", "path": "/a//b"}, DPS, "path", "'/a//b' has an empty part", "surplus slash"),
        ({"op": "remove", "path": "/a/"}, DPS, "path", "'/a/' has an empty part", "surplus slash"),
        ({"op": "remove", "path": "/tags/-"}, DPS, "path", "behind the last element", "only add can append"),
        ({"op": "replace", "path": "/tags/-", "value": 1}, DPS, "path", "behind the last element", "only add"),
        ({"op": "add", "path": "/tags/-/x", "value": 1}, DPS, "path", "has a - before its end", "index"),
        (
            {"op": "remove", "path": "/_instance/xdm:name"},
            DPS,
            "path",
            "is an xcore pointer; the style is dps",
            "xcore",
        ),
        ({"op": "remove", "path": "/_instance"}, DPS, "path", "is an xcore pointer; the style is dps", ""),
        ({"op": "remove", "path": "/_instance"}, XCORE, "path", "is the whole object", "/_instance/…"),
        ({"op": "remove", "path": "/name"}, XCORE, "path", "is not under /_instance", "begin it with /_instance/"),
        ({"op": "remove", "path": "/_instances/a"}, XCORE, "path", "is not under /_instance", ""),
        ({"op": "remove", "path": "/_links/a"}, XCORE, "path", "is not under /_instance", ""),
        ({"op": "add", "path": "/name"}, DPS, "value", "add needs a value", 'write "" for an empty string'),
        ({"op": "replace", "path": "/name"}, DPS, "value", "replace needs a value", "null for null"),
        ({"op": "test", "path": "/name"}, DPS, "value", "test needs a value", ""),
        ({"op": "remove", "path": "/name", "value": None}, DPS, "value", "remove takes no value", "leave"),
        ({"op": "copy", "path": "/a", "from": "/b", "value": 1}, DPS, "value", "copy takes no value", "leave"),
        ({"op": "copy", "path": "/a"}, DPS, "from", "copy needs a 'from'", "the member to copy"),
        ({"op": "copy", "path": "/a", "from": "b"}, DPS, "from", "'b' is not a JSON Pointer", "/b"),
        ({"op": "copy", "path": "/a", "from": ""}, DPS, "from", "the pointer is missing", ""),
        ({"op": "copy", "path": "/a", "from": "/b/-"}, DPS, "from", "behind the last element", ""),
        ({"op": "add", "path": "/a", "value": 1, "from": "/b"}, DPS, "from", "add takes no 'from'", "only copy"),
    ],
)
def test_a_bad_operation_is_refused_with_its_member_and_what_to_type(
    raw: dict[str, Any], rules: PatchRules, member: str, message: str, hint: str
) -> None:
    [fault] = operation_faults(raw, rules)
    assert fault.member == member
    assert message in fault.message
    assert hint in fault.hint


def test_all_faults_of_an_operation_are_told_at_once() -> None:
    found = said(operation_faults({"op": "add", "path": "name", "from": "/x"}, DPS))
    assert [line.split(":")[0] for line in found] == ["path", "value", "from"]


def test_a_bad_pointer_is_told_even_when_the_operation_is_unknown() -> None:
    assert [fault.member for fault in operation_faults({"op": "move", "path": "name"}, DPS)] == ["op", "path"]


@pytest.mark.parametrize("rules", [XCORE, DPS], ids=["xcore", "dps"])
@pytest.mark.parametrize("op", sorted(RFC_OPERATIONS))
def test_exactly_the_operations_of_the_style_are_accepted(op: str, rules: PatchRules) -> None:
    raw: dict[str, Any] = {"op": op, "path": f"{rules.root}/x"}
    raw |= {"value": 1} if op in {"add", "replace", "test"} else {}
    raw |= {"from": f"{rules.root}/y"} if op == "copy" else {}
    assert (operation_faults(raw, rules) == []) == (op in rules.operations)


def test_an_operation_keeps_value_and_source() -> None:
    assert operation({"op": "add", "path": "/a", "value": [1]}) == Operation("add", "/a", [1])
    assert operation({"op": "copy", "path": "/a", "from": "/b"}) == Operation("copy", "/a", None, "/b")


@given(st.text(alphabet="/~01ab-:é", max_size=12))
def test_a_pointer_without_fault_is_one_to_an_independent_reader(pointer: str) -> None:
    if pointer_syntax_fault("path", pointer) is None:
        assert all(jsonpointer.JsonPointer(pointer).parts)


@given(st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=4))
def test_every_path_of_named_members_can_be_written_as_a_pointer(parts: list[str]) -> None:
    pointer = jsonpointer.JsonPointer.from_parts(parts).path
    assert pointer_syntax_fault("path", pointer) is None
