"""Objects as rows of a spreadsheet: which members are columns, and how a value stands in a cell.

Each scalar outside of lists has a column, named by its JSON Pointer, and so has a list of scalars. Lists with objects
in them, such as representations, have none: nobody can edit them in a cell.

A cell is read back by `values.cell_value`, so it is written such that this gives the value again: text that would be
read as JSON is written as JSON. So is text that a spreadsheet would take for a formula: nothing that somebody has put
into an offer is carried out on the machine of somebody who opens an export.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import UNSET, UnsetType

from migrator.core.model import Json
from migrator.core.patch import pointer_fault
from migrator.core.pointers import pointer_to
from migrator.core.styles import PatchRules
from migrator.core.values import cell_value

REMOVED = r"\N"
"""What an edited cell says to take a member away; an empty cell may be a slip."""

SPREADSHEET_CELL = 32_767
"""Characters, in UTF-16 units, that a cell of a spreadsheet holds; the rest is cut off."""

_FORMULA = frozenset("=+-@\t\r")
"""What a cell begins with that a spreadsheet takes for a formula."""

_encode = msgspec.json.Encoder().encode


def members(document: Json, root: str) -> Iterator[tuple[str, Json]]:
    """Yield what could stand in a cell, or would be no member of an object any more: scalars and whole lists.

    Args:
        document: the object's own members.
        root: the pointer to them.
    """
    for name, value in document.items():
        pointer = pointer_to(root, name)
        if isinstance(value, dict):
            yield from members(value, pointer)
        else:
            yield pointer, value


def cell_of(value: Json | UnsetType) -> str | None:
    """Write a value as a cell: "" for nothing, `None` if it is not for a cell."""
    if isinstance(value, str):
        return value if _is_plain(value) else _encode(value).decode()
    if value is UNSET:
        return ""
    if isinstance(value, dict) or (isinstance(value, list) and any(isinstance(one, dict | list) for one in value)):
        return None
    return _encode(value).decode()


def _is_plain(text: str) -> bool:
    """Whether a text comes back as it is from a cell, of a spreadsheet too."""
    return (
        bool(text)
        and not looks_like_formula(text)
        and text != REMOVED
        and "\0" not in text
        and cell_value(text) == text
    )


def looks_like_formula(text: str) -> bool:
    """Whether a spreadsheet takes a cell for a formula, and calculates it."""
    return text[:1] in _FORMULA


def column_problem(pointer: str, rules: PatchRules) -> str:
    """Say why a pointer cannot be a column, or "" if it can."""
    fault = pointer_fault("", pointer, rules, may_append=False)
    if fault:
        return fault.message
    is_plain = pointer.isprintable() and pointer == pointer.strip()
    return "" if is_plain else "its name ends with a blank, or has invisible characters"


def is_too_long(cell: str) -> bool:
    """Whether a spreadsheet would cut a cell."""
    return len(cell) * 2 > SPREADSHEET_CELL and units(cell) > SPREADSHEET_CELL


def units(text: str) -> int:
    """Count characters as spreadsheets do."""
    return len(text) + sum(character > "\uffff" for character in text)
