"""What is asked before anything is sent, who is asked, and what counts as an answer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import click
import pytest

from migrator.api import Choice
from migrator.cli import asking
from migrator.cli.asking import ask, confirm_sandbox
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

    monkeypatch.setattr(asking, "is_terminal", lambda: terminal)
    monkeypatch.setattr(click, "prompt", prompt)

    if fine:
        confirm_sandbox(PRODUCTION, given)
    else:
        with pytest.raises(UsageError, match="nothing was sent"):
            confirm_sandbox(PRODUCTION, given)
    assert bool(asked) == (terminal and given is None)


def test_of_a_sandbox_that_is_no_production_nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "is_terminal", lambda: True)
    monkeypatch.setattr(click, "prompt", lambda *_, **__: pytest.fail("asked"))

    confirm_sandbox(Settings(sandbox="dev"), None)


@pytest.mark.parametrize(
    ("choice", "asked"),
    [
        (None, "Send 300 requests to sandbox dev"),
        (Choice(3), "Send the first 3 of 300 requests to sandbox dev"),
        (Choice(3, at_random=True), "Send 3 at random of 300 requests to sandbox dev"),
        (Choice(objects=frozenset("ab")), "Send those for 2 ids of 300 requests to sandbox dev"),
        (Choice(5, objects=frozenset("a")), "Send the first 5 for 1 id of 300 requests to sandbox dev"),
    ],
)
def test_the_question_says_how_many_of_the_requests_are_sent_now(
    monkeypatch: pytest.MonkeyPatch, choice: Choice | None, asked: str
) -> None:
    questions: list[str] = []
    monkeypatch.setattr(click, "confirm", lambda text, **_: questions.append(text))
    draft: Any = SimpleNamespace(steps=300, container_names=["dev"], containers=1)

    ask(draft, Settings(sandbox="dev"), choice)

    assert questions == [f"{asked} at https://platform.adobe.io?"]
