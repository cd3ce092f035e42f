"""Generated patches for a generated object: every operation, at places of it, of another like it, and of neither."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from migrator.core.model import Operation
from migrator.core.patch import CannotApply, apply
from migrator.core.pointers import pointer_to

Json = Any


def places(value: Json, at: str = "") -> Iterator[tuple[str, Json]]:
    """Yield every place in a value but the whole."""
    pairs: list[tuple[str, Json]] = []
    if isinstance(value, dict):
        pairs = [(pointer_to(at, name), inner) for name, inner in value.items()]
    elif isinstance(value, list):
        pairs = [(f"{at}/{index}", inner) for index, inner in enumerate(value)]
    for place, inner in pairs:
        yield place, inner
        yield from places(inner, place)


def above(pointer: str) -> str:
    return pointer.rpartition("/")[0]


@st.composite
def operations(draw: Any, document: Json, other: Json, root: str, kinds: tuple[str, ...]) -> Operation:
    """Draw one operation that is right for `document`, with values of `other`, which is of the same type.

    Args:
        draw: of hypothesis.
        document: the object, its own members.
        other: another one.
        root: what stands before pointers.
        kinds: the operations there are.
    """
    here, there = dict(places(document)), dict(places(other))
    held = {"", *here}
    known = [pointer for pointer in there if above(pointer) in held]
    lists = [pointer for pointer, value in here.items() if isinstance(value, list) and value]
    choices = ["strange"]
    choices += ["remove"] * 2 if here else []
    choices += ["replace", "add"] * 2 if known else []
    choices += ["append", "insert"] if lists else []
    choices += ["test"] if "test" in kinds and here else []
    choices += ["copy"] if "copy" in kinds and lists else []
    choice = draw(st.sampled_from(choices))
    if choice == "remove":
        return Operation("remove", root + draw(st.sampled_from(sorted(here))))
    if choice == "replace":
        pointer = draw(st.sampled_from(known))
        return Operation("replace" if pointer in here else "add", root + pointer, there[pointer])
    if choice == "add":
        pointer = draw(st.sampled_from([pointer for pointer in known if pointer not in here] or known))
        into_list = pointer.rpartition("/")[2].isdecimal() and isinstance(here.get(above(pointer)), list)
        fits = not into_list or int(pointer.rpartition("/")[2]) <= len(here[above(pointer)])
        return Operation("add", root + (pointer if fits else f"{above(pointer)}/-"), there[pointer])
    if choice in ("append", "insert", "copy"):
        pointer = draw(st.sampled_from(lists))
        if choice == "copy":
            return Operation("copy", f"{root}{pointer}/-", None, f"{root}{pointer}/0")
        theirs = there.get(pointer)
        element = draw(st.sampled_from([*here[pointer], *(theirs if isinstance(theirs, list) else ())]))
        return Operation("add", f"{root}{pointer}/{'-' if choice == 'append' else 0}", element)
    if choice == "test":
        pointer = draw(st.sampled_from(sorted(here)))
        return Operation("test", root + pointer, here[pointer])
    return Operation("add", f"{root}/{draw(st.sampled_from(['xdm:puzzle', 'puzzle~0']))}", 1)


def own(document: Json, root: str) -> Json:
    return document["_instance"] if root else document


@st.composite
def patches(draw: Any, document: Json, other: Json, root: str, kinds: tuple[str, ...]) -> tuple[list[Operation], Json]:
    """Draw up to four operations, each right for what those before it leave; return what they make, too."""
    made: list[Operation] = []
    for _ in range(draw(st.integers(1, 4))):
        operation = draw(operations(own(document, root), own(other, root), root, kinds))
        try:
            document = apply([operation], document)
        except CannotApply:  # a null where an object was
            continue
        made.append(operation)
    return made, document
