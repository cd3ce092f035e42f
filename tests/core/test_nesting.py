"""How deep a value may nest: far deeper than any object, and far less than a stack holds."""

from __future__ import annotations

import pytest

from migrator.core.values import MAX_NESTING, Fault, exact_json


@pytest.mark.parametrize("innermost", ["1", "", '"' + "[" * 500 + '"'])
@pytest.mark.parametrize("brackets", ["[]", "{}"])
@pytest.mark.parametrize(("depth", "taken"), [(1, True), (MAX_NESTING, True), (MAX_NESTING + 1, False), (900, False)])
def test_a_value_may_nest_so_deep_and_no_deeper(innermost: str, brackets: str, depth: int, *, taken: bool) -> None:
    opening, closing = brackets[0], brackets[1]
    name = '"a":' if opening == "{" else ""
    inner = f"{name}{innermost}" if innermost else ""
    text = (opening + name) * (depth - 1) + opening + inner + closing * depth

    value = exact_json(text)

    assert isinstance(value, Fault) != taken
    if isinstance(value, Fault):
        assert value.message == "it is nested too deep"


def test_many_brackets_side_by_side_are_not_deep() -> None:
    assert exact_json("[" + ",".join(["[]"] * 1000) + "]") == [[]] * 1000
