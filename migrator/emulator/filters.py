"""What narrows a list down: conditions on members, and xcore's full-text search (contract 3.9, 4.6).

A condition is ``path``, an operator and a value, or a bare path, which holds where the member exists. A path leads
through arrays to all that lies beyond, and a condition holds for an object when it holds for any of that.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from migrator.emulator import instants
from migrator.emulator.errors import bad_query

ReadAll = Callable[[str], Sequence[Any]]
"""The values of one object at a dotted path; empty when there are none."""

_CONDITION = re.compile(r"(!?)([^!=<>~]+?)(?:(==|!=|<=|>=|<|>|~)(.*))?", re.DOTALL)
_ORDERINGS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_TOKEN = re.compile(r'"((?:[^"\\]|\\.)*)"|((?:[^\s"\\]|\\.)+)')
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition.

    Attributes:
        path: dotted path of a member.
        sign: the operator; "" asks whether the member exists.
        value: what to compare with.
        negated: whether the opposite is wanted.
    """

    path: str
    sign: str
    value: str
    negated: bool

    @property
    def exact(self) -> str | None:
        """The value that the member must have, when that is all that is asked."""
        return self.value if self.sign == "==" and not self.negated else None

    def holds(self, read: ReadAll) -> bool:
        """Whether an object meets it."""
        found = read(self.path)
        holds = self._holds_for(list(_leaves(found))) if self.sign else bool(found)
        return holds != self.negated

    def _holds_for(self, leaves: Sequence[Any]) -> bool:
        if self.sign == "!=":
            return not any(_equals(value, self.value) for value in leaves)
        if self.sign == "==":
            return any(_equals(value, self.value) for value in leaves)
        if self.sign == "~":
            return any(isinstance(value, str) and _pattern(self.value).fullmatch(value) for value in leaves)
        return any(_compares(self.sign, value, self.value) for value in leaves)


def parse_condition(text: str, *, may_negate: bool) -> Condition:
    """Read a condition such as ``rank.priority>=3``.

    Args:
        text: the condition.
        may_negate: whether a ``!`` before it turns it round, as in dps.

    Raises:
        ProblemError: it is not one.
    """
    form = _CONDITION.fullmatch(text.strip())
    if form is None or (form[1] and not may_negate):
        raise bad_query(f"{text!r} is not a condition")
    negated, path, sign, value = form.groups()
    if sign == "~":
        _pattern(value)
    return Condition(path.strip(), sign or "", value or "", negated=bool(negated))


def values(document: Any, path: Sequence[str]) -> Iterator[Any]:
    """What lies at a path in a JSON value, in every element of the arrays on the way."""
    if not path:
        yield document
    elif isinstance(document, list):
        for element in document:
            yield from values(element, path)
    elif isinstance(document, dict) and path[0] in document:
        yield from values(document[path[0]], path[1:])


class Search(NamedTuple):
    """A full-text search.

    Attributes:
        phrases: each a run of words that has to occur in that order.
        every: whether all phrases are wanted, not just one.
        fields: dotted paths to look in; none for everywhere.
    """

    phrases: tuple[tuple[str, ...], ...]
    every: bool
    fields: tuple[str, ...]

    def finds(self, read: ReadAll, whole: str) -> bool:
        """Whether an object is found.

        Args:
            read: the values of the object.
            whole: the path of all its business members.
        """
        texts = [tuple(_words(text)) for path in self.fields or (whole,) for text in _texts(read(path))]
        hits = (any(_occurs(phrase, text) for text in texts) for phrase in self.phrases)
        return all(hits) if self.every else any(hits)


def parse_search(query: str, joint: str, fields: Iterable[str]) -> Search:
    """Read ``q``, ``qop`` and ``field``.

    Words are compared in lower case, and only those of the objects are turned into it: the documents want ``q`` to be
    in lower case already.

    Raises:
        ProblemError: ``qop`` is neither AND nor OR, or there is no word in ``q``.
    """
    if joint.upper() not in ("AND", "OR"):
        raise bad_query("qop is AND or OR")
    parts = (re.sub(r"\\(.)", r"\1", quoted or bare) for quoted, bare in _TOKEN.findall(query))
    phrases = tuple(phrase for part in parts if (phrase := tuple(_WORD.findall(part))))
    if not phrases:
        raise bad_query("q has no word in it")
    return Search(phrases, joint.upper() == "AND", tuple(fields))


def _leaves(found: Iterable[Any]) -> Iterator[Any]:
    """Values, and for an array those in it."""
    for value in found:
        if isinstance(value, list):
            yield from _leaves(value)
        else:
            yield value


def _texts(found: Iterable[Any]) -> Iterator[str]:
    """All text in JSON values, however deep."""
    for value in found:
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            yield from _texts(value.values())
        elif isinstance(value, list):
            yield from _texts(value)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _occurs(phrase: tuple[str, ...], text: tuple[str, ...]) -> bool:
    length = len(phrase)
    return any(text[start : start + length] == phrase for start in range(len(text) - length + 1))


def _equals(value: Any, wanted: str) -> bool:
    """Whether a member has a value: text as it is, dates as instants, anything else in its JSON form."""
    if isinstance(value, str):
        return value == wanted or _both(value, wanted, operator.eq)
    number = _number(wanted)
    if number is not None and isinstance(value, (int, float)) and not isinstance(value, bool):
        return bool(value == number)
    return msgspec.json.encode(value) == wanted.encode()


def _compares(sign: str, value: Any, wanted: str) -> bool:
    """Whether a member stands in an order to a value: numbers to numbers, dates to dates, text to text."""
    compare = _ORDERINGS[sign]
    if isinstance(value, str):
        if instants.is_instant(value) and instants.is_instant(wanted):
            return _both(value, wanted, compare)
        return compare(value, wanted)
    number = _number(wanted)
    if number is None or isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return compare(value, number)


def _both(value: str, wanted: str, compare: Callable[[Any, Any], bool]) -> bool:
    if not (instants.is_instant(value) and instants.is_instant(wanted)):
        return False
    return compare(instants.parse(value), instants.parse(wanted))


def _number(text: str) -> float | None:
    try:
        return msgspec.json.decode(text, type=float)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text, re.IGNORECASE | re.DOTALL)
    except re.error as failure:
        raise bad_query(f"{text!r} is not a regular expression: {failure}") from failure
