"""Random documents, and random patches that fit them."""

from __future__ import annotations

from hypothesis import assume
from hypothesis import strategies as st
from msgspec import UNSET

from migrator.core.edit import edits_body, edits_of
from migrator.core.model import Json, Operation
from migrator.core.patch import CannotApply, apply
from migrator.core.pointers import value_at

# Without numbers that Python takes for truth values: the `test` of the library cannot tell those apart.
SCALARS = st.sampled_from([None, "x", "y", 2, 3, 2.5])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "0"]), inner, max_size=3),
    max_leaves=6,
)
DOCUMENTS = st.dictionaries(st.sampled_from(["a", "b", "c", "d/e"]), VALUES, max_size=4)
POINTERS = st.lists(st.sampled_from(["a", "b", "c", "d~1e", "0", "1", "-"]), min_size=1, max_size=3).map(
    lambda parts: "/" + "/".join(parts)
)
OPERATIONS = st.builds(
    Operation, st.sampled_from(["add", "add", "replace", "remove", "copy", "test"]), POINTERS, VALUES, POINTERS
)


def fitting(draw: st.DrawFn, document: Json) -> tuple[list[Operation], Json]:
    """Draw a patch for `document`, and what becomes of it: what does not fit is left out, tests test what is there."""
    now = document
    operations: list[Operation] = []
    for drawn in draw(st.lists(OPERATIONS, min_size=1, max_size=6)):
        one = drawn
        if one.op == "test" and (value := value_at(now, one.path)) is not UNSET:
            one = Operation("test", one.path, value)
        try:
            now = apply([one], now)
        except CannotApply:
            continue
        operations.extend(edit for edit in edits_of(edits_body([one])) if isinstance(edit, Operation))
    assume(operations)
    return operations, now


@st.composite
def patches(draw: st.DrawFn) -> tuple[list[Operation], Json, Json]:
    """Draw a patch, a document that it fits, and what becomes of that."""
    document = draw(DOCUMENTS)
    operations, result = fitting(draw, document)
    return operations, document, result


@st.composite
def patches_and_edits(draw: st.DrawFn) -> tuple[list[Operation], Json, list[Operation]]:
    """Draw a patch, a document that it fits, and what somebody else does to the result."""
    operations, document, result = draw(patches())
    others, _ = fitting(draw, result)
    return operations, document, others
