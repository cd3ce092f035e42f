"""Change files in the other style: the shapes, the containers, and what is told."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from migrator.core.errors import InputError
from migrator.core.mapping import DPS, XCORE, Context, Loss, routes
from migrator.core.model import EntityType, Row
from migrator.planning.draft import Input
from migrator.translating import IdMap, Tally, Told, Translator, Way, forms, translate_file

OFFER = ("xcore:personalized-offer:1", "dps:personalized-offer:1", "instance-1", "c1")
MAP = (
    ("personalized-offer", *OFFER),
    ("personalized-offer", "xcore:personalized-offer:2", "dps:personalized-offer:2", "", ""),
    ("placement", "xcore:offer-placement:1", "dps:offer-placement:1", "", ""),
    ("tag", "xcore:tag:1", "dps:tag:1", "", ""),
    ("decision-rule", "xcore:eligibility-rule:1", "dps:eligibility-rule:1", "", ""),
)


def ids(to: str, rows: Sequence[tuple[str, ...]] = MAP) -> IdMap:
    made = IdMap(to)
    for row in rows:
        assert made.add(*row) == ""
    return made


class Translated:
    """A file that was translated."""

    def __init__(self, folder: Path, text: str, to: str, name: str, **options: Any) -> None:
        path = folder / name
        path.write_bytes(text.encode(errors="surrogateescape"))
        out = io.BytesIO()
        rows = options.pop("map", MAP)
        container = options.pop("container", "")
        way = Way(XCORE if to == DPS else DPS, to, ids(to, rows), Context(**options), container)
        self.told: list[tuple[Told, bool]] = []
        self.tally: Tally = translate_file(Input(path, name), way, out, lambda *told: self.told.append(told))
        self.text = out.getvalue().decode()

    @property
    def rows(self) -> list[list[str]]:
        return list(csv.reader(io.StringIO(self.text, newline="")))

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.text.splitlines()]

    @property
    def classes(self) -> list[tuple[int, str]]:
        return [(told.line, told.loss) for told, _ in self.told]


@pytest.fixture
def translate(tmp_path: Path) -> Any:
    return lambda text, to, name="changes.csv", **options: Translated(tmp_path, text, to, name, **options)


# One operation a row

OPERATIONS = '''\
sku,container,type,id,op,path,value
01,c1,personalized-offer,instance-1,replace,/_instance/xdm:name,"Spring, ""loan"""
02,c1,,instance-1,add,/_instance/xdm:selectionConstraint/xdm:eligibilityRule,xcore:eligibility-rule:1
03,c1,personalized-offer,xcore:personalized-offer:1,add,/_instance/xdm:tags/-,xcore:tag:1
04,c1,personalized-offer,instance-1,add,/_instance/xdm:rank/xdm:priority,007
05,c1,personalized-offer,instance-1,add,/_instance/xdm:characteristics/n,"""7"""
06,c1,personalized-offer,instance-1,remove,/_instance/xdm:characteristics/a~1b,
'''


def test_operations_stay_rows_and_one_that_is_two_is_two(translate: Any) -> None:
    made = translate(OPERATIONS, DPS)

    offer = ["personalized-offer", "dps:personalized-offer:1"]
    assert made.rows == [
        ["sku", "type", "id", "op", "path", "value"],
        ["01", *offer, "replace", "/name", 'Spring, "loan"'],
        ["02", "", offer[1], "add", "/selectionConstraint/profileConstraintType", "eligibilityRule"],
        ["02", "", offer[1], "add", "/selectionConstraint/eligibilityRule", "dps:eligibility-rule:1"],
        ["03", *offer, "add", "/tags/-", "dps:tag:1"],
        # 007 is no JSON, so it is a text: a priority must be a number
        ["05", *offer, "add", "/characteristics/n", '"7"'],
        ["06", *offer, "remove", "/characteristics/a~1b", ""],
    ]
    assert (made.tally.lines, made.tally.translated, made.tally.refused) == (6, 5, 1)
    assert made.classes == [(3, "unattested"), (5, "malformed")]


def test_back_each_row_gets_its_container_and_instance_id(translate: Any) -> None:
    rows = "type,id,op,path,value\n"
    rows += "personalized-offer,dps:personalized-offer:1,replace,/name,Autumn\n"
    rows += "personalized-offer,dps:personalized-offer:2,replace,/name,Winter\n"

    made = translate(rows, XCORE)
    assert made.rows[1:] == [["c1", "personalized-offer", "instance-1", "replace", "/_instance/xdm:name", "Autumn"]]
    assert [told.reason for told, _ in made.told] == [
        "xcore needs a container, and the id map does not say which: give --container"
    ]
    # What the map says counts; where it says nothing, what was given does, and the @id is written.
    assert translate(rows, XCORE, container="c1").rows[2][:3] == [
        "c1",
        "personalized-offer",
        "xcore:personalized-offer:2",
    ]
    elsewhere = translate(rows, XCORE, container="c2")
    assert "in container c2, but in c1" in elsewhere.told[0][0].reason


def test_the_sandbox_of_dps_is_no_container_of_xcore(translate: Any) -> None:
    made = translate("container,id,op,path,value\ndev,dps:personalized-offer:1,remove,/description,\n", XCORE)

    assert made.rows == [
        ["container", "id", "op", "path", "value"],
        ["c1", "instance-1", "remove", "/_instance/xdm:description", ""],
    ]


def test_an_object_that_several_containers_have_is_not_guessed(translate: Any) -> None:
    pair = ("tag", "xcore:tag:9", "dps:tag:9")
    rows = "type,id,op,path,value\ntag,dps:tag:9,replace,/name,x\n"
    both = [(*pair, "i1", "c1"), (*pair, "i2", "c2")]

    assert translate(rows, XCORE, map=both).classes == [(2, "address")]
    assert translate(rows, XCORE, map=both, container="c2").rows[1][:3] == ["c2", "tag", "i2"]


def test_a_reference_is_looked_up_in_the_container_of_the_row(translate: Any) -> None:
    rows = "container,type,id,op,path,value\n"
    rows += "".join(f"{c},,xcore:personalized-offer:2,add,/_instance/xdm:tags/-,xcore:tag:9\n" for c in ("c1", "c2"))
    tags = [("tag", "xcore:tag:9", f"dps:tag:{c}", f"i-{c}", c) for c in ("c1", "c2")]

    made = translate(rows, DPS, map=[*MAP, *tags])

    assert [row[-1] for row in made.rows[1:]] == ["dps:tag:c1", "dps:tag:c2"]


def test_columns_of_a_results_file_are_left_behind(translate: Any) -> None:
    rows = "container,id,op,path,value,_line,_message\nc1,instance-1,remove,/_instance/xdm:tags,,7,no such tag\n"

    assert translate(rows, DPS).rows == [
        ["id", "op", "path", "value"],
        ["dps:personalized-offer:1", "remove", "/tags", ""],
    ]
    line = {**ADDRESS, "delete": True, "_line": 7}
    assert translate(jsonl(line), DPS, "a.jsonl").lines == [{**THERE, "delete": True}]


# Members


def test_columns_are_renamed_and_one_may_be_two(translate: Any) -> None:
    rows = "container,id,/_instance/xdm:name,/_instance/xdm:selectionConstraint/xdm:eligibilityRule,note\n"
    rows += 'c1,instance-1,"""5""",xcore:eligibility-rule:1,a\nc1,instance-1,New,,b\n'

    made = translate(rows, DPS)

    assert made.rows == [
        [
            "id",
            "/name",
            "/selectionConstraint/profileConstraintType",
            "/selectionConstraint/eligibilityRule",
            "note",
        ],
        ["dps:personalized-offer:1", '"5"', "eligibilityRule", "dps:eligibility-rule:1", "a"],
        ["dps:personalized-offer:1", "New", "", "", "b"],
    ]


def test_a_column_without_a_counterpart_is_told_once_and_its_cells_refuse_their_rows(translate: Any) -> None:
    rows = "type,id,/name,/labels,/selectionConstraint/profileConstraintType\n"
    offer = "personalized-offer,dps:personalized-offer:1"
    rows += f'{offer},A,,\n{offer},B,"[""core/C1""]",\n{offer},C,,none\n'

    made = translate(rows, XCORE)

    assert made.rows == [
        ["container", "type", "id", "/_instance/xdm:name"],
        ["c1", "personalized-offer", "instance-1", "A"],
    ]
    assert made.classes == [(1, "operation"), (1, "operation"), (3, "labels"), (4, "audience")]
    assert [loud for _, loud in made.told] == [True] * 4
    allowed = translate(rows, XCORE, allowed=frozenset({Loss.LABELS}))
    assert [row[-1] for row in allowed.rows[1:]] == ["A", "B"]


def test_two_columns_that_are_one_member_must_not_both_be_filled(translate: Any) -> None:
    rows = "container,type,id,/_instance/condition,/_instance/xdm:condition\n"
    rule = "c1,decision-rule,xcore:eligibility-rule:1"
    rows += f'{rule},"{{""value"":""a""}}",\n{rule},"{{}}","{{}}"\n'

    made = translate(rows, DPS)

    assert made.rows == [["type", "id", "/condition"], ["decision-rule", "dps:eligibility-rule:1", '{"value":"a"}']]
    assert made.tally.refused == 1


# Texts


def test_a_text_names_its_placement_in_the_other_style_and_names_stay_names(translate: Any) -> None:
    rows = "container,id,name,placement,language,content,was\n"
    rows += "c1,instance-1,,xcore:offer-placement:1,en,Hello,Bye\n"
    rows += "c1,,Spring loan,Mail top,,Hello,\n"
    rows += "c1,instance-1,,xcore:offer-placement:2,en,Hello,\n"

    made = translate(rows, DPS)

    assert made.rows == [
        ["id", "name", "placement", "language", "content", "was"],
        ["dps:personalized-offer:1", "", "dps:offer-placement:1", "en", "Hello", "Bye"],
        ["", "Spring loan", "Mail top", "", "Hello", ""],
    ]
    assert made.classes == [(4, "address")]


# JSONL


def jsonl(*lines: Any) -> str:
    return "".join(json.dumps(line) + "\n" for line in lines)


ADDRESS = {"container": "c1", "type": "personalized-offer", "id": "instance-1"}
THERE = {"type": "personalized-offer", "id": "dps:personalized-offer:1"}


def test_lines_of_every_kind(translate: Any) -> None:
    patch = [
        {"op": "replace", "path": "/_instance/xdm:name", "value": "A"},
        {"op": "remove", "path": "/_instance/xdm:tags/0"},
    ]
    document = {"xdm:name": "N", "xdm:tags": ["xcore:tag:1"]}
    made = translate(
        jsonl(
            {**ADDRESS, "patch": patch, "owner": "ana"},
            {**ADDRESS, "text": {"placement": "xcore:offer-placement:1", "language": "en", "content": "x"}},
            {"container": "c1", "type": "personalized-offer", "create": document, "key": "k"},
            {"container": "c1", "type": "tag", "name": "Old tag", "delete": True},
        ),
        DPS,
        "changes.jsonl",
    )

    renamed = [{"op": "replace", "path": "/name", "value": "A"}, {"op": "remove", "path": "/tags/0"}]
    assert made.lines == [
        {**THERE, "patch": renamed, "owner": "ana"},
        {**THERE, "text": {"placement": "dps:offer-placement:1", "language": "en", "content": "x"}},
        {"type": "personalized-offer", "create": {"name": "N", "tags": ["dps:tag:1"]}, "key": "k"},
        {"type": "tag", "name": "Old tag", "delete": True},
    ]
    assert made.tally.refused == 0


def test_what_has_no_id_needs_a_container_to_go_to(translate: Any) -> None:
    lines = jsonl({"type": "tag", "create": {"name": "T"}}, {"type": "tag", "name": "T", "delete": True})

    assert translate(lines, XCORE, "a.jsonl").classes == [(1, "address"), (2, "address")]
    assert translate(lines, XCORE, "a.jsonl", container="c9").lines == [
        {"container": "c9", "type": "tag", "create": {"xdm:name": "T"}},
        {"container": "c9", "type": "tag", "name": "T", "delete": True},
    ]


def test_a_line_of_which_nothing_is_left_is_counted_and_not_written(translate: Any) -> None:
    line = {**THERE, "patch": [{"op": "add", "path": "/labels/-", "value": "core/C1"}]}

    made = translate(jsonl(line), XCORE, "a.jsonl", allowed=frozenset({Loss.LABELS}))

    assert made.text == ""
    assert (made.tally.lines, made.tally.empty, made.tally.refused) == (1, 1, 0)
    assert made.tally.losses == {"labels": 1}


def test_of_a_refused_line_only_what_refuses_it_is_counted_and_said_aloud(translate: Any) -> None:
    document = {"name": "A", "description": "in xcore by inference", "labels": ["core/C1"], "mystery": 1}
    line = jsonl({"type": "personalized-offer", "key": "a", "create": document})

    made = translate(line, XCORE, "a.jsonl", container="c1", allowed=frozenset({Loss.LABELS}))

    assert (made.tally.refused, made.tally.refusals, made.tally.losses) == (1, {"unknown": 1}, {})
    assert [(told.loss, loud) for told, loud in made.told] == [
        ("unattested", False),
        ("labels", False),
        ("unknown", True),
    ]


def test_a_line_that_any_command_would_refuse_is_refused_in_the_same_words(translate: Any) -> None:
    made = translate('{"type": "tag"}\nnot json\n' + jsonl({**ADDRESS, "patch": []}), DPS, "a.jsonl")

    assert [told.line for told, _ in made.told] == [1, 1, 1, 2, 3]
    assert {told.loss for told, _ in made.told} == {"input"}
    assert made.tally.refusals == {"input": 5}


def test_a_line_that_is_like_one_before_it_is_translated_alike(translate: Any) -> None:
    """The second line of a form takes a shorter way, which must lead to the same place."""

    def line(**changes: Any) -> Any:
        operation = {"op": "replace", "path": "/_instance/xdm:name", "value": "A"}
        return {**ADDRESS, "patch": [{**operation, **changes.pop("operation", {})}], **changes}

    odd = [
        line(),
        line(operation={"value": {"xdm:name": [1.5]}}),
        line(owner="ana"),
        line(id="nobody"),
        line(id=["instance-1"]),
        line(container=""),
        line(type="tag"),
        line(key="k"),
        line(operation={"from": "/x"}),
        line(operation={"op": "test"}),
        line(patch=[]),
        line(patch="x"),
    ]
    alone = [translate(jsonl(one), DPS, "a.jsonl") for one in odd]

    together = translate(jsonl(line(), *odd), DPS, "a.jsonl")

    assert together.lines[1:] == [line for one in alone for line in one.lines]
    assert [told.reason for told, _ in together.told] == [told.reason for one in alone for told, _ in one.told]
    assert together.tally.refused == 9


SPELLED = (
    '{"container": "c1", "type": "tag", "id": "t", "patch": [{"op": "add", "path": "/_instance/xdm:name", "value": V}]}'
)


@pytest.mark.parametrize(
    ("value", "spelled"),
    [
        ('"a"', '{"container": "c2", '),  # the container twice, and with blanks that hide it
        ('"a"', '{"container" : "c2", '),
        ('"a", "value": "b"', "{"),
        ('"a", "value" \t: "b"', "{"),
        ('{"x": 1, "x": 2}', "{"),
        ('["x", {"x": 1, "x" : 2}]', "{"),
        (r'"<b class=\"c\">: \":"', "{"),
        (r'"\u0041\ud83d\ude00\\"', "{"),
        ("0.10000000000000000001", "{"),
        ("1" * 40, "{"),
        ("[" * 101 + "1" + "]" * 101, "{"),
        ("[" * 9_000 + "1" + "]" * 9_000, "{"),
        ("true", "{"),
        ("null", "{"),
        ("[]", "{"),
        ('"\udcff"', "{"),
        ('"a', "{"),
        ('"' + "x" * 400_000 + '"', "{"),
        ('"a"', '  {"id": "nobody", '),
        ('"a"', "\t{ "),
    ],
)
@pytest.mark.parametrize("end", ["\n", " \r\n"])
def test_however_a_line_is_spelled_it_is_read_as_if_no_other_had_its_form(
    translate: Any, value: str, spelled: str, end: str
) -> None:
    line = SPELLED.replace("V", value).replace("{", spelled, 1) + end
    first = SPELLED.replace("V", '"first"') + "\n"
    tags = (("tag", "xcore:tag:9", "dps:tag:9", "t", "c1"), ("tag", "xcore:tag:8", "dps:tag:8", "t", "c2"))

    alone = translate(line, DPS, "a.jsonl", map=tags)
    after = translate(first + line, DPS, "a.jsonl", map=tags)

    assert after.lines[1:] == alone.lines
    assert [told.reason for told, _ in after.told] == [told.reason for told, _ in alone.told]
    assert after.tally.refused == alone.tally.refused


def test_back_too(translate: Any) -> None:
    def line(id_: str, **more: Any) -> Any:
        return {**more, "id": id_, "type": "personalized-offer", "patch": [{"op": "add", "path": "/name", "value": 1}]}

    made = translate(
        jsonl(line("dps:personalized-offer:1"), line("dps:personalized-offer:1", container="dev"), line("dps:nobody")),
        XCORE,
        "a.jsonl",
    )

    patch = [{"op": "add", "path": "/_instance/xdm:name", "value": 1}]
    assert made.lines == [{**ADDRESS, "patch": patch}] * 2
    assert made.classes == [(3, "address")]


def test_line_ends_and_delimiters_are_those_of_the_file(translate: Any) -> None:
    rows = "container;id;op;path;value\r\nc1;instance-1;replace;/_instance/xdm:name;a,b\r\n"

    assert translate(rows, DPS).text == "id;op;path;value\r\ndps:personalized-offer:1;replace;/name;a,b\r\n"
    line = json.dumps({**ADDRESS, "delete": True})
    assert translate(f"{line}\r\n{line}\r\n", DPS, "a.jsonl").text.endswith('"delete":true}\r\n')


def test_a_header_that_no_command_could_use_is_refused_as_a_whole(translate: Any) -> None:
    with pytest.raises(InputError, match="the container is missing"):
        translate("id,op,path,value\na,remove,/_instance/xdm:name,\n", DPS)


def test_an_export_is_refused_since_not_all_its_cells_are_changes(translate: Any) -> None:
    """Only with its snapshot is it known which were edited: all would be set, whatever others have changed since."""
    with pytest.raises(InputError, match=r"changes\.csv is an export, and not all its cells are changes") as refused:
        translate("type,id,/name,_export\n,dps:personalized-offer:1,Spring,export-1\n", XCORE)
    assert "without the column _export every cell is translated" in refused.value.hint


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    def peak(rows: int) -> int:
        path = tmp_path / f"{rows}.jsonl"
        with path.open("w") as stream:
            for number in range(rows):
                # Now and then one that takes more than to be renamed, and one that is refused.
                name, value = ("xdm:tags/-", "xcore:tag:1") if number % 3 else ("xdm:name", f"Name {number}")
                operation = {"op": "add", "path": f"/_instance/{name}", "value": value}
                id_ = "nobody" if number % 7 == 0 else "instance-1"
                stream.write(json.dumps({**ADDRESS, "id": id_, "patch": [operation]}) + "\n")
        way = Way(XCORE, DPS, ids(DPS), Context())
        tracemalloc.start()
        with (tmp_path / "out").open("wb") as out:
            assert translate_file(Input(path, path.name), way, out, lambda *_: None).lines == rows
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    peak(100)  # what is made once
    assert peak(20_000) < peak(1_000) * 1.25


def test_what_is_kept_of_pointers_is_kept_up_to_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forms, "MOST_FORMS", 50)
    monkeypatch.setattr(routes, "MOST_ROUTES", 50)
    translator = Translator((), Way(XCORE, DPS, ids(DPS), Context()))

    for number in range(200):
        operation = {"op": "add", "path": f"/_instance/xdm:characteristics/k{number}", "value": "v"}
        cells = {**ADDRESS, "patch": [operation]}
        assert not translator.translate(Row(number, cells, json.dumps(cells))).refused
        assert len(translator.forms) <= 50
        assert len(routes.table(EntityType.PERSONALIZED_OFFER, DPS)._routes) <= 50
