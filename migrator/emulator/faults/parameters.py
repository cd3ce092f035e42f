"""The keys of a rule: how each is read from text, what it may be, and what it is when it is not given."""

from __future__ import annotations

import math
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Parameter:
    """One key of a rule.

    Attributes:
        name: the key.
        meaning: what it is for, in a few words.
        legal: what its value may be, in words that follow "is not".
        read: turns text into the value; raises ValueError.
        default: the text that stands for a missing key; None when the value is then None.
        options: all values, where they are few.
    """

    name: str
    meaning: str
    legal: str
    read: Callable[[str], Any]
    default: str | None = None
    options: tuple[str, ...] = ()

    def value(self, text: str | None) -> Any:
        """The value of a key, given or not.

        Raises:
            ValueError: it is not legal; says what is.
        """
        chosen = self.default if text is None else text
        if chosen is None:
            return None
        try:
            return self.read(chosen)
        except ValueError:
            raise ValueError(f"{self.name}={chosen} is not {self.legal}") from None


def seconds(name: str, meaning: str, default: str) -> Parameter:
    """A duration in seconds."""
    return Parameter(name, meaning, "a number of seconds, 0 or more", lambda text: _between(text, 0, math.inf), default)


def fraction(name: str, meaning: str, default: str | None = None) -> Parameter:
    """A share or a probability."""
    return Parameter(name, meaning, "a number from 0 to 1", lambda text: _between(text, 0, 1), default)


def count(name: str, meaning: str, default: str | None = None) -> Parameter:
    """How many."""
    return Parameter(name, meaning, "a whole number, 1 or more", lambda text: _whole(text, 1), default)


def status(default: str) -> Parameter:
    """An HTTP status that says that something is wrong."""

    def read(text: str) -> int:
        return HTTPStatus(_whole(text, 400))

    return Parameter("status", "HTTP status", "an HTTP status of 400 or more that has a name", read, default)


def choice(name: str, meaning: str, options: tuple[str, ...], default: str | None = None) -> Parameter:
    """One word of a few."""

    def read(text: str) -> str:
        if text not in options:
            raise ValueError
        return text

    return Parameter(name, meaning, f"one of {', '.join(options)}", read, default, options)


def text(name: str, meaning: str, default: str | None = None) -> Parameter:
    """Anything."""
    return Parameter(name, meaning, "text", str, default)


def retry_after(default: str) -> Parameter:
    """What the header ``Retry-After`` is to say."""
    forms = ("date", "empty", "garbage", "none")

    def read(form: str) -> str:
        return form if form in forms else str(_whole(form, 0))

    meaning = "a number of seconds, or date, empty, garbage, none"
    return Parameter("retry-after", meaning, f"a number of seconds or one of {', '.join(forms)}", read, default)


def _between(number: str, least: float, most: float) -> float:
    value = float(number)
    if not least <= value <= most or math.isinf(value):
        raise ValueError
    return value


def _whole(number: str, least: int) -> int:
    value = int(number)
    if value < least:
        raise ValueError
    return value
