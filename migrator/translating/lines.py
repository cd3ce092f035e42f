"""Lines: one row of a change file in the other style.

A row is first read as any command reads it, so that what is wrong with it is told in the same words; then its object
is looked up in the id map, and what it wants is translated. What the user has put beside it is carried along.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import msgspec
from msgspec import UNSET, Struct, field

from migrator.core.columns import Shape, find_shapes
from migrator.core.mapping import (
    DPS,
    XCORE,
    Known,
    Loss,
    Refused,
    Report,
    Severity,
    Translation,
    counterparts,
    translate_document,
    translate_operations,
)
from migrator.core.model import Change, EntityType, Json, Kind, Operation, Problem, Row
from migrator.core.patch import members_of
from migrator.core.rows import RowParser
from migrator.core.styles import STYLES
from migrator.core.values import cell_value
from migrator.translating.forms import Forms
from migrator.translating.places import Place, Places, Way, id_of, placement_of

Cells: TypeAlias = Mapping[str, Json]
"""A line by column or member."""

INPUT = "input"
"""The class of what is wrong with a row in any style."""

_DOCUMENTS = ("create", "replace")  # members of a line that hold a whole object


class Told(Struct, frozen=True):
    """What is to be said of a line: a `Report` with its line, or a problem of the input.

    Attributes:
        line: the line.
        pointer: where the value was; for a problem its column.
        value: the value.
        direction: `xcore → dps` or `dps → xcore`.
        loss: the class, `input` for a problem.
        severity: see `Severity`.
        reason: a sentence without a full stop.
        entity: type of the object.
        id: the object, as the line names it.
    """

    line: int
    pointer: str
    value: Json
    direction: str
    loss: str = field(name="class")
    severity: str
    reason: str
    entity: str = ""
    id: str = ""


class Line(Struct, frozen=True):
    """A translated line.

    Attributes:
        written: the lines it becomes: one, or several, or none.
        told: what is to be said of it.
        refused: whether it is refused; then nothing is written.
    """

    written: Sequence[Cells]
    told: Sequence[Told] = ()
    refused: bool = False


class Translator:
    """Translates the rows of one file.

    Attributes:
        problems: what makes the file unusable; then no row is to be translated.
        header: the columns that are written; empty for JSONL.
        told: what is to be said of columns, before all lines.
        forms: a shortcut for lines of JSONL.
    """

    def __init__(self, header: Sequence[str], way: Way, header_line: int = 1) -> None:
        """Decide all that the header decides: `header` has the columns of a CSV file, and is empty for JSONL."""
        self._way = way
        self._direction = f"{way.from_} → {way.to}"
        self._places = Places(way)
        self._to_dps = way.to == DPS
        self.forms = Forms(way, self._places)
        self._parser = RowParser(header, STYLES[way.from_], "", header_line)
        self.problems = list(self._parser.header_problems)
        shape = find_shapes(header)[0] if header and not self.problems else None
        columns = _columns(header, way) if shape is Shape.MEMBERS else {}
        self.header = _written_header(header, shape, columns, way.to)
        self.told = [self._deaf(name, header_line) for name, targets in columns.items() if not targets]
        writers = {Shape.OPERATIONS: self._operation, Shape.MEMBERS: self._members, Shape.TEXT: self._text}
        self._write = writers[shape] if shape else self._json_line

    def translate(self, row: Row | Problem) -> Line:
        """Translate one row."""
        if isinstance(row, Problem):
            return self._bad([row])
        change = self._parser.parse(row)
        return self._bad(change) if isinstance(change, list) else self._line(row, change)

    def _line(self, row: Row, change: Change) -> Line:
        place = self._places.find(change)
        if isinstance(place, Place):
            return self._write(row, change, place)
        return self._refused(row, change, Loss.ADDRESS, place)

    # What is said

    def _bad(self, problems: Sequence[Problem]) -> Line:
        told = [
            Told(
                problem.line,
                problem.column,
                None,
                self._direction,
                INPUT,
                Severity.SEVERE,
                f"{problem.message}; {problem.hint}" if problem.hint else problem.message,
            )
            for problem in problems
        ]
        return Line((), told, refused=True)

    def _refused(
        self, row: Row, change: Change, loss: Loss, reason: str, pointer: str = "", told: Sequence[Told] = ()
    ) -> Line:
        id_ = id_of(change)
        one = Told(row.line, pointer, None, self._direction, loss, Severity.SEVERE, reason, change.type, id_)
        return Line((), [*told, one], refused=True)

    def _deaf(self, column: str, line: int) -> Told:
        reason = (
            f"the column has no counterpart in {self._way.to}: a row that fills it is refused if that loses anything"
        )
        return Told(line, column, None, self._direction, Loss.OPERATION, Severity.INFORMATIONAL, reason)

    def _kept(self, row: Row, place: Place) -> dict[str, Json]:
        """Return what stays of a line, with its object as the target names it."""
        cells = {name: cell for name, cell in row.cells.items() if name != "container" and not _is_ours(name)}
        if place.id:
            cells["id"] = place.id
        return cells if self._to_dps else {"container": place.container, **cells}

    # CSV

    def _patch(self, change: Change, place: Place) -> Translation[tuple[Operation, ...]]:
        way, edits = self._way, [edit for edit in change.edits if isinstance(edit, Operation)]
        assert len(edits) == len(change.edits), "a patch has nothing but operations; texts have a shape of their own"
        return translate_operations(change.type, edits, way.from_, way.to, place.context, Known(id_of(change)))

    def _operation(self, row: Row, change: Change, place: Place) -> Line:
        """Write an operation as a row, or as several."""
        made = self._patch(change, place)
        told = _with_line(row.line, made.reports)
        if isinstance(made, Refused):
            return Line((), told, refused=True)
        kept = self._kept(row, place)
        return Line([{**kept, "from": "", **_operation_cells(operation)} for operation in made.result], told)

    def _members(self, row: Row, change: Change, place: Place) -> Line:
        """Write the members that a row sets, each in its column."""
        made = self._patch(change, place)
        told = _with_line(row.line, made.reports)
        if isinstance(made, Refused):
            return Line((), told, refused=True)
        cells = {name: cell for name, cell in self._kept(row, place).items() if not name.startswith("/")}
        for operation in made.result:
            if why := self._unsayable(operation, cells):
                return self._refused(row, change, Loss.OPERATION, why, operation.path, told)
            cells[operation.path] = _cell(operation.value)
        return Line([cells] if made.result else (), told)

    def _unsayable(self, operation: Operation, cells: Cells) -> str:
        """Say why a file of this shape cannot say an operation, or ""."""
        if operation.path in cells:
            return "two columns of the row are this one member in the other style; fill one of them"
        return "" if operation.path in self.header else "no column says this; write it as an operation"

    def _text(self, row: Row, change: Change, place: Place) -> Line:
        placement = placement_of(row.cells["placement"], place)
        if placement is None:
            return self._no_placement(row.cells["placement"], row, change)
        return Line([{**self._kept(row, place), "placement": placement}])

    def _no_placement(self, placement: str, row: Row, change: Change) -> Line:
        reason = f"{self._places.nobody} placement {placement}"
        return self._refused(row, change, Loss.ADDRESS, reason, "placement")

    # JSONL

    def _json_line(self, row: Row, change: Change, place: Place) -> Line:
        cells = self._kept(row, place)
        if change.kind is Kind.DELETE:
            return Line([cells])
        if "text" in cells:
            return self._text_member(row, change, place, cells)
        if "patch" not in cells:
            return self._whole(row, change, place, cells)
        made = self._patch(change, place)
        told = _with_line(row.line, made.reports)
        if isinstance(made, Refused):
            return Line((), told, refused=True)
        self.forms.learn(change, place, row.cells.get("container", UNSET), row.cells.get("type", UNSET))
        return Line([{**cells, "patch": list(map(members_of, made.result))}] if made.result else (), told)

    def _whole(self, row: Row, change: Change, place: Place, cells: Cells) -> Line:
        """Write a line that holds a whole object."""
        way, member = self._way, next(name for name in _DOCUMENTS if name in cells)
        known = Known(id_of(change) or change.key)
        made = translate_document(change.type, cells[member], way.from_, way.to, place.context, known)
        told = _with_line(row.line, made.reports)
        if isinstance(made, Refused):
            return Line((), told, refused=True)
        return Line([{**cells, member: made.result}], told)

    def _text_member(self, row: Row, change: Change, place: Place, cells: dict[str, Json]) -> Line:
        text = cells["text"]
        placement = placement_of(text["placement"], place)
        if placement is None:
            return self._no_placement(text["placement"], row, change)
        return Line([{**cells, "text": {**text, "placement": placement}}])


def _is_ours(name: str) -> bool:
    """Whether a column is one that we add to files, which means something of the file alone that it was added to."""
    return name.startswith("_")


def _with_line(line: int, reports: Sequence[Report]) -> list[Told]:
    return [
        Told(
            line,
            report.pointer,
            report.value,
            report.direction,
            report.loss,
            report.severity,
            report.reason,
            report.entity,
            report.id,
        )
        for report in reports
    ]


def _columns(header: Sequence[str], way: Way) -> dict[str, tuple[str, ...]]:
    """Return the columns that each pointer of a header becomes, whatever the type of a row may be."""
    return {
        name: tuple(
            dict.fromkeys(path for type_ in EntityType for path in counterparts(type_, way.to, name, way.context))
        )
        for name in header
        if name.startswith("/")
    }


def _written_header(
    header: Sequence[str], shape: Shape | None, columns: Mapping[str, tuple[str, ...]], to: str
) -> tuple[str, ...]:
    """Return the columns to write: xcore has a container, dps needs none; an operation may get a value."""
    kept = [name for name in header if name != "container" and not _is_ours(name)]
    names = [target for name in kept for target in columns.get(name, (name,))]
    if shape is Shape.OPERATIONS and "value" not in names:
        names.append("value")
    if to == XCORE and header:
        names.insert(0, "container")
    return tuple(dict.fromkeys(names))


def _operation_cells(operation: Operation) -> dict[str, str]:
    members = members_of(operation)
    cell = _cell(members["value"]) if "value" in members else ""
    return {"op": operation.op, "path": operation.path, "value": cell}


def _cell(value: Json) -> str:
    """Spell a value as a cell that is read as that value: text as it is, unless it looks like JSON."""
    if isinstance(value, str) and value and cell_value(value) == value:
        return value
    return msgspec.json.encode(value).decode()
