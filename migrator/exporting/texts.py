"""The texts of offers, one a row, as they are or with something in them replaced."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from typing import BinaryIO

from msgspec import Struct

from migrator.core.errors import UsageError
from migrator.core.plan import name_in
from migrator.core.snapshot import document_of, placed
from migrator.core.styles import Style
from migrator.core.texts import Replacement, Text, texts_of
from migrator.core.wide import looks_like_formula
from migrator.exporting.forms import ADDRESS, Report, Table
from migrator.exporting.snapshots import Exported, Spool

TEXT_COLUMNS = (*ADDRESS, "name", "placement", "language", "format", "content", "was")

SHOWN_LINES = 10
"""Lines that a note lists at the most."""


class _Tally:
    """What happened to the texts that were gone through."""

    def __init__(self) -> None:
        self.empty = self.hidden = self.replaced = self.emptied = self.formulas = 0
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
                    tally.formulas += any(map(looks_like_formula, row))
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
    if tally.formulas:
        # Unlike a cell of an export by members, that of a text is the text, to the letter.
        what = f"{tally.formulas:,} rows have a cell that begins like a formula"
        yield f"warning: {what}, which a spreadsheet calculates: import the columns as text instead of opening the file"
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
