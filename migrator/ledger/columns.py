"""What is in columns, and in parameters, that hold more than one value."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from migrator.core.model import Touched

_decode = msgspec.json.Decoder(tuple[Touched, ...]).decode


def touched(column: str | None) -> tuple[Touched, ...] | None:
    """Read the places that a change touches; `None` if its effect is not known."""
    return None if column is None else _decode(column)


def listed(values: Iterable[str | int]) -> str:
    """Spell values as what `json_each` takes."""
    return msgspec.json.encode(list(values)).decode()
