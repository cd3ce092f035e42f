"""Forms: what lines have in common, so that most lines of most files need little more than a look into the id map.

What belongs here: a line that has nothing but one operation, like one before it that was translated with all care.
What must never: a decision of its own. Where anything is to be told of a line, or it is not surely of its form, it is
left to `lines`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import UNSET, Struct, UnsetType

from migrator.core.mapping import DPS, LEFT, Carry, setting
from migrator.core.model import Change, Json, Operation
from migrator.core.values import (
    MAX_OBJECT_BYTES,
    count_members,
    exact_decoder,
    has_only,
    has_only_texts,
    is_surely_flat,
)
from migrator.translating.places import Place, Places, Way

MOST_FORMS = 65_536
"""Forms that are kept: pointers may differ by an index or by a key without end."""

_SURELY_SMALL = MAX_OBJECT_BYTES // 8  # characters of a line whose patch cannot be too large


class _Single(Struct, forbid_unknown_fields=True, gc=False):
    op: str
    path: str
    value: Json


class Plain(Struct, forbid_unknown_fields=True, kw_only=True, gc=False):
    """A JSONL line that sets one member of an object, and has nothing else."""

    container: str | UnsetType = UNSET
    type: str | UnsetType = UNSET
    id: str
    patch: tuple[_Single]


class _Form(Struct, frozen=True):
    """How all lines of a form are translated.

    Attributes:
        members: how many a line has, with those of its operation and without those of its value.
        path: the place in the target.
        carry: see `Carry`; `None` if every value stays as it is.
        find: the object in the target, for its id; it raises or returns nothing where there is not one.
    """

    members: int
    path: str
    carry: Carry | None
    find: Callable[[str], Any]


class Forms:
    """The forms of the lines of one file."""

    def __init__(self, way: Way, places: Places) -> None:
        """Know none yet: `places` finds what `way` says."""
        self._to = way.to
        self._to_dps = way.to == DPS
        self._places = places
        self._forms: dict[Any, _Form] = {}
        self._read = exact_decoder(Plain)

    def __len__(self) -> int:
        return len(self._forms)

    def learn(self, change: Change, place: Place, container: Json, type_: Json) -> None:
        """Keep what a line was checked for, if lines of its form need only little more.

        Args:
            change: what the line wants.
            place: where its object is.
            container: as the line has it, `UNSET` if it does not.
            type_: likewise.
        """
        first = change.edits[0]
        if not isinstance(first, Operation):
            return
        if found := setting(change.type, first, self._to, place.context):
            if len(self._forms) >= MOST_FORMS:
                self._forms.clear()
            members = 5 + (container is not UNSET) + (type_ is not UNSET)
            form = _Form(members, found.path, found.carry, self._places.finder(change))
            self._forms[container, type_, first.op, first.path] = form

    def translated(self, number: int, text: str, cells: Sequence[str]) -> Plain | None:
        """Translate a line that is of a form that is known, or return `None`.

        This is what `lines` does with most lines of most files, at a fraction of the work: nothing is looked at that
        was the same in an earlier line.
        """
        del number, cells
        try:
            line = self._read(text)
            (single,) = line.patch
            form = self._forms[line.container, line.type, single.op, single.path]
            found = form.find(line.id)
        except (KeyError, ValueError, RecursionError):
            return None
        value = single.value
        if not (found and value and len(text) < _SURELY_SMALL and _is_all(text, form.members, value)):
            return None
        if form.carry is not None:
            container = line.container or "" if self._to_dps else found.container
            value = form.carry(value, self._places.context(container))
            if value is LEFT:
                return None
            single.value = value
        single.path = form.path
        if self._to_dps:
            line.container, line.id = UNSET, found
        else:
            line.container, line.id = found.container, found.id
        return line


def _is_all(text: str, members: int, value: Json) -> bool:
    """Whether a text says nothing but what was read of it: so many members, and those of the value."""
    if isinstance(value, dict | list):
        return is_surely_flat(text) and has_only(text, members + count_members(value))
    texts = members - (1 if isinstance(value, str) else 2)  # all but `patch`, and a value that is none
    return has_only_texts(text, members + texts) or has_only(text, members)
