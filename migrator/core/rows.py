"""What a row wants: the one place that turns what people write into changes.

What belongs here: the names of columns, what their cells may hold, which shape of file they make, and what to type
instead when they are wrong. What must never: a file, a delimiter, a byte. `sources` reads those and asks here which
names it should know.

Three rules decide the doubtful cases:

* **Nothing is guessed.** A cell that could mean two things is refused with both spellings; a column that is nearly a
  known one is refused, for its content would silently be ignored.
* **Nothing is altered.** A value that cannot be carried exactly (a number with more digits than a double holds, an
  object with the same member twice) is refused. Ids are compared and sent as text, so leading zeros stay.
* **Everything is said at once.** A row reports all its problems, each with its column and with what to type.

The four shapes (`design.md` section 6), three of CSV, told apart by their header, and one of JSONL::

    container,type,id,op,path,value[,from]              one operation a row
    container,type,id,/name,/rank/priority,…            set the members that the header points at
    container,type,id|name,placement,language,content[,was]    the text of an offer
    {"type": …, "id": …, "patch" | "text" | "create" | "delete": …}
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import TypeAlias

import msgspec

from migrator.core.model import Change, EntityType, Json, Kind, Operation, Problem, Row, TextChange
from migrator.core.patch import (
    APPEND,
    Fault,
    did_you_mean,
    json_kind,
    nearest,
    operation,
    operation_faults,
    pointer_fault,
    pointer_syntax_fault,
)
from migrator.core.styles import Style

MAX_OBJECT_BYTES = 300 * 1024
"""Size of the JSON text of one patch, create or content, in bytes, above which a row is refused: the greater of the
two documented maxima for an offer with its representations (`errors-and-limits.md` section 4: preflight fails)."""


class Shape(StrEnum):
    """The shapes a CSV file may have."""

    OPERATIONS = "operations"
    MEMBERS = "members"
    TEXT = "text"


ADDRESS_COLUMNS = ("container", "type", "id", "name")
"""The columns that say which object is meant, in every shape and in JSONL."""

REQUIRED_COLUMNS: Mapping[Shape, tuple[str, ...]] = {
    Shape.OPERATIONS: ("op", "path"),
    Shape.MEMBERS: (),
    Shape.TEXT: ("placement", "language", "content"),
}
OPTIONAL_COLUMNS: Mapping[Shape, tuple[str, ...]] = {
    Shape.OPERATIONS: ("value", "from"),
    Shape.MEMBERS: (),
    Shape.TEXT: ("was",),
}
SHAPE_COLUMNS: Mapping[Shape, tuple[str, ...]] = {s: REQUIRED_COLUMNS[s] + OPTIONAL_COLUMNS[s] for s in Shape}

ACTIONS: Mapping[str, Kind] = {
    "patch": Kind.PATCH,
    "text": Kind.TEXT,
    "create": Kind.CREATE,
    "delete": Kind.DELETE,
}
"""The members of a JSONL line that say what to do; each line has exactly one."""

JSONL_MEMBERS = (*ADDRESS_COLUMNS, *ACTIONS, "key")

SHAPES_HINT = (
    "the header is one of: container,type,id,op,path,value - or container,type,id and JSON Pointers such as /name "
    "- or container,type,id,placement,language,content"
)

_TYPES: Mapping[str, EntityType] = {type_.value: type_ for type_ in EntityType}
_OFFERS = (EntityType.PERSONALIZED_OFFER, EntityType.FALLBACK_OFFER)
_MIN_TYPO = 3  # a slip in "id" or "op" gives another word, not a typo; a missing column is reported anyway


# --- names of columns ------------------------------------------------------------------------------------------------


def is_own_column(name: str) -> bool:
    """Say whether a column is one that our results files add, which input ignores."""
    return name.startswith("_")


def is_known_column(name: str) -> bool:
    """Say whether a header cell means something in some shape. Used to find the delimiter of a file."""
    return name.startswith(("/", "_")) or name in ADDRESS_COLUMNS or any(name in SHAPE_COLUMNS[s] for s in Shape)


def find_shapes(header: Iterable[str]) -> list[Shape]:
    """List the shapes that the columns of `header` belong to; a usable header has exactly one."""
    names = set(header)
    found = {shape for shape in Shape if names.intersection(SHAPE_COLUMNS[shape])}
    if any(name.startswith("/") for name in names):
        found.add(Shape.MEMBERS)
    return [shape for shape in Shape if shape in found]


def header_problems(header: Sequence[str], line: int = 1) -> list[Problem]:
    """List everything that makes a CSV header unusable, whatever the endpoint style.

    Args:
        header: all cells of the header, in order.
        line: the line it stands on.
    """
    names = [name for name in header if not is_own_column(name)]
    shapes = find_shapes(names)
    known = ADDRESS_COLUMNS + sum((SHAPE_COLUMNS[s] for s in shapes or Shape), ())
    meant = {name: _meant(name, known, names) for name in names}
    faults = [
        *_doubled(names),
        *_unnamed(header),
        *_misspelt(meant),
        *_shape_faults(names, shapes, set(meant.values())),
        *(f for name in names if name.startswith("/") if (f := pointer_syntax_fault(name, name))),
    ]
    return [_problem(line, fault) for fault in faults]


def _doubled(names: Sequence[str]) -> list[Fault]:
    counts = Counter(name for name in names if name)
    hint = "keep one of them, or rename the other"
    return [Fault(n, f"the column '{n}' stands {k} times in the header", hint) for n, k in counts.items() if k > 1]


def _unnamed(header: Sequence[str]) -> list[Fault]:
    hint = "name it, or delete the column with its delimiter"
    nameless = [number for number, name in enumerate(header, 1) if not name.strip()]
    return [Fault("", f"column {number} of the header has no name", hint) for number in nameless]


def _misspelt(meant: Mapping[str, str]) -> list[Fault]:
    return [Fault(n, f"the column '{n}' is not known", f"did you mean '{m}'?") for n, m in meant.items() if m]


def _meant(name: str, known: Sequence[str], present: Sequence[str]) -> str:
    """Find the column that an unknown one was meant to be, or "" if it is known or simply another.

    A known column that is present already was not misspelt, so a `names` beside `name` is somebody's own column; but a
    `Name` beside `name` is refused, because no reader could tell which of them counts.
    """
    if name in known or is_own_column(name):
        return ""
    bare = name.strip()
    if bare.startswith("/"):
        return bare if bare != name else ""
    if bare.casefold() in known:
        return bare.casefold()
    return nearest(name, [k for k in known if k not in present and len(k) >= _MIN_TYPO])


def _shape_faults(names: Sequence[str], shapes: Sequence[Shape], meant: set[str]) -> list[Fault]:
    if not shapes:
        return [Fault("", "the header fits none of the three shapes of a CSV file", SHAPES_HINT)]
    if len(shapes) > 1:
        both = " and ".join(_sample(names, shape) for shape in shapes)
        return [Fault("", f"the header mixes shapes: it has {both}", SHAPES_HINT)]
    wanted = REQUIRED_COLUMNS[shapes[0]] + (() if "name" in names else ("id",))
    missing = [name for name in wanted if name not in names and name not in meant]
    return [Fault(name, f"the column '{name}' is missing", SHAPES_HINT) for name in missing]


def _sample(names: Sequence[str], shape: Shape) -> str:
    """Quote the first column that belongs to `shape`."""
    return next(f"'{n}'" for n in names if n in SHAPE_COLUMNS[shape] or (shape is Shape.MEMBERS and n.startswith("/")))


@lru_cache(maxsize=1024)  # the lines of one file have the same few sets of members
def _member_faults(names: frozenset[str]) -> tuple[Fault, ...]:
    """Find the members of a JSONL line that are nearly known ones."""
    # With an action present no other can have been meant: "created" beside "patch" is somebody's own member.
    taken = [*names, *(ACTIONS if names.intersection(ACTIONS) else ())]
    meant = {name: _meant(name, JSONL_MEMBERS, taken) for name in sorted(names)}
    return tuple(Fault(n, f"the member '{n}' is not known", f"did you mean '{m}'?") for n, m in meant.items() if m)


# --- values ----------------------------------------------------------------------------------------------------------

_JSON_BLANKS = " \t\n\r"
_LITERALS: Mapping[str, Json] = {"true": True, "false": False, "null": None}
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
_BYTE = re.compile(r"(?:JSON is malformed: )?(.*) \(byte (\d+)\)")
_NESTING = (dict, list)
_SHOWN = 40  # characters of a cell that a message repeats


def _exact_float(literal: str) -> float:
    """Read a number with a fraction or an exponent, refusing one that a double would change."""
    value = float(literal)
    try:
        exact = Decimal(repr(value)) == Decimal(literal)
    except ArithmeticError:  # an exponent beyond even Decimal
        exact = False
    if not exact:
        raise ValueError(f"the number {_shorten(literal)} would become {value!r}")
    return value


_decode = msgspec.json.Decoder(float_hook=_exact_float).decode


def exact_json(text: str) -> Json | Fault:
    """Read a JSON value that comes out again with the meaning it came in with.

    Integers of any size are kept. A number that a double cannot hold, an object with the same member twice, `NaN` and
    `Infinity` are refused.

    Returns:
        The value, or the fault with the position where reading stopped.

    Raises:
        UnicodeEncodeError: if `text` holds a lone surrogate, which is how `sources` marks a byte it cannot decode.
    """
    try:
        value = _decode(text)
        # Each member ends in `":` unless blanks stand before the colon, and text can only add to the count. So equal
        # counts prove that nothing was dropped, for a tenth of the cost of looking at the pairs.
        if text.count('":') == _count_members(value) and not _has_blank_before_colon(text):
            return value
        return _twice(text) or value
    except UnicodeEncodeError:
        raise
    except (ValueError, RecursionError) as error:
        return Fault("", _why_unreadable(text, error))


def _count_members(value: Json) -> int:
    """Count the members of all objects in `value`."""
    if not isinstance(value, _NESTING):
        return 0
    count = len(value) if isinstance(value, dict) else 0
    for child in value.values() if isinstance(value, dict) else value:
        if isinstance(child, _NESTING):
            count += _count_members(child)
    return count


def _has_blank_before_colon(text: str) -> bool:
    return " :" in text or "\t:" in text or "\r:" in text or "\n:" in text


def _twice(text: str) -> Fault | None:
    """Find a member that one object has twice; JSON readers would keep either of them."""
    doubled: list[str] = []

    def note(pairs: list[tuple[str, Json]]) -> None:
        doubled.extend(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)

    json.loads(text, object_pairs_hook=note)
    return Fault("", f"the member '{doubled[0]}' stands twice in one object") if doubled else None


def _why_unreadable(text: str, error: Exception) -> str:
    """Put a decoder's complaint into words, its byte offset into a position that an editor shows."""
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    message = str(error)
    if message == "Input data was truncated":
        return "it ends too early"
    if found := _BYTE.fullmatch(message):
        before = text.encode()[: int(found[2])].decode(errors="ignore")
        return f"{found[1]} near character {len(before) + 1}"
    return message.partition(" - at `")[0]


def cell_value(cell: str) -> Json | Fault:
    """Read a non-empty CSV cell that may hold JSON: what parses is JSON, everything else is text.

    Only a number, `true`, `false`, `null`, or something that begins like a JSON string, list or object can be JSON, so
    plain text costs no attempt to parse it.
    """
    bare = cell.strip(_JSON_BLANKS)
    if bare[:1] in ("{", "[", '"'):
        value = exact_json(bare)
    elif bare in _LITERALS:
        return _LITERALS[bare]
    elif _NUMBER.fullmatch(bare):
        value = exact_json(bare)
    else:
        return cell if bare else Fault("", "the cell holds only blanks", f"write {_as_json(cell)} to send them as text")
    if not isinstance(value, Fault):
        return value
    doubt = "looks like JSON but does not parse"
    return Fault("", f"{doubt}: {value.message}", f"to send it as text write it as a JSON string: {_as_json(cell)}")


def _as_json(text: str) -> str:
    """Spell text as JSON, shortened for a message."""
    return msgspec.json.encode(_shorten(text)).decode()


def _shorten(text: str) -> str:
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def _word_fault(column: str, word: Json) -> Fault | None:
    """Say what is wrong with a name or an id as people copy them: not text, blanks around, invisible characters."""
    if not isinstance(word, str):
        return Fault(column, f"must be text, not {json_kind(word)}", f'put it in quotes: "{column}": "…"')
    if not word:
        return Fault(column, f"the {column} is missing", f"fill in the {column}")
    if word != word.strip():
        return Fault(column, f"the {column} {_as_json(word)} begins or ends with a blank", "take the blank out")
    if not word.isprintable():
        found = next(c for c in word if not c.isprintable())
        message = f"the {column} {_as_json(word)} holds the invisible character U+{ord(found):04X}"
        return Fault(column, message, "type it anew, or paste it as plain text")
    return None


def _problem(line: int, fault: Fault, within: str = "") -> Problem:
    """Place a fault in its row; `within` is what its member is a member of, e.g. `patch[2]`."""
    column = ".".join(part for part in (within, fault.member) if part)
    return Problem(line, column, fault.message, fault.hint)


# --- rows ------------------------------------------------------------------------------------------------------------

_GROWTH = 8  # octets of JSON that one character of a row can become at most: 4 in UTF-8, more in `1e9` as 1000000000.0
_PATCH_HINT = 'e.g. [{"op": "replace", "path": "/status", "value": "approved"}]'

_Reader: TypeAlias = Callable[[Row, list[Problem]], Change]


class RowParser:
    """Turns the rows of one file into changes. All that its header decides is decided once, here.

    Args:
        header: the columns of a CSV file; empty for JSONL.
        style: the endpoint style that the changes are for.
        default_container: the container of rows that name none, in a style that lets them: the sandbox.

    Attributes:
        header_problems: what makes the header unusable, for the file as such or in this style. Report them and read no
            row: every row would be answered with the same problems.
    """

    def __init__(self, header: Sequence[str], style: Style, default_container: str) -> None:
        self._style = style
        self._rules = style.rules
        self._default_container = default_container
        self._setters = tuple((name, _setter(name)) for name in header if name.startswith("/"))
        self._pointer_bytes = sum(len(name) for name, _ in self._setters) * _GROWTH
        self._read = self._reader(header)
        self._actions: Mapping[str, _Reader] = {
            "patch": self._read_patch,
            "text": self._read_text_member,
            "create": self._read_create,
            "delete": self._read_delete,
        }
        self.header_problems = self._check_header(header) if header else []

    def parse(self, row: Row) -> Change | list[Problem]:
        """Read what a row wants.

        Returns:
            The change, or all problems of the row, at least one.
        """
        if self.header_problems:
            return [msgspec.structs.replace(problem, line=row.line) for problem in self.header_problems]
        problems: list[Problem] = []
        change = self._read(row, problems)
        return problems or change

    def _reader(self, header: Sequence[str]) -> _Reader:
        if not header:
            return self._read_line
        shapes: Mapping[Shape, _Reader] = {
            Shape.OPERATIONS: self._read_operation,
            Shape.MEMBERS: self._read_members,
            Shape.TEXT: self._read_text,
        }
        return next((shapes[shape] for shape in find_shapes(header)), self._read_members)

    def _check_header(self, header: Sequence[str]) -> list[Problem]:
        problems = header_problems(header)
        if self._style.needs_container and "container" not in header:
            problems.append(_problem(1, self._no_container()))
        if not problems:
            faults = (pointer_fault(name, name, self._rules, may_append=True) for name, _ in self._setters)
            problems = [_problem(1, fault) for fault in faults if fault]
        return problems

    # Every reader appends what is wrong to `problems` and returns a change, which counts only if nothing was appended.

    def _read_operation(self, row: Row, problems: list[Problem]) -> Change:
        address = self._address(row, problems)
        raw = _filled(row, SHAPE_COLUMNS[Shape.OPERATIONS])
        if "value" in raw:
            raw["value"] = _cell_value(row, "value", problems)
        problems.extend([_problem(row.line, fault) for fault in operation_faults(raw, self._rules)])
        if self._may_be_large(row):
            problems.extend(_size_problems(row.line, "value", [raw]))
        return Change(row.line, *address, Kind.PATCH, () if problems else (operation(raw),))

    def _read_members(self, row: Row, problems: list[Problem]) -> Change:
        address = self._address(row, problems)
        cells = row.cells
        operations = tuple(
            [Operation(op, name, _cell_value(row, name, problems)) for name, op in self._setters if cells[name]]
        )
        if not operations:
            problems.append(Problem(row.line, "", "the row changes nothing", "fill a cell, or delete the row"))
        if self._may_be_large(row):
            patch = [{"op": o.op, "path": o.path, "value": o.value} for o in operations]
            problems.extend(_size_problems(row.line, "", patch))
        return Change(row.line, *address, Kind.PATCH, operations)

    def _read_text(self, row: Row, problems: list[Problem]) -> Change:
        return self._text_change(row, _filled(row, SHAPE_COLUMNS[Shape.TEXT]), "", problems)

    def _read_line(self, row: Row, problems: list[Problem]) -> Change:
        names = frozenset(row.cells)
        problems.extend([_problem(row.line, fault) for fault in _member_faults(names)])
        actions = [name for name in ACTIONS if name in names]
        if "key" in names and actions != ["create"]:
            problems.append(Problem(row.line, "key", "only a create has a key", "take the key out"))
        if len(actions) == 1:
            return self._actions[actions[0]](row, problems)
        address = self._address(row, problems)
        problems.append(_problem(row.line, _action_fault(actions)))
        return Change(row.line, *address, Kind.PATCH)

    def _read_patch(self, row: Row, problems: list[Problem]) -> Change:
        address = self._address(row, problems)
        patch = row.cells["patch"]
        if not isinstance(patch, list) or not patch:
            was = "an empty list" if patch == [] else json_kind(patch)
            problems.append(Problem(row.line, "patch", f"must be a list of operations, not {was}", _PATCH_HINT))
            patch = []
        for index, raw in enumerate(patch):
            faults = operation_faults(raw, self._rules) if isinstance(raw, dict) else [_object_fault(raw)]
            if faults:
                problems.extend([_problem(row.line, fault, f"patch[{index}]") for fault in faults])
        if self._may_be_large(row):
            problems.extend(_size_problems(row.line, "patch", patch))
        return Change(row.line, *address, Kind.PATCH, () if problems else tuple(map(operation, patch)))

    def _read_text_member(self, row: Row, problems: list[Problem]) -> Change:
        fields = row.cells["text"]
        if not isinstance(fields, dict):
            problems.append(_problem(row.line, _object_fault(fields), "text"))
            return Change(row.line, *self._text_address(row, problems), Kind.TEXT)
        known = SHAPE_COLUMNS[Shape.TEXT]
        for name in fields:
            if name not in known:
                hint = did_you_mean(name, known) or f"it has {', '.join(known)}"
                problems.append(Problem(row.line, f"text.{name}", f"a text has no member '{name}'", hint))
        return self._text_change(row, fields, "text", problems)

    def _read_create(self, row: Row, problems: list[Problem]) -> Change:
        container, type_ = self._container(row, problems), self._type(row, problems)
        document = row.cells["create"]
        faults = [_foreign_to_create(name) for name in ("id", "name") if name in row.cells]
        if "key" in row.cells and (fault := _word_fault("key", row.cells["key"])):
            faults.append(fault)
        problems.extend([_problem(row.line, fault) for fault in faults])
        problems.extend([_problem(row.line, fault, "create") for fault in self._document_faults(document)])
        if self._may_be_large(row):
            problems.extend(_size_problems(row.line, "create", document))
        key = row.cells.get("key", "")
        return Change(row.line, container, type_, "", Kind.CREATE, document=document, key=key)

    def _document_faults(self, document: Json) -> list[Fault]:
        if not isinstance(document, dict):
            return [_object_fault(document)]
        if not document:
            return [Fault("", "the object to create is empty", "write the members of the new object")]
        why = self._style.document_problem(document)
        return [Fault("", f"the object {why}")] if why else []

    def _read_delete(self, row: Row, problems: list[Problem]) -> Change:
        address = self._address(row, problems)
        if row.cells["delete"] is not True:
            hint = 'write "delete": true, or delete the line'
            problems.append(Problem(row.line, "delete", "can only be true", hint))
        return Change(row.line, *address, Kind.DELETE)

    def _text_change(self, row: Row, fields: Mapping[str, Json], within: str, problems: list[Problem]) -> Change:
        address = self._text_address(row, problems)
        problems.extend([_problem(row.line, fault, within) for fault in _text_faults(fields)])
        if self._may_be_large(row):
            column = f"{within}.content".removeprefix(".")
            problems.extend(_size_problems(row.line, column, fields.get("content")))
        get = fields.get
        text = TextChange(get("placement", ""), get("language", ""), get("content", ""), get("was"))
        return Change(row.line, *address, Kind.TEXT, text=text)

    # Which object is meant.

    def _address(self, row: Row, problems: list[Problem]) -> tuple[str, EntityType, str]:
        return self._container(row, problems), self._type(row, problems), self._object(row, problems)

    def _text_address(self, row: Row, problems: list[Problem]) -> tuple[str, EntityType, str]:
        """Read the address of a text, whose offer may be given by name: `object` is then "", the row has the name."""
        container, type_ = self._container(row, problems), self._type(row, problems)
        if type_ not in _OFFERS:
            problems.append(Problem(row.line, "type", f"a {type_} has no texts", "only offers have"))
        if row.cells.get("id", "") != "" or row.cells.get("name", "") == "":
            return container, type_, self._object(row, problems)
        if fault := _word_fault("name", row.cells["name"]):
            problems.append(_problem(row.line, fault))
        return container, type_, ""

    def _container(self, row: Row, problems: list[Problem]) -> str:
        container: str = row.cells.get("container", "")
        if container == "":
            if self._style.needs_container:
                problems.append(_problem(row.line, self._no_container()))
            return self._default_container
        if fault := _word_fault("container", container):
            problems.append(_problem(row.line, fault))
        return container

    def _no_container(self) -> Fault:
        message = f"the container is missing, and {self._style.name} has no default"
        return Fault("container", message, "write the id of the container that holds the object")

    def _type(self, row: Row, problems: list[Problem]) -> EntityType:
        name = row.cells.get("type", "")
        type_ = _TYPES.get(name) if isinstance(name, str) else None
        if type_ is None:
            type_ = EntityType.PERSONALIZED_OFFER
            if name != "":
                problems.append(_problem(row.line, _type_fault(name)))
        return type_

    def _object(self, row: Row, problems: list[Problem]) -> str:
        object_: str = row.cells.get("id", "")
        fault = _word_fault("id", object_)
        if fault is None:
            if why := self._style.object_problem(object_):
                problems.append(Problem(row.line, "id", f"the id {_as_json(object_)} {why}"))
        elif object_ == "" and row.cells.get("name", "") != "":
            message = "naming an object by name needs a look-up, which this version does not do yet"
            problems.append(Problem(row.line, "name", message, "give its id"))
        else:
            problems.append(_problem(row.line, fault))
        return object_

    def _may_be_large(self, row: Row) -> bool:
        """Rule out in a comparison what nearly no row needs: measuring the JSON it makes."""
        return len(row.raw) * _GROWTH + self._pointer_bytes > MAX_OBJECT_BYTES


def _setter(pointer: str) -> str:
    """Choose the operation that sets the member a header cell points at, whether or not it is there.

    For a member of an object that is `add` (contract 4.4: `replace` of an absent member fails). An element of an array
    is replaced, because `add` would insert before it, unless it is `-`, behind the last.
    """
    last = pointer.rpartition("/")[2]
    return "replace" if last != APPEND and last.isascii() and last.isdigit() else "add"


def _filled(row: Row, names: Iterable[str]) -> dict[str, Json]:
    """Take the non-empty cells among `names`: in CSV an empty cell is a member that is not there."""
    return {name: cell for name in names if (cell := row.cells.get(name))}


def _cell_value(row: Row, column: str, problems: list[Problem]) -> Json:
    value = cell_value(row.cells[column])
    if isinstance(value, Fault):
        problems.append(_problem(row.line, value, column))
    return value


def _text_faults(fields: Mapping[str, Json]) -> list[Fault]:
    words = [fault for name in ("placement", "language") if (fault := _word_fault(name, fields.get(name, "")))]
    content = fields.get("content", "")
    if not isinstance(content, str):
        words.append(Fault("content", f"must be text, not {json_kind(content)}"))
    elif not content:
        words.append(Fault("content", "the content is missing", "write the new text"))
    if not isinstance(fields.get("was", ""), str):
        words.append(Fault("was", f"must be text, not {json_kind(fields['was'])}", "leave it out to ask nothing"))
    return words


def _type_fault(name: Json) -> Fault:
    if not isinstance(name, str):
        return Fault("type", f"must be text, not {json_kind(name)}")
    return Fault("type", f"'{name}' is not a type; the types are {', '.join(_TYPES)}", did_you_mean(name, _TYPES))


def _action_fault(actions: Sequence[str]) -> Fault:
    if not actions:
        return Fault("", "the line says nothing to do", f"give it one of {', '.join(ACTIONS)}")
    return Fault("", f"the line has {' and '.join(actions)}", "a line does one thing; write one line for each")


def _foreign_to_create(name: str) -> Fault:
    message = f"a create has no {name} of its own: the service gives the id, and the name is inside the object"
    return Fault(name, message, f"take the {name} out; to tell two equal creates apart give each a key")


def _object_fault(value: Json) -> Fault:
    return Fault("", f"must be an object, not {json_kind(value)}")


def _size_problems(line: int, column: str, body: Json) -> list[Problem]:
    size = len(msgspec.json.encode(body))
    if size <= MAX_OBJECT_BYTES:
        return []
    message = f"has {size:,} bytes as JSON, more than the {MAX_OBJECT_BYTES:,} that an object may have"
    return [Problem(line, column, message, "shorten it")]
