"""The tables: how each entity is spelled in xcore and in dps, member by member (mapping, section 4).

What belongs here: data, one line a member. What must never: code. Both directions, the translation of patches, the
reports of what is lost, and the page of `migrator translate --show-map` are made from these lines, so that a new member
is a new line.

dps names are those of xcore without their prefix; `same` and `near` put `xdm:` before a name unless they are told
another. `same` is shown by documents in both styles; `near` in one, and inferred for the other.
"""

from __future__ import annotations

from collections.abc import Mapping

from migrator.core.mapping import capping
from migrator.core.mapping.losses import Loss, Severity
from migrator.core.mapping.rules import (
    ADDRESS,
    CHANNEL,
    COPYLINE,
    NO_PROFILE,
    OLDEST,
    PROFILE_TO_DPS,
    PROFILE_TO_XCORE,
)
from migrator.core.mapping.shapes import (
    DPS,
    XCORE,
    Channel,
    Data,
    Date,
    External,
    Keyed,
    Lost,
    Many,
    Member,
    Members,
    Ref,
    Shape,
    Text,
    Whole,
    near,
    only_dps,
    only_xcore,
    same,
)
from migrator.core.mapping.words import (
    COMPONENT_TYPE,
    DECISION_STATUS,
    EVALUATION_TYPE,
    FILTER_TYPE,
    OFFER_STATUS,
    OPTION_SELECTION_TYPE,
    PLACEMENT_TYPE,
    PROFILE_CONSTRAINT_TYPE,
)
from migrator.core.model import EntityType

SEVERE = Severity.SEVERE

_PLACEMENT = Ref(types=(EntityType.PLACEMENT,))
_RULE = Ref(types=(EntityType.DECISION_RULE,))
_TAGS = Many(of=Ref(types=(EntityType.TAG,)))
_TEXTS = Many(of=Shape())

_ID = r"\b(?:xcore|dps):[\w-]+:\w+"
_TEXT = Text(foreign=_ID, tells="mentions ids")
_PQL = Text(
    foreign=rf"{_ID}|\b_\w+\.|inSegment|inAudience|segmentMembership", tells="mentions audiences or own attributes"
)
_ADDRESS = Text(foreign=r".", tells="is an address")

_KEPT_BY_SERVICE = "the service keeps it itself, and gives a new object new ones"

_ENVELOPE = (
    only_xcore("@id", Loss.ENVELOPE, _KEPT_BY_SERVICE),
    only_dps(
        (
            "id",
            "etag",
            "schemas",
            "created",
            "modified",
            "createdDate",
            "lastModifiedDate",
            "createdBy",
            "lastModifiedBy",
            "createdByClientId",
            "lastModifiedByClientId",
            "sandboxId",
            "datasetId",
            "_links",
        ),
        Loss.ENVELOPE,
        _KEPT_BY_SERVICE,
    ),
)
"""Members of every object; those that xcore has beside `_instance` no pointer of an object leads to."""

_COMPONENT = Members(
    members=(
        same("type", COMPONENT_TYPE, xcore="@type"),
        same("format", xcore="dc:format"),
        same("language", _TEXTS, xcore="dc:language"),
        same("content", _TEXT),
        same("deliveryURL", _ADDRESS),
        near("linkURL", unattested=DPS),
        only_xcore("xdm:copyline", Loss.NO_COUNTERPART, "dps has no copyline: used as content, if that is empty"),
        only_xcore("repo:name", Loss.ASSET, "dps has no label or file name of a component"),
        only_xcore("repo:id", Loss.ASSET, "dps does not know the asset library"),
        only_xcore("repo:resolveURL", Loss.ASSET, "dps does not know the asset library"),
        only_xcore("repo:repositoryID", Loss.ASSET, "dps does not know the asset library"),
        only_xcore("offerui:previewThumbnail", Loss.ASSET, "only the web app shows it"),
    ),
    rules=(COPYLINE, ADDRESS),
)

_REPRESENTATION = Members(
    members=(
        same("channel", note="to dps: that of the placement, if there is none"),
        same("placement", _PLACEMENT),
        same("components", Many(of=_COMPONENT)),
    ),
    rules=(CHANNEL,),
)

_ORDER = Members(
    members=(
        near("orderEvaluationType", EVALUATION_TYPE, unattested=XCORE),
        near("rankingStrategy", Ref(types=(External.AI_MODEL,), loss=Loss.RANKING), unattested=XCORE),
        near("function", Ref(types=(External.RANKING_FORMULA,), loss=Loss.RANKING), unattested=XCORE),
    ),
    entire=True,
)

_SEGMENTS = Many(of=Ref(types=(External.AUDIENCE,)))

_SELECTION_CONSTRAINT = Members(
    members=(
        same("startDate", Date()),
        same("endDate", Date()),
        near("eligibilityRule", _RULE, unattested=DPS),
        near(
            "profileConstraintType",
            PROFILE_CONSTRAINT_TYPE,
            unattested=XCORE,
            note="to dps: by whether there is a rule; to xcore: left out, if the rule implies it",
        ),
        Member(
            ("xdm:segmentIdentities",),
            ("segmentIdentities",),
            _SEGMENTS,
            unattested=DPS,
            lost=Lost(XCORE, Loss.AUDIENCE, SEVERE, "xcore would show the offer to all", lambda value: value == []),
        ),
    ),
    rules=(PROFILE_TO_DPS, PROFILE_TO_XCORE),
)

_CAPPING = Members(members=(near("globalCap", Whole(), unattested=DPS), near("profileCap", Whole(), unattested=DPS)))

_OFFER = (
    *_ENVELOPE,
    same("name"),
    near("description", unattested=XCORE),
    same("status", OFFER_STATUS),
    same("representations", Many(of=_REPRESENTATION)),
    same("characteristics", Data("keys, too, are kept as they are")),
    same("tags", _TAGS),
    only_xcore("xdm:customMetadata", Loss.NO_COUNTERPART, "dps has no such member"),
    only_dps("labels", Loss.LABELS, "xcore has no data governance labels", severity=SEVERE),
)

PERSONALIZED_OFFER = Members(
    members=(
        *_OFFER,
        same("selectionConstraint", _SELECTION_CONSTRAINT),
        same("rank", Members(members=(same("priority", Whole()), near("order", _ORDER, unattested=XCORE)))),
        same("cappingConstraint", _CAPPING, note="to dps: {}, and the counters as frequencyCappingConstraints"),
        only_dps("frequencyCappingConstraints", Loss.CAPPING, "as counters, if xcore can say them", severity=SEVERE),
    ),
    rules=(capping.TO_DPS, capping.TO_XCORE),
)

_NOT_OF_A_FALLBACK = "a fallback offer is not constrained, and xcore does not have it"

FALLBACK_OFFER = Members(
    members=(
        *_OFFER,
        only_dps("selectionConstraint", Loss.NO_COUNTERPART, _NOT_OF_A_FALLBACK),
        only_dps("rank", Loss.NO_COUNTERPART, _NOT_OF_A_FALLBACK),
        only_dps("cappingConstraint", Loss.NO_COUNTERPART, _NOT_OF_A_FALLBACK),
        only_dps("frequencyCappingConstraints", Loss.NO_COUNTERPART, _NOT_OF_A_FALLBACK),
    )
)


def _delivery(name: str, usual: bool) -> Member:
    reason = f"xcore does not have it: there it is {str(usual).lower()}"
    return only_dps(name, Loss.DELIVERY, reason, severity=SEVERE, harmless=lambda value: value is usual)


PLACEMENT = Members(
    members=(
        *_ENVELOPE,
        same("name"),
        same("description"),
        same("componentType", PLACEMENT_TYPE),
        same("channel", Channel(), note="a very old `…/channels/x` becomes `…/channel-types/x`"),
        only_xcore("xdm:contentTypes", Loss.NO_COUNTERPART, "dps has no such member"),
        only_dps(
            "itemCount",
            Loss.DELIVERY,
            "xcore does not have it: there it is 1",
            severity=SEVERE,
            harmless=lambda value: value == 1,
        ),
        _delivery("allowDuplicatePlacements", usual=False),
        _delivery("returnContent", usual=True),
        only_dps(
            "returnMetaData",
            Loss.DELIVERY,
            "xcore does not have it: there nothing of it is returned",
            severity=SEVERE,
            harmless=lambda value: isinstance(value, dict) and not any(value.values()),
        ),
    )
)

_CONDITION = Members(
    members=(
        same("type", xcore=("type", "xdm:type")),
        same("format", xcore=("format", "xdm:format")),
        same("value", _PQL, xcore=("value", "xdm:value")),
    )
)

_SCHEMA = Members(
    members=(
        Member(
            ("$ref",),
            ("ref", "altId"),
            note="to xcore: `altId`, too, which rules of Decisioning have",
            alias="xcore has no `altId`: written as `$ref`",
        ),
        same("version", xcore="version"),
    )
)

DECISION_RULE = Members(
    members=(
        *_ENVELOPE,
        same("name"),
        same("description", xcore=("xdm:description", "description")),
        same(
            "condition", _CONDITION, xcore=("condition", "xdm:condition"), note="to xcore: as the object has it already"
        ),
        same("definedOn", Keyed(of=Members(members=(same("schema", _SCHEMA), same("referencePaths", _TEXTS))))),
        near("segmentModel", Data("of the web app's rule editor"), unattested=DPS, xcore="offerui:segmentModel"),
        only_dps(
            "exdRule",
            Loss.DECISIONING,
            "a rule of the Decisioning product does not belong into xcore",
            severity=SEVERE,
            harmless=lambda value: value is False,
        ),
    )
)

TAG = Members(
    members=(*_ENVELOPE, same("name"), only_dps("description", Loss.NO_COUNTERPART, "xcore has it on no tag"))
)

COLLECTION = Members(
    members=(
        *_ENVELOPE,
        same("name"),
        same("filterType", FILTER_TYPE),
        same(
            "ids",
            Many(of=Ref("of an offer or a tag", types=(EntityType.TAG, EntityType.PERSONALIZED_OFFER))),
            xcore=("xdm:ids", "ids"),
        ),
        only_dps("description", Loss.NO_COUNTERPART, "xcore has it on no collection"),
        only_dps("labels", Loss.LABELS, "xcore has no data governance labels", severity=SEVERE),
    )
)

_PROFILE_CONSTRAINT = Members(
    members=(
        near("profileConstraintType", PROFILE_CONSTRAINT_TYPE, unattested=XCORE),
        near("eligibilityRule", _RULE, unattested=XCORE),
        near("segmentIdentities", _SEGMENTS, unattested=XCORE),
    )
)

_CRITERION = Members(
    members=(
        same("placements", Many(of=_PLACEMENT)),
        same(
            "optionSelection",
            Members(
                members=(
                    same("filter", Ref(types=(EntityType.COLLECTION,))),
                    near("optionSelectionType", OPTION_SELECTION_TYPE, unattested=DPS),
                    near("options", Many(of=Ref(types=(EntityType.PERSONALIZED_OFFER,))), unattested=DPS),
                )
            ),
        ),
        near(
            "rank",
            Members(members=(near("priority", Whole(), unattested=XCORE), near("order", _ORDER, unattested=XCORE))),
            unattested=XCORE,
            xcore=("xdm:rank", "xdm:ranking"),
        ),
        near(
            "profileConstraint",
            _PROFILE_CONSTRAINT,
            unattested=XCORE,
            xcore=("xdm:profileConstraint", "xdm:profileConstraints"),
            note="to xcore: left out, if it says `none`",
        ),
        only_xcore("xdm:description", Loss.NO_COUNTERPART, "dps has it on no criterion"),
    ),
    rules=(NO_PROFILE,),
)

DECISION = Members(
    members=(
        *_ENVELOPE,
        same("name"),
        near("description", unattested=XCORE),
        same("status", DECISION_STATUS),
        same("startDate", Date()),
        same("endDate", Date()),
        same("fallback", Ref(types=(EntityType.FALLBACK_OFFER,))),
        same("criteria", Many(of=_CRITERION)),
        only_xcore("xdm:placement", Loss.STRUCTURE, "the oldest form: written as a criterion"),
        only_xcore("xdm:filter", Loss.STRUCTURE, "the oldest form: written as a criterion"),
    ),
    rules=(OLDEST,),
)

TABLES: Mapping[EntityType, Members] = {
    EntityType.PERSONALIZED_OFFER: PERSONALIZED_OFFER,
    EntityType.FALLBACK_OFFER: FALLBACK_OFFER,
    EntityType.PLACEMENT: PLACEMENT,
    EntityType.DECISION_RULE: DECISION_RULE,
    EntityType.TAG: TAG,
    EntityType.COLLECTION: COLLECTION,
    EntityType.DECISION: DECISION,
}
"""The table of each type."""
