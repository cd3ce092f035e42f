"""Who is asked for the name of a production sandbox, and what counts as an answer."""

from __future__ import annotations

from typing import Any

import click
import pytest

from migrator.cli import options
from migrator.cli.options import confirm_sandbox
from migrator.core.errors import UsageError
from migrator.settings import Settings

PRODUCTION = Settings(production=True, sandbox="prod")


@pytest.mark.parametrize(
    ("terminal", "given", "typed", "fine"),
    [
        (True, None, "prod", True),
        (True, None, "Prod", False),
        (True, None, "", False),
        (True, None, "y", False),
        (True, "prod", None, True),
        (True, "dev", None, False),
        (False, "prod", None, True),
        (False, "dev", None, False),
        (False, "", None, False),
        (False, None, None, False),
    ],
)
def test_only_the_name_of_the_sandbox_is_an_answer(
    monkeypatch: pytest.MonkeyPatch, *, terminal: bool, given: str | None, typed: str | None, fine: bool
) -> None:
    asked: list[str] = []

    def prompt(text: str, **_: Any) -> str | None:
        asked.append(text)
        return typed

    monkeypatch.setattr(options, "is_terminal", lambda: terminal)
    monkeypatch.setattr(click, "prompt", prompt)

    if fine:
        confirm_sandbox(PRODUCTION, given)
    else:
        with pytest.raises(UsageError, match="nothing was sent"):
            confirm_sandbox(PRODUCTION, given)
    assert bool(asked) == (terminal and given is None)


def test_of_a_sandbox_that_is_no_production_nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options, "is_terminal", lambda: True)
    monkeypatch.setattr(click, "prompt", lambda *_, **__: pytest.fail("asked"))

    confirm_sandbox(Settings(sandbox="dev"), None)
