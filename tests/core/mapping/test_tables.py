"""The tables: one object of each type in both styles, and what each direction loses."""

from __future__ import annotations

from typing import Any

import pytest

from migrator.core.mapping import (
    ALLOWABLE,
    DPS,
    MEANINGS,
    NEVER_ALLOWED,
    XCORE,
    Context,
    Loss,
    Refused,
    Severity,
    Translated,
    page,
    translate_document,
)
from migrator.core.model import EntityType
from tests.core.mapping.spelling import CONTENT, COUNTER, DATES_DPS, WEB, resolve, translate

Json = Any
UNION = "https://ns.adobe.com/xdm/context/profile_union"
INFORMATIONAL, SEVERE = Severity.INFORMATIONAL, Severity.SEVERE

OFFER = EntityType.PERSONALIZED_OFFER
FALLBACK = EntityType.FALLBACK_OFFER
RULE = EntityType.DECISION_RULE
DECISION = EntityType.DECISION


COMPONENT = {"@type": f"{CONTENT}html", "dc:format": "text/html", "dc:language": ["en"], "xdm:content": "<b>2.9 %</b>"}
COMPONENT_DPS = {"type": "html", "format": "text/html", "language": ["en"], "content": "<b>2.9 %</b>"}
REPRESENTATION = {"xdm:channel": WEB, "xdm:placement": "xcore:offer-placement:1", "xdm:components": [COMPONENT]}
REPRESENTATION_DPS = {"channel": WEB, "placement": "dps:offer-placement:1", "components": [COMPONENT_DPS]}
DATES = {"xdm:startDate": "2024-03-01T00:00:00Z", "xdm:endDate": "2024-06-01T00:00:00Z"}
PAIRS: dict[EntityType, tuple[Json, Json]] = {
    OFFER: (
        {
            "xdm:name": "Spring loan",
            "xdm:status": "draft",
            "xdm:representations": [REPRESENTATION],
            "xdm:selectionConstraint": {**DATES, "xdm:eligibilityRule": "xcore:eligibility-rule:1"},
            "xdm:rank": {"xdm:priority": 3},
            "xdm:cappingConstraint": {"xdm:globalCap": 150},
            "xdm:characteristics": {"region": "NA", "xdm:a/~b": ""},
            "xdm:tags": ["xcore:tag:1"],
        },
        {
            "name": "Spring loan",
            "status": "draft",
            "representations": [REPRESENTATION_DPS],
            "selectionConstraint": {
                **DATES_DPS,
                "profileConstraintType": "eligibilityRule",
                "eligibilityRule": "dps:eligibility-rule:1",
            },
            "rank": {"priority": 3},
            "cappingConstraint": {},
            "frequencyCappingConstraints": [COUNTER],
            "characteristics": {"region": "NA", "xdm:a/~b": ""},
            "tags": ["dps:tag:1"],
        },
    ),
    FALLBACK: (
        {"xdm:name": "F", "xdm:status": "approved", "xdm:representations": [REPRESENTATION], "xdm:tags": []},
        {"name": "F", "status": "approved", "representations": [REPRESENTATION_DPS], "tags": []},
    ),
    EntityType.PLACEMENT: (
        {"xdm:name": "P", "xdm:description": "", "xdm:componentType": f"{CONTENT}text", "xdm:channel": WEB},
        {"name": "P", "description": "", "componentType": "text", "channel": WEB},
    ),
    RULE: (
        {
            "xdm:name": "R",
            "xdm:description": "d",
            "condition": {"type": "PQL", "format": "pql/text", "value": 'a.b = "c"'},
            "xdm:definedOn": {
                "profile": {"xdm:schema": {"$ref": UNION, "version": "1"}, "xdm:referencePaths": ["a.b"]},
                "": {"xdm:schema": {"$ref": UNION}},
            },
            "offerui:segmentModel": {"xdm:name": [{"@type": "x"}]},
        },
        {
            "name": "R",
            "description": "d",
            "condition": {"type": "PQL", "format": "pql/text", "value": 'a.b = "c"'},
            "definedOn": {
                "profile": {"schema": {"ref": UNION, "version": "1"}, "referencePaths": ["a.b"]},
                "": {"schema": {"ref": UNION}},
            },
            "segmentModel": {"xdm:name": [{"@type": "x"}]},
        },
    ),
    EntityType.TAG: ({"xdm:name": "T"}, {"name": "T"}),
    EntityType.COLLECTION: (
        {"xdm:name": "C", "xdm:filterType": "anyTags", "xdm:ids": ["xcore:tag:1", "xcore:tag:2"]},
        {"name": "C", "filterType": "any-tags", "ids": ["dps:tag:1", "dps:tag:2"]},
    ),
    DECISION: (
        {
            "xdm:name": "D",
            "xdm:status": "complete",
            **DATES,
            "xdm:fallback": "xcore:fallback-offer:1",
            "xdm:criteria": [
                {
                    "xdm:placements": ["xcore:offer-placement:1"],
                    "xdm:optionSelection": {"xdm:filter": "xcore:offer-filter:1"},
                    "xdm:rank": {"xdm:priority": 0, "xdm:order": {"xdm:orderEvaluationType": "scoringFunction"}},
                    "xdm:profileConstraint": {
                        "xdm:profileConstraintType": "eligibilityRule",
                        "xdm:eligibilityRule": "xcore:eligibility-rule:1",
                    },
                }
            ],
        },
        {
            "name": "D",
            "status": "complete",
            **DATES_DPS,
            "fallback": "dps:fallback-offer:1",
            "criteria": [
                {
                    "placements": ["dps:offer-placement:1"],
                    "optionSelection": {"filter": "dps:offer-filter:1"},
                    "rank": {"priority": 0, "order": {"orderEvaluationType": "scoring-function"}},
                    "profileConstraint": {
                        "profileConstraintType": "eligibilityRule",
                        "eligibilityRule": "dps:eligibility-rule:1",
                    },
                }
            ],
        },
    ),
}


def one_type(type_: EntityType) -> Any:
    """Resolve only ids of one collection's kind, as a map does."""

    def find(kind: str, id_: str) -> str | None:
        return None if type_ is EntityType.COLLECTION and kind != "tag" else resolve(kind, id_)

    return find


@pytest.mark.parametrize("type_", PAIRS)
def test_an_object_of_each_type_is_the_same_object_in_the_other_style(type_: EntityType) -> None:
    xcore, dps = PAIRS[type_]
    context = Context(resolve=one_type(type_))

    there = translate_document(type_, xcore, XCORE, DPS, context)
    back = translate_document(type_, dps, DPS, XCORE, context)

    assert isinstance(there, Translated)
    assert isinstance(back, Translated)
    assert there.result == dps
    assert back.result == xcore


def test_absent_stays_absent_and_empty_stays_empty() -> None:
    absent: dict[str, Json] = {}
    for capping in (absent, {**absent, "xdm:cappingConstraint": {}}):
        xcore = {"xdm:name": "", "xdm:representations": [], "xdm:tags": [], "xdm:characteristics": {}, **capping}
        there = translate(OFFER, xcore, DPS).result

        assert there == {name.removeprefix("xdm:"): value for name, value in xcore.items()}
        assert translate(OFFER, there, XCORE).result == xcore


LOSSES = [
    (OFFER, DPS, {"xdm:status": "pending"}, "/xdm:status", Loss.WORDING, INFORMATIONAL),
    (OFFER, DPS, {"xdm:status": "odd"}, "/xdm:status", Loss.WORDING, INFORMATIONAL),
    (OFFER, DPS, {"xdm:customMetadata": {"a": 1}}, "/xdm:customMetadata", Loss.NO_COUNTERPART, INFORMATIONAL),
    (OFFER, DPS, {"@id": "xcore:personalized-offer:1"}, "/@id", Loss.ENVELOPE, INFORMATIONAL),
    (OFFER, DPS, {"xdm:misspelt~": [1]}, "/xdm:misspelt~0", Loss.UNKNOWN, SEVERE),
    (OFFER, DPS, {"name": "a"}, "/name", Loss.UNKNOWN, SEVERE),
    (OFFER, DPS, {"xdm:tags": ["tag-1"]}, "/xdm:tags/0", Loss.REFERENCES, SEVERE),
    (OFFER, DPS, {"xdm:rank": {"xdm:priority": "1"}}, "/xdm:rank/xdm:priority", Loss.MALFORMED, SEVERE),
    (OFFER, DPS, {"xdm:rank": {"xdm:priority": True}}, "/xdm:rank/xdm:priority", Loss.MALFORMED, SEVERE),
    (
        OFFER,
        DPS,
        {"xdm:selectionConstraint": {"xdm:startDate": "2024-03-01T00:00:00"}},
        "/xdm:selectionConstraint/xdm:startDate",
        Loss.DATES,
        INFORMATIONAL,
    ),
    (
        OFFER,
        DPS,
        {"xdm:cappingConstraint": {"xdm:globalCap": 1}},
        "/xdm:cappingConstraint/xdm:globalCap",
        Loss.CAPPING,
        SEVERE,  # no dates to take the window from
    ),
    (OFFER, XCORE, {"description": "d"}, "/description", Loss.UNATTESTED, INFORMATIONAL),
    (OFFER, XCORE, {"labels": ["core/C1"]}, "/labels", Loss.LABELS, SEVERE),
    (OFFER, XCORE, {"etag": 3}, "/etag", Loss.ENVELOPE, INFORMATIONAL),
    (
        OFFER,
        XCORE,
        {"selectionConstraint": {"profileConstraintType": "anySegments"}},
        "/selectionConstraint/profileConstraintType",
        Loss.AUDIENCE,
        SEVERE,
    ),
    (
        OFFER,
        XCORE,
        {"selectionConstraint": {"profileConstraintType": "eligibilityRule"}},
        "/selectionConstraint/profileConstraintType",
        Loss.AUDIENCE,
        SEVERE,
    ),
    (
        OFFER,
        XCORE,
        {"selectionConstraint": {"segmentIdentities": ["dps:audience:1"]}},
        "/selectionConstraint/segmentIdentities",
        Loss.AUDIENCE,
        SEVERE,
    ),
    (FALLBACK, XCORE, {"rank": {"priority": 0}}, "/rank", Loss.NO_COUNTERPART, INFORMATIONAL),
    (EntityType.PLACEMENT, XCORE, {"itemCount": 1}, "/itemCount", Loss.DELIVERY, INFORMATIONAL),
    (EntityType.PLACEMENT, XCORE, {"itemCount": 2}, "/itemCount", Loss.DELIVERY, SEVERE),
    (EntityType.PLACEMENT, XCORE, {"returnContent": True}, "/returnContent", Loss.DELIVERY, INFORMATIONAL),
    (EntityType.PLACEMENT, XCORE, {"returnContent": False}, "/returnContent", Loss.DELIVERY, SEVERE),
    (EntityType.PLACEMENT, XCORE, {"returnMetaData": {"offerName": True}}, "/returnMetaData", Loss.DELIVERY, SEVERE),
    (EntityType.PLACEMENT, DPS, {"xdm:contentTypes": []}, "/xdm:contentTypes", Loss.NO_COUNTERPART, INFORMATIONAL),
    (
        EntityType.PLACEMENT,
        DPS,
        {"xdm:channel": "https://ns.adobe.com/xdm/channels/web"},
        "/xdm:channel",
        Loss.WORDING,
        INFORMATIONAL,
    ),
    (RULE, XCORE, {"exdRule": True}, "/exdRule", Loss.DECISIONING, SEVERE),
    (RULE, XCORE, {"exdRule": False}, "/exdRule", Loss.DECISIONING, INFORMATIONAL),
    (RULE, XCORE, {"segmentModel": {}}, "", None, None),
    (
        RULE,
        XCORE,
        {"definedOn": {"": {"schema": {"altId": "_x"}}}},
        "/definedOn//schema/altId",
        Loss.SPELLING,
        INFORMATIONAL,
    ),
    (RULE, DPS, {"xdm:description": "a", "description": "b"}, "/description", Loss.SPELLING, INFORMATIONAL),
    (RULE, DPS, {"xdm:description": "a", "description": "a"}, "", None, None),
    (EntityType.TAG, XCORE, {"description": "d"}, "/description", Loss.NO_COUNTERPART, INFORMATIONAL),
    (EntityType.COLLECTION, XCORE, {"labels": ["core/C1"]}, "/labels", Loss.LABELS, SEVERE),
    (DECISION, DPS, {"xdm:filter": "xcore:offer-filter:1"}, "/xdm:filter", Loss.STRUCTURE, INFORMATIONAL),
    (
        DECISION,
        XCORE,
        {"criteria": [{"profileConstraint": {"profileConstraintType": "none"}}]},
        "/criteria/0/profileConstraint",
        Loss.NO_COUNTERPART,
        INFORMATIONAL,
    ),
]


@pytest.mark.parametrize(
    ("type_", "to", "document", "pointer", "loss", "severity"), LOSSES, ids=lambda value: str(value)[:40]
)
def test_a_loss_is_told_with_its_place_value_and_class(
    type_: EntityType, to: str, document: Json, pointer: str, loss: Loss | None, severity: Severity
) -> None:
    made = translate(type_, document, to)

    found = [report for report in made.reports if report.loss not in (Loss.UNATTESTED, Loss.FILLED)] or made.reports
    if loss is None:
        assert not [report for report in made.reports if report.loss is not Loss.UNATTESTED]
        return
    report = next(report for report in found if report.pointer == pointer)
    assert (report.loss, report.severity) == (loss, severity)
    assert (report.entity, report.direction) == (type_, "xcore → dps" if to == DPS else "dps → xcore")
    assert isinstance(made, Refused) == (severity is SEVERE)
    if severity is SEVERE and loss in ALLOWABLE:
        assert isinstance(translate(type_, document, to, allowed=[loss]), Translated)


def test_every_class_of_loss_has_a_meaning_and_can_be_allowed_or_not() -> None:
    assert set(MEANINGS) == set(Loss) == set(ALLOWABLE) | NEVER_ALLOWED
    assert not set(ALLOWABLE) & NEVER_ALLOWED


def test_the_page_shows_every_member_in_both_styles_and_every_class() -> None:
    shown = page()

    for type_ in EntityType:
        assert f"## {type_}\n" in shown
    assert "| `/_instance/xdm:tags` | `/tags` | = |" in shown
    assert "| – | `/labels` | ←! |" in shown
    assert "`/_instance/condition` or `xdm:condition`" in shown
    assert all(f"| `{loss}` |" in shown for loss in Loss)
    assert "## tag" in page([EntityType.TAG])
    assert "## decision" not in page([EntityType.TAG])
