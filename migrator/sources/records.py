"""Text to rows: the records of a CSV file and the lines of a JSONL file, each with the line on which it begins.

A line ends where an editor shows its end: in CSV after LF, CR LF or a lone CR, in JSONL after LF. Octets that could not
be decoded arrive as lone surrogates (`surrogateescape`). They need no search: encoding a row to JSON, which has to be
done anyway, fails on them and on nothing else.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias, TypeVar

import msgspec

from migrator.core.columns import is_own_column
from migrator.core.model import Problem, Row
from migrator.core.values import Fault, exact_json, json_kind
from migrator.sources.octets import MAX_LINE

T = TypeVar("T")

Record: TypeAlias = tuple[int, list[str]]
"""The line on which a CSV record begins, and its cells."""

Shortcut: TypeAlias = Callable[[int, str, Sequence[str]], T | None]
"""What may take a record and read it in the place of a row, or return `None`: from its line, its raw form (of JSONL the
line without its end), and the cells that a row of a CSV file would have."""

_ESCAPED = re.compile("[\udc80-\udcff]")
_QUOTED = r'"[^"]*+(?:""[^"]*+)*+"'  # possessive: a file-long cell is scanned once
_encode = msgspec.json.encode


def csv_records(lines: Iterator[str], delimiter: str) -> Iterator[Record | Problem]:
    """Cut lines into CSV records, leaving out those without any content.

    After a record whose quotes are broken, reading goes on with the next line; after a quote that is never closed there
    is no next line.

    Args:
        lines: the lines of the file with their ends.
        delimiter: what stands between cells.

    Yields:
        Each record with the line on which it begins, or a problem in its place.
    """
    csv.field_size_limit(MAX_LINE)  # one setting for the whole interpreter; nothing else here reads CSV
    seen: list[str] = []
    reader = csv.reader(_noting(lines, seen), delimiter=delimiter, strict=True)
    while True:
        begin = reader.line_num + 1
        seen.clear()
        try:
            for cells in reader:
                if any(cells):
                    yield begin, cells
                begin = reader.line_num + 1
                seen.clear()
        except csv.Error:
            yield _broken_quotes(begin, seen, delimiter)
            if sum(map(len, seen)) >= MAX_LINE:
                return  # a quote open for this long is open for good: the rest would be read inside out
        else:
            return


def _noting(lines: Iterator[str], seen: list[str]) -> Iterator[str]:
    """Pass lines on, keeping those of the current record for the case that it is broken."""
    for line in lines:
        seen.append(line)
        yield line


def _broken_quotes(begin: int, seen: Sequence[str], delimiter: str) -> Problem:
    """Find the quote that broke a record: it opens the first cell that does not end where a cell should."""
    text, mark = "".join(seen), re.escape(delimiter)
    cell = re.compile(rf'{_QUOTED}{mark}|[^"{mark}\r\n][^{mark}\r\n]*+{mark}|{mark}')
    position = 0
    while found := cell.match(text, position):
        position = found.end()
    line, end = begin + _line_ends(text[:position]), begin + len(seen) - 1
    if re.compile(_QUOTED).match(text, position):
        message = f"a quoted cell has text after its closing quote on line {end}"
        return Problem(line, "", message, "double each quote inside a quoted cell, and look for one too few before it")
    message = f"a quote opens here that is not closed; it takes in everything to line {end}"
    return Problem(line, "", message, "close it, or double each quote inside a quoted cell")


def _line_ends(text: str) -> int:
    return len(re.findall(r"\r\n|\r|\n", text))


def csv_rows(
    records: Iterator[Record | Problem], header: Sequence[str], encoding: str, shortcut: Shortcut[T] | None = None
) -> Iterator[Row | Problem | T]:
    """Name the cells of records by their columns.

    Columns of our own results (`_…`) are left out of a row and of its `raw` form.

    Args:
        records: the records after the header.
        header: all cells of the header, distinct.
        encoding: what the file was read as, for messages.
        shortcut: what it makes of a record stands in the place of a row, unless that is `None`.
    """
    kept = [index for index, name in enumerate(header) if not is_own_column(name)]
    names = [header[index] for index in kept]
    all_kept, width = len(kept) == len(header), len(header)
    for record in records:
        if isinstance(record, Problem):
            yield record
            continue
        line, cells = record
        if len(cells) != width:
            if not all(cell.isspace() or not cell for cell in cells):
                yield _wrong_width(line, len(cells), width)
            continue
        if not all_kept:
            cells = [cells[index] for index in kept]
        try:
            raw = _encode(cells).decode()
        except UnicodeEncodeError:
            found = (undecoded(line, name, cell, encoding) for name, cell in zip(names, cells, strict=True))
            yield from filter(None, found)
            continue
        made = shortcut(line, raw, cells) if shortcut is not None else None
        yield made if made is not None else Row(line, dict(zip(names, cells, strict=True)), raw)


def _wrong_width(line: int, found: int, width: int) -> Problem:
    hint = "put a cell that holds the delimiter in quotes" if found > width else "give each column a cell, if empty"
    return Problem(line, "", f"the row has {found} cell{'s' * (found > 1)}, the header has {width}", hint)


def undecoded(line: int, column: str, text: str, encoding: str) -> Problem | None:
    """Find the first octet in `text` that is not of the encoding that the file was read as."""
    found = _ESCAPED.search(text)
    if not found:
        return None
    message = f"the byte 0x{ord(found[0]) - 0xDC00:02X} at character {found.start() + 1} is not {encoding}"
    return Problem(line, column, message, "save the file as UTF-8, or pass its encoding, e.g. --encoding latin-1")


def jsonl_rows(lines: Iterator[str], encoding: str, shortcut: Shortcut[T] | None = None) -> Iterator[Row | Problem | T]:
    """Read one JSON object from each line that is not blank.

    Args:
        lines: the lines of the file with their ends.
        encoding: what the file was read as, for messages.
        shortcut: what it makes of a line stands in the place of a row, unless that is `None`.
    """
    for number, line in enumerate(lines, 1):
        text = line.rstrip("\r\n")
        made = shortcut(number, text, ()) if shortcut is not None else None
        if made is not None:
            yield made
        elif not line.isspace():
            yield _json_row(number, text, encoding)


def _json_row(number: int, text: str, encoding: str) -> Row | Problem:
    hint = "each line is one JSON object"
    try:
        cells = exact_json(text)
    except UnicodeEncodeError as error:
        return undecoded(number, "", text, encoding) or Problem(number, "", f"the line is no text: {error}", hint)
    if isinstance(cells, dict):
        return Row(number, cells, text)
    if isinstance(cells, Fault):
        return Problem(number, "", f"the line is not JSON: {cells.message}", hint)
    return Problem(number, "", f"the line is {json_kind(cells)}, not an object", hint)
