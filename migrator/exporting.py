"""Exports: objects read from lists into a spool, and from there written as lines, as a spreadsheet, or as texts.

Nothing is written before everything is read: an export that ends in the middle of a list is none. What is read stands
in a file (`snapshots`), so that memory does not grow with it, entries that a list repeats are there once, and the
header of a spreadsheet can have all columns.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO, Protocol

from msgspec import Struct

from migrator.core.columns import EXPORT_COLUMN
from migrator.core.edit import is_placement_id
from migrator.core.errors import ServiceRefused, UsageError
from migrator.core.model import EntityType
from migrator.core.plan import name_in
from migrator.core.pointers import value_at
from migrator.core.snapshot import document_of, line, placed
from migrator.core.styles import Query, Style
from migrator.core.texts import Replacement, Text, texts_of
from migrator.core.values import did_you_mean, quote
from migrator.core.where import Condition, meets, pushed
from migrator.core.wide import cell_of, column_problem, is_too_long, members
from migrator.engine import Reader, Unlistable
from migrator.snapshots import Exported, Spool

WALKS = 3
"""How often a list is read that gives fewer objects than it says it has: others may have changed it meanwhile."""

ADDRESS = ("container", "type", "id")

TEXT_COLUMNS = (*ADDRESS, "name", "placement", "language", "format", "content", "was")

SHOWN_LINES = 10
"""Lines that a note lists at the most."""

NAMES = ("name", "xdm:name")
"""What the name of an object is called in either style; its column comes first."""


class Wanted(Struct, frozen=True):
    """What to export.

    Attributes:
        containers: where from.
        types: of what.
        conditions: what objects must meet.
    """

    containers: Sequence[str]
    types: Sequence[EntityType]
    conditions: Sequence[Condition] = ()


Watch = Callable[[int], None]
"""Is told after each page how many objects it had."""


async def collect(reader: Reader, wanted: Wanted, spool: Spool, watch: Watch) -> None:
    """Read all that is wanted into `spool`.

    Raises:
        ServiceRefused: the service refuses to be read, or a list cannot be read to its end.
        Stopped: patience ran out.
    """
    for container in wanted.containers:
        await reader.probe(container)
        for type_ in wanted.types:
            await _collect(reader, container, type_, wanted.conditions, spool, watch)


async def _collect(
    reader: Reader, container: str, type_: EntityType, conditions: Sequence[Condition], spool: Spool, watch: Watch
) -> None:
    name = f"the list of type {type_} in container {container}"
    try:
        for _ in range(WALKS):
            total = await _walk(reader, container, type_, conditions, spool, watch)
            read = spool.count(container, type_)
            if total is None or read >= total:
                return
    except Unlistable as error:
        hint = "nothing was exported; try again, and see with -v what the service says"
        raise ServiceRefused(f"{name} cannot be read to its end: {error}", hint) from error
    message = f"{name} is said to have {total:,} objects, and gave {read:,} of them in {WALKS} readings"
    raise ServiceRefused(message, "nothing was exported; try again when others change less")


async def _walk(
    reader: Reader, container: str, type_: EntityType, conditions: Sequence[Condition], spool: Spool, watch: Watch
) -> int | None:
    """Read a list once; return how many objects its first page says that there are."""
    totals: list[int | None] = []
    async for page in reader.pages(container, type_, Query(where=pushed(conditions))):
        totals.append(page.total)
        for seen in page.seen:
            if not seen.object:
                raise Unlistable("an entry has no id")
            # A service may not know the conditions that it was asked for.
            met = meets(seen.document, conditions)
            spool.add(container, type_, seen.object, line(seen, container, type_, reader.style) if met else None)
        watch(len(page.seen))
    return totals[0] if totals else None


async def placements_called(reader: Reader, containers: Iterable[str], names: Collection[str]) -> frozenset[str]:
    """Return the ids of placements that are given by name or by id.

    Raises:
        UsageError: no placement has one of the names.
        ServiceRefused: they cannot be read.
    """
    ids = {name for name in names if is_placement_id(name)}
    if len(ids) == len(names):
        return frozenset(ids)
    by_name: dict[str, set[str]] = {}
    try:
        for container in containers:
            async for page in reader.pages(container, EntityType.PLACEMENT):
                for seen in page.seen:
                    name = name_in(value_at(seen.document, reader.style.root))
                    by_name.setdefault(name, set()).add(seen.reference)
    except Unlistable as error:
        hint = "name placements by their ids instead"
        raise ServiceRefused(f"the placements of container {container} cannot be read: {error}", hint) from error
    for name in set(names) - ids:
        if name not in by_name:
            raise UsageError(f"no placement is called {quote(name)}", did_you_mean(name, by_name))
        ids |= by_name[name]
    return frozenset(ids)


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


# Spreadsheets


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


# Texts


class _Tally:
    """What happened to the texts that were gone through."""

    def __init__(self) -> None:
        self.empty = self.hidden = self.replaced = self.emptied = 0
        self.spared = Counter[str]()
        """Matches inside of placeholders, by where they are."""


class Texts(Struct, frozen=True):
    """The texts of offers: one a row, with what it was.

    Attributes:
        style: the endpoint style.
        table: how they are written.
        placements: ids of the placements that they are for; all if there are none.
        languages: their language tags in lower case; all if there are none.
        replacement: what to replace in them; then only those that it changes are written.
    """

    style: Style
    table: Table
    placements: Collection[str] = ()
    languages: Collection[str] = ()
    replacement: Replacement | None = None

    def write(self, spool: Spool, file: BinaryIO) -> Report:
        """See `Form`."""
        report, tally, line_number = Report(), _Tally(), 2
        with self.table.open(file) as write:
            write(TEXT_COLUMNS)
            for one, name, text in self._chosen(spool.objects(), tally):
                content = self._content(text, tally, line_number)
                if content is not None:
                    place = (one.container, one.type.value, one.id, name, text.placement, text.language, text.format)
                    write(row := (*place, content, text.content))
                    line_number += 1 + sum(map(_line_ends, row))
                    report.rows += 1
        report.notes = tuple(_notes(tally, replaced=self.replacement is not None))
        return report

    def _chosen(self, objects: Iterable[Exported], tally: _Tally) -> Iterator[tuple[Exported, str, Text]]:
        """Yield the texts that can be addressed, with their offers and the names of these."""
        for one in objects:
            document = document_of(one.line)
            for text in texts_of(placed(document, self.style), self.style.texts):
                if not self._wants(text):
                    continue
                if not text.content:
                    tally.empty += 1
                elif not text.found:
                    tally.hidden += 1
                else:
                    yield one, name_in(document), text

    def _wants(self, text: Text) -> bool:
        return (not self.placements or text.placement in self.placements) and (
            not self.languages or text.language.casefold() in self.languages
        )

    def _content(self, text: Text, tally: _Tally, line_number: int) -> str | None:
        """Return what a text is to be, `None` if a replacement does not change it."""
        if self.replacement is None:
            return text.content
        return _replaced(text, self.replacement, tally, line_number)


def _replaced(text: Text, replacement: Replacement, tally: _Tally, line_number: int) -> str | None:
    """Return a text with what is to be replaced, `None` if that changes nothing."""
    try:
        made = replacement.apply(text.content)
    except ValueError as error:
        raise UsageError(str(error), r"write \1 for the first group, and \\ for a backslash") from error
    written = made.content not in ("", text.content)
    if made.spared:
        place = f"line {line_number}" if written else "in texts that are not written"
        tally.spared[place] += made.spared
    if not written:
        tally.emptied += not made.content
        return None
    tally.replaced += made.count
    return made.content


def _line_ends(cell: str) -> int:
    return cell.count("\n") + cell.count("\r") - cell.count("\r\n")


def _notes(tally: _Tally, *, replaced: bool) -> Iterator[str]:
    if tally.empty:
        yield f"{tally.empty:,} texts are empty and left out"
    if tally.hidden:
        yield f"{tally.hidden:,} texts are left out: another has the same placement, language and format"
    if not replaced:
        return
    yield f"{tally.replaced:,} matches are replaced"
    if tally.emptied:
        yield f"{tally.emptied:,} texts are left out: nothing would be left of them"
    if tally.spared:
        lines = [f"{place}: {count:,}" for place, count in tally.spared.items()]
        more = f" and {len(lines) - SHOWN_LINES:,} more" if len(lines) > SHOWN_LINES else ""
        yield (
            f"warning: {sum(tally.spared.values()):,} matches inside of {{placeholders}} are left as they are"
            f" ({', '.join(lines[:SHOWN_LINES])}{more}); to replace a placeholder find all of it, braces too"
        )
