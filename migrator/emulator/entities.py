"""The kinds of object of the Offer Library (contract 3.2, 4.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Style = Literal["xcore", "dps"]
"""The two endpoint styles."""

NAMESPACE = "https://ns.adobe.com/experience/offer-management/"
"""What every schema starts with."""


@dataclass(frozen=True, slots=True)
class Entity:
    """One kind of object.

    Attributes:
        word: last part of its schema and middle part of its ids, such as ``personalized-offer``.
        noun: what a message calls one.
        resource: its path in dps.
        offer_type: what ``offer-type`` calls it in dps; None for what is no offer.
        xcore_version: schema version shown on objects read through xcore.
        dps_version: schema version shown on objects read through dps.
    """

    word: str
    noun: str
    resource: str
    offer_type: str | None
    xcore_version: str
    dps_version: str

    @property
    def xcore_schema(self) -> str:
        """The schema that xcore shows, with its version."""
        return f"{NAMESPACE}{self.word};version={self.xcore_version}"

    @property
    def dps_schema(self) -> str:
        """The schema that dps shows, with its version."""
        return f"{NAMESPACE}{self.word};version={self.dps_version}"


PERSONALIZED_OFFER = Entity("personalized-offer", "offer", "offers", "personalized", "0.5", "0.15")
FALLBACK_OFFER = Entity("fallback-offer", "offer", "offers", "fallback", "0.5", "0.7")
PLACEMENT = Entity("offer-placement", "placement", "placements", None, "0.4", "0.5")
RULE = Entity("eligibility-rule", "rule", "offer-rules", None, "0.3", "0.3")
TAG = Entity("tag", "tag", "tags", None, "0.1", "0.1")
COLLECTION = Entity("offer-filter", "collection", "offer-collections", None, "0.3", "0.4")
DECISION = Entity("offer-activity", "decision", "offer-decisions", None, "0.5", "0.8")

ENTITIES = {
    entity.word: entity for entity in (PLACEMENT, RULE, TAG, PERSONALIZED_OFFER, FALLBACK_OFFER, COLLECTION, DECISION)
}
"""All entities by word, in an order in which each refers only to earlier ones (contract 8)."""

OFFER_TYPES = {entity.offer_type: entity for entity in ENTITIES.values() if entity.offer_type}
"""The offers by what ``offer-type`` calls them."""

RESOURCES = {entity.resource: entity for entity in ENTITIES.values() if not entity.offer_type}
"""The entities that are no offers, by their path in dps."""


def schema_word(schema: str) -> str | None:
    """The word that a schema names, or None if it is not one of the Offer Library's.

    The version is a hint only: stored and written versions differ in Adobe's own samples (contract 3.2).
    """
    name = schema.partition(";")[0].strip()
    return name.removeprefix(NAMESPACE) if name.startswith(NAMESPACE) else None
