"""The objects that are there from the start.

Number i has the same ids in every run, so that input files can name it: counted from the objects that Adobe's own pages
show, one second of creation time further for each. Number 0 of xcore is the offer, in the container, of the update page
(``0f4bc230-13df-11eb-bc55-c11be7252432``), so the request printed there works here as it stands.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from migrator.emulator import documents, ids
from migrator.emulator.entities import PERSONALIZED_OFFER, Style
from migrator.emulator.store import Record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from migrator.emulator.settings import EmulatorSettings

_SECOND_US = 1_000_000
_FIRST_CONTAINER = "e0bd8463-0913-4ca1-bd84-6309134ca1f6"
_FIRST_INSTANCE = uuid.UUID("0f4bc230-13df-11eb-bc55-c11be7252432")
_FIRST_INSTANCE_US = ids.instance_id_us(str(_FIRST_INSTANCE))
_FIRST_REFERENCE = "xcore:personalized-offer:124e181c8b0d7878"
_FIRST_OFFER = "dps:personalized-offer:1a4c514f745dbd7c"
_FREE_BITS = (1 << 22) - 1
_PLACEMENTS = {
    "xcore": ("xcore:offer-placement:124e0be5699743d3", "xcore:offer-placement:124e0be5699743d4"),
    "dps": ("dps:offer-placement:1a08a14ccfe533b6", "dps:offer-placement:1a08a14ccfe533b7"),
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


def seeded_placement(style: Style, representation: int = 0) -> str:
    """Id of the placement that representation 0 or 1 of every seeded offer is for."""
    return _PLACEMENTS[style][representation]


def seeds(settings: EmulatorSettings) -> Iterator[Record]:
    """All records that an emulator starts with: the personalized offers of both styles."""
    containers = [seeded_container(index) for index in range(settings.containers)]
    for index in range(settings.seed_offers):
        yield _xcore_offer(index, containers[index % len(containers)])
        yield _dps_offer(index, settings.sandboxes[0])


def _instance_us(index: int) -> int:
    return _FIRST_INSTANCE_US + index * _SECOND_US


def _later(style: Style, first: str, index: int) -> str:
    created_us = (ids.entity_id_ms(first) + index * 1000) * 1000
    free_bits = int(first.rpartition(":")[2], 16) & _FREE_BITS
    return ids.entity_id(style, PERSONALIZED_OFFER.word, created_us, free_bits)


def _xcore_offer(index: int, container: str) -> Record:
    key = seeded_instance_id(index)
    name, document = documents.accept(_xcore_document(index), documents.XCORE)
    return _record("xcore", container, key, seeded_reference(index), name, document, _instance_us(index))


def _dps_offer(index: int, sandbox: str) -> Record:
    key = seeded_offer_id(index)
    name, document = documents.accept(_dps_document(index), documents.DPS)
    return _record("dps", sandbox, key, key, name, document, ids.entity_id_ms(key) * 1000)


def _record(style: Style, scope: str, key: str, reference: str, name: str, document: bytes, created_us: int) -> Record:
    return Record(
        style=style,
        scope=scope,
        word=PERSONALIZED_OFFER.word,
        key=key,
        reference=reference,
        name=name,
        document=document,
        created_us=created_us,
        modified_us=created_us,
        created_by=_SEEDER,
        modified_by=_SEEDER,
    )


def _texts(index: int) -> tuple[tuple[str, str], ...]:
    return ("en", f"Your rate: {index} points"), ("fr", f"Votre taux : {index} points")


def _xcore_document(index: int) -> dict[str, Any]:
    def component(kind: str, mime: str, language: str, content: str) -> dict[str, Any]:
        schema = f"https://ns.adobe.com/experience/offer-management/content-component-{kind}"
        return {"@type": schema, "dc:format": mime, "dc:language": [language], "xdm:content": content}

    web, email = _PLACEMENTS["xcore"]
    texts = _texts(index)
    return {
        "xdm:name": f"Seeded offer {index}",
        "xdm:status": "approved",
        "xdm:representations": [
            {
                "xdm:channel": "https://ns.adobe.com/xdm/channel-types/web",
                "xdm:placement": web,
                "xdm:components": [component("html", "text/html", lang, f"<b>{text}</b>") for lang, text in texts],
            },
            {
                "xdm:channel": "https://ns.adobe.com/xdm/channel-types/email",
                "xdm:placement": email,
                "xdm:components": [component("text", "text/plain", lang, text) for lang, text in texts],
            },
        ],
        "xdm:selectionConstraint": {
            "xdm:startDate": "2024-03-01T00:00:00Z",
            "xdm:endDate": "2034-03-01T00:00:00Z",
        },
        "xdm:rank": {"xdm:priority": index % 10},
        "xdm:tags": ["xcore:tag:124e147572cd7866"],
    }


def _dps_document(index: int) -> dict[str, Any]:
    def component(kind: str, mime: str, language: str, content: str) -> dict[str, Any]:
        return {"type": kind, "format": mime, "language": [language], "content": content}

    web, email = _PLACEMENTS["dps"]
    texts = _texts(index)
    return {
        "name": f"Seeded offer {index}",
        "description": "One of the offers that the emulator starts with",
        "status": "approved",
        "representations": [
            {
                "channel": "https://ns.adobe.com/xdm/channel-types/web",
                "placement": web,
                "components": [component("html", "text/html", lang, f"<b>{text}</b>") for lang, text in texts],
            },
            {
                "channel": "https://ns.adobe.com/xdm/channel-types/email",
                "placement": email,
                "components": [component("component-text", "text/plain", lang, text) for lang, text in texts],
            },
        ],
        "selectionConstraint": {
            "startDate": "2024-03-01T00:00:00.000+00:00",
            "endDate": "2034-03-01T00:00:00.000+00:00",
            "profileConstraintType": "none",
        },
        "rank": {"priority": index % 10},
        "tags": ["dps:tag:1a08a14ccfe533c0"],
    }
