"""Differences: what a change does to an object, said place by place.

A touched place may be a whole list or a whole object, of which a person wants to see only what is different. So both
sides are walked together: members by their names, elements of lists where the lists differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from typing import TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from migrator.core.compare import same_place
from migrator.core.model import Json, Touched
from migrator.core.pointers import pointer_to

T = TypeVar("T")

_encode = msgspec.json.Encoder(order="sorted").encode

MOST_PAIRS = 40_000
"""Pairs of elements up to which it is found out which of two lists are alike: the time it takes grows faster."""


def differences(touched: Iterable[Touched]) -> Iterator[Touched]:
    """Yield the innermost places that differ where a change touches an object, in order.

    The pointer of an element that is only there before says its place before; any other one the place after.
    """
    for place in touched:
        yield from _between(place.path, place.before, place.after)


def _between(path: str, before: Json | UnsetType, after: Json | UnsetType) -> Iterator[Touched]:
    if same_place(before, after):
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for name in dict.fromkeys([*before, *after]):
            yield from _between(pointer_to(path, name), before.get(name, UNSET), after.get(name, UNSET))
    elif isinstance(before, list) and isinstance(after, list):
        yield from _between_lists(path, before, after)
    else:
        yield Touched(path, before, after)


def _between_lists(path: str, before: Sequence[Json], after: Sequence[Json]) -> Iterator[Touched]:
    for begin, end, other_begin, other_end in _unequal_parts(list(map(_encode, before)), list(map(_encode, after))):
        both = min(end - begin, other_end - other_begin)
        for index in range(both):
            yield from _between(f"{path}/{other_begin + index}", before[begin + index], after[other_begin + index])
        for index in range(begin + both, end):
            yield Touched(f"{path}/{index}", before=before[index])
        for index in range(other_begin + both, other_end):
            yield Touched(f"{path}/{index}", after=after[index])


def _unequal_parts(some: list[bytes], others: list[bytes]) -> Iterator[tuple[int, int, int, int]]:
    """Yield the parts in which two lists differ: beginning and end in either of them."""
    start, tail = common_ends(some, others)
    end, other_end = len(some) - tail, len(others) - tail
    if (end - start) * (other_end - start) > MOST_PAIRS:
        yield start, end, start, other_end
        return
    matcher = SequenceMatcher(None, some[start:end], others[start:other_end], autojunk=False)
    for tag, *places in matcher.get_opcodes():
        if tag != "equal":
            yield tuple(start + place for place in places)  # type: ignore[misc]  # of four


def common_ends(one: Sequence[T], other: Sequence[T]) -> tuple[int, int]:
    """Return how many elements two lists, or characters two texts, have in common at the beginning and at the end."""
    start = _alike(one, other)
    return start, _alike(one[start:][::-1], other[start:][::-1])


def _alike(some: Sequence[T], others: Sequence[T]) -> int:
    pairs = enumerate(zip(some, others, strict=False))
    return next((index for index, (one, other) in pairs if one != other), min(len(some), len(others)))
