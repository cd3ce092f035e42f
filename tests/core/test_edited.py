"""An edited export: only what somebody has edited is a change, and it says what was there."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import UNSET

from migrator.core.columns import EXPORT_COLUMN
from migrator.core.edited import swaps
from migrator.core.model import Change, EntityType, Json, Kind, Problem, Row, Swap
from migrator.core.rows import RowParser
from migrator.core.styles import DPS
from migrator.core.wide import cell_of, members

OFFER: dict[str, Any] = {
    "name": "Spring loan",
    "code": "0012345",
    "year": "2024",
    "rank": {"priority": 3},
    "live": True,
    "starts": "2024-03-01T00:00:00Z",
    "note": "two\r\nlines",
    "tags": ["a", "b"],
    "none": None,
    "representations": [{"placement": "p"}],
}
CELLS = {pointer: cell_of(value) or "" for pointer, value in members(OFFER, "") if pointer != "/representations"}


def edited(accept: bool = False, /, **cells: str) -> tuple[tuple[Swap, ...], list[tuple[str, str]]]:
    """Edit cells by the names of their members; `rank__priority` is `/rank/priority`."""
    row = CELLS | {"/" + name.replace("__", "/"): cell for name, cell in cells.items()}
    made, faults = swaps(row, list(row), OFFER, frozenset(CELLS), accept=accept)
    return made, [(fault.member, f"{fault.message}; {fault.hint}") for fault in faults]


def test_a_row_as_it_was_exported_changes_nothing() -> None:
    assert edited() == ((), [])


@pytest.mark.parametrize(
    ("cells", "swap"),
    [
        ({"name": "Summer loan"}, Swap("/name", "Spring loan", "Summer loan")),
        ({"name": "007"}, Swap("/name", "Spring loan", "007")),
        ({"name": '""'}, Swap("/name", "Spring loan", "")),
        ({"name": "null"}, Swap("/name", "Spring loan", None)),
        ({"year": '"2025"'}, Swap("/year", "2024", "2025")),
        ({"rank__priority": "4"}, Swap("/rank/priority", 3, 4)),
        ({"live": "false"}, Swap("/live", True, False)),
        ({"tags": '["a"]'}, Swap("/tags", ["a", "b"], ["a"])),
        ({"none": "text"}, Swap("/none", None, "text")),
        ({"name": r"\N"}, Swap("/name", "Spring loan")),
        ({"rank__priority": r"\N"}, Swap("/rank/priority", 3)),
        # Columns that were not exported.
        ({"labels": '["core/C1"]'}, Swap("/labels", UNSET, ["core/C1"])),
        ({"rank__order": "1"}, Swap("/rank/order", UNSET, 1)),
        ({"tags__0": "z"}, Swap("/tags/0", "a", "z")),
        ({"representations": "[]"}, Swap("/representations", [{"placement": "p"}], [])),
        # Where the place itself is not there, it is added whole.
        ({"cap__global": "5"}, Swap("/cap", UNSET, {"global": 5})),
        ({"cap__global": "5", "cap__deep__er": "6"}, Swap("/cap", UNSET, {"global": 5, "deep": {"er": 6}})),
    ],
)
def test_an_edited_cell_is_a_swap_of_what_was_exported(cells: dict[str, str], swap: Swap) -> None:
    assert edited(**cells) == ((swap,), [])


@pytest.mark.parametrize(
    "cells",
    [
        {"note": "two\nlines"},  # as a spreadsheet ends lines
        {"tags": '[ "a",  "b" ]'},
        {"rank__priority": "3.0"},
        {"labels": ""},  # a column that was not exported
        {"labels": r"\N"},
    ],
)
def test_the_same_in_another_spelling_is_no_change(cells: dict[str, str]) -> None:
    assert edited(**cells) == ((), [])


def test_several_cells_are_swapped_each_for_itself() -> None:
    made, _ = edited(name="A", rank__priority="9")
    assert made == (Swap("/name", "Spring loan", "A"), Swap("/rank/priority", 3, 9))


def test_places_that_are_in_each_others_way_stay_apart() -> None:
    made, faults = edited(cap__a="1", cap__a__b="2")
    assert (made, faults) == ((Swap("/cap/a/b", UNSET, 2), Swap("/cap", UNSET, {"a": 1})), [])


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ({"name": ""}, r'the cell was emptied; it was exported as "Spring loan"; write \N to take the member away'),
        ({"code": "12345"}, 'is "12345" and was exported as "0012345": it has lost its leading zeros'),
        ({"starts": "01.03.2024 00:00"}, "write it as it was exported, or add --accept-reformatted"),
        ({"starts": "15.04.2024 00:00"}, 'or have it taken for "2024-04-15T00:00:00Z" by --accept-reformatted'),
        ({"live": "WAHR"}, "it is written as people say it, and not as true"),
        (
            {"year": "2025"},
            "it was a text and would become a number; write it in the way in which it was exported, or",
        ),
        ({"name": '{"a": '}, "looks like JSON but does not parse"),
        ({"name": "  "}, "only blanks"),
    ],
)
def test_a_cell_that_nobody_can_have_meant_is_a_problem(cells: dict[str, str], said: str) -> None:
    made, ((member, text),) = edited(**cells)
    assert made == ()
    assert member == "/" + next(iter(cells))
    assert said in text


@pytest.mark.parametrize(
    ("cells", "made"),
    [
        ({"code": "12345", "live": "WAHR", "starts": "3/1/24"}, ()),
        ({"live": "FALSCH"}, (Swap("/live", True, False),)),
        ({"starts": "15.04.2024 00:00"}, (Swap("/starts", OFFER["starts"], "2024-04-15T00:00:00Z"),)),
        ({"year": "2025"}, (Swap("/year", "2024", "2025"),)),
    ],
)
def test_reformatted_cells_can_be_taken_as_they_were_meant(cells: dict[str, str], made: tuple[Swap, ...]) -> None:
    assert edited(True, **cells) == (made, [])


def test_what_cannot_be_told_stays_a_problem() -> None:
    made, ((member, text),) = edited(True, starts="4/5/2024")
    assert (made, member) == ((), "/starts")
    assert "--accept-reformatted" not in text


class Kept:
    """An export of one offer."""

    id = "export-1"
    columns = frozenset(CELLS)

    def document(self, container: str, type_: EntityType, object_: str) -> Json | None:
        return OFFER if (container, type_, object_) == ("dev", EntityType.PERSONALIZED_OFFER, "0815") else None


def parsed(**cells: str) -> Change | list[Problem]:
    row = {"container": "dev", "type": "personalized-offer", "id": "0815", **CELLS, EXPORT_COLUMN: "export-1"} | cells
    return RowParser(list(row), DPS, "dev", export=Kept()).parse(Row(2, row, ""))


def test_a_row_of_an_export_becomes_an_edit_that_may_be_empty() -> None:
    change = Change(2, "dev", EntityType.PERSONALIZED_OFFER, "0815", Kind.EDIT)
    assert parsed() == change
    assert parsed(container="", type="") == change


@pytest.mark.parametrize(
    ("cells", "column", "said"),
    [
        ({"id": "815"}, "id", "leading zeros"),
        ({"id": "8,15E+16"}, "id", "has a spreadsheet changed the id"),
        ({"id": "another"}, "id", "give new rows a file of their own"),
        ({"type": "tag"}, "id", '"0815" is not in export-1'),
        ({EXPORT_COLUMN: ""}, EXPORT_COLUMN, "the row is of no export"),
        ({EXPORT_COLUMN: "export-2"}, EXPORT_COLUMN, "the row is of export-2, and the snapshot of export-1"),
        ({"id": "", "name": "Spring loan"}, "id", "rows of an export are told by their ids"),
        ({"/name": ""}, "/name", "emptied"),
    ],
)
def test_a_row_that_is_none_of_the_export_is_a_problem(cells: dict[str, str], column: str, said: str) -> None:
    found = parsed(**cells)
    assert isinstance(found, list)
    (problem,) = found
    assert (problem.line, problem.column) == (2, column)
    assert said in f"{problem.message}; {problem.hint}"


def test_a_file_without_the_column_is_read_as_ever() -> None:
    parser = RowParser(["id", "/name"], DPS, "dev")
    change = parser.parse(Row(2, {"id": "0815", "/name": "A"}, ""))
    assert isinstance(change, Change)
    assert change.kind is Kind.PATCH
