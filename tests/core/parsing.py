"""What the tests of rows share: rows of each shape, and what they are parsed into."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from migrator.core.model import Change, Problem, Row
from migrator.core.rows import RowParser
from migrator.core.styles import DPS, Style

OPERATIONS = ("container", "type", "id", "op", "path", "value", "from")
MEMBERS = ("container", "type", "id", "/name", "/tags/0", "/tags/-", "/rank/priority")
TEXT = ("container", "type", "id", "name", "placement", "language", "format", "content", "was")

RULE = {"type": "decision-rule", "id": "1"}


def csv_row(header: Sequence[str], cells: dict[str, str], line: int = 2) -> Row:
    """A row of CSV in which the cells that are not given are empty."""
    full = dict.fromkeys(header, "") | cells
    return Row(line, full, json.dumps(list(full.values())))


def parse(header: Sequence[str], cells: dict[str, str], style: Style = DPS) -> Change | list[Problem]:
    return RowParser(header, style, "prod").parse(csv_row(header, cells))


def parse_line(line: dict[str, Any], style: Style = DPS) -> Change | list[Problem]:
    return RowParser((), style, "prod").parse(Row(7, line, json.dumps(line)))


def problems_of(result: Change | list[Problem]) -> list[Problem]:
    assert isinstance(result, list), result
    return result


def problem_of(result: Change | list[Problem]) -> Problem:
    """The only problem of a row."""
    [problem] = problems_of(result)
    return problem


def change_of(result: Change | list[Problem]) -> Change:
    assert isinstance(result, Change), result
    return result


def text_cells(**cells: str) -> dict[str, str]:
    return {"id": "1", "placement": "dps:offer-placement:1", "language": "en", "content": "New"} | cells
