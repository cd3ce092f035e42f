"""Conditions on objects: `status==approved`, as the service takes them in lists and as they are checked again here.

The lists of both styles take conditions (contract 3.9, 4.6), one of them by old documents only, and a service that does
not know a parameter leaves it out. So whatever the service was asked, each object is held against the conditions here.

A condition is a path, an operator and a value; or a path alone, which asks whether anything is there. A path is the
names that lead to a member, joined by dots; it leads through lists to all that is in them, and a condition holds if it
holds for any of that. Text is compared with text, dates as instants, numbers with numbers. `!=` is the opposite of
`==`, so it also holds where nothing is there.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import msgspec
from msgspec import Struct

from migrator.core.compare import instant
from migrator.core.model import Json
from migrator.core.styles import Style
from migrator.core.styles.base import can_be_asked
from migrator.core.values import Fault

OPERATORS = ("==", "!=", "<=", ">=", "<", ">", "~")
"""Longer ones before those that they begin with."""

_SIGN = re.compile("|".join(OPERATORS) + "|[=!]")

_ORDERS: Mapping[str, Callable[[float | str, float | str], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Condition(Struct, frozen=True):
    """One condition.

    Attributes:
        path: of the member, as the service spells it.
        sign: one of `OPERATORS`, or "" to ask whether anything is there.
        value: what to compare with; of `~` a regular expression for all of a text, whatever its case.
    """

    path: str
    sign: str = ""
    value: str = ""


def parse(text: str, style: Style) -> Condition | Fault:
    """Read a condition as people write it: its path begins inside of the object, in the words of `style`.

    Returns:
        The condition, or a fault that says at which character it ceases to be one.
    """
    found = _SIGN.search(text)
    sign, begin, end = (found[0], found.start(), found.end()) if found else ("", len(text), len(text))
    path, value = text[:begin].strip(), text[end:].strip()
    if not path:
        return _fault(1, "the path is missing", "begin with the name of a member, e.g. status==approved")
    if "" in path.split("."):
        position = text.index(path) + _empty_part(path)
        return _fault(position, "a name is missing in the path", "write one dot between two names")
    if sign in ("=", "!") or (sign == "<" and value.startswith(">")):
        hint = "write != for is not" if sign in ("<", "!") else "write == for is"
        written = sign + text[end : end + 1] * (text[end : end + 1] in ("<", ">"))
        return _fault(begin + 1, f"{written} is no operator; there are {', '.join(OPERATORS)}", hint)
    if sign and not value:
        return _fault(end + 1, f"there is no value after {sign}", f"write {path} alone to ask whether it is there")
    if sign == "~" and (why := _why_no_pattern(value)):
        return _fault(text.index(value, end) + 1, f"the regular expression {why}")
    return Condition(style.field_path(path), sign, _whole_date(value) if sign in _ORDERS else value)


def _fault(position: int, message: str, hint: str = "") -> Fault:
    return Fault("", f"at character {position}: {message}", hint)


def _empty_part(path: str) -> int:
    """Return the position, from 1, of the dot before or after which a name is missing."""
    return 1 if path.startswith(".") else path.find("..") + 2 if ".." in path else len(path)


def _why_no_pattern(value: str) -> str:
    try:
        _pattern(value)
    except re.error as error:
        return f"cannot be read: {error.msg} at its character {(error.pos or 0) + 1}"
    return ""


def pushed(conditions: Iterable[Condition]) -> tuple[str, ...]:
    """Return the conditions that a service can be asked for, as it spells them.

    A value with something in it that means something in a condition is left for us to check.
    """
    return tuple(one.path + one.sign + one.value for one in conditions if can_be_asked(one.value))


def meets(document: Json, conditions: Iterable[Condition]) -> bool:
    """Whether an object as the service shows it meets all of `conditions`."""
    return all(_holds(condition, document) for condition in conditions)


def _holds(condition: Condition, document: Json) -> bool:
    found = _at(document, condition.path.split("."))
    match condition.sign:
        case "":
            return any(True for _ in found)
        case "!=":
            return not any(_equals(value, condition.value) for value in _leaves(found))
        case "==":
            return any(_equals(value, condition.value) for value in _leaves(found))
        case "~":
            fits = _pattern(condition.value).fullmatch
            return any(isinstance(value, str) and fits(value) is not None for value in _leaves(found))
    return any(_compares(_ORDERS[condition.sign], value, condition.value) for value in _leaves(found))


def _at(document: Json, names: Sequence[str]) -> Iterator[Json]:
    """Yield what is at a path, in every element of the lists on the way."""
    if not names:
        yield document
    elif isinstance(document, list):
        for element in document:
            yield from _at(element, names)
    elif isinstance(document, dict) and names[0] in document:
        yield from _at(document[names[0]], names[1:])


def _leaves(values: Iterable[Json]) -> Iterator[Json]:
    for value in values:
        if isinstance(value, list):
            yield from _leaves(value)
        else:
            yield value


def _equals(value: Json, wanted: str) -> bool:
    if isinstance(value, str):
        moment = instant(value)
        return value == wanted or (moment is not None and moment == instant(wanted))
    number = _number(wanted)
    if number is not None and isinstance(value, int | float) and not isinstance(value, bool):
        return value == number
    return msgspec.json.encode(value).decode() == wanted


def _compares(order: Callable[[float | str, float | str], bool], value: Json, wanted: str) -> bool:
    if isinstance(value, str):
        one, other = instant(value), instant(wanted)
        return order(value, wanted) if one is None or other is None else order(one, other)
    number = _number(wanted)
    if number is None or isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return order(value, number)


def _whole_date(text: str) -> str:
    """Let a day stand for its beginning."""
    return f"{text}T00:00:00Z" if re.fullmatch(r"\d{4}-\d\d-\d\d", text) else text


def _number(text: str) -> float | None:
    try:
        return msgspec.json.decode(text, type=float)
    except msgspec.MsgspecError:
        return None


def _pattern(value: str) -> re.Pattern[str]:
    return re.compile(value, re.IGNORECASE | re.DOTALL)
