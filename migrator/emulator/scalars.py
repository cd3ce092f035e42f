"""Shapes of single values: text, numbers, dates, the words of an enumeration, ids."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec

from migrator.emulator import instants
from migrator.emulator.entities import NAMESPACE, Style
from migrator.emulator.shapes import Reference, Rewriting, Shape, Walk, judged, wrong

_CONTENT = f"{NAMESPACE}content-component-"
_HUMP = re.compile(r"(?<=[a-z])([A-Z])")

Fits = Callable[[Any], bool]
"""Whether a value is what it has to be."""


@dataclass(frozen=True, slots=True)
class Scalar(Shape):
    """A single value.

    Attributes:
        wanted: what it has to be, for messages.
        fits: whether it is.
        schema: the same as a JSON Schema.
        type: the same as a type; None when there is none.
    """

    wanted: str
    fits: Fits
    schema: Mapping[str, Any]
    type: Any = None

    def check(self, value: Any, at: str, walk: Walk) -> None:  # noqa: ARG002 - nothing to collect
        """Refuse what does not fit."""
        if not self.fits(value):
            raise wrong(at, self.wanted)

    def typed(self, style: Style) -> Any:  # noqa: ARG002 - it is the same in both
        """Its type."""
        return judged(self) if self.type is None else self.type


def whole(least: int) -> Scalar:
    """A whole number; true and false are none."""
    return Scalar(
        f"a whole number of at least {least}",
        lambda value: type(value) is int and value >= least,
        {"type": "integer", "minimum": least},
        Annotated[int, msgspec.Meta(ge=least)],
    )


TEXT = Scalar("text", lambda value: isinstance(value, str), {"type": "string"}, str)
NAME = Scalar(
    "text that is not empty",
    lambda value: isinstance(value, str) and value != "",
    {"type": "string", "minLength": 1},
    Annotated[str, msgspec.Meta(min_length=1)],
)
FLAG = Scalar("true or false", lambda value: isinstance(value, bool), {"type": "boolean"}, bool)
DATE = Scalar(
    "a date and time with an offset",
    lambda value: isinstance(value, str) and instants.is_instant(value),
    {"type": "string", "format": "date-time"},
)


@dataclass(frozen=True, slots=True)
class Word(Shape):
    """One of a few words, listed in kebab case; xcore spells them in camel case, dps in either (C-25)."""

    words: tuple[str, ...]

    def check(self, value: Any, at: str, walk: Walk) -> None:
        """Refuse other words."""
        spellings = self.spellings(walk.style)
        if value not in spellings:
            raise wrong(at, f"one of {', '.join(spellings)}")

    def typed(self, style: Style) -> Any:
        """The words."""
        return Literal[tuple(self.spellings(style))]

    def spellings(self, style: Style) -> Sequence[str]:
        """The words as a style may spell them."""
        return list(dict.fromkeys((*map(camel, self.words), *(self.words if style == "dps" else ()))))

    def rewrite(self, value: Any, how: Rewriting) -> Any:
        """The word in the case of the target style."""
        if not how.respell or not isinstance(value, str):
            return value
        return kebab(value) if how.target == "dps" else camel(value)


@dataclass(frozen=True, slots=True)
class Content(Shape):
    """A type of content: a URI in xcore, a short word in dps. New ones may come, so any text is one.

    Attributes:
        text: what dps calls plain text, which depends on the place.
    """

    text: str

    def check(self, value: Any, at: str, walk: Walk) -> None:
        """Refuse what is no text."""
        NAME.check(value, at, walk)

    def typed(self, style: Style) -> Any:
        """Text."""
        return NAME.typed(style)

    def rewrite(self, value: Any, how: Rewriting) -> Any:
        """The URI for the word, or the word for the URI."""
        if not isinstance(value, str) or how.source == how.target:
            return value
        if how.target == "xcore":
            return value if ":" in value else f"{_CONTENT}{value.removeprefix('component-')}"
        word = value.removeprefix(_CONTENT)
        return self.text if word == "text" else word


@dataclass(frozen=True, slots=True)
class Ref(Shape):
    """The id of an object of one of a few entities."""

    words: tuple[str, ...]

    def check(self, value: Any, at: str, walk: Walk) -> None:
        """Refuse what is no text, and note the rest: whether it exists is looked at elsewhere."""
        if not isinstance(value, str):
            raise wrong(at, "an id")
        walk.references.append(Reference(value, self.words, at))

    def typed(self, style: Style) -> Any:  # noqa: ARG002 - an id is noted in either
        """A type of its own."""
        return judged(self)

    def refers_to(self) -> frozenset[str]:
        """Those few."""
        return frozenset(self.words)


def kebab(word: str) -> str:
    """``anyTags`` as ``any-tags``."""
    return _HUMP.sub(r"-\1", word).lower()


def camel(word: str) -> str:
    """``any-tags`` as ``anyTags``."""
    first, *rest = word.split("-")
    return first + "".join(part.capitalize() for part in rest)
