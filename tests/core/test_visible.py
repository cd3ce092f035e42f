"""Text for people: nothing in it acts upon a terminal, and nothing that differs looks the same."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.core.values import visible

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text", "plain text"),
        ("مرحبا, שלום, 你好, " + FAMILY, "مرحبا, שלום, 你好, " + FAMILY),
        ("a\x1b[31mred", "a\\u001b[31mred"),
        ("a\x9b31mred", "a\\u009b31mred"),
        ("a\x7fb\x00c\rd\ne\tf", "a\\u007fb\\u0000c\\rd\\ne\\tf"),
        ("turned \u202earound\u202c", "turned \\u202earound\\u202c"),
        ("no\u00a0break", "no\\u00a0break"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
        ("\U000e0041 tag", "\\udb40\\udc41 tag"),
        ("lone \ud800", "lone \\ud800"),
    ],
)
def test_what_cannot_be_seen_is_spelled_out(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text())
def test_it_says_what_json_says(text: str) -> None:
    spelled = visible(json.dumps(text, ensure_ascii=False))

    assert json.loads(spelled) == text
