"""What kind of file it is: format, delimiter and line end, found from its first line.

All functions here are pure. Whoever writes results back reads the same `InputShape`, so that they come out in the shape
in which the rows came in.
"""

from __future__ import annotations

import csv
import io
from pathlib import PurePath

from msgspec import Struct

from migrator.core.columns import is_known_column
from migrator.core.errors import InputError

CSV = "csv"
JSONL = "jsonl"

FORMATS = {".csv": CSV, ".tsv": CSV, ".txt": CSV, ".jsonl": JSONL, ".ndjson": JSONL, ".json": JSONL}
"""The format that the end of a file's name says, once `.gz` is taken off."""

DELIMITERS = (",", ";", "\t", "|")
"""Tried in this order; a comma wins a tie."""

_SPELLINGS = {"\\t": "\t", "tab": "\t"}  # what a shell user types for a tab


class InputShape(Struct, frozen=True):
    """The outer form of an input file.

    Attributes:
        format: `csv` or `jsonl`.
        header: the columns of a CSV file but those that begin with `_`, which are ours; empty for JSONL, and for a CSV
            file whose header cannot be read.
        delimiter: what stands between the cells of a CSV file; "" for JSONL.
        newline: LF or CR LF, as the first line ends.
        marked: whether what is written back as CSV begins with a byte order mark: where the file did, and where it was
            not UTF-8. Without one, a spreadsheet reads UTF-8 as something else.
    """

    format: str
    header: tuple[str, ...]
    delimiter: str
    newline: str
    marked: bool = False


def first_line(head: str) -> str:
    """Find the first line that is not blank, with its end; "" if there is none."""
    return next((line for line in io.StringIO(head, newline="") if not line.isspace()), "")


def find_format(name: str, line: str, given: str | None) -> str:
    """Decide on the format: what was given, else what the name says, else what the first line looks like.

    Raises:
        InputError: if `given` is no format, or a JSON file is not one object a line.
    """
    if given not in (None, CSV, JSONL):
        raise InputError(f"'{given}' is not a format", f"the formats are {CSV} and {JSONL}")
    path = PurePath(name.lower())
    suffix = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    found = given or FORMATS.get(suffix) or (JSONL if line.lstrip().startswith("{") else CSV)
    if found == JSONL:
        _check_one_a_line(name, line)
    return found


def _check_one_a_line(name: str, line: str) -> None:
    """Recognise the two ways in which JSON is not JSONL, which would otherwise be a problem in every line."""
    if line.lstrip().startswith("["):
        raise InputError(f"{name} is one JSON list, not one object a line", f"convert it: jq -c '.[]' {name}")
    if line.strip() == "{":
        raise InputError(f"{name} spreads an object over several lines", f"convert it: jq -c . {name}")


def find_delimiter(line: str, given: str | None) -> str:
    """Decide on the delimiter: what was given, else what cuts the header into the most columns that we know.

    Raises:
        InputError: if `given` cannot be a delimiter.
    """
    if given is not None:
        delimiter = _SPELLINGS.get(given, given)
        if len(delimiter) != 1 or delimiter in '"\r\n':
            raise InputError(f"{given!r} cannot be a delimiter", "give one character, e.g. --delimiter ';'")
        return delimiter
    return max(DELIMITERS, key=lambda delimiter: _fit(line, delimiter))


def _fit(line: str, delimiter: str) -> tuple[int, int]:
    """Measure how well a delimiter cuts a header: columns known, then columns."""
    cells = next(csv.reader([line], delimiter=delimiter), [])
    return sum(map(is_known_column, cells)), len(cells)


def find_newline(line: str) -> str:
    """Find how the lines of the file end, from one of them."""
    return "\r\n" if line.endswith("\r\n") else "\n"
