"""Where the documents are silent: one switch for each question, so that a rehearsal can also run the other way.

The class `Choices` is the table (contract 9). Each attribute carries its id, its question and its legal values, the
default first; parsing, validation and every text about the choices are derived from that, so a new choice is one entry
here and an ``if`` where it bites.

A value is a word, or a word with a number: ``cap:20``. A word that can have a number and is given without takes the one
in the table.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from textwrap import wrap
from typing import Any, NamedTuple, Self

_WIDTH = 80
_VALUE = re.compile(r"([a-z0-9-]+)(?::(\d+(?:\.\d+)?))?")


class Value(NamedTuple):
    """A value that a choice may have.

    Attributes:
        word: what it is called.
        number: the number it has when none is given; None when it has none.
        meaning: what the server then does, in one phrase.
    """

    word: str
    number: str | None
    meaning: str

    def __str__(self) -> str:
        return self.word if self.number is None else f"{self.word}:{self.number}"


class Choice(NamedTuple):
    """One question that the documents leave open.

    Attributes:
        id: its number in the contract, such as ``C-16``.
        name: its short name, which is also the attribute of `Choices`.
        question: what is open, in one sentence.
        values: the answers that can be chosen; the first is the default.
    """

    id: str
    name: str
    question: str
    values: tuple[Value, ...]

    @property
    def default(self) -> str:
        """The answer when none is chosen."""
        return str(self.values[0])

    def canonical(self, text: str) -> str:
        """A legal value in its full form: with its number, if its word has one.

        Raises:
            ValueError: not a legal value; the message names those.
        """
        form = _VALUE.fullmatch(text.strip().lower())
        word, number = form.groups() if form else ("", None)
        for value in self.values:
            if word == value.word and (number is None or value.number is not None):
                return str(value._replace(number=number or value.number))
        legal = " or ".join(f"{value.word}:NUMBER" if value.number else value.word for value in self.values)
        raise ValueError(f"{self.id} ({self.name}) cannot be {text!r}; it can be {legal}")


def _choice(identifier: str, question: str, values: Mapping[str, str]) -> Any:
    """Declare a choice: its values, the default first, each with its meaning."""
    legal = tuple(_value(text, meaning) for text, meaning in values.items())
    metadata = {"id": identifier, "question": question, "values": legal}
    return dataclasses.field(default=str(legal[0]), metadata=metadata)


def _value(text: str, meaning: str) -> Value:
    word, _, number = text.partition(":")
    return Value(word, number or None, meaning)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """How one emulator answers the open questions. All values are text in the full form of `Choice.canonical`.

    Raises:
        ValueError: a value is not legal.
    """

    bearer_blanks: str = _choice(
        "C-01",
        "How many blanks may follow Bearer?",
        {
            "any": "any number",
            "one": "exactly one, else 401 with 401013",
        },
    )
    no_sandbox: str = _choice(
        "C-02",
        "What does a request without x-sandbox-name mean?",
        {
            "prod": "the sandbox prod",
            "require": "400",
        },
    )
    odd_accept: str = _choice(
        "C-03",
        "What becomes of an Accept that does not cover the answer?",
        {
            "ignored": "it is not looked at",
            "strict": "406",
        },
    )
    unknown_container: str = _choice(
        "C-04",
        "How is an unknown container refused?",
        {
            "404": "404",
            "403": "403",
        },
    )
    doubled_content_type: str = _choice(
        "C-05",
        "What becomes of the doubled 'Content-Type: Content-Type: …' that old pages print?",
        {
            "lenient": "it is read past, and a warning counted",
            "strict": "415",
        },
    )
    create_status: str = _choice(
        "C-06",
        "Which status has a successful create?",
        {
            "201": "201",
            "200": "200",
        },
    )
    other_operations: str = _choice(
        "C-07",
        "What becomes of patch operations that the style does not list?",
        {
            "400": "400",
            "rfc6902": "all six of RFC 6902 are carried out",
        },
    )
    if_match: str = _choice(
        "C-08",
        "What does an If-Match that does not match do?",
        {
            "xcore-409": "409 in xcore; dps does not look at it",
            "dps-412": "409 in xcore, 412 in dps",
            "dps-409": "409 in both",
        },
    )
    bad_query: str = _choice(
        "C-09",
        "How is a query that makes no sense refused: no schema, id beside name, a broken cursor?",
        {
            "400": "400",
            "422": "422",
        },
    )
    page_size: str = _choice(
        "C-10",
        "What becomes of a large limit?",
        {
            "cap:100": "a page has at most this many, without a word",
            "ignore-limit": "every page has 50, whatever was asked for",
        },
    )
    referenced_delete: str = _choice(
        "C-11",
        "What becomes of a delete of something that others refer to?",
        {
            "409": "409",
            "allow": "it is deleted, and the references dangle",
        },
    )
    undocumented_verbs: str = _choice(
        "C-12",
        "How is a method refused that a path does not have?",
        {
            "405": "405 with Allow",
            "404": "404",
        },
    )
    offer_type: str = _choice(
        "C-13",
        "What does a missing or unknown offer-type mean?",
        {
            "400": "400",
            "default-personalized": "personalized",
        },
    )
    stores: str = _choice(
        "C-14",
        "Do the two styles look at one store?",
        {
            "separate": "each has its own",
            "mirrored": "xcore objects can be seen and written in dps too, under their xcore: id",
        },
    )
    json_patch_type: str = _choice(
        "C-15",
        "What becomes of a dps PATCH sent as application/json-patch+json?",
        {
            "accept": "it is accepted, and a warning counted",
            "415": "415",
        },
    )
    failed_test: str = _choice(
        "C-16",
        "Which status has a failed test operation?",
        {
            "409": "409",
            "412": "412",
            "422": "422",
            "400": "400",
        },
    )
    failed_patch: str = _choice(
        "C-17",
        "What is left of a patch that fails half-way?",
        {
            "atomic": "nothing",
            "partial": "what its first operations did",
        },
    )
    replace_absent: str = _choice(
        "C-18",
        "What does a replace of an absent member do?",
        {
            "422": "422",
            "upsert": "it adds the member",
        },
    )
    service_members: str = _choice(
        "C-19",
        "What becomes of a write to a member that belongs to the service?",
        {
            "422": "422",
            "ignore": "that part is left out",
        },
    )
    dps_cursor: str = _choice(
        "C-20",
        "What is the cursor of a dps list?",
        {
            "time": "a value, inclusive, blind to ties",
            "tie-safe": "a value and an id, exclusive",
        },
    )
    dps_validation: str = _choice(
        "C-21",
        "How is an object refused in dps that does not fit its entity?",
        {
            "422": "422",
            "400": "400",
            "off": "not at all",
        },
    )
    unknown_members: str = _choice(
        "C-22",
        "What becomes of members that the documents do not know?",
        {
            "keep": "they are kept and returned",
            "drop": "they are dropped without a word",
            "reject": "422",
        },
    )
    soft_rules: str = _choice(
        "C-23",
        "Are the order of dates, the steps of a status and a placement's channel enforced?",
        {
            "warn": "no, a warning is counted",
            "enforce": "422",
        },
    )
    duplicate_names: str = _choice(
        "C-24",
        "Whose names have to be unique?",
        {
            "tags": "those of tags, else 409",
            "all": "those of every entity, else 409",
            "none": "nobody's",
        },
    )
    enum_spelling: str = _choice(
        "C-25",
        "What becomes of a camel-case word in dps, such as anyTags?",
        {
            "echo": "it is returned as it came",
            "kebab": "it is returned in kebab case",
        },
    )
    empty_patch: str = _choice(
        "C-26",
        "What is the answer to a patch of no operations?",
        {
            "200": "200, the etag stays",
            "400": "400",
        },
    )
    same_values: str = _choice(
        "C-27",
        "What does a patch do that changes nothing?",
        {
            "write": "it raises the etag",
            "nothing": "the etag stays",
        },
    )
    search_lag: str = _choice(
        "C-28",
        "How many seconds are lists and searches behind?",
        {
            "lag:0": "this many",
        },
    )
    date_spelling: str = _choice(
        "C-29",
        "How are dates spelt in dps reads?",
        {
            "offset": "+00:00, milliseconds",
            "z": "Z, milliseconds",
        },
    )
    error_bodies: str = _choice(
        "C-30",
        "Which shape have the service's error bodies?",
        {
            "problem": "a problem document",
            "gateway": "the gateway's error_code and message",
            "error-message": "a single errorMessage",
            "html": "an HTML page",
            "empty": "nothing",
            "cut": "a problem document that breaks off in the middle",
            "wrong-type": "a problem document called text/html",
        },
    )
    repeated_create: str = _choice(
        "C-31",
        "What does the same create do a second time?",
        {
            "create": "it makes a second object",
            "deduplicate:60": "within this many seconds it returns the first receipt",
        },
    )

    def __post_init__(self) -> None:
        for choice in CHOICES:
            object.__setattr__(self, choice.name, choice.canonical(getattr(self, choice.name)))

    @classmethod
    def from_texts(cls, texts: Mapping[str, str]) -> Self:
        """The defaults, but for what a person has written: see `but`."""
        return cls().but(texts)

    def but(self, texts: Mapping[str, str]) -> Self:
        """The same, but for choices as a person writes them.

        Args:
            texts: values by id or by name: ``{"C-16": "412", "page-size": "cap:20"}``.

        Raises:
            ValueError: there is no such choice or value, or one choice is made twice.
        """
        chosen: dict[str, str] = {}
        for label, text in texts.items():
            choice = choice_called(label)
            if choice.name in chosen:
                raise ValueError(f"{choice.id} ({choice.name}) is chosen twice")
            chosen[choice.name] = choice.canonical(text)
        return dataclasses.replace(self, **chosen)

    @property
    def made(self) -> dict[str, str]:
        """The choices that are not the defaults: values by id."""
        given = ((choice, getattr(self, choice.name)) for choice in CHOICES)
        return {choice.id: value for choice, value in given if value != choice.default}

    @property
    def largest_page(self) -> int | None:
        """Objects on a page at most; None when what is asked for is ignored (C-10)."""
        number = number_of(self.page_size, "cap")
        return None if number is None else max(1, int(number))

    @property
    def search_lag_s(self) -> float:
        """Seconds that lists are behind (C-28)."""
        return number_of(self.search_lag, "lag") or 0

    @property
    def deduplicate_s(self) -> float | None:
        """Seconds within which a repeated create makes nothing new; None when it always does (C-31)."""
        return number_of(self.repeated_create, "deduplicate")


CHOICES: tuple[Choice, ...] = tuple(
    Choice(field.metadata["id"], field.name, field.metadata["question"], field.metadata["values"])
    for field in dataclasses.fields(Choices)
)
"""All choices, in the order of the contract."""


def choice_called(label: str) -> Choice:
    """The choice of an id or a name, in whatever case; hyphens stand for underscores.

    Raises:
        ValueError: there is none; the message names the nearest.
    """
    found = _labels().get(_folded(label))
    if found is None:
        nearest = difflib.get_close_matches(_folded(label), _labels(), n=1, cutoff=0)
        choice = _labels()[nearest[0]]
        raise ValueError(f"there is no choice {label!r}; the nearest is {choice.id} ({choice.name})")
    return found


def number_of(text: str, word: str) -> float | None:
    """The number in a value such as ``cap:20``; None when the value is another word."""
    head, _, number = text.partition(":")
    return float(number) if head == word else None


def help_lines() -> Iterator[str]:
    """The whole table as text: each choice, then its values."""
    for choice in CHOICES:
        yield from _filled(f"{choice.id}  ", f"{choice.name}: {choice.question}")
        for value in choice.values:
            default = " (default)" if value is choice.values[0] else ""
            yield from _filled("      ", f"{value}: {value.meaning}{default}")


def _filled(head: str, text: str) -> list[str]:
    return wrap(text, _WIDTH, initial_indent=head, subsequent_indent=" " * 6, break_on_hyphens=False)


@cache
def _labels() -> Mapping[str, Choice]:
    return {_folded(label): choice for choice in CHOICES for label in (choice.id, choice.name)}


def _folded(label: str) -> str:
    return label.strip().lower().replace("_", "-")
