"""The help texts of the commands."""

from __future__ import annotations

import inspect

import pytest

from migrator.cli import cli


@pytest.mark.parametrize("name", ["", *cli.commands])
def test_what_keeps_its_lines_is_marked_for_click(name: str) -> None:
    text = inspect.cleandoc((cli.commands[name] if name else cli).help or "")
    assert "\\b" not in text
    if "Examples:" in text:
        assert "\b\nExamples:" in text
