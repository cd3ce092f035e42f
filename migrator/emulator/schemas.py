"""What each entity looks like: one table each, for both styles (contract 5).

A line is a member: its name in dps, its shape, whether it is required, and its name in xcore where that is not the same
with ``xdm:`` before it. ``xcore=()`` marks what only dps knows. The tables are what the documents and the published
schemas show; members that they do not show are let through (C-22).
"""

from __future__ import annotations

from types import MappingProxyType

from migrator.emulator.compounds import By, Many, Members, Named, member
from migrator.emulator.entities import (
    COLLECTION,
    DECISION,
    FALLBACK_OFFER,
    PERSONALIZED_OFFER,
    PLACEMENT,
    RULE,
    TAG,
)
from migrator.emulator.scalars import DATE, FLAG, NAME, TEXT, Content, Ref, Word, whole
from migrator.emulator.shapes import ANYTHING

_NUMBER = whole(least=0)
_ONE_OR_MORE = whole(least=1)
_TEXTS = Many(TEXT)

_TO_PLACEMENT = Ref((PLACEMENT.word,))
_TO_RULE = Ref((RULE.word,))
_TO_TAG = Ref((TAG.word,))
_TO_OFFER = Ref((PERSONALIZED_OFFER.word,))
_TO_FALLBACK = Ref((FALLBACK_OFFER.word,))
_TO_COLLECTION = Ref((COLLECTION.word,))

_OFFER_STATUS = Word(("draft", "approved", "archived", "pending", "rejected"))
_DECISION_STATUS = Word(("draft", "live", "complete", "completed", "archived"))
_PROFILE_CONSTRAINT = Word(("none", "eligibility-rule", "any-segments", "all-segments", "rules"))

_COMPONENT = Members(
    (
        member("type", Content(text="component-text"), required=True, xcore="@type"),
        member("format", NAME, required=True, xcore="dc:format"),
        member("language", _TEXTS, xcore="dc:language"),
        member("content", TEXT),
        member("deliveryURL", TEXT),
        member("linkURL", TEXT),
    )
)

_REPRESENTATION = Members(
    (
        member("placement", _TO_PLACEMENT, required=True),
        member("channel", TEXT),
        member("components", Many(_COMPONENT)),
    )
)

_REPRESENTATIONS = Many(_REPRESENTATION, unique=MappingProxyType({"dps": "placement", "xcore": "xdm:placement"}))
"""At most one for each placement."""

_RANK_ORDER = Members(
    (
        member("orderEvaluationType", Word(("static", "scoring-function", "ranking-strategy"))),
        member("rankingStrategy", TEXT),
        member("function", TEXT),
    )
)

_CAPPING = Members((member("globalCap", _ONE_OR_MORE), member("profileCap", _ONE_OR_MORE)))

_REPEAT = Members(
    (
        member("enabled", FLAG),
        member("unit", Word(("day", "week", "month"))),
        member("unitCount", _ONE_OR_MORE),
    )
)

_FREQUENCY_CAPPING = Members(
    (
        member("enabled", FLAG),
        member("limit", _ONE_OR_MORE, required=True),
        member("startDate", DATE),
        member("endDate", DATE),
        member("scope", Word(("global", "profile")), required=True),
        member("entity", Word(("offer", "placement")), required=True),
        member("placement", _TO_PLACEMENT),
        member("repeat", _REPEAT),
        member("events", ANYTHING),
        member("customQuery", ANYTHING),
        member("duration", ANYTHING),
        member("index", ANYTHING),
    )
)


def _selection_constraint(*, dates: bool) -> Members:
    return Members(
        (
            member("startDate", DATE, required=dates),
            member("endDate", DATE, required=dates),
            member("profileConstraintType", _PROFILE_CONSTRAINT, xcore=()),
            member("eligibilityRule", _TO_RULE),
            member("segmentIdentities", ANYTHING),
        )
    )


def _offer(*, constrained: bool) -> Members:
    """An offer; only a personalized one needs to be constrained and ranked (contract 5.1, 5.2)."""
    rank = Members((member("priority", _NUMBER, required=constrained), member("order", _RANK_ORDER)))
    return Members(
        (
            member("name", NAME, required=True),
            member("status", _OFFER_STATUS, required=True),
            member("description", TEXT),
            member("representations", _REPRESENTATIONS),
            member("selectionConstraint", _selection_constraint(dates=constrained), required=constrained),
            member("rank", rank, required=constrained),
            member("cappingConstraint", _CAPPING),
            member("frequencyCappingConstraints", Many(_FREQUENCY_CAPPING)),
            member("characteristics", Named(TEXT)),
            member("tags", Many(_TO_TAG)),
            member("labels", _TEXTS, xcore=()),
        )
    )


_RETURNED = Members(
    tuple(
        member(name, FLAG, xcore=())
        for name in (
            "decisionName",
            "offerName",
            "offerAttributes",
            "offerPriority",
            "placementName",
            "channelType",
            "contentType",
        )
    )
)

_PLACEMENT = Members(
    (
        member("name", NAME, required=True),
        member("description", TEXT),
        member("componentType", Content(text="text"), required=True),
        member("channel", NAME, required=True),
        member("contentTypes", _TEXTS),
        member("itemCount", _NUMBER, xcore=()),
        member("allowDuplicatePlacements", FLAG, xcore=()),
        member("returnContent", FLAG, xcore=()),
        member("returnMetaData", _RETURNED, xcore=()),
    )
)

_CONDITION = Members(tuple(member(name, TEXT, xcore=(name, f"xdm:{name}")) for name in ("type", "format", "value")))

_SCHEMA = Members(
    (
        member("ref", TEXT, xcore="$ref"),
        member("altId", TEXT, xcore="altId"),
        member("version", TEXT, xcore="version"),
    )
)

_DEFINED_ON = Named(Members((member("schema", _SCHEMA), member("referencePaths", _TEXTS))))
"""By what the rule looks at: ``profile``, ``xEvent``, and at times the empty name (contract 5.4)."""

_RULE = Members(
    (
        member("name", NAME, required=True),
        member("description", TEXT, xcore=("xdm:description", "description")),
        member("condition", _CONDITION, required=True, xcore=("condition", "xdm:condition")),
        member("definedOn", _DEFINED_ON),
        member("segmentModel", ANYTHING, xcore="offerui:segmentModel"),
        member("exdRule", FLAG, xcore=()),
    )
)

_TAG = Members((member("name", NAME, required=True), member("description", TEXT)))

_FILTERED = By(
    ("filterType", "xdm:filterType"),
    MappingProxyType({"offers": Many(_TO_OFFER), "any-tags": Many(_TO_TAG), "all-tags": Many(_TO_TAG)}),
    otherwise=Many(Ref((PERSONALIZED_OFFER.word, TAG.word))),
)

_COLLECTION = Members(
    (
        member("name", NAME, required=True),
        member("description", TEXT),
        member("filterType", Word(("offers", "any-tags", "all-tags"))),
        member("ids", _FILTERED, xcore=("xdm:ids", "ids")),
        member("labels", _TEXTS, xcore=()),
    )
)

_OPTION_SELECTION = Members(
    (
        member("filter", _TO_COLLECTION),
        member("optionSelectionType", Word(("filter", "direct-list"))),
        member("options", Many(_TO_OFFER)),
    )
)

_PROFILE_CONSTRAINTS = Members(
    (
        member("profileConstraintType", _PROFILE_CONSTRAINT),
        member("eligibilityRule", _TO_RULE),
        member("segmentIdentities", ANYTHING),
    )
)

_CRITERION = Members(
    (
        member("placements", Many(_TO_PLACEMENT, least=1)),
        member("optionSelection", _OPTION_SELECTION),
        member(
            "rank",
            Members((member("priority", _NUMBER), member("order", _RANK_ORDER))),
            xcore=("xdm:rank", "xdm:ranking"),
        ),
        member("profileConstraint", _PROFILE_CONSTRAINTS, xcore=("xdm:profileConstraint", "xdm:profileConstraints")),
        member("description", TEXT),
    )
)

_DECISION = Members(
    (
        member("name", NAME, required=True),
        member("description", TEXT),
        member("status", _DECISION_STATUS),
        member("startDate", DATE),
        member("endDate", DATE),
        member("fallback", _TO_FALLBACK, required=True),
        member("criteria", Many(_CRITERION)),
        member("placement", _TO_PLACEMENT),
        member("filter", _TO_COLLECTION),
    )
)

SCHEMAS = MappingProxyType(
    {
        PERSONALIZED_OFFER.word: _offer(constrained=True),
        FALLBACK_OFFER.word: _offer(constrained=False),
        PLACEMENT.word: _PLACEMENT,
        RULE.word: _RULE,
        TAG.word: _TAG,
        COLLECTION.word: _COLLECTION,
        DECISION.word: _DECISION,
    }
)
"""The table of each entity, by its word."""

REFERRERS = MappingProxyType(
    {word: tuple(other for other, table in SCHEMAS.items() if word in table.refers_to()) for word in SCHEMAS}
)
"""By the word of an entity, those whose objects may refer to it."""
