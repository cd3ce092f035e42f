"""Files: an input read, a change file written in its shape, in memory that does not grow with either."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO

import msgspec
from msgspec import Struct

from migrator.core.columns import is_export
from migrator.core.errors import InputError
from migrator.planning.draft import Input
from migrator.sources import InputShape, csv_writer, open_source
from migrator.translating.forms import Plain
from migrator.translating.idmap import unusable
from migrator.translating.lines import Line, Told, Translator
from migrator.translating.places import Way


class Tally(Struct):
    """What became of a file.

    Attributes:
        lines: rows that were read.
        empty: rows of which nothing was left, after losses that were allowed or lose nothing.
        refused: rows that were refused.
        losses: what was told of rows that were not refused, by class.
        refusals: what stood in the way of rows that were refused, by class.
    """

    lines: int = 0
    empty: int = 0
    refused: int = 0
    losses: dict[str, int] = msgspec.field(default_factory=dict)
    refusals: dict[str, int] = msgspec.field(default_factory=dict)

    @property
    def translated(self) -> int:
        """Rows that were translated, to whatever number of rows."""
        return self.lines - self.empty - self.refused

    def note(self, line: Line) -> None:
        """Count what became of a line."""
        if line.refused:
            self.refused += 1
        elif not line.written:
            self.empty += 1

    def note_told(self, told: Told, line: Line, *, in_the_way: bool) -> None:
        """Count what was told of a line; of one that is refused nothing but what stood in its way."""
        if in_the_way or not line.refused:
            counts = self.refusals if in_the_way else self.losses
            counts[told.loss] = counts.get(told.loss, 0) + 1


def translate_file(source: Input, way: Way, out: BinaryIO, tell: Callable[[Told, bool], object]) -> Tally:
    """Translate a change file.

    Args:
        source: the file.
        way: how.
        out: takes the translated file.
        tell: takes what is to be said of a line, and whether that stands in its way.

    Returns:
        What became of it.

    Raises:
        InputError: the file as a whole cannot be used.
        OSError: it cannot be written.
    """
    with open_source(source.path, format=source.format, delimiter=source.delimiter, encoding=source.encoding) as opened:
        if is_export(opened.header):
            raise _not_changes(source.name)
        translator = Translator(opened.header, way, opened.header_line)
        if translator.problems:
            raise unusable(source.name, source.name, translator.problems)
        for told in translator.told:
            tell(told, True)
        tally = Tally()
        with _writer(out, opened.shape, translator.header) as write:
            shortcut = None if opened.header else translator.forms.translated
            for tally.lines, row in enumerate(opened.rows(shortcut), 1):
                if isinstance(row, Plain):
                    write(row)
                    continue
                line = translator.translate(row)
                for cells in line.written:
                    write(cells)
                tally.note(line)
                for told in line.told:
                    in_the_way = line.refused and way.context.refuses(told.severity, told.loss)
                    tally.note_told(told, line, in_the_way=in_the_way)
                    tell(told, in_the_way)
        return tally


def _not_changes(name: str) -> InputError:
    """Refuse an export: which of its cells were edited its snapshot knows, and a file of changes cannot say."""
    hint = "apply it in its own style; without the column _export every cell is translated, as if all were edited"
    return InputError(f"{name} is an export, and not all its cells are changes", hint)


@contextmanager
def _writer(out: BinaryIO, shape: InputShape, header: Sequence[str]) -> Iterator[Callable[[Any], object]]:
    """Yield what writes one line in the shape of the input."""
    if shape.format == "jsonl":
        encode, end, write = msgspec.json.Encoder().encode, shape.newline.encode(), out.write
        yield lambda cells: write(encode(cells) + end)
        return
    text = io.TextIOWrapper(out, "utf-8", newline="")
    write_row = csv_writer(text, shape.delimiter, shape.newline)
    write_row(header)
    try:
        yield lambda cells: write_row([cells.get(name, "") for name in header])
        text.flush()
    finally:
        text.detach()
