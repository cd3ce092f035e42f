"""An export that somebody has edited: the cells that differ from what was exported, as swaps.

Only what a person has changed is a change. Each swap asks that what was exported is still there, so that nobody's work
is overwritten by a row that was exported before it. A row in which nothing differs changes nothing, whatever has
happened to its object meanwhile.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Protocol

from msgspec import UNSET, UnsetType

from migrator.core.columns import EXPORT_COLUMN
from migrator.core.compare import same
from migrator.core.damage import damage
from migrator.core.model import EntityType, Json, Swap
from migrator.core.pointers import APPEND, is_index, parts_of, value_at
from migrator.core.values import Fault, cell_value, quote
from migrator.core.wide import REMOVED, cell_of

ACCEPT = "--accept-reformatted"


class Export(Protocol):
    """What is known of an export when it comes back."""

    @property
    def id(self) -> str:
        """What the column of exports says in each of its rows."""

    @property
    def columns(self) -> Collection[str]:
        """The pointers that it had a column for."""

    def document(self, container: str, type_: EntityType, object_: str) -> Json | None:
        """Return an object as it was exported, as pointers lead into it; `None` if it was not exported."""


def row_fault(export: Export, named: str, object_: str) -> Fault:
    """Say why a row is none of an export.

    Args:
        export: the export.
        named: the export that the row names.
        object_: the id that it has.
    """
    hint = "edit only rows that were exported; give new rows a file of their own"
    if named != export.id:
        return Fault(EXPORT_COLUMN, f"the row is of {named or 'no export'}, and the snapshot of {export.id}", hint)
    if object_.isdecimal() or "E+" in object_.upper():
        hint = "has a spreadsheet changed the id, say its leading zeros? Take it from the export as it was"
    return Fault("id", f"{quote(object_)} is not in {export.id}", hint)


def swaps(
    cells: Mapping[str, str], pointers: Sequence[str], document: Json, exported: Collection[str], *, accept: bool
) -> tuple[tuple[Swap, ...], list[Fault]]:
    """Find what was edited in a row.

    Args:
        cells: the row.
        pointers: its columns that point at members.
        document: the object as it was exported.
        exported: the columns that the export had.
        accept: whether to take cells that a spreadsheet has changed as they were meant.

    Returns:
        A swap for each member that was edited, and what is wrong with other cells.
    """
    found = [
        _swap(pointer, cells[pointer], value_at(document, pointer), known=pointer in exported, accept=accept)
        for pointer in pointers
    ]
    made = [one for one in found if isinstance(one, Swap)]
    return tuple(_grown(made, document)), [one for one in found if isinstance(one, Fault)]


def _swap(pointer: str, cell: str, was: Json | UnsetType, *, known: bool, accept: bool) -> Swap | Fault | None:
    before = cell_of(was) or ""
    if _lines(cell) == _lines(before):
        return None
    if cell == "":
        return _emptied(pointer, before) if known else None
    if cell == REMOVED:
        return None if was is UNSET else Swap(pointer, was)
    value = _meant(pointer, cell, was, accept=accept)
    if isinstance(value, Fault):
        return value
    return None if was is not UNSET and same(was, value) else Swap(pointer, was, value)


def _lines(cell: str) -> str:
    """Spreadsheets end the lines in a cell their own way."""
    return cell.replace("\r\n", "\n").replace("\r", "\n")


def _emptied(pointer: str, before: str) -> Fault:
    hint = rf'write {REMOVED} to take the member away, or "" for an empty text'
    return Fault(pointer, f"the cell was emptied; it was exported as {quote(before)}", hint)


def _meant(pointer: str, cell: str, was: Json | UnsetType, *, accept: bool) -> Json | Fault:
    """Read a cell that was changed, by a person or by a spreadsheet."""
    value = cell_value(cell)
    if was is not UNSET and not isinstance(value, Fault) and same(was, value):
        return value
    found = None if was is UNSET else damage(was, cell)
    if found is None:
        return value.within(pointer) if isinstance(value, Fault) else value
    if accept and found.meant is not UNSET:
        return found.meant
    message = f"is {quote(cell)} and was exported as {quote(cell_of(was) or '')}: {found.what}"
    return Fault(pointer, message, _way_out(was, found.meant))


def _way_out(was: Json | UnsetType, meant: Json | UnsetType) -> str:
    if meant is UNSET:
        return "write it in the way in which it was exported"
    if was is not UNSET and same(was, meant):
        return f"write it as it was exported, or add {ACCEPT}"
    return (
        f"write it in the way in which it was exported, or have it taken for {quote(cell_of(meant) or '')} by {ACCEPT}"
    )


def _grown(made: Sequence[Swap], document: Json) -> Iterator[Swap]:
    """Add the members that lead to a new one where they are not there either, all of one such place at once."""
    grown: dict[str, dict[str, Json]] = {}
    for swap in made:
        top = _first_absent(swap, document)
        inside = parts_of(swap.path)[len(parts_of(top)) :]
        if not inside or not _put(swap.value, inside, grown.setdefault(top, {})):
            yield swap
    for path, value in filter(lambda one: one[1], grown.items()):
        yield Swap(path, UNSET, value)


def _put(value: Json, names: Sequence[str], place: Json) -> bool:
    """Put a value where names lead to in what grows; say whether there was a place for it."""
    *above, last = names
    for name in above:
        place = place.setdefault(name, {}) if isinstance(place, dict) else None
    if not isinstance(place, dict) or last in place:
        return False
    place[last] = value
    return True


def _first_absent(swap: Swap, document: Json) -> str:
    """Return the place itself, or the outermost one above it that an object has nothing at."""
    names = swap.path.split("/")
    for end in range(2, len(names)):
        above = "/".join(names[:end])
        if value_at(document, above) is UNSET and not any(part == APPEND or is_index(part) for part in names[end:]):
            return above
    return swap.path
