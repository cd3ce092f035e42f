"""A source: an input file, open, whose rows come out one by one.

The way of an octet: file → gunzip → hash (`octets`) → text → records → rows (`records`).
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from os import PathLike
from typing import Protocol, Self, TextIO, TypeVar

from migrator.core.columns import header_problems, is_own_column
from migrator.core.errors import InputError
from migrator.core.model import Problem, Row
from migrator.sources.octets import HEAD_BYTES, Octets, check_head, open_octets
from migrator.sources.records import Record, Shortcut, csv_records, csv_rows, jsonl_rows, undecoded
from migrator.sources.shape import CSV, InputShape, find_delimiter, find_format, find_newline, first_line

T = TypeVar("T")

_WIDE = ("utf-16", "utf-32")  # encodings in which NUL is part of ordinary text
_NO_HEADER: Record = (0, [])


class Rows(Protocol):
    """The rows of a file, to be iterated over once."""

    def __call__(self, shortcut: Shortcut[T] | None, /) -> Iterator[Row | Problem | T]:
        """Return them; see `Source.rows`."""


class Source:
    """An open input file. Iterate over it once, inside `with`.

    Iterating yields, in the order of the file, a `Row` for each record and a `Problem` for what cannot be one. Problems
    of the header come first and alone: rows under a wrong header would only repeat them.

    Attributes:
        name: the path as the user gave it.
        shape: the outer form of the file.
        header: all columns of a CSV file, also those that begin with `_`; empty for JSONL, and for a CSV file whose
            header cannot be read.
        header_line: the line on which the header begins; 0 if there is none.
    """

    def __init__(
        self,
        name: str,
        shape: InputShape,
        header: Record,
        rows: Rows,
        octets: Octets,
        stack: ExitStack,
    ) -> None:
        self.name = name
        self.shape = shape
        self.header_line, self.header = header[0], tuple(header[1])
        self._rows = rows
        self._octets = octets
        self._stack = stack

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Row | Problem]:
        return self.rows()

    def rows(self, shortcut: Shortcut[T] | None = None) -> Iterator[Row | Problem | T]:
        """Iterate, with a shortcut for some records.

        Args:
            shortcut: what it makes of a record stands in the place of a row, unless that is `None`.
        """
        items = self._rows(shortcut)
        first = next(items, None)
        if first is None:
            raise _no_rows(self.name)
        yield first
        yield from items
        self._octets.drain()

    @property
    def sha256(self) -> str:
        """Hash of the file's octets, unpacked, in hex. It is the file's once iteration has ended, and not before."""
        return self._octets.sha256

    def close(self) -> None:
        """Close the file."""
        self._stack.close()


def open_source(
    path: str | PathLike[str],
    *,
    format: str | None = None,  # noqa: A002 - the word of the command line
    delimiter: str | None = None,
    encoding: str = "utf-8-sig",
) -> Source:
    """Open an input file.

    Args:
        path: a file that stays where it is while it is read; packed with gzip or not.
        format: `csv` or `jsonl`; by default what the name says, else what the file looks like.
        delimiter: of a CSV file; by default the one of `, ; tab |` that fits the header.
        encoding: as Python names it.

    Returns:
        The source, to be closed by the caller.

    Raises:
        InputError: if the file as a whole cannot be used. Iterating raises it as well, for what only reading shows.
    """
    name = str(path)
    codec = _find_codec(encoding)
    with ExitStack() as stack:
        octets = open_octets(path, stack)
        buffered = io.BufferedReader(octets, HEAD_BYTES)
        head = buffered.peek()
        check_head(head, name, wide=codec.startswith(_WIDE))
        line = first_line(head.decode(codec, "replace"))
        if not line:
            raise _no_rows(name)
        found, newline = find_format(name, line, format), find_newline(line)
        # `newline` keeps the line ends as they are, so that a cell keeps its own.
        text = io.TextIOWrapper(buffered, codec, "surrogateescape", newline="" if found == CSV else "\n")
        lines = _decoded(stack.enter_context(text), name, encoding)
        if found == CSV:
            cut = find_delimiter(line, delimiter)
            header, rows = _csv(lines, cut, encoding)
        else:
            cut, header, rows = "", _NO_HEADER, lambda shortcut: jsonl_rows(lines, encoding, shortcut)
        kept = tuple(column for column in header[1] if not is_own_column(column))
        marked = found == CSV and (codec != "utf-8-sig" or head.startswith(codecs.BOM_UTF8))
        shape = InputShape(found, kept, cut, newline, marked)
        return Source(name, shape, header, rows, octets, stack.pop_all())


def _csv(lines: Iterator[str], delimiter: str, encoding: str) -> tuple[Record, Rows]:
    """Read the header; return it, and what reads the rest of the file."""
    records = csv_records(lines, delimiter)
    first = next(records, None)
    if first is None or isinstance(first, Problem):
        return _NO_HEADER, _only([] if first is None else [first])
    line, header = first
    if garbled := undecoded(line, "", "".join(header), encoding):
        return _NO_HEADER, _only([garbled])
    if problems := header_problems(header, line):
        return first, _only(problems)
    return first, lambda shortcut: csv_rows(records, header, encoding, shortcut)


def _only(problems: Sequence[Problem]) -> Rows:
    return lambda _: iter(problems)


def _decoded(text: TextIO, name: str, encoding: str) -> Iterator[str]:
    """Pass the lines of a text on, up to where the file cannot be of its encoding at all."""
    try:
        yield from text
    except UnicodeError as error:
        raise InputError(f"{name} is not {encoding}: {error}", "pass the encoding it was saved in") from error


def _find_codec(encoding: str) -> str:
    """Find the codec; UTF-8 is always read with or without a byte order mark."""
    try:
        codec = codecs.lookup(encoding).name
        "".encode(codec)
    except LookupError:
        raise InputError(f"there is no encoding '{encoding}'", "e.g. utf-8, utf-16, latin-1, cp1252") from None
    return "utf-8-sig" if codec == "utf-8" else codec


def _no_rows(name: str) -> InputError:
    return InputError(f"{name} has no rows", "write a header and a row, or one JSON object a line")
