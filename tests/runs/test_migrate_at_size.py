"""`migrator migrate` of a large library: each object is there once, whatever the day and the lists are like."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Any

import pytest

from migrator.emulator import Choices, Emulator, EmulatorSettings
from migrator.emulator.observation import repeats
from migrator.emulator.schemas import SCHEMAS
from migrator.emulator.shapes import Rewriting
from migrator.emulator.snapshot import Line
from tests.runs.moving import (
    SOURCES,
    WORDS,
    Style,
    assert_moved,
    end_the_bad_day,
    kill_and_resume,
    library,
    line,
    relations,
    route,
)
from tests.soak.killing import QUICK

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

BAD_DAY = (
    "drop-after:POST:p=0.05",
    "drop-before:POST:p=0.03",
    "503-after:POST:p=0.02",
    "429:*:p=0.01:retry-after=none",
    "drop-before:GET:p=0.02",
)

WEB = "https://ns.adobe.com/xdm/channel-types/web"
DATES = {"startDate": "2024-03-01T00:00:00Z", "endDate": "2034-03-01T00:00:00Z"}
QUICKLY = ("--concurrency", "16")


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


@pytest.mark.slow
@SOURCES
async def test_a_large_migration_that_is_killed_on_a_bad_day_makes_each_object_once(
    migrator: Any, until: Any, source: Style
) -> None:
    async with Emulator(EmulatorSettings(faults=BAD_DAY, fault_seed=7)) as server:
        library(server, source, Much(source).lines())
        migrator.point_at(server.url).environment |= QUICK

        ended = await kill_and_resume(migrator, until, server, source, (200, 800), *QUICKLY)
        struck = {fault.rule.text: fault.hits for fault in server.faults}
        end_the_bad_day(server)
        verified = await migrator("verify", "moving")

        assert ended.code == 0, ended.err
        assert f"{ALL:,} applied (of {ALL:,} rows)" in ended.out
        assert all(struck.values()), struck
        assert_moved(server, source)
        assert not any(referred["?"] for referred in relations(server, source).values())
        assert not repeats(server.effects)
        assert verified.code == 0, verified.out
        assert f"{ALL:,} of {ALL:,} rows as written" in verified.out
        assert f"{ALL:,} of {ALL:,} objects say the same" in verified.out


@pytest.mark.slow
@SOURCES
async def test_large_lists_of_dps_that_move_while_they_are_read_miss_and_double_nothing(
    migrator: Any, source: Style
) -> None:
    """Others write more objects than fit on a page, all at one time, so that in most orders a walk trips."""
    settings = EmulatorSettings(
        choices=Choices.from_texts({"C-10": "cap:20"}), faults=("walk-edit:GET:style=dps:every=3:count=25",)
    )
    async with Emulator(settings) as server:
        library(server, source, Much(source).lines())
        migrator.point_at(server.url)

        first = await migrator(*route(source), *QUICKLY, "--yes", "--run-id", "first")
        again = await migrator(*route(source), *QUICKLY, "--yes", "--run-id", "again")

        (moving,) = server.faults
        assert (first.code, again.code) == (0, 0), first.err + again.err
        assert moving.hits >= ALL // 20 // 3
        assert f"{ALL:,} applied (of {ALL:,} rows)" in first.out
        assert f"0 applied · {ALL:,} unchanged" in again.out
        assert_moved(server, source)
