"""An emulator's settings from a file: `migrator emulator --config FILE`.

TOML: every member of `EmulatorSettings` by its name, ``[[faults]]`` tables (or a list of rules as text), and a
``[choices]`` table with values by id or by name. It is not a profile of the client, which says where a service is and
not how it behaves.
"""

from __future__ import annotations

import tomllib
from dataclasses import fields
from typing import TYPE_CHECKING, Any, get_type_hints

import msgspec

from migrator.emulator.choices import Choices
from migrator.emulator.faults import FaultRule, nearest
from migrator.emulator.settings import EmulatorSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_NAMES = tuple(field.name for field in fields(EmulatorSettings))


def read_config(path: Path) -> dict[str, Any]:
    """Read a file into arguments for `EmulatorSettings`.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not such a file; the message names the key and what would be right.
    """
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as failure:
        raise ValueError(f"{path} is not TOML: {failure}") from failure
    if "base_url" in given:
        raise ValueError(f"{path} is a profile of the client; give it to `migrator apply --profile`")
    try:
        return parse_config(given)
    except ValueError as failure:
        raise ValueError(f"{path}: {failure}") from failure


def parse_config(given: Mapping[str, Any]) -> dict[str, Any]:
    """Check what a file says, member by member.

    Raises:
        ValueError: an unknown key, a value of the wrong type, or a rule that is none.
    """
    for key in given:
        if key not in _NAMES:
            raise ValueError(f"there is no setting {key!r}{nearest(key, _NAMES)}; there are {', '.join(_NAMES)}")
    hints = get_type_hints(EmulatorSettings)
    return {
        key: _READERS[key](value) if key in _READERS else _convert(key, value, hints[key])
        for key, value in given.items()
    }


def _rules(given: Any) -> tuple[FaultRule, ...]:
    if not isinstance(given, list) or not all(isinstance(one, str | dict) for one in given):
        raise ValueError("faults are [[faults]] tables, or a list of rules as text")
    return tuple(FaultRule.parse(one) if isinstance(one, str) else FaultRule.of(one) for one in given)


def _choices(given: Any) -> Choices:
    if not isinstance(given, dict):
        raise ValueError("choices are a [choices] table")  # noqa: TRY004 - a fault of the text
    return Choices.from_texts({label: str(value) for label, value in given.items()})


_READERS: dict[str, Callable[[Any], Any]] = {"faults": _rules, "choices": _choices}
"""Settings that are written in a way of their own."""


def _convert(key: str, value: Any, wanted: Any) -> Any:
    try:
        return msgspec.convert(value, wanted)
    except msgspec.ValidationError as failure:
        raise ValueError(f"{key}: {failure}") from failure
