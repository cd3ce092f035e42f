"""A large library for the tests and the benchmark of `migrate`: all seven types, with references all over it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Any

from migrator.emulator.schemas import SCHEMAS
from migrator.emulator.shapes import Rewriting
from migrator.emulator.snapshot import Line
from tests.runs.moving import WORDS, Style, line

SIZES = {
    "placement": 200,
    "decision-rule": 300,
    "tag": 100,
    "personalized-offer": 1_950,
    "fallback-offer": 50,
    "collection": 60,
    "decision": 40,
}
ALL = sum(SIZES.values())
FIRST = dict(zip(SIZES, accumulate(SIZES.values(), initial=0), strict=False))
"""The number of the first object of each type."""

WEB = "https://ns.adobe.com/xdm/channel-types/web"
DATES = {"startDate": "2024-03-01T00:00:00Z", "endDate": "2034-03-01T00:00:00Z"}


class Much:
    """A library whose objects refer to others all over it, by their numbers.

    All were made at one moment, which is one of the traps that the lists of dps lay.
    """

    def __init__(self, style: Style) -> None:
        self._style = style
        self._members: dict[str, Callable[[int], dict[str, Any]]] = {
            "placement": lambda _: {"componentType": "html", "channel": WEB},
            "decision-rule": self._rule,
            "tag": lambda _: {},
            "personalized-offer": self._offer,
            "fallback-offer": self._fallback,
            "collection": self._collection,
            "decision": self._decision,
        }

    def lines(self) -> Iterator[Line]:
        """Yield the objects, each spelt as the emulator itself spells its seeds."""
        how = Rewriting("dps", self._style, drop_unknown=False, respell=True)
        for type_, count in SIZES.items():
            for index in range(count):
                document = {"name": f"{type_} {index}"} | self._members[type_](index)
                spelt = SCHEMAS[WORDS[type_]].rewrite(document, how)
                yield line(self._style, type_, FIRST[type_] + index, spelt)

    def _to(self, type_: str, number: int) -> str:
        return f"{self._style}:{WORDS[type_]}:{FIRST[type_] + number % SIZES[type_]:016x}"

    def _rule(self, index: int) -> dict[str, Any]:
        return {"condition": {"type": "PQL", "format": "pql/text", "value": f'homeAddress.city = "{index}"'}}

    def _ruled(self, index: int) -> dict[str, Any]:
        kind = {"profileConstraintType": "eligibilityRule"} if self._style == "dps" else {}
        return {"eligibilityRule": self._to("decision-rule", index)} | kind

    def _representation(self, placement: int) -> dict[str, Any]:
        text = {"type": "html", "format": "text/html", "language": ["en"], "content": f"<b>{placement}</b>"}
        return {"channel": WEB, "placement": self._to("placement", placement), "components": [text]}

    def _offer(self, index: int) -> dict[str, Any]:
        return {
            "status": "approved",
            "representations": [self._representation(index + step) for step in range(1 + index % 3)],
            "selectionConstraint": DATES | (self._ruled(index) if index % 3 else {}),
            "rank": {"priority": index % 10},
            "tags": [self._to("tag", index), self._to("tag", index + 7)],
        }

    def _fallback(self, index: int) -> dict[str, Any]:
        return {
            "status": "approved",
            "representations": [self._representation(index)],
            "tags": [self._to("tag", index)],
        }

    def _collection(self, index: int) -> dict[str, Any]:
        kind, picked = ("offers", "personalized-offer") if index % 2 else ("any-tags", "tag")
        return {"filterType": kind, "ids": [self._to(picked, 31 * index + step) for step in range(20)]}

    def _decision(self, index: int) -> dict[str, Any]:
        rule = self._to("decision-rule", index)
        criterion = {
            "placements": [self._to("placement", index)],
            "optionSelection": {"filter": self._to("collection", index)},
            "profileConstraint": {"profileConstraintType": "eligibility-rule", "eligibilityRule": rule},
        }
        return {"status": "live", "fallback": self._to("fallback-offer", index), "criteria": [criterion], **DATES}
