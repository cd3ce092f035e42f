"""Rows: what a row wants, or everything that is wrong with it.

What belongs here: how the cells of one row become one `Change`. What must never: a file, a delimiter, a byte, which are
matters of `sources`; a second row, which is a matter of `plan`. What the columns are called is decided in `columns`,
how a cell is read in `values`, what an operation may be in `patch`; here they are put together.

Three rules decide the doubtful cases:

* **Nothing is guessed.** What could mean two things is refused with both spellings.
* **Nothing is altered.** Ids are compared and sent as text, so leading zeros stay.
* **Everything is said at once.** A row reports all its problems, each with its column and with what to type. So every
  reader below adds what is wrong to `faults` and goes on; the change it returns counts only if nothing was added.

The four shapes (`design.md` section 6), three of CSV, told apart by their header, and one of JSONL::

    container,type,id,op,path,value[,from]              one operation a row
    container,type,id,/name,/rank/priority,…            set the members that the header points at
    container,type,id|name,placement,language[,format],content[,was]    the text of an offer
    {"type": …, "id": …, "patch" | "text" | "create" | "replace" | "delete": …}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import msgspec
from msgspec import UNSET

from migrator.core.addresses import Address, Addresses
from migrator.core.columns import (
    ACTIONS,
    EXPORT_COLUMN,
    SHAPE_COLUMNS,
    Shape,
    find_shapes,
    header_problems,
    line_faults,
)
from migrator.core.edited import Export, row_fault, swaps
from migrator.core.model import Change, Edit, EntityType, Json, Kind, Problem, Row, Sought, TextChange
from migrator.core.patch import operation, operation_faults, pointer_fault
from migrator.core.pointers import is_index
from migrator.core.styles import Style
from migrator.core.values import (
    MAX_OBJECT_BYTES,
    Fault,
    cell_value,
    did_you_mean,
    json_kind,
    size_fault,
    word_fault,
)

GROWTH = 8  # octets of JSON that one character of a row can become at most: 4 in UTF-8, more in `1e9` as 1000000000.0
_PATCH_HINT = 'e.g. [{"op": "replace", "path": "/status", "value": "approved"}]'

_Reader: TypeAlias = Callable[[Row, list[Fault]], Change]


class RowParser:
    """Turns the rows of one file into changes. All that its header decides is decided once, here.

    Args:
        header: the columns of a CSV file; empty for JSONL.
        style: the endpoint style that the changes are for.
        default_container: the container of rows that name none, in a style that lets them: the sandbox.
        header_line: the line on which the header begins.
        export: what was exported, if the file is an export that may have been edited.
        accept: whether cells of such a file that a spreadsheet has changed are taken as they were meant.

    Attributes:
        header_problems: what makes the header unusable, for the file as such or in this style. Report them and read no
            row: every row would be answered with the same problems.
    """

    def __init__(
        self,
        header: Sequence[str],
        style: Style,
        default_container: str,
        header_line: int = 1,
        export: Export | None = None,
        *,
        accept: bool = False,
    ) -> None:
        self._style = style
        self._export = export
        self._accept = accept
        self._rules = style.rules
        self._addresses = Addresses(style, default_container)
        self._setters = tuple((name, setter(name)) for name in header if name.startswith("/"))
        self._pointer_bytes = sum(len(name) for name, _ in self._setters) * GROWTH
        self._read = self._choose_reader(header)
        self._line_readers: Mapping[str, _Reader] = {
            "patch": self._read_patch,
            "text": self._read_text_member,
            "create": self._read_create,
            "replace": self._read_replace,
            "delete": self._read_delete,
        }
        self.header_problems = self._check_header(header, header_line) if header else []

    def parse(self, row: Row) -> Change | list[Problem]:
        """Read what a row wants.

        Returns:
            The change, or all problems of the row, at least one.
        """
        if self.header_problems:
            return [msgspec.structs.replace(problem, line=row.line) for problem in self.header_problems]
        faults: list[Fault] = []
        change = self._read(row, faults)
        return [fault.at(row.line) for fault in faults] if faults else change

    def _choose_reader(self, header: Sequence[str]) -> _Reader:
        if not header:
            return self._read_line
        readers: Mapping[Shape, _Reader] = {
            Shape.OPERATIONS: self._read_operation,
            Shape.MEMBERS: self._read_members if self._export is None else self._read_edited,
            Shape.TEXT: self._read_text,
        }
        shapes = find_shapes(header) or [Shape.MEMBERS]  # of a header without any shape no row is read
        return readers[shapes[0]]

    def _check_header(self, header: Sequence[str], line: int) -> list[Problem]:
        problems = header_problems(header, line)
        if self._style.needs_container and "container" not in header:
            problems.append(self._addresses.no_container().at(line))
        if problems:
            return problems
        faults = (pointer_fault(name, name, self._rules, may_append=True) for name, _ in self._setters)
        return [fault.at(line) for fault in faults if fault]

    # CSV

    def _read_operation(self, row: Row, faults: list[Fault]) -> Change:
        address = self._addresses.read(row.cells, faults)
        raw = _filled(row, Shape.OPERATIONS)
        if "value" in raw:
            raw["value"] = _cell_value(row, "value", faults)
        faults.extend(operation_faults(raw, self._rules))
        faults.extend(self._size_faults(row, "value", [raw]))
        return _change(row, address, Kind.PATCH, () if faults else (operation(raw),))

    def _read_members(self, row: Row, faults: list[Fault]) -> Change:
        address = self._addresses.read(row.cells, faults)
        patch = [
            {"op": op, "path": name, "value": _cell_value(row, name, faults)}
            for name, op in self._setters
            if row.cells[name]
        ]
        if not patch:
            faults.append(Fault("", "the row changes nothing", "fill a cell, or delete the row"))
        faults.extend(self._size_faults(row, "", patch))
        return _change(row, address, Kind.PATCH, tuple(map(operation, patch)))

    def _read_edited(self, row: Row, faults: list[Fault]) -> Change:
        """Read a row of an export: what differs from what was exported is the change, which may be nothing."""
        assert self._export is not None
        address = container, type_, object_ = self._addresses.read(row.cells, faults)
        named = row.cells[EXPORT_COLUMN]
        if isinstance(object_, Sought):
            faults.append(Fault("id", "rows of an export are told by their ids", "give the id that was exported"))
        document = None if faults else self._export.document(container, type_, str(object_))
        if document is None or named != self._export.id:
            faults.extend([] if faults else [row_fault(self._export, named, str(object_))])
            return _change(row, address, Kind.EDIT)
        pointers = [name for name, _ in self._setters]
        edits, found = swaps(row.cells, pointers, document, self._export.columns, accept=self._accept)
        faults.extend(found)
        faults.extend(self._size_faults(row, "", [swap.value for swap in edits if swap.value is not UNSET]))
        return _change(row, address, Kind.EDIT, edits)

    def _read_text(self, row: Row, faults: list[Fault]) -> Change:
        return self._text_change(row, _filled(row, Shape.TEXT), "", faults)

    # JSONL

    def _read_line(self, row: Row, faults: list[Fault]) -> Change:
        names = frozenset(row.cells)
        faults.extend(line_faults(names))
        actions = [name for name in ACTIONS if name in names]
        if "key" in names and actions != ["create"]:
            faults.append(Fault("key", "only a create has a key", "take the key out"))
        if len(actions) == 1:
            return self._line_readers[actions[0]](row, faults)
        address = self._addresses.read(row.cells, faults)
        faults.append(_action_fault(actions))
        return _change(row, address, Kind.PATCH)

    def _read_patch(self, row: Row, faults: list[Fault]) -> Change:
        address = self._addresses.read(row.cells, faults)
        patch = row.cells["patch"]
        if not isinstance(patch, list) or not patch:
            was = "an empty list" if patch == [] else json_kind(patch)
            faults.append(Fault("patch", f"must be a list of operations, not {was}", _PATCH_HINT))
            patch = []
        for index, raw in enumerate(patch):
            found = operation_faults(raw, self._rules) if isinstance(raw, dict) else [_object_fault(raw)]
            faults.extend([fault.within(f"patch[{index}]") for fault in found])
        faults.extend(self._size_faults(row, "patch", patch))
        return _change(row, address, Kind.PATCH, () if faults else tuple(map(operation, patch)))

    def _read_text_member(self, row: Row, faults: list[Fault]) -> Change:
        fields = row.cells["text"]
        if not isinstance(fields, dict):
            faults.append(_object_fault(fields).within("text"))
            return _change(row, self._addresses.of_text(row.cells, faults), Kind.EDIT)
        known = SHAPE_COLUMNS[Shape.TEXT]
        for name in fields:
            if name not in known:
                hint = did_you_mean(name, known) or f"it has {', '.join(known)}"
                faults.append(Fault(f"text.{name}", f"a text has no member '{name}'", hint))
        return self._text_change(row, fields, "text", faults)

    def _read_create(self, row: Row, faults: list[Fault]) -> Change:
        get = row.cells.get
        container = self._addresses.container(get("container", ""), faults)
        type_ = self._addresses.type(get("type", ""), faults)
        faults.extend([_foreign_to_create(name) for name in ("id", "name") if name in row.cells])
        key, document = row.cells.get("key", ""), row.cells["create"]
        if "key" in row.cells and (fault := word_fault("key", key)):
            faults.append(fault)
        if fault := self._document_fault(document):
            faults.append(fault.within("create"))
        faults.extend(self._size_faults(row, "create", document))
        return Change(row.line, container, type_, "", Kind.CREATE, document=document, key=key)

    def _document_fault(self, document: Json) -> Fault | None:
        if not isinstance(document, dict):
            return _object_fault(document)
        if not document:
            return Fault("", "the object is empty", "write all its members")
        why = self._style.document_problem(document)
        return Fault("", f"the object {why}") if why else None

    def _read_replace(self, row: Row, faults: list[Fault]) -> Change:
        address = self._addresses.read(row.cells, faults)
        type_ = address[1]
        if type_ not in self._style.replaceable and row.cells.get("type", "") in ("", type_):
            faults.append(self._irreplaceable(type_))
        document = row.cells["replace"]
        if fault := self._document_fault(document):
            faults.append(fault.within("replace"))
        faults.extend(self._size_faults(row, "replace", document))
        # So that an object can be put back as it was read.
        own = {} if faults else {name: document[name] for name in document if name not in self._style.service_owned}
        return _change(row, address, Kind.REPLACE, document=own)

    def _irreplaceable(self, type_: EntityType) -> Fault:
        message = f"{self._style.name} cannot replace a {type_} as a whole, only a {', '.join(self._style.replaceable)}"
        return Fault("type", message, f"change it by a patch, {_PATCH_HINT}")

    def _read_delete(self, row: Row, faults: list[Fault]) -> Change:
        address = self._addresses.read(row.cells, faults)
        if row.cells["delete"] is not True:
            faults.append(Fault("delete", "can only be true", 'write "delete": true, or delete the line'))
        return _change(row, address, Kind.DELETE)

    # Both

    def _text_change(self, row: Row, fields: Mapping[str, Json], within: str, faults: list[Fault]) -> Change:
        address = self._addresses.of_text(row.cells, faults)
        found = [*text_faults(fields), *self._size_faults(row, "content", fields.get("content"))]
        faults.extend([fault.within(within) for fault in found])
        get = fields.get
        text = TextChange(get("placement", ""), get("language", ""), get("content", ""), get("was"), get("format", ""))
        # An export says of each text what it was; what nobody has edited is no change, whatever it is by now.
        return _change(row, address, Kind.EDIT, () if text.content == text.was else (text,))

    def _size_faults(self, row: Row, member: str, body: Json) -> list[Fault]:
        """Measure the JSON that a row makes, unless its length alone proves that it is small enough."""
        if len(row.raw) * GROWTH + self._pointer_bytes <= MAX_OBJECT_BYTES:
            return []
        fault = size_fault(member, body)
        return [fault] if fault else []


def _change(
    row: Row,
    address: Address,
    kind: Kind,
    edits: tuple[Edit, ...] = (),
    document: Mapping[str, Json] | None = None,
) -> Change:
    container, type_, object_ = address
    if isinstance(object_, Sought):
        return Change(row.line, container, type_, "", kind, edits, document, sought=object_)
    return Change(row.line, container, type_, object_, kind, edits, document)


def setter(pointer: str) -> str:
    """Choose the operation that sets the member a header cell points at, whether or not it is there.

    For a member of an object that is `add` (contract 4.4: `replace` of an absent member fails). An element of an array
    is replaced, because `add` would insert before it, unless it is `-`, behind the last.
    """
    return "replace" if is_index(pointer.rpartition("/")[2]) else "add"


def _filled(row: Row, shape: Shape) -> dict[str, Json]:
    """Take the non-empty cells of the columns of `shape`: in CSV an empty cell is a member that is not there."""
    return {name: cell for name in SHAPE_COLUMNS[shape] if (cell := row.cells.get(name))}


def _cell_value(row: Row, column: str, faults: list[Fault]) -> Json:
    value = cell_value(row.cells[column])
    if isinstance(value, Fault):
        faults.append(value.within(column))
    return value


def text_faults(fields: Mapping[str, Json]) -> list[Fault]:
    """List what is wrong with the members of a text. Its language may be "": some components name none."""
    named = ["placement", *(name for name in ("language", "format") if fields.get(name, "") != "")]
    faults = [fault for name in named if (fault := word_fault(name, fields.get(name, "")))]
    content = fields.get("content", "")
    if not isinstance(content, str):
        faults.append(Fault("content", f"must be text, not {json_kind(content)}"))
    elif not content:
        faults.append(Fault("content", "the content is missing", "write the new text"))
    if not isinstance(fields.get("was", ""), str):
        faults.append(Fault("was", f"must be text, not {json_kind(fields['was'])}", "leave it out to ask nothing"))
    return faults


def _action_fault(actions: Sequence[str]) -> Fault:
    if not actions:
        return Fault("", "the line says nothing to do", f"give it one of {', '.join(ACTIONS)}")
    return Fault("", f"the line has {' and '.join(actions)}", "a line does one thing; write one line for each")


def _foreign_to_create(name: str) -> Fault:
    message = f"a create has no {name} of its own: the service gives the id, and the name is inside the object"
    return Fault(name, message, f"take the {name} out; to tell two equal creates apart give each a key")


def _object_fault(value: Json) -> Fault:
    return Fault("", f"must be an object, not {json_kind(value)}")
