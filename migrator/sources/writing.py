"""Records to text, so that reading them gives the same records again; and files that are whole or not there."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from migrator.core.errors import UsageError

BUFFER = 1 << 20
"""Octets that are collected before they are written."""


def csv_writer(stream: TextIO, delimiter: str, newline: str) -> Callable[[Sequence[Any]], object]:
    """Return what writes one record.

    Args:
        stream: a text file opened with `newline=""`.
        delimiter: what stands between cells.
        newline: what ends a record: LF or CR LF.
    """
    return csv.writer(_Records(stream, newline), delimiter=delimiter, lineterminator="\r\n").writerow


class _Records:
    """Ends records as they are wanted.

    `csv.writer` quotes only those line-end characters that are in its own line terminator. Given CR LF it quotes both,
    so that a lone CR in a cell is read back as part of the cell; the end of each record is then put right here.
    """

    def __init__(self, stream: TextIO, newline: str) -> None:
        self._stream = stream
        self._newline = newline

    def write(self, record: str) -> None:
        self._stream.write(record.removesuffix("\r\n") + self._newline)


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Yield a file that takes the place of `path` once it is whole; until then, and if it never is, `path` stays.

    Raises:
        UsageError: it cannot be written there.
    """
    beside = path.with_name(f"{path.name}.new")
    try:
        with beside.open("wb", buffering=BUFFER) as stream:
            yield stream
        beside.replace(path)
    except BaseException as error:
        beside.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise UsageError(f"{path} cannot be written: {error.strerror}", "name another file") from error
        raise
