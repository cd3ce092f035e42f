"""Objects as lines of JSON, to be kept, compared, or put into an emulator: the format of `migrator.emulator.snapshot`.

A line has the object without what the service adds to it, and beside it what of that is worth keeping: its ids, its
version, when it was made and changed, and by whom.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

from migrator.core.compare import instant
from migrator.core.model import EntityType, Json, Seen
from migrator.core.plan import own_members
from migrator.core.styles import Style
from migrator.core.styles.base import text_of

WORDS: Mapping[EntityType, str] = {
    EntityType.PERSONALIZED_OFFER: "personalized-offer",
    EntityType.FALLBACK_OFFER: "fallback-offer",
    EntityType.PLACEMENT: "offer-placement",
    EntityType.DECISION_RULE: "eligibility-rule",
    EntityType.TAG: "tag",
    EntityType.COLLECTION: "offer-filter",
    EntityType.DECISION: "offer-activity",
}
"""Types by the last part of their schemas (contract 3.2)."""


class _Line(msgspec.Struct):
    document: dict[str, Json]


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Line).decode


def line(seen: Seen, container: str, type_: EntityType, style: Style) -> bytes:
    """Write an object as a line, without a line end."""
    return _encode(
        {
            "style": style.name,
            "container": container,
            "type": WORDS[type_],
            "id": seen.object,
            "reference": seen.reference or seen.object,
            "etag": seen.etag or 0,
            "created": _moment(seen.created_at),
            "modified": _moment(instant(seen.changed_at)),
            "created_by": seen.created_by_client or text_of(seen.document, "createdBy"),
            "modified_by": seen.changed_by_client or seen.changed_by,
            "document": own_members(seen.document, style),
        }
    )


def document_of(line: bytes) -> dict[str, Json]:
    """Return the object's own members from a line."""
    return _decode(line).document


def placed(members: Json, style: Style) -> Json:
    """Put an object's own members where the pointers of a style expect them."""
    return {style.root[1:]: members} if style.root else members


def _moment(seconds: float | None) -> str:
    """Write seconds since the epoch; what the service does not tell is the epoch itself."""
    return f"{datetime.fromtimestamp(seconds or 0, UTC):%Y-%m-%dT%H:%M:%S.%f}Z"
