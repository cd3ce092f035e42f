"""Columns: which names a file may use, which shape they make, and what to type instead when they are wrong.

What belongs here: the header of a CSV file and the member names of a JSONL line, as words on their own. What must
never: what stands below them. No cell is looked at here, and no endpoint style is known; whether a pointer leads
anywhere in a style is decided in `rows`. `sources` cuts files into cells and asks here which names it should know.

Columns nobody knows are the user's own and are carried along. The exception is a column that is nearly a known one: it
is refused, because its cells would otherwise be carried along silently instead of being sent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from enum import StrEnum
from functools import lru_cache

from migrator.core.model import Problem
from migrator.core.patch import pointer_syntax_fault
from migrator.core.values import Fault, nearest


class Shape(StrEnum):
    """The shapes a CSV file may have."""

    OPERATIONS = "operations"
    MEMBERS = "members"
    TEXT = "text"


ADDRESS_COLUMNS = ("container", "type", "id", "name")
"""The columns that say which object is meant, in every shape and in JSONL."""

SHAPE_COLUMNS: Mapping[Shape, tuple[str, ...]] = {
    Shape.OPERATIONS: ("op", "path", "value", "from"),
    Shape.MEMBERS: (),  # its columns are pointers
    Shape.TEXT: ("placement", "language", "format", "content", "was"),
}
"""The columns by which a shape is known."""

ACTIONS = ("patch", "text", "create", "replace", "delete")
"""The members of a JSONL line that say what to do; each line has exactly one."""

_OPTIONAL = ("value", "from", "format", "was")
_BESIDE = frozenset({"format"})  # alone it tells nothing: many a spreadsheet has such a column of its own
_LINE_MEMBERS = (*ADDRESS_COLUMNS, *ACTIONS, "key")
_MIN_TYPO = 3  # a slip in "id" or "op" gives another word, not a typo; a missing column is reported anyway
_SHAPES_HINT = (
    "the header is one of: container,type,id,op,path,value - or container,type,id and JSON Pointers such as /name "
    "- or container,type,id,placement,language,content"
)


EXPORT_COLUMN = "_export"
"""The column by which a file is known to be an export: it names the export. Unlike our other columns, it is input."""


def is_own_column(name: str) -> bool:
    """Say whether a column is one that our results files add, which input ignores."""
    return name.startswith("_") and name != EXPORT_COLUMN


def is_export(header: Sequence[str]) -> bool:
    """Say whether a file with this header is an export that may have been edited."""
    return EXPORT_COLUMN in header and find_shapes(header) == [Shape.MEMBERS]


def is_known_column(name: str) -> bool:
    """Say whether a header cell means something in some shape. Used to find the delimiter of a file."""
    return name in ADDRESS_COLUMNS or name.startswith("_") or any(_belongs(name, shape) for shape in Shape)


def _belongs(name: str, shape: Shape) -> bool:
    return name in SHAPE_COLUMNS[shape] or (shape is Shape.MEMBERS and name.startswith("/"))


def find_shapes(header: Sequence[str]) -> list[Shape]:
    """List the shapes that the columns of `header` belong to; a usable header has exactly one."""
    telling = [name for name in header if name not in _BESIDE]
    return [shape for shape in Shape if any(_belongs(name, shape) for name in telling)]


def header_problems(header: Sequence[str], line: int = 1) -> list[Problem]:
    """List everything that makes a CSV header unusable, whatever the endpoint style.

    Args:
        header: all cells of the header, in order.
        line: the line on which it begins.
    """
    names = [name for name in header if not is_own_column(name)]
    shapes = find_shapes(names)
    known = ADDRESS_COLUMNS + sum((SHAPE_COLUMNS[shape] for shape in shapes or Shape), ())
    slips = _slips(names, known, present=names)
    faults = [
        *_doubled(names),
        *_unnamed(header),
        *(_misspelt("column", name, meant) for name, meant in slips.items()),
        *_shape_faults(names, shapes, [*names, *slips.values()]),
        *(fault for name in names if name.startswith("/") if (fault := pointer_syntax_fault(name, name))),
    ]
    return [fault.at(line) for fault in faults]


@lru_cache(maxsize=1024)  # the lines of one file have the same few sets of members
def line_faults(names: frozenset[str]) -> tuple[Fault, ...]:
    """Find the members of a JSONL line that are nearly known ones."""
    # With an action present no other can have been meant: "created" beside "patch" is somebody's own member.
    present = names.union(ACTIONS) if names.intersection(ACTIONS) else names
    slips = _slips(sorted(names), _LINE_MEMBERS, present)
    return tuple(_misspelt("member", name, meant) for name, meant in slips.items())


def _slips(names: Sequence[str], known: Sequence[str], present: Collection[str]) -> dict[str, str]:
    """Find the names that were meant to be known ones, each with the one it was meant to be.

    A known name that is present already was not misspelt, so a `names` beside `name` is somebody's own column; but a
    `Name` beside `name` is refused, because no reader could tell which of them counts.
    """
    absent = [name for name in known if name not in present and len(name) >= _MIN_TYPO]
    strange = [name for name in names if name not in known and not name.startswith("_")]
    return {name: meant for name in strange if (meant := _meant(name, known, absent))}


def _meant(name: str, known: Sequence[str], absent: Sequence[str]) -> str:
    """Find the column that a strange one was meant to be, or "" if it is simply another."""
    bare = name.strip()
    if bare.startswith("/"):
        return bare if bare != name else ""
    return bare.casefold() if bare.casefold() in known else nearest(name, absent)


def _misspelt(what: str, name: str, meant: str) -> Fault:
    return Fault(name, f"the {what} '{name}' is not known", f"did you mean '{meant}'?")


def _doubled(names: Sequence[str]) -> Iterator[Fault]:
    for name, count in Counter(filter(None, names)).items():
        if count > 1:
            message = f"the column '{name}' stands {count} times in the header"
            yield Fault(name, message, "keep one of them, or rename the other")


def _unnamed(header: Sequence[str]) -> Iterator[Fault]:
    for number, name in enumerate(header, 1):
        if not name.strip():
            message = f"column {number} of the header has no name"
            yield Fault("", message, "name it, or delete the column with its delimiter")


def _shape_faults(names: Sequence[str], shapes: Sequence[Shape], meant: Sequence[str]) -> list[Fault]:
    """Say why `names` are not of one shape, or which of its columns are missing from those that were `meant`."""
    if not shapes:
        return [Fault("", "the header fits none of the three shapes of a CSV file", _SHAPES_HINT)]
    if len(shapes) > 1:
        samples = [next(name for name in names if _belongs(name, shape)) for shape in shapes]
        both = " and ".join(f"'{name}'" for name in samples)
        return [Fault("", f"the header mixes shapes: it has {both}", _SHAPES_HINT)]
    wanted = [name for name in SHAPE_COLUMNS[shapes[0]] if name not in _OPTIONAL]
    if "name" not in names:
        wanted.append("id")
    return [Fault(name, f"the column '{name}' is missing", _SHAPES_HINT) for name in wanted if name not in meant]
