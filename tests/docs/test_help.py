"""The help texts of the commands, and what a shell completes."""

from __future__ import annotations

import inspect
import re
import shlex
from collections.abc import Iterator
from typing import Any

import click
import pytest

from migrator.cli import DEBUG, cli


def commands(group: click.Group, *names: str) -> Iterator[tuple[str, click.Command]]:
    """Yield every command with the words it is called by, the groups among them too."""
    yield " ".join(names), group
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, *names, name)
        else:
            yield " ".join([*names, name]), command


COMMANDS = dict(commands(cli, "migrator"))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_help_text_has_its_purpose_in_a_line_examples_and_exit_codes(name: str) -> None:
    text = inspect.cleandoc(COMMANDS[name].help or "")

    purpose, blank, *_ = text.splitlines()
    assert len(purpose) <= 120
    assert purpose.endswith(".")
    assert blank == ""
    assert re.search(r"\x08\nExamples: +migrator ", text), "what keeps its lines is marked for click"
    assert "\nExit codes: " in text
    assert "\\b" not in text


def examples(text: str) -> list[str]:
    lines = text.partition("Examples:")[2].partition("Exit codes:")[0].splitlines()
    return [line.strip() for line in lines if line.strip()]


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "migrator"])
def test_the_examples_of_a_command_are_of_that_command_and_have_options_that_it_has(name: str) -> None:
    command = COMMANDS[name]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    for example in examples(inspect.cleandoc(command.help or "")):
        first = example.partition(", then ")[0].partition(" > ")[0]
        words = shlex.split(first)
        assert " ".join(words).startswith(name)
        if not isinstance(command, click.Group):
            assert {word.partition("=")[0] for word in words if word.startswith("--")} <= known


def asking_for(typed: str) -> dict[str, str]:
    """What bash asks with when somebody presses tab."""
    return {"COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" ")), "_MIGRATOR_COMPLETE": "bash_complete"}


@pytest.mark.parametrize(
    ("typed", "completed"),
    [("migrator doc", "doctor"), ("migrator apply --lim", "--limit"), ("migrator config sh", "show")],
)
async def test_a_shell_completes_commands_and_options(migrator: Any, typed: str, completed: str) -> None:
    migrator.environment = {
        "COMP_WORDS": typed,
        "COMP_CWORD": str(typed.count(" ")),
        "_MIGRATOR_COMPLETE": "bash_complete",
    }

    ended = await migrator()

    assert ended.out.split() == [f"plain,{completed}"]


async def test_a_shell_completes_the_names_of_profiles(migrator: Any) -> None:
    (migrator.folder / "config").mkdir()
    for name in ("production", "preview", "dev"):
        (migrator.folder / "config" / f"{name}.toml").touch()
    migrator.environment = asking_for("migrator doctor --profile pr")

    assert (await migrator()).out.split() == ["plain,preview", "plain,production"]


@pytest.mark.parametrize("arguments", [(DEBUG, "resume"), ("resume", DEBUG)])
async def test_a_traceback_is_shown_only_to_whoever_asks_for_it(migrator: Any, arguments: tuple[str, ...]) -> None:
    with_debug, without = await migrator(*arguments), await migrator("resume")

    assert (with_debug.code, without.code) == (2, 2)
    assert "Traceback" in with_debug.err
    assert "Traceback" not in without.err
    assert with_debug.err.endswith(without.err)
