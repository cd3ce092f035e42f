"""The objects that are there from the start.

Number i has the same ids in every run, so that input files can name it: counted from the objects that Adobe's own pages
show, one second of creation time further for each. Number 0 of xcore is the offer, in the container, of the update page
(``0f4bc230-13df-11eb-bc55-c11be7252432``), so the request printed there works here as it stands.

Beside the offers lie their *companions*: all that they refer to, and what refers to them, a few of each entity. Every
xcore container has companions of its own, under the same ``@id``; dps has them once.

All documents are written in the spelling of dps; xcore's are derived by the tables of `schemas`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from migrator.emulator import ids
from migrator.emulator.entities import (
    COLLECTION,
    DECISION,
    FALLBACK_OFFER,
    PERSONALIZED_OFFER,
    PLACEMENT,
    RULE,
    TAG,
    Entity,
    Style,
)
from migrator.emulator.schemas import SCHEMAS
from migrator.emulator.shapes import Rewriting
from migrator.emulator.store import Record

if TYPE_CHECKING:
    from migrator.emulator.settings import EmulatorSettings

_SECOND_US = 1_000_000
_FIRST_CONTAINER = "e0bd8463-0913-4ca1-bd84-6309134ca1f6"
_FIRST_INSTANCE = uuid.UUID("0f4bc230-13df-11eb-bc55-c11be7252432")
_FIRST_INSTANCE_US = ids.instance_id_us(str(_FIRST_INSTANCE))
_FIRST_REFERENCE = "xcore:personalized-offer:124e181c8b0d7878"
_FIRST_OFFER = "dps:personalized-offer:1a4c514f745dbd7c"
_FREE_BITS = (1 << 22) - 1
_COMPANIONS: dict[Style, dict[Entity, tuple[str, ...]]] = {
    "xcore": {
        PLACEMENT: ("124e0be5699743d4", "124e0be5699743d6", "124e0be5699743d3", "124e0be5699743d5"),
        RULE: ("124e0faf5b8ee89b",),
        TAG: ("124e147572cd7866", "124e147572cd7867"),
        FALLBACK_OFFER: ("124e2e764b1ac1b9", "124e2e764b1ac1ba"),
        COLLECTION: ("124e2f5c1a8d4f21",),
        DECISION: ("124e30a2b7c91e05",),
    },
    "dps": {
        PLACEMENT: ("1a08a14ccfe533b6", "1a08a14ccfe533b7", "1a08a14ccfe533b8", "1a08a14ccfe533b9"),
        RULE: ("19af09a9ae45a8d3",),
        TAG: ("1a08a14ccfe533c0", "1a08a14ccfe533c1"),
        FALLBACK_OFFER: ("1a4c514f74600000", "1a4c514f74600001"),
        COLLECTION: ("1a08b1f2d4c533d0",),
        DECISION: ("1a08ba4b529b2fb2",),
    },
}
"""The hexadecimal ends of their ids, each kind only after what it refers to.

Representations 0 and 1 of every seeded offer are for placements 0 and 1. Placement 2 of xcore is the one that Adobe's
update page appends a text for; that works because no seeded offer has one for it yet.
"""
_CHANNELS = ("web", "email", "web", "social")
_COMPONENT_TYPES = ("html", "text", "text", "text")
_DATES = {
    "xcore": ("2024-03-01T00:00:00Z", "2034-03-01T00:00:00Z"),
    "dps": ("2024-03-01T00:00:00.000+00:00", "2034-03-01T00:00:00.000+00:00"),
}
_SEEDER = "offer-emulator"


def seeded_container(index: int) -> str:
    """Id of the xcore container with this number; 0 is the one of Adobe's pages.

    Seeded offer i lies in container ``i % containers``.
    """
    if index == 0:
        return _FIRST_CONTAINER
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"urn:offer-emulator:container:{index}"))


def seeded_instance_id(index: int) -> str:
    """``instanceId`` of the seeded xcore offer with this number."""
    return ids.instance_id(_instance_us(index), _FIRST_INSTANCE.clock_seq, _FIRST_INSTANCE.node)


def seeded_reference(index: int) -> str:
    """``@id`` of the seeded xcore offer with this number."""
    return _later("xcore", _FIRST_REFERENCE, index)


def seeded_offer_id(index: int) -> str:
    """``id`` of the seeded dps offer with this number."""
    return _later("dps", _FIRST_OFFER, index)


def seeded_placement(style: Style, number: int = 0) -> str:
    """Id of a seeded placement. Representation 0 or 1 of every seeded offer is for 0 or 1; 2 and 3 are free."""
    return seeded_companion(style, PLACEMENT, number)


def seeded_tag(style: Style, number: int = 0) -> str:
    """Id of a seeded tag. Every seeded offer has 0; 1 is free."""
    return seeded_companion(style, TAG, number)


def seeded_companion(style: Style, entity: Entity, number: int = 0) -> str:
    """What others refer to a companion by: ``@id`` in xcore, ``id`` in dps.

    There are four placements, two tags, two fallback offers, and one rule, collection and decision.
    """
    return f"{style}:{entity.word}:{_COMPANIONS[style][entity][number]}"


def seeds(settings: EmulatorSettings) -> Iterator[Record]:
    """All records that an emulator starts with: none, unless personalized offers are wanted."""
    if not settings.seed_offers:
        return
    containers = [seeded_container(index) for index in range(settings.containers)]
    yield from _companions("dps", settings.sandboxes[0], 0)
    for number, container in enumerate(containers):
        yield from _companions("xcore", container, number)
    for index in range(settings.seed_offers):
        yield _xcore_offer(index, containers[index % len(containers)])
        yield _dps_offer(index, settings.sandboxes[0])


def _instance_us(index: int) -> int:
    return _FIRST_INSTANCE_US + index * _SECOND_US


def _later(style: Style, first: str, index: int) -> str:
    created_us = (ids.entity_id_ms(first) + index * 1000) * 1000
    free_bits = int(first.rpartition(":")[2], 16) & _FREE_BITS
    return ids.entity_id(style, PERSONALIZED_OFFER.word, created_us, free_bits)


def _companions(style: Style, scope: str, number: int) -> Iterator[Record]:
    """The companions of one container or sandbox; the number tells their instance ids from those of others."""
    for entity, ends in _COMPANIONS[style].items():
        for index in range(len(ends)):
            reference = seeded_companion(style, entity, index)
            created_us = ids.entity_id_ms(reference) * 1000 + index
            own = ids.instance_id(created_us, _FIRST_INSTANCE.clock_seq + 1 + number, _FIRST_INSTANCE.node)
            key = own if style == "xcore" else reference
            document = {"name": f"Seeded {entity.noun} {index}"} | _COMPANION_DOCUMENTS[entity](style, index)
            yield _record(style, scope, entity, key, reference, document, created_us)


def _xcore_offer(index: int, container: str) -> Record:
    key, reference = seeded_instance_id(index), seeded_reference(index)
    return _record("xcore", container, PERSONALIZED_OFFER, key, reference, _offer("xcore", index), _instance_us(index))


def _dps_offer(index: int, sandbox: str) -> Record:
    key = seeded_offer_id(index)
    described = _offer("dps", index) | {"description": "One of the offers that the emulator starts with"}
    described["selectionConstraint"]["profileConstraintType"] = "none"
    return _record("dps", sandbox, PERSONALIZED_OFFER, key, key, described, ids.entity_id_ms(key) * 1000)


def _record(
    style: Style, scope: str, entity: Entity, key: str, reference: str, document: dict[str, Any], created_us: int
) -> Record:
    to_xcore = Rewriting("dps", "xcore", drop_unknown=False, respell=True)
    spelt = SCHEMAS[entity.word].rewrite(document, to_xcore) if style == "xcore" else document
    return Record(
        style=style,
        scope=scope,
        word=entity.word,
        key=key,
        reference=reference,
        name=document["name"],
        document=msgspec.json.encode(spelt),
        created_us=created_us,
        modified_us=created_us,
        created_by=_SEEDER,
        modified_by=_SEEDER,
    )


def _offer(style: Style, index: int) -> dict[str, Any]:
    start, end = _DATES[style]
    texts = {"en": f"Your rate: {index} points", "fr": f"Votre taux : {index} points"}
    return {
        "name": f"Seeded offer {index}",
        "status": "approved",
        "representations": [
            _representation(style, 0, [_component("html", lang, f"<b>{text}</b>") for lang, text in texts.items()]),
            _representation(style, 1, [_component("component-text", lang, text) for lang, text in texts.items()]),
        ],
        "selectionConstraint": {"startDate": start, "endDate": end},
        "rank": {"priority": index % 10},
        "tags": [seeded_tag(style)],
    }


def _representation(style: Style, placement: int, components: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "channel": _channel(placement),
        "placement": seeded_placement(style, placement),
        "components": components,
    }


def _component(kind: str, language: str, content: str) -> dict[str, Any]:
    mime = "text/html" if kind == "html" else "text/plain"
    return {"type": kind, "format": mime, "language": [language], "content": content}


def _channel(placement: int) -> str:
    return f"https://ns.adobe.com/xdm/channel-types/{_CHANNELS[placement]}"


def _placement(_: Style, number: int) -> dict[str, Any]:
    described = f"A place for {_COMPONENT_TYPES[number]}"
    return {"description": described, "componentType": _COMPONENT_TYPES[number], "channel": _channel(number)}


def _rule(_: Style, __: int) -> dict[str, Any]:
    schema = {"ref": "https://ns.adobe.com/xdm/context/profile_union", "version": "1"}
    return {
        "description": "People of one city",
        "condition": {"type": "PQL", "format": "pql/text", "value": 'homeAddress.city = "Basel"'},
        "definedOn": {"profile": {"schema": schema, "referencePaths": ["homeAddress.city"]}},
    }


def _tag(_: Style, __: int) -> dict[str, Any]:
    return {}


def _fallback(style: Style, number: int) -> dict[str, Any]:
    components = [_component("html", "en", f"<p>See what is new: {number}</p>")]
    document = {
        "status": "approved",
        "representations": [_representation(style, 0, components)],
        "tags": [seeded_tag(style)],
    }
    return document | ({"description": "Shown when nothing else fits"} if style == "dps" else {})


def _collection(style: Style, _: int) -> dict[str, Any]:
    return {"filterType": "any-tags", "ids": [seeded_tag(style)]}


def _decision(style: Style, _: int) -> dict[str, Any]:
    start, end = _DATES[style]
    return {
        "status": "live",
        "startDate": start,
        "endDate": end,
        "fallback": seeded_companion(style, FALLBACK_OFFER),
        "criteria": [
            {
                "placements": [seeded_placement(style)],
                "optionSelection": {"filter": seeded_companion(style, COLLECTION)},
                "profileConstraint": {
                    "profileConstraintType": "eligibility-rule",
                    "eligibilityRule": seeded_companion(style, RULE),
                },
            }
        ],
    }


_COMPANION_DOCUMENTS: dict[Entity, Callable[[Style, int], dict[str, Any]]] = {
    PLACEMENT: _placement,
    RULE: _rule,
    TAG: _tag,
    FALLBACK_OFFER: _fallback,
    COLLECTION: _collection,
    DECISION: _decision,
}
