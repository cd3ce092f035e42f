"""Any objects, written as a spreadsheet and read again: unedited they are no change, edited exactly what was edited."""

from __future__ import annotations

import csv
import io
import itertools
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from migrator.core.errors import InputError
from migrator.core.model import Change, EntityType, Problem, Row, Seen, Swap
from migrator.core.pointers import value_at
from migrator.core.rows import RowParser
from migrator.core.snapshot import document_of, line, placed
from migrator.core.styles import DPS, XCORE, Style
from migrator.core.texts import Replacement
from migrator.core.wide import REMOVED, cell_of
from migrator.exporting.forms import Lines, Table, Wide
from migrator.exporting.snapshots import Origin, Snapshot, Spool
from migrator.exporting.texts import Texts
from migrator.sources import open_source

OFFER = EntityType.PERSONALIZED_OFFER
STYLES = {"dps": DPS, "xcore": XCORE}

NAMES = st.sampled_from(["name", "xdm:name", "a/b", "c~d", "0", "", "-", "rank", " end ", "é", "_instance", "Name"])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=8
)
DOCUMENTS = st.lists(st.dictionaries(NAMES, VALUES, max_size=5), min_size=1, max_size=4)


@contextmanager
def spooled(documents: Sequence[dict[str, Any]], style: Style, path: Path) -> Iterator[Spool]:
    origin = Origin("export-1", 0.0, style.name, "http://localhost", "org", "dev")
    with Spool(path, origin) as spool:
        for number, document in enumerate(documents):
            seen = Seen(f"o{number}", f"o{number}", 1, placed(document, style))
            spool.add("c", OFFER, seen.object, line(seen, "c", OFFER, style))
        yield spool


@contextmanager
def exported(documents: Sequence[dict[str, Any]], style: Style) -> Iterator[tuple[Path, list[list[str]], Snapshot]]:
    """Export documents; yield where the CSV is to be, its records, and the snapshot."""
    with tempfile.TemporaryDirectory() as name:
        folder, text = Path(name), io.BytesIO()
        with spooled(documents, style, folder / "offers.csv.snapshot") as spool:
            report = Wide(style, Table()).write(spool, text)
            spool.finish(report.columns)
        (folder / "offers.csv").write_bytes(text.getvalue())
        records = list(csv.reader(io.StringIO(text.getvalue().decode("utf-8-sig"), newline="")))
        with Snapshot(folder / "offers.csv.snapshot") as snapshot:
            yield folder / "offers.csv", records, snapshot


def read(path: Path, style: Style, snapshot: Snapshot) -> list[Change | list[Problem]]:
    with open_source(path) as source:
        parser = RowParser(source.header, style, "c", source.header_line, snapshot)
        assert parser.header_problems == []
        rows = list(source)
        assert all(isinstance(row, Row) for row in rows)
        return [parser.parse(row) for row in rows if isinstance(row, Row)]


def pointers(header: Sequence[str]) -> list[str]:
    return [name for name in header if name.startswith("/")]


@given(DOCUMENTS, st.sampled_from(["dps", "xcore"]))
def test_any_documents_come_back_without_a_change(documents: list[dict[str, Any]], style_name: str) -> None:
    style = STYLES[style_name]
    with exported(documents, style) as (path, records, snapshot):
        if not pointers(records[0]):
            return
        for change, number in zip(read(path, style, snapshot), itertools.count()):
            assert isinstance(change, Change), change
            assert (change.object, change.edits) == (f"o{number}", ())


EDITS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 30), SCALARS | st.just(UNSET)), max_size=5)


def credible(was: Any, drawn: Any) -> Any:
    """Choose an edit that nobody takes for the work of a spreadsheet: other text for text, or nothing at all."""
    if not isinstance(was, str | None) or not isinstance(drawn, str) or set("?ÂÃÄÅâ\ufffd\r\n") & set(drawn):
        return UNSET
    digits = isinstance(was, str) and (was.isdecimal() or drawn[:1].isdecimal())
    return "another text" if digits else drawn


@given(DOCUMENTS, EDITS, st.sampled_from(",;\t|"))
def test_any_edits_are_exactly_the_swaps(
    documents: list[dict[str, Any]], edits: list[tuple[int, int, Any]], delimiter: str
) -> None:
    with exported(documents, DPS) as (path, records, snapshot):
        header, *rows = records
        columns = pointers(header)
        if not columns:
            return
        wanted: dict[tuple[int, str], Any] = {}
        for row, column, drawn in edits:
            number, pointer = row % len(rows), columns[column % len(columns)]
            was = value_at(documents[number], pointer)
            if was is not UNSET:
                wanted[number, pointer] = value = credible(was, drawn)
                rows[number][header.index(pointer)] = REMOVED if value is UNSET else cell_of(value) or ""
        # Somebody sorts the rows and moves the columns, in a spreadsheet with another delimiter.
        order = sorted(range(len(header)), key=lambda index: header[index][::-1])
        with path.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
            writer.writerows([[record[index] for index in order] for record in [header, *reversed(rows)]])

        changes = read(path, DPS, snapshot)

    found = {}
    for change in changes:
        assert isinstance(change, Change), change
        for swap in change.edits:
            assert isinstance(swap, Swap)
            assert swap.was == value_at(documents[int(change.object[1:])], swap.path)
            found[int(change.object[1:]), swap.path] = swap.value
    assert found == {
        (number, pointer): value
        for (number, pointer), value in wanted.items()
        if value is UNSET or value != value_at(documents[number], pointer)
    }


def test_a_spool_holds_each_object_once_and_as_it_was_read_last(tmp_path: Path) -> None:
    with spooled([{"name": "A"}, {"name": "B"}], DPS, tmp_path / "spool") as spool:
        spool.add("c", OFFER, "o0", b'{"document":{"name":"C"}}')
        spool.add("c", OFFER, "o9", None)
        spool.add("d", OFFER, "o0", None)

        assert spool.count("c", OFFER) == 3
        assert [(one.id, document_of(one.line)) for one in spool.objects()] == [
            ("o0", {"name": "C"}),
            ("o1", {"name": "B"}),
        ]


def test_lines_are_written_in_the_order_of_reading(tmp_path: Path) -> None:
    out = io.BytesIO()
    with spooled([{"name": f"N{number}"} for number in range(1200)], DPS, tmp_path / "spool") as spool:
        report = Lines().write(spool, out)

    assert report.rows == 1200
    assert [f'"N{number}"' in text for number, text in enumerate(out.getvalue().decode().splitlines())] == [True] * 1200


def test_what_has_no_column_is_noted_once(tmp_path: Path) -> None:
    documents = [{"name": "A", "list": [{"x": 1}], "more": {"": {"y": 2}}, "long": "x" * 40_000}] * 3
    out = io.BytesIO()
    with spooled(documents, DPS, tmp_path / "spool") as spool:
        report = Wide(DPS, Table()).write(spool, out)

    assert report.columns == ("/name", "/long")
    assert [note.partition(" ")[0] for note in report.notes] == ["/list", "/more//y", "/long:"]
    assert "3 cells are longer than a spreadsheet keeps" in report.notes[2]


def test_a_member_that_is_a_list_of_objects_anywhere_has_no_column(tmp_path: Path) -> None:
    documents: list[dict[str, Any]] = [{"name": "A", "list": []}, {"name": "B", "list": [{"x": 1}]}]
    with spooled(documents, DPS, tmp_path / "spool") as spool:
        assert Wide(DPS, Table()).write(spool, io.BytesIO()).columns == ("/name",)


def test_texts_are_told_by_the_lines_on_which_they_stand(tmp_path: Path) -> None:
    contents = ["no match {rate}", "first\nrate", "rate {rate}", "rate {rate} {rate}"]
    documents = [
        {"name": "A", "representations": [{"placement": "p", "components": [{"language": ["en"], "content": content}]}]}
        for content in contents
    ]
    out = io.BytesIO()
    with spooled(documents, DPS, tmp_path / "spool") as spool:
        report = Texts(DPS, Table(), replacement=Replacement("rate", "price")).write(spool, out)

    assert report.rows == 3
    replaced, spared = report.notes
    assert replaced == "3 matches are replaced"
    # The first row takes three lines: its text has two, and so has what it was.
    assert "(in texts that are not written: 1, line 5: 1, line 6: 2)" in spared
    assert [text.count("{rate}") // 2 for text in out.getvalue().decode("utf-8-sig").splitlines()[4:]] == [1, 2]


def test_texts_that_a_spreadsheet_would_calculate_are_told_and_stay_as_they_are(tmp_path: Path) -> None:
    contents = ["plain", "=HYPERLINK(A1)", "-5 % today", "in the @middle"]
    documents = [
        {"name": "A", "representations": [{"placement": "p", "components": [{"language": ["en"], "content": content}]}]}
        for content in contents
    ]
    out = io.BytesIO()
    with spooled(documents, DPS, tmp_path / "spool") as spool:
        (note,) = Texts(DPS, Table()).write(spool, out).notes

    assert note.startswith("warning: 2 rows have a cell that begins like a formula, which a spreadsheet calculates")
    rows = list(csv.DictReader(io.StringIO(out.getvalue().decode("utf-8-sig"), newline="")))
    assert [row["content"] for row in rows] == contents


@pytest.mark.parametrize("content", [b"", b"no database at all, but long enough to look at", b"SQLite format 3\0"])
def test_what_is_no_snapshot_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.snapshot").write_bytes(content)

    with pytest.raises(InputError, match="snapshot"):
        Snapshot(tmp_path / "a.snapshot")
