"""What is read as a plain row is what reading it with all care gives; what is not surely right is not read so."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrator.core import plain, plan
from migrator.core.model import Change, Row, Step
from migrator.core.plain import Reader, plain_reader
from migrator.core.rows import RowParser
from migrator.core.styles import DPS, STYLES, XCORE, Style
from migrator.sources.records import csv_rows, jsonl_rows
from tests.core.parsing import MEMBERS, OPERATIONS, TEXT

XCORE_MEMBERS = ("container", "type", "id", "/_instance/xdm:name", "mine")
PLACEMENT = "dps:offer-placement:1"
BIG = "x" * 40_000


class Both:
    """Reads the rows of one file both ways."""

    def __init__(self, header: Sequence[str], style: Style) -> None:
        self.header = header
        self._style = style
        self._parser = RowParser(header, style, "prod")
        assert not self._parser.header_problems
        self._read = plain_reader(header, style, "prod")

    def plain(self, line: int, record: Sequence[str] | str) -> Step | None:
        """Return the step of a plain row: from the cells of a CSV file, or a line of JSONL."""
        raw, cells = (record, ()) if isinstance(record, str) else (msgspec.json.encode(record).decode(), record)
        found = self._read(line, raw, cells)
        assert found is None or found.raw == raw
        return found.step if found else None

    def careful(self, line: int, record: Sequence[str] | str) -> Step | None:
        """Return the step of any row that has one, read with all care; `None` if anything is wrong with it."""
        if isinstance(record, str):
            row: Any = next(jsonl_rows(iter([record]), "utf-8"), None)
        else:
            row = next(csv_rows(iter([(line, list(record))]), self.header, "utf-8"))
        change = self._parser.parse(msgspec.structs.replace(row, line=line)) if isinstance(row, Row) else None
        if not isinstance(change, Change) or change.sought:
            return None
        step = plan.merge(self._style.name, [change])
        assert isinstance(step, Step)
        return step

    def check(self, records: Iterable[Sequence[str] | str]) -> list[bool]:
        """Hold one to the other, row by row; return which rows were plain."""
        steps = [(self.plain(line, one), self.careful(line, one)) for line, one in enumerate(records, 2)]
        assert [found for found, _ in steps if found] == [step for found, step in steps if found]
        return [found is not None for found, _ in steps]


ADDRESSES = {
    "container": ["", "dev", "prod", "tag", " dev", "a\tb"],
    "type": ["", "tag", "decision", "fallback-offer", "Tag", "dev"],
    "id": ["1", "007", "xcore:offer:1", "", ".", "..", "a b", " 1", "ü", "z\u200b"],
}
CELLS = {
    **ADDRESSES,
    "name": ["", "", "Spring"],
    "op": ["add", "replace", "remove", "test", "copy", "move", ""],
    "path": ["/name", "/tags/0", "/tags/-", "/a//b", "name", "/_instance/xdm:name", ""],
    "value": ["x", "7", "", '"7"', "[1,2", '{"a":1,"a":2}', "0.30000000000000004", "1e999", " ", "[[1]]", BIG],
    "from": ["", "", "/name"],
    "placement": [PLACEMENT, "dps:offer-placement:2", "Web", " ", ""],
    "language": ["", "en", "EN", " en"],
    "format": ["", "text/html", "\t"],
    "content": ["New", "Old", "", '{"a":1}', BIG],
    "was": ["", "Old", "New"],
    "mine": ["", "1"],
}


def records_of(header: Sequence[str]) -> st.SearchStrategy[list[tuple[str, ...]]]:
    cells = [mostly(CELLS.get(name, CELLS["value"])) for name in header]
    return st.lists(st.tuples(*cells), min_size=1, max_size=12)


def mostly(cells: Sequence[Any]) -> st.SearchStrategy[Any]:
    """Draw the first of `cells` more often than not: they are in order, so that whole rows are."""
    return st.sampled_from([*list(cells[:2]) * len(cells), *cells])


HEADERS = [(OPERATIONS, DPS), (MEMBERS, DPS), (TEXT, DPS), (XCORE_MEMBERS, XCORE), (OPERATIONS, XCORE), (TEXT, XCORE)]


@settings(max_examples=200, deadline=None)
@given(st.data(), st.sampled_from(HEADERS))
def test_a_plain_row_of_csv_is_what_care_makes_of_it(data: st.DataObject, of: tuple[Sequence[str], Style]) -> None:
    Both(*of).check(data.draw(records_of(of[0])))


JSON = st.sampled_from(
    [
        "x",
        "",
        'a "quoted" one',
        "a: b",
        7,
        2.5,
        1e300,
        True,
        None,
        [],
        [1, "x"],
        {"a": {"b": "c"}},
        ["a", {"b": 1}],
        BIG,
    ]
)
LINES = st.fixed_dictionaries(
    {
        "id": mostly([*ADDRESSES["id"], 7]),
        "patch": st.lists(
            st.fixed_dictionaries(
                {"op": mostly(CELLS["op"]), "path": mostly(CELLS["path"])},
                optional={"value": JSON, "from": st.just("/name"), "comment": st.just("why")},
            ),
            max_size=3,
        ),
    },
    optional={
        "container": mostly([*ADDRESSES["container"], None]),
        "type": mostly(ADDRESSES["type"]),
        "owner": st.just("ben"),
        "delete": st.just(True),
    },
)
SPELLINGS = st.sampled_from([(",", ":"), (", ", ": "), (" ,", " :"), (",\t", "\t:")])
DAMAGES = st.sampled_from(
    [
        ("", ""),
        ("", ""),
        ('"op"', '"op":"add","op"'),
        ('"id"', '"id":"2","id"'),
        ('"patch"', '"patch":[{"op":"remove","path":"/name"}],"patch"'),
        ('"a"', '"a":1,"a"'),
        ("7", "0.1000000000000000055"),
        ("7", "[" * 120 + "]" * 120),
        ("}", ""),
        ('"x"', '"\\ud800"'),
        ('"x"', '"\udc80"'),
    ]
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(LINES, SPELLINGS, DAMAGES, st.booleans()), min_size=1, max_size=8), st.sampled_from([DPS, XCORE])
)
def test_a_plain_line_of_json_is_what_care_makes_of_it(lines: list[Any], style: Style) -> None:
    texts = [
        json.dumps(line, separators=spelling, ensure_ascii=ascii_).replace(damage[0], damage[1], 1)
        for line, spelling, damage, ascii_ in lines
    ]
    Both((), style).check(texts)


LINE = '{"type":"tag","id":"1","patch":[{"op":"replace","path":"/name","value":"Spring"}]}'
NESTED = '{"id":"1","patch":[{"op":"add","path":"/a","value":{"b":["c",{"d":2.5}]}},{"op":"remove","path":"/b"}]}'
XCORE_LINE = '{"container":"c","id":"1","patch":[{"op":"replace","path":"/_instance/xdm:name","value":7}]}'


@pytest.mark.parametrize(
    ("header", "record", "style"),
    [
        (OPERATIONS, ("dev", "tag", "1", "replace", "/name", "Spring", ""), DPS),
        (OPERATIONS, ("", "", "1", "remove", "/name", "", ""), DPS),
        (MEMBERS, ("", "", "007", "Spring", "", "first", "7"), DPS),
        (XCORE_MEMBERS, ("c", "", "1", "Spring", "mine"), XCORE),
        (TEXT, ("", "", "1", "", PLACEMENT, "en", "", "New", "Old"), DPS),
        (TEXT, ("", "", "1", "", PLACEMENT, "", "text/html", "Same", "Same"), DPS),
        ((), LINE, DPS),
        ((), LINE.replace(":", ": ").replace(",", ", "), DPS),
        ((), LINE.replace("Spring", 'a \\"quoted\\" one'), DPS),
        ((), NESTED, DPS),
        ((), XCORE_LINE, XCORE),
    ],
)
def test_an_ordinary_row_is_plain(header: Sequence[str], record: Sequence[str] | str, style: Style) -> None:
    assert Both(header, style).check([record]) == [True]


@pytest.mark.parametrize(
    ("header", "records"),
    [
        (MEMBERS, [("dev", "tag", "1", "a", "", "", ""), ("tag", "dev", "1", "a", "", "", "")]),
        (OPERATIONS, [("", "", "1", "remove", "/name", "", ""), ("", "", "1", "remove", "/name", "x", "")]),
        (OPERATIONS, [("", "", "1", "add", "/tags/-", "x", ""), ("", "", "1", "replace", "/tags/-", "x", "")]),
        (TEXT, [("", "", "1", "", PLACEMENT, "en", "", "x", ""), ("", "tag", "1", "", PLACEMENT, "en", "", "x", "")]),
        (TEXT, [("", "", "1", "", PLACEMENT, "en", "", "x", ""), ("", "", "1", "", "en", PLACEMENT, "", "x", "")]),
        ((), [LINE, LINE.replace("replace", "remove")]),
        ((), [LINE, LINE.replace('"tag"', '"Tag"')]),
    ],
)
def test_what_is_known_of_one_row_is_not_taken_for_another(
    header: Sequence[str], records: Sequence[Sequence[str] | str]
) -> None:
    assert Both(header, DPS).check(records) == [True, False]


def test_a_value_is_never_that_of_an_earlier_row() -> None:
    both = Both(OPERATIONS, DPS)
    values = ["1", "true", "null", "1.0", '"1"', "x", '""']
    found = [both.plain(2, ("", "", "1", "add", "/rank", value, "")) for value in values]

    assert [json.dumps(json.loads(step.body)[0]["value"]) for step in found if step] == [
        *("1", "true", "null", "1.0", '"1"', '"x"', '""')
    ]


def test_what_is_kept_in_mind_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "MOST_KNOWN", 2)
    containers = [f"c{number % 5}" for number in range(20)]
    records = [(name, "", "1", "add", f"/{name}", "x", "") for name in containers]

    assert all(Both(OPERATIONS, DPS).check(records))
    known: dict[int, int] = {}
    assert [plain._keep(known, number, number) for number in range(9)] == list(range(9))
    assert len(known) <= 2


DEEP = LINE.replace('"Spring"', "[" * 120 + "]" * 120)
TWICE = LINE.replace('"Spring"', '{"a":1,"a":2}')


@pytest.mark.parametrize(
    ("header", "record"),
    [
        (OPERATIONS, ("", "", "1", "replace", "/name", "Spring", "/title")),
        (OPERATIONS, ("", "", "1", "copy", "/name", "", "/title")),
        (OPERATIONS, ("", "", "1", "replace", "/name", "[1,", "")),
        (MEMBERS, ("", "", "", "Spring", "", "", "")),
        (MEMBERS, ("", "", "1", "", "", "", "")),
        (MEMBERS, ("", "", "1", " ", "", "", "")),
        (TEXT, ("", "", "1", "", "Web", "en", "", "New", "")),
        (TEXT, ("", "", "", "Spring", PLACEMENT, "en", "", "New", "")),
        ((), DEEP),
        ((), TWICE),
        ((), LINE.replace('"op"', '"op":"add","op"')),
        ((), LINE.replace('"id"', '"id":"2","id"')),
        ((), LINE.replace('"id"', '"owner":"ben","id"')),
        ((), LINE.replace('"Spring"', "0.1000000000000000055")),
        ((), LINE.replace("}]}", "}]")),
        ((), '{"id":"1","patch":[]}'),
        ((), ""),
    ],
)
def test_what_is_not_surely_right_is_not_plain(header: Sequence[str], record: Sequence[str] | str) -> None:
    assert Both(header, DPS).check([record]) == [False]


def test_a_text_is_not_plain_if_what_an_offer_does_not_have_is_to_be_added() -> None:
    record = ("", "", "1", "", PLACEMENT, "en", "", "New", "")
    read: Reader = plain_reader(TEXT, DPS, "prod", texts=False)

    assert read(2, json.dumps(record), record) is None


@pytest.mark.parametrize("style", STYLES.values(), ids=list(STYLES))
def test_a_row_that_may_be_too_large_is_measured_with_care(style: Style) -> None:
    root = style.rules.root
    header = ("container", "id", f"{root}/name")
    both = Both(header, style)

    assert both.check([("c", "1", "x" * 30_000), ("c", "1", "x" * 40_000), ("c", "1", "x" * 310_000)]) == [
        *(True, False, False)
    ]
    assert both.careful(2, ("c", "1", "x" * 40_000)) is not None
    assert both.careful(2, ("c", "1", "x" * 310_000)) is None
