"""JSON Pointers (RFC 6901): how a place in a document is spelled, and what stands there.

What belongs here: the spelling, and where one place lies in regard to another. What must never: whether a pointer may
be written in a row, which is `patch`; what is done at a place.
"""

from __future__ import annotations

from typing import cast

from msgspec import UNSET, UnsetType

from migrator.core.model import Json

APPEND = "-"
"""The last part of a pointer that means "behind the last element" (RFC 6902, section 4.1)."""


def pointer_to(root: str, name: str) -> str:
    """Return the pointer to the member `name` of what `root` points at (RFC 6901, section 3)."""
    return f"{root}/{name.replace('~', '~0').replace('/', '~1')}"


def parts_of(pointer: str) -> list[str]:
    """Return the names that a pointer leads through (RFC 6901, section 4)."""
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def is_index(part: str) -> bool:
    """Whether a part of a pointer names an element, where it leads through an array (RFC 6901, section 4)."""
    return part.isascii() and part.isdecimal()


def is_inside(path: str, place: str) -> bool:
    """Whether `path` leads further into what `place` points at."""
    return path.startswith(f"{place}/")


def value_at(document: Json, pointer: str) -> Json | UnsetType:
    """Return what a pointer points at, `UNSET` if nothing is there."""
    value = document
    for name in parts_of(pointer):
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list) and is_index(name) and int(name) < len(value):
            value = value[int(name)]
        else:
            return UNSET
    return cast(Json, value)
