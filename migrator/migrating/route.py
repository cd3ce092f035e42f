"""From where to where objects are migrated, and in what order."""

from __future__ import annotations

from msgspec import Struct

from migrator.core.model import EntityType
from migrator.core.styles import Style

ORDER = (
    EntityType.PLACEMENT,
    EntityType.DECISION_RULE,
    EntityType.TAG,
    EntityType.PERSONALIZED_OFFER,
    EntityType.FALLBACK_OFFER,
    EntityType.COLLECTION,
    EntityType.DECISION,
)
"""Types in the order of reference (contract section 8): nothing refers to what comes behind it."""

LONGEST_FIRST = sorted(EntityType, key=lambda type_: type_ is not EntityType.PERSONALIZED_OFFER)
"""Types in the order in which their lists are read: that of offers is longer than all others together."""


class Route(Struct, frozen=True):
    """From where to where.

    Attributes:
        from_: the style that is read.
        to: the style that is written.
        source: container that is read.
        target: container that is written.
    """

    from_: Style
    to: Style
    source: str
    target: str
