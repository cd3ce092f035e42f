"""The texts of offers, each as a row that can be edited: by placement, language and format, with what it was.

A replacement over many texts touches what it matches and nothing else, to the byte. What an offer fills in for each
recipient, `{{profile.name}}` and the like, it does not touch at all, unless all of such a placeholder is matched: half
of a placeholder is a broken mail.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

from migrator.core.edit import located
from migrator.core.model import Json, TextChange
from migrator.core.patch import CannotApply
from migrator.core.pointers import value_at
from migrator.core.styles import TextNames

PLACEHOLDER = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{[\w.$-]+\}", re.DOTALL)
"""What is filled in for each recipient. Braces around anything else, as in JSON and CSS, are part of the text."""


class Text(Struct, frozen=True):
    """One text of an offer.

    Attributes:
        placement: id of the placement.
        language: its first language tag, "" if it has none.
        format: its media type, "" if it has none.
        content: the text; "" if there is none.
        found: whether placement, language and format lead to it and nothing else.
    """

    placement: str
    language: str
    format: str
    content: str
    found: bool


def texts_of(document: Json, names: TextNames) -> Iterator[Text]:
    """Yield the texts of an offer.

    Args:
        document: the offer, as pointers lead into it.
        names: what the members are called.
    """
    for representation in _objects(value_at(document, names.representations)):
        for component in _objects(representation.get(names.components)):
            content = component.get(names.content)
            if isinstance(content, str):
                yield _text(representation.get(names.placement), component, content, document, names)


def _text(placement: Json, component: dict[str, Json], content: str, document: Json, names: TextNames) -> Text:
    languages = component.get(names.language)
    language = languages[0] if isinstance(languages, list) and languages else ""
    parts = [part if isinstance(part, str) else "" for part in (placement, language, component.get(names.format))]
    placement, language, format_ = parts
    try:
        found = not located([TextChange(placement, language, content, format=format_)], document, names)
    except CannotApply:
        found = False
    return Text(placement, language, format_, content, found)


def _objects(value: Json) -> Iterator[dict[str, Json]]:
    return (one for one in value if isinstance(one, dict)) if isinstance(value, list) else iter(())


class Replaced(Struct, frozen=True):
    """What became of a text.

    Attributes:
        content: the text now.
        count: replacements made.
        spared: matches that were left as they are, because they end or begin inside of a placeholder.
    """

    content: str
    count: int
    spared: int


class Replacement:
    """Something to find in texts, and what to put in its place."""

    def __init__(self, find: str, replace: str, *, regex: bool = False) -> None:
        r"""Look for `find`.

        Args:
            find: text, or a regular expression of Python.
            replace: text; of a regular expression also `\1` and the like.
            regex: whether it is one.

        Raises:
            ValueError: the expression cannot be read, or finds nothing at all in places.
        """
        try:
            self._pattern = re.compile(find if regex else re.escape(find))
            self._template = replace if regex else replace.replace("\\", r"\\")
        except re.error as error:
            raise ValueError(f"the regular expression cannot be read: {error}") from error
        if self._pattern.search("") is not None:
            raise ValueError("it matches where there is nothing, so everywhere")

    def apply(self, content: str) -> Replaced:
        """Replace all matches in a text.

        Raises:
            ValueError: what is to be put in their place names a group that there is not.
        """
        placeholders = [found.span() for found in PLACEHOLDER.finditer(content)]
        made, kept, count, spared = [], 0, 0, 0
        for match in self._pattern.finditer(content):
            if any(_cuts(match.span(), placeholder) for placeholder in placeholders):
                spared += 1
                continue
            try:
                made += [content[kept : match.start()], match.expand(self._template)]
            except (re.error, IndexError) as error:
                raise ValueError(f"what to put in its place cannot be read: {error}") from error
            kept, count = match.end(), count + 1
        return Replaced("".join([*made, content[kept:]]), count, spared)


def _cuts(match: tuple[int, int], placeholder: tuple[int, int]) -> bool:
    """Whether a match takes a part of a placeholder and not all of it."""
    begin, end = match
    first, last = placeholder
    return begin < last and end > first and not (begin <= first and end >= last)
