"""What is in columns, and in parameters, that hold more than one value."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias, TypeVar

import msgspec

from migrator.core.model import Base, Doubt, EntityType, Kind, Step, Touched
from migrator.core.states import State

R = TypeVar("R")

Columns: TypeAlias = tuple[object, ...]
"""A row to be written."""

TYPES = {str(type_): type_ for type_ in EntityType}
KINDS = {str(kind): kind for kind in Kind}
"""Looked up, because calling an enumeration costs as much as all else that makes a step."""

UNSETTLED = (State.PENDING, State.UNRESOLVED)
"""How an attempt ends that is history then, or may become so."""

_decode = msgspec.json.Decoder(tuple[Touched, ...]).decode


def touched(column: str | None) -> tuple[Touched, ...] | None:
    """Read the places that a change touches; `None` if its effect is not known."""
    return None if column is None else _decode(column)


def listed(values: Iterable[str | int]) -> str:
    """Spell values as what `json_each` takes."""
    return msgspec.json.encode(list(values)).decode()


def one_a_step(rows: Sequence[R], step: Callable[[R], object]) -> Iterator[Sequence[R]]:
    """Split outcomes, in order, so that no step comes twice in a part: one statement takes one row of each.

    A step that is lost and then found, or missed, within a moment has two outcomes in a batch.

    Args:
        rows: outcomes.
        step: tells which step one is of.
    """
    while len({step(row) for row in rows}) < len(rows):
        first: dict[object, R] = {}
        later = [row for row in rows if first.setdefault(step(row), row) is not row]
        yield list(first.values())
        rows = later
    if rows:
        yield rows


def as_step(
    seq: int,
    key: str,
    container: str,
    type_: str,
    object_: str,
    kind: str,
    body: bytes,
    attempts: int,
    misses: int,
    based: int,
    etag: int | None,
    guarded: int,
) -> Step:
    """Make a step of its columns, in their order in `statements.STEP`."""
    return Step(
        seq,
        key,
        container,
        TYPES[type_],
        object_,
        KINDS[kind],
        body,
        attempts,
        misses,
        bool(based),
        etag,
        bool(guarded),
    )


def as_doubt(*row: Any) -> Doubt:
    """Make a doubt of its columns, in their order in `statements.DOUBTS`."""
    step = as_step(*row[:12])
    places, body, name, state, *rest = row[12:]
    base = None
    if step.based:
        base = Base(step.etag, touched(places), body, step.guarded, name)
    return Doubt(step, base, State(state), *rest)


def encodable(member: object) -> object:
    """Spell out what is no text: a header may hold octets that are no UTF-8, and a message may quote it."""
    return member.encode(errors="backslashreplace").decode() if isinstance(member, str) else member
