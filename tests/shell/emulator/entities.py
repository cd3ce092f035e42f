"""The seven entities: what each is made of, in either style, and how it is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import pytest

from migrator.emulator import seeded_companion, seeded_placement, seeded_tag
from migrator.emulator.entities import (
    COLLECTION,
    ENTITIES,
    FALLBACK_OFFER,
    RULE,
)
from migrator.emulator.schemas import SCHEMAS
from migrator.emulator.shapes import Rewriting
from tests.shell.emulator.common import NAMESPACE

if TYPE_CHECKING:
    from tests.shell.emulator.conftest import Answer, Client


JSON = {"Content-Type": "application/json"}
START, END = "2024-03-01T00:00:00.000+00:00", "2024-06-01T00:00:00.000+00:00"
WEB = "https://ns.adobe.com/xdm/channel-types/web"
PROFILE = "https://ns.adobe.com/xdm/context/profile_union"


class Case(NamedTuple):
    """A full object of one entity in the spelling of dps, and its least form: the required members only."""

    full: dict[str, Any]
    least: frozenset[str]


def offer(**more: Any) -> dict[str, Any]:
    return {
        "name": "Spring loan",
        "status": "draft",
        "representations": [
            {
                "channel": WEB,
                "placement": seeded_placement("dps"),
                "components": [{"type": "html", "format": "text/html", "language": ["en"], "content": "<b>2.9 %</b>"}],
            }
        ],
        "characteristics": {"region": "NA", "a/b": "c"},
        "tags": [seeded_tag("dps")],
        **more,
    }


CASES = {
    "personalized-offer": Case(
        offer(
            selectionConstraint={
                "startDate": START,
                "endDate": END,
                "profileConstraintType": "eligibilityRule",
                "eligibilityRule": seeded_companion("dps", RULE),
            },
            rank={"priority": 3},
            cappingConstraint={},
            frequencyCappingConstraints=[
                {
                    "enabled": True,
                    "limit": 150,
                    "scope": "global",
                    "entity": "offer",
                    "startDate": START,
                    "endDate": END,
                    "repeat": {"enabled": False, "unit": "month", "unitCount": 1},
                }
            ],
        ),
        frozenset({"name", "status", "selectionConstraint", "rank"}),
    ),
    "fallback-offer": Case(offer(), frozenset({"name", "status"})),
    "offer-placement": Case(
        {
            "name": "Top",
            "description": "At the top",
            "componentType": "html",
            "channel": WEB,
            "itemCount": 1,
            "allowDuplicatePlacements": False,
            "returnContent": True,
            "returnMetaData": {"decisionName": False, "offerName": True},
        },
        frozenset({"name", "componentType", "channel"}),
    ),
    "eligibility-rule": Case(
        {
            "name": "Women",
            "description": "Half of them",
            "condition": {"type": "PQL", "format": "pql/text", "value": 'person.gender = "female"'},
            "definedOn": {
                "profile": {"schema": {"ref": PROFILE, "version": "1"}, "referencePaths": ["person.gender"]},
                "": {"schema": {"altId": "_x"}, "referencePaths": []},
            },
        },
        frozenset({"name", "condition"}),
    ),
    "tag": Case({"name": "Loans"}, frozenset({"name"})),
    "offer-filter": Case(
        {"name": "All loans", "filterType": "any-tags", "ids": [seeded_tag("dps")]}, frozenset({"name"})
    ),
    "offer-activity": Case(
        {
            "name": "Home page",
            "status": "draft",
            "startDate": START,
            "endDate": END,
            "fallback": seeded_companion("dps", FALLBACK_OFFER),
            "criteria": [
                {
                    "placements": [seeded_placement("dps")],
                    "rank": {
                        "priority": 0,
                        "order": {"orderEvaluationType": "ranking-strategy", "rankingStrategy": "x"},
                    },
                    "profileConstraint": {"profileConstraintType": "none"},
                    "optionSelection": {"filter": seeded_companion("dps", COLLECTION)},
                }
            ],
        },
        frozenset({"name", "fallback"}),
    ),
}

EVERY = pytest.mark.parametrize("word", list(CASES))


ONLY_IN_DPS = {
    "profileConstraintType",
    "itemCount",
    "allowDuplicatePlacements",
    "returnContent",
    "returnMetaData",
}


def without_dps(value: Any) -> Any:
    """A value without the members that only dps knows."""
    if isinstance(value, dict):
        return {name: without_dps(member) for name, member in value.items() if name not in ONLY_IN_DPS}
    return [without_dps(element) for element in value] if isinstance(value, list) else value


def in_xcore(word: str, document: dict[str, Any]) -> dict[str, Any]:
    """A document in the spelling of xcore, with xcore's references."""
    to_xcore = Rewriting("dps", "xcore", drop_unknown=False, respell=True)
    spelt = SCHEMAS[word].rewrite(without_dps(document), to_xcore)
    text = msgspec.json.encode(spelt).decode()
    for entity in ENTITIES.values():
        if entity.word != "personalized-offer":
            text = text.replace(seeded_companion("dps", entity), seeded_companion("xcore", entity))
    decoded: dict[str, Any] = msgspec.json.decode(text)
    return decoded


async def dps(client: Client, method: str, word: str, path: str = "", body: Any = None) -> Answer:
    """A request about an entity in dps; the path may have a query."""
    entity = ENTITIES[word]
    url = f"/data/core/dps/{entity.resource}{path}"
    if entity.offer_type:
        url += f"{'&' if '?' in path else '?'}offer-type={entity.offer_type}"
    return await client.send(method, url, body, JSON)


async def put(client: Client, path: str, word: str, body: Any, **headers: str) -> Answer:
    content_type = f'application/vnd.adobe.platform.xcore.hal+json; schema="{NAMESPACE}{word}"'
    return await client.xcore("PUT", path, body, headers={"Content-Type": content_type} | headers)


PERSONALIZED, FALLBACK, DECIDED = "personalized-offer", "fallback-offer", "offer-activity"
CAP = "/frequencyCappingConstraints/0"
