"""Rules: which requests a fault strikes, and how often. Written as text, or as a table of TOML or JSON.

As text: ``KIND[:METHOD[,METHOD…]][:key=value]…``, for example ``drop-after:PATCH:p=0.05`` or
``429:*:p=0.02:retry-after=1``. A colon separates only where a key follows, so that values may hold colons:
``foreign-edit:PATCH:path=*/offers/dps:personalized-offer:*:n=3``.

As a table: ``kind``, ``methods`` (text or a list), and the same keys.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from migrator.emulator.faults.kinds import COMMON, KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from migrator.emulator.faults.kinds import Kind

_SEPARATOR = re.compile(r":(?=[A-Za-z][A-Za-z_-]*=)")
_FREQUENCIES = ("n", "every", "p")


@dataclass(frozen=True, slots=True)
class FaultRule:
    """One rule. Made by `parse` or `of`, which check it.

    Attributes:
        kind: the fault.
        methods: HTTP methods that it strikes.
        styles: endpoint styles that it strikes; ``ims`` is the token endpoint.
        values: a value for each key that such a rule can have.
        text: the rule as text.
    """

    kind: Kind
    methods: tuple[str, ...]
    styles: tuple[str, ...]
    values: Mapping[str, Any]
    text: str

    @classmethod
    def parse(cls, text: str) -> FaultRule:
        """Read a rule from text.

        Raises:
            ValueError: it is not one; the message says what is wrong with it, and what would be right.
        """
        head, *parts = _SEPARATOR.split(text.strip())
        kind, colon, methods = head.partition(":")
        given = [(key, value) for key, _, value in (part.partition("=") for part in parts)]
        doubled = {key for key, _ in given if [name for name, _ in given].count(key) > 1}
        if doubled:
            raise ValueError(f"fault {text!r}: {', '.join(sorted(doubled))} is given twice")
        return _rule(kind, methods if colon else "*", dict(given), repr(text))

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> FaultRule:
        """Read a rule from a table of TOML or JSON.

        Raises:
            ValueError: it is not one; the message says what is wrong with it, and what would be right.
        """
        given = {key: str(value) for key, value in table.items() if key not in ("kind", "methods")}
        kind, methods = str(table.get("kind", "")), table.get("methods", "*")
        if not kind:
            raise ValueError(f"fault {dict(table)!r}: kind is missing; it is one of {', '.join(KINDS)}")
        joined = ",".join(map(str, methods)) if isinstance(methods, list) else str(methods)
        return _rule(kind, joined, given, repr(kind))


def _rule(name: str, methods: str, given: dict[str, str], shown: str) -> FaultRule:
    kind = KINDS.get(name)
    if kind is None:
        raise ValueError(
            f"fault {shown}: there is no kind {name!r}{nearest(name, KINDS)}; there are {', '.join(KINDS)}"
        )
    try:
        chosen = _methods(kind, methods)
        values = _values(kind, given)
        styles = _styles(kind, values)
    except ValueError as error:
        raise ValueError(f"fault {shown}: {error}") from None
    text = ":".join([name, methods.upper() or "*", *(f"{key}={given[key]}" for key in values if key in given)])
    return FaultRule(kind, chosen, styles, values, text)


def nearest(name: str, known: Iterable[str]) -> str:
    """A question that names the known name most like a wrong one; "" when none is like it."""
    close = get_close_matches(name, list(known), n=1, cutoff=0.4)
    return f" (did you mean {close[0]}?)" if close else ""


def _methods(kind: Kind, text: str) -> tuple[str, ...]:
    wanted = tuple(method.strip() for method in text.upper().split(",") if method.strip())
    if not wanted or wanted == ("*",):
        return kind.methods
    wrong = [method for method in wanted if method not in kind.methods]
    if wrong:
        raise ValueError(f"{kind.name} strikes {', '.join(kind.methods)}, not {', '.join(wrong)}")
    return wanted


def _values(kind: Kind, given: Mapping[str, str]) -> dict[str, Any]:
    parameters = {one.name: one for one in (*COMMON, *kind.parameters)}
    for key in given:
        if key not in parameters:
            raise ValueError(f"{kind.name} has no {key!r}{nearest(key, parameters)}; it has {', '.join(parameters)}")
    frequencies = [key for key in _FREQUENCIES if key in given]
    if len(frequencies) > 1:
        raise ValueError(f"{' and '.join(frequencies)} exclude each other")
    return {name: one.value(given.get(name)) for name, one in parameters.items()}


def _styles(kind: Kind, values: Mapping[str, Any]) -> tuple[str, ...]:
    style = values["style"]
    if style == "ims" and not kind.at_token_endpoint:
        raise ValueError(f"{kind.name} cannot strike the token endpoint")
    return kind.styles if style is None else (style,)
