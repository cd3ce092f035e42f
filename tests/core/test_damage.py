"""What spreadsheets do to cells, told apart from what people do."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import UNSET

from migrator.core.damage import Damage, damage

UNKNOWN = UNSET
ZULU = "2024-03-01T00:00:00Z"
OFFSET = "2024-03-01T08:30:00.000+00:00"
LONG = "x" * 40_000


@pytest.mark.parametrize(
    ("was", "cell", "what", "meant"),
    [
        ("0012345", "12345", "leading zeros", "0012345"),
        ("007", "07", "leading zeros", "007"),
        ("1234567890123456", "1.23457E+15", "power of ten", "1234567890123456"),
        ("1234567890123456", "1,23457E+15", "power of ten", "1234567890123456"),
        (1234567890123456, "1.23457E+15", "power of ten", 1234567890123456),
        (-1234567890123, "-1.23E+12", "power of ten", -1234567890123),
        ("12345678901234567890", "12345678901234500000", "15th", "12345678901234567890"),
        (12345678901234567, "12345678901234500", "15th", 12345678901234567),
        (ZULU, "01.03.2024 00:00", "date", ZULU),
        (ZULU, "1.3.24", "date", ZULU),
        (ZULU, "3/1/24", "date", ZULU),
        (ZULU, "1/3/2024 0:00", "date", ZULU),
        (ZULU, "3/1/2024 12:00:00 AM", "date", ZULU),
        (ZULU, "2024-03-01", "date", ZULU),
        (ZULU, "2024-03-01 00:00:00", "date", ZULU),
        (OFFSET, "01.03.2024 08:30", "date", OFFSET),
        ("2024-03-01", "01.03.2024", "date", "2024-03-01"),
        (ZULU, "15.04.2024 10:30", "date", "2024-04-15T10:30:00Z"),  # edited, in the spelling of a spreadsheet
        (OFFSET, "15.04.2024", "date", "2024-04-15T08:30:00.000+00:00"),
        (OFFSET, "4/15/2024 10:30", "date", "2024-04-15T10:30:00.000+00:00"),
        (ZULU, "4/5/2024", "date", UNKNOWN),  # the fourth of May, or the fifth of April?
        (ZULU, "45352", "would become a number", UNKNOWN),
        ("Für Zürich", "FÃ¼r ZÃ¼rich", "encoding", "Für Zürich"),
        ("2,9 % – jetzt", "2,9 % â€“ jetzt", "encoding", "2,9 % – jetzt"),
        ("Für Zürich", "FÃ¼r Bern", "encoding", "Für Bern"),
        ("Für Zürich", "Fï¿½r Ã¼ und ü", "encoding", UNKNOWN),
        ("Für", "F\ufffdr", "encoding", UNKNOWN),
        ("Für Zürich", "F?r Z?rich", "question marks", "Für Zürich"),
        ("Sonne 🌞", "Sonne ??", "question marks", "Sonne 🌞"),
        (LONG, LONG[:32_767], "cut off", LONG),
        (LONG, ("y" + LONG)[:32_767], "cut off", UNKNOWN),
        ("-5 % on all", "#NAME?", "error", "-5 % on all"),
        ("+49 free", "#WERT!", "error", "+49 free"),
        (ZULU, "########", "error", ZULU),
        ("1-2", "01. Feb", "day", "1-2"),
        ("3/4", "2024-03-04", "day", "3/4"),
        ("MAR1", "01-Mar", "day", "MAR1"),
        ("Sept 2", "02-Sep", "day", "Sept 2"),
        ("2024", "2024", "would become a number", "2024"),
        ("=SUM(A1)", "true", "would become true", "true"),
        (True, "TRUE", "as people say it", True),
        (True, "WAHR", "as people say it", True),
        (True, "Falsch", "as people say it", False),
        (False, "VRAI", "as people say it", True),
        (True, "1", "would become a number", UNKNOWN),
        (2.5, "2,5", "number is written", 2.5),
        (2.5, "3,75", "number is written", 3.75),
        (5, "5,00", "number is written", 5),
        (1234, "1.234", "number is written", 1234),
        (1234, "1,234", "number is written", 1234),
        (1234.5, "1.234,50", "number is written", 1234.5),
        (1234.5, "1,234.50", "number is written", 1234.5),
        (7, "1,234", "number is written", UNKNOWN),
        (7, "seven", "would become text", UNKNOWN),
        (["Zürich"], '["ZÃ¼rich"]', "encoding", ["Zürich"]),
        (["Zürich"], '["Z?rich"]', "question marks", ["Zürich"]),
        (["a", "b"], "a, b", "would become text", UNKNOWN),
    ],
)
def test_damage_is_told_and_mended_where_it_can_be(was: Any, cell: str, what: str, meant: Any) -> None:
    found = damage(was, cell)
    assert isinstance(found, Damage)
    assert what in found.what
    assert found.meant == meant
    assert type(found.meant) is type(meant)


@pytest.mark.parametrize(
    ("was", "cell"),
    [
        ("Spring", "Summer"),
        ("Spring", "“Spring”, and it’s mine"),  # curly quotes are meant
        ("0012345", "0012346"),
        ("0012345", "0012345-A"),
        ("Für Zürich", "Für Bern?"),
        ("Was?", "Was??"),
        ("Ã¼ is what ü becomes", "Ã¼ is what ü turns into"),
        ("ÂGE", "ÂGE d'or"),
        (ZULU, "2024-04-01T00:00:00Z"),
        (ZULU, "2024-04-01T00:00:00.000+00:00"),
        ("2024-03-01", "2024-04-01"),
        ("Version 1.3.24", "1.3.25"),
        ("Offer 3", "3 Offers"),
        ("May 1", "May 2"),
        ("1-2", "1-3"),
        ("Sale", "#SALE!"),
        ("a text", "null"),
        ("a text", '{"broken": '),  # which is a fault of its own
        (5, "6"),
        (5, "6.5"),
        (5, "null"),
        (123456, "1e5"),
        (1234567890123456, "1.5E+15"),
        (True, "false"),
        (None, "anything"),
        (["a"], '["a", "b"]'),
        (LONG, "x" * 40_001),
        ("x" * 32_766, "x" * 32_767),
    ],
)
def test_what_people_write_is_no_damage(was: Any, cell: str) -> None:
    assert damage(was, cell) is None
