"""The kinds of object of the Offer Library, by the word their schema ends with (contract 3.2)."""

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
        xcore_version: schema version shown on objects read through xcore.
        dps_version: schema version shown on objects read through dps.
    """

    word: str
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


PERSONALIZED_OFFER = Entity("personalized-offer", xcore_version="0.5", dps_version="0.15")
FALLBACK_OFFER = Entity("fallback-offer", xcore_version="0.5", dps_version="0.7")

EMULATED = {entity.word: entity for entity in (PERSONALIZED_OFFER, FALLBACK_OFFER)}
"""The entities that have a life here, by word."""

NOT_EMULATED = frozenset({"offer-placement", "eligibility-rule", "tag", "offer-filter", "offer-activity"})
"""Words of the entities that exist at Adobe and are answered with 501 here."""


def schema_word(schema: str) -> str | None:
    """The word that a schema names, or None if it is not one of the Offer Library's.

    The version is a hint only: stored and written versions differ in Adobe's own samples (contract 3.2).
    """
    name = schema.partition(";")[0].strip()
    return name.removeprefix(NAMESPACE) if name.startswith(NAMESPACE) else None
