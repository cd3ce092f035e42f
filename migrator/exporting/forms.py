"""The forms in which objects are written: one a line, or one a row of a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, Protocol

from msgspec import Struct

from migrator.core.columns import EXPORT_COLUMN
from migrator.core.pointers import value_at
from migrator.core.snapshot import document_of, placed
from migrator.core.styles import Style
from migrator.core.wide import cell_of, column_problem, is_too_long, members
from migrator.exporting.snapshots import Exported, Spool

ADDRESS = ("container", "type", "id")

NAMES = ("name", "xdm:name")
"""What the name of an object is called in either style; its column comes first."""


class Report(Struct):
    """What was written.

    Attributes:
        rows: lines or rows.
        columns: pointers that have a column, of a spreadsheet.
        notes: what people should know, a sentence each.
    """

    rows: int = 0
    columns: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Form(Protocol):
    """A form in which objects are written."""

    def write(self, spool: Spool, file: BinaryIO) -> Report:
        """Write all objects.

        Args:
            spool: the objects.
            file: where to.

        Raises:
            UsageError: they cannot be written so.
        """


class Lines:
    """One object a line, in the format of `core.snapshot`."""

    def write(self, spool: Spool, file: BinaryIO) -> Report:
        """See `Form`."""
        report = Report()
        for one in spool.objects():
            file.write(one.line + b"\n")
            report.rows += 1
        return report


class Table(Struct, frozen=True):
    """How a CSV is written.

    Attributes:
        delimiter: what stands between cells.
        marked: whether it begins with a byte order mark, without which Excel reads it in the wrong encoding.
    """

    delimiter: str = ","
    marked: bool = True

    @contextmanager
    def open(self, file: BinaryIO) -> Iterator[Callable[[Iterable[str]], object]]:
        """Yield what writes a row."""
        text = io.TextIOWrapper(file, "utf-8-sig" if self.marked else "utf-8", newline="")
        # With both characters in the line end, csv quotes a cell with either of them in it.
        yield csv.writer(text, delimiter=self.delimiter, lineterminator="\r\n").writerow
        text.flush()
        text.detach()


class Wide(Struct, frozen=True):
    """A spreadsheet: one object a row, its members in columns.

    Attributes:
        style: the endpoint style.
        table: how it is written.
    """

    style: Style
    table: Table

    def write(self, spool: Spool, file: BinaryIO) -> Report:
        """See `Form`."""
        columns, left_out = _columns(spool.objects(), self.style)
        report, too_long = Report(columns=tuple(columns)), Counter[str]()
        with self.table.open(file) as write:
            write([*ADDRESS, *columns, EXPORT_COLUMN])
            for one in spool.objects():
                document = placed(document_of(one.line), self.style)
                cells = [cell_of(value_at(document, pointer)) or "" for pointer in columns]
                too_long.update(pointer for pointer, cell in zip(columns, cells, strict=True) if is_too_long(cell))
                write([one.container, one.type.value, one.id, *cells, spool.origin.id])
                report.rows += 1
        report.notes = (
            *(f"{pointer} has no column: {why}" for pointer, why in left_out.items()),
            *(f"{pointer}: {count:,} cells are longer than a spreadsheet keeps" for pointer, count in too_long.items()),
        )
        return report


def _columns(objects: Iterable[Exported], style: Style) -> tuple[list[str], dict[str, str]]:
    """Find the pointers that have a column, the name first, and why others have none."""
    columns: dict[str, None] = {}
    left_out: dict[str, str] = {}
    for one in objects:
        for pointer, value in members(document_of(one.line), style.root):
            if pointer in left_out:
                continue
            if cell_of(value) is None:
                left_out[pointer] = "it is a list of objects (--texts exports texts)"
            elif pointer not in columns:
                if why := column_problem(pointer, style.rules):
                    left_out[pointer] = why
                else:
                    columns[pointer] = None
    found = [pointer for pointer in columns if pointer not in left_out]
    return sorted(found, key=lambda pointer: pointer.removeprefix(f"{style.root}/") not in NAMES), left_out
