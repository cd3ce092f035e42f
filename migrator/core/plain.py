"""Plain rows: what nearly all rows of nearly all files are, read straight into steps.

A plain row patches one object that it names by its id, says nothing that means nothing, and has nothing wrong with it.
To prove that takes less work than to read any row whatever: what stood in an earlier row is not looked at again, and no
value is made only to be written out.

What belongs here: rows that are surely plain. What must never: a decision, or a word on what is wrong. Whatever is not
surely plain is left to `rows`; what is becomes the step that `rows` and `plan` make of it, to the letter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import TypeAlias, TypeVar

import msgspec
from msgspec import UNSET, Struct, UnsetType

from migrator.core.addresses import Addresses, textless
from migrator.core.columns import SHAPE_COLUMNS, Shape, find_shapes
from migrator.core.edit import edits_body, is_placement_id
from migrator.core.model import EntityType, Json, Kind, Operation, Step, TextChange
from migrator.core.patch import operation_faults
from migrator.core.plan import identity_of, key_frame, key_in
from migrator.core.rows import GROWTH, setter, text_faults
from migrator.core.styles import Style
from migrator.core.values import (
    MAX_OBJECT_BYTES,
    Fault,
    cell_value,
    count_members,
    exact_decoder,
    has_only,
    has_only_texts,
    is_surely_flat,
)

K = TypeVar("K")
V = TypeVar("V")

MOST_KNOWN = 4096
"""Things of one kind that are kept in mind: there may be another container, or pointer, in each row."""

_encode = msgspec.json.Encoder().encode


class PlainRow(Struct, frozen=True, gc=False):
    """A plain row: as results give it back, and the step that it is unless other rows are for its object."""

    raw: str
    step: Step


_Scope: TypeAlias = tuple[str, EntityType, tuple[str, str]]
"""A container, a type, and what the keys of steps have of them (`plan.key_frame`)."""

Reader: TypeAlias = Callable[[int, str, Sequence[str]], PlainRow | None]
"""Reads a row, or returns `None` if it is not surely plain: from the line on which it begins, the row as results give
it back (of JSONL the line without its end), and the cells of the columns of a CSV file that are not ours."""


def plain_reader(columns: Sequence[str], style: Style, default_container: str, *, texts: bool = True) -> Reader:
    """Return what reads the plain rows of a file.

    Args:
        columns: of a CSV file, with which nothing is wrong, without our own; none for JSONL.
        style: the endpoint style that the rows are for.
        default_container: the container of rows that name none, in a style that lets them: the sandbox.
        texts: whether a text may be plain: not if what an offer does not have is to be added.
    """
    kind = Kind.EDIT if find_shapes(columns) == [Shape.TEXT] else Kind.PATCH
    steps, patterns = _Steps(style, default_container, kind), _Patterns(style)
    return _PlainCells(columns, steps, patterns, texts=texts).read if columns else _PlainLines(steps, patterns).read


def _keep(known: dict[K, V], key: K, value: V) -> V:
    if len(known) >= MOST_KNOWN:
        known.clear()
    known[key] = value
    return value


class _Steps:
    """Makes the steps of rows that name their objects by id, where nothing is wrong with how they do."""

    def __init__(self, style: Style, default_container: str, kind: Kind) -> None:
        self._style = style.name
        self._kind = kind
        self._addresses = Addresses(style, default_container)
        self._scopes: dict[tuple[str, str], _Scope] = {}

    def make(self, line: int, named: tuple[str, ...], body: bytes) -> Step | None:
        """Return the step of a row whose container, type and id are `named` so; `None` if that is not in order."""
        container, type_, id_ = named
        scope = self._scopes.get((container, type_)) or self._scope(container, type_)
        if scope is None or not self._addresses.is_id(id_):
            return None
        within, of, frame = scope
        return Step(line, key_in(frame, identity_of(id_), body), within, of, id_, self._kind, body)

    def _scope(self, container: str, type_: str) -> _Scope | None:
        """Read a container and a type, and keep them in mind if nothing is wrong."""
        faults: list[Fault] = []
        within, of = self._addresses.container(container, faults), self._addresses.type(type_, faults)
        if faults or (self._kind is Kind.EDIT and textless(of)):
            return None
        return _keep(self._scopes, (container, type_), (within, of, key_frame(self._style, within, of, self._kind)))


class _Patterns:
    """Operations as they are but for their values: what they do, where, and whether with a value."""

    def __init__(self, style: Style) -> None:
        self._rules = style.rules
        self._known: dict[tuple[str, str, bool], bytes] = {}

    def find(self, op: str, path: str, has_value: bool) -> bytes | None:
        """Return the operation as JSON, up to its value if it has one; `None` if it may not be sent."""
        return self._known.get((op, path, has_value)) or self._learn(op, path, has_value)

    def _learn(self, op: str, path: str, has_value: bool) -> bytes | None:
        raw: dict[str, Json] = {"op": op, "path": path, **({"value": None} if has_value else {})}
        if operation_faults(raw, self._rules):
            return None
        return _keep(self._known, (op, path, has_value), _json(op, path))


def _json(op: str, path: str) -> bytes:
    """Return an operation as JSON, up to its value if it has one."""
    return edits_body((Operation(op, path),))[1:-2].removesuffix(b"null")


# CSV


class _PlainCells:
    """Reads the rows of a CSV file."""

    def __init__(self, columns: Sequence[str], steps: _Steps, patterns: _Patterns, *, texts: bool) -> None:
        self._steps = steps
        self._patterns = patterns
        self._places: dict[tuple[str, str, str], bool] = {}
        self._address = _getter(columns, ("container", "type", "id"))
        self._operation = _getter(columns, SHAPE_COLUMNS[Shape.OPERATIONS])
        self._text = _getter(columns, SHAPE_COLUMNS[Shape.TEXT])
        pointers = [(index, name) for index, name in enumerate(columns) if name.startswith("/")]
        self._members = [(index, _json(setter(name), name)) for index, name in pointers]
        self._surely_small = MAX_OBJECT_BYTES // GROWTH - sum(len(name) for _, name in pointers)
        self._body: Callable[[Sequence[str]], bytes | None] = {
            Shape.MEMBERS: self._members_body,
            Shape.OPERATIONS: self._operation_body,
            Shape.TEXT: self._text_body if texts else _none,
        }[find_shapes(columns)[0]]

    def read(self, line: int, raw: str, cells: Sequence[str]) -> PlainRow | None:
        """See `Reader`."""
        if len(raw) > self._surely_small:
            return None
        cells = (*cells, "")
        body = self._body(cells)
        step = self._steps.make(line, self._address(cells), body) if body else None
        return PlainRow(raw, step) if step else None

    def _members_body(self, cells: Sequence[str]) -> bytes | None:
        operations = []
        for index, operation in self._members:
            if cell := cells[index]:
                value = cell_value(cell)
                if isinstance(value, Fault):
                    return None
                operations.append(operation + _encode(value))
        return b"[%b}]" % b"},".join(operations) if operations else None

    def _operation_body(self, cells: Sequence[str]) -> bytes | None:
        op, path, cell, from_ = self._operation(cells)
        operation = self._patterns.find(op, path, cell != "")
        value = cell_value(cell) if cell else None
        if operation is None or from_ or isinstance(value, Fault):
            return None
        return b"[%b%b}]" % (operation, _encode(value) if cell else b"")

    def _text_body(self, cells: Sequence[str]) -> bytes | None:
        placement, language, format_, content, was = self._text(cells)
        place = placement, language, format_
        if not content or not (self._places.get(place) or _keep(self._places, place, _is_place(*place))):
            return None
        text = TextChange(placement, language, content, was or None, format_)
        return edits_body(() if content == was else (text,))


def _getter(columns: Sequence[str], names: Sequence[str]) -> Callable[[Sequence[str]], tuple[str, ...]]:
    """Return what takes the cells of some columns; of one that there is not, the cell behind the last."""
    return itemgetter(*(columns.index(name) if name in columns else len(columns) for name in names))


def _none(cells: Sequence[str]) -> None:
    del cells


def _is_place(placement: str, language: str, format_: str) -> bool:
    """Whether a text may be there, and nothing has to be looked up to know where that is."""
    fields = {"placement": placement, "language": language, "format": format_, "content": "any"}
    return is_placement_id(placement) and not text_faults(fields)


# JSONL


class _Operation(Struct, forbid_unknown_fields=True, gc=False):
    op: str
    path: str
    value: Json | UnsetType = UNSET


class _Line(Struct, forbid_unknown_fields=True, kw_only=True, gc=False):
    container: str | UnsetType = UNSET
    type: str | UnsetType = UNSET
    id: str
    patch: list[_Operation]


class _PlainLines:
    """Reads the lines of a JSONL file."""

    def __init__(self, steps: _Steps, patterns: _Patterns) -> None:
        self._steps = steps
        self._patterns = patterns
        self._decode = exact_decoder(_Line)

    def read(self, line: int, raw: str, cells: Sequence[str]) -> PlainRow | None:
        """See `Reader`."""
        del cells
        if len(raw) * GROWTH > MAX_OBJECT_BYTES:
            return None
        try:
            found = self._decode(raw)
        except (ValueError, RecursionError):
            return None
        if not (found.patch and self._is_all(raw, found)):
            return None
        named = found.container or "", found.type or "", found.id
        step = self._steps.make(line, named, _encode(found.patch))
        return PlainRow(raw, step) if step else None

    def _is_all(self, text: str, line: _Line) -> bool:
        """Whether the operations may be sent, and a line says nothing but what was read of it."""
        given = (line.container is not UNSET) + (line.type is not UNSET)
        texts, nested = 3 + 2 * given, False  # names and values: `id` with its own, and `patch`
        for one in line.patch:
            kind = type(one.value)
            if self._patterns.find(one.op, one.path, kind is not UnsetType) is None:
                return False
            texts += _TEXTS.get(kind, 5)
            nested = nested or kind is dict or kind is list
        if not nested and has_only_texts(text, texts):
            return True
        values = [one.value for one in line.patch if one.value is not UNSET]
        members = 2 + given + 2 * len(line.patch) + len(values) + count_members(values)
        return is_surely_flat(text) and has_only(text, members)


_TEXTS = {UnsetType: 4, str: 6}
"""By the type of its value, how many texts an operation has: those of `op` and `path`, `value`, and the value's own."""
