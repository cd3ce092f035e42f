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

Json = Any
CONTENT = "https://ns.adobe.com/experience/offer-management/content-component-"
WEB = "https://ns.adobe.com/xdm/channel-types/web"
UNION = "https://ns.adobe.com/xdm/context/profile_union"
INFORMATIONAL, SEVERE = Severity.INFORMATIONAL, Severity.SEVERE

OFFER = EntityType.PERSONALIZED_OFFER
FALLBACK = EntityType.FALLBACK_OFFER
RULE = EntityType.DECISION_RULE
DECISION = EntityType.DECISION


def swapped(id_: str) -> str:
    """Name the same object in the other style: in these tables its id differs by the style alone."""
    return id_.replace("xcore:", "dps:") if id_.startswith("xcore:") else id_.replace("dps:", "xcore:")


def resolve(_type: str, id_: str) -> str | None:
    return swapped(id_) if id_.startswith(("xcore:", "dps:")) else None


def translate(type_: EntityType, document: Json, to: str, allowed: Any = (), **options: Any) -> Any:
    context = Context(resolve=resolve, allowed=frozenset(allowed), **options)
    return translate_document(type_, document, XCORE if to == DPS else DPS, to, context)


COMPONENT = {"@type": f"{CONTENT}html", "dc:format": "text/html", "dc:language": ["en"], "xdm:content": "<b>2.9 %</b>"}
COMPONENT_DPS = {"type": "html", "format": "text/html", "language": ["en"], "content": "<b>2.9 %</b>"}
REPRESENTATION = {"xdm:channel": WEB, "xdm:placement": "xcore:offer-placement:1", "xdm:components": [COMPONENT]}
REPRESENTATION_DPS = {"channel": WEB, "placement": "dps:offer-placement:1", "components": [COMPONENT_DPS]}
DATES = {"xdm:startDate": "2024-03-01T00:00:00Z", "xdm:endDate": "2024-06-01T00:00:00Z"}
DATES_DPS = {"startDate": "2024-03-01T00:00:00.000+00:00", "endDate": "2024-06-01T00:00:00.000+00:00"}
COUNTER = {
    "enabled": True,
    "limit": 150,
    "scope": "global",
    "entity": "offer",
    **DATES_DPS,
    "repeat": {"enabled": False, "unit": "month", "unitCount": 1},
}

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


@pytest.mark.parametrize(
    ("entry", "severity"),
    [
        ({}, None),
        ({"startDate": "2024-03-01T00:00:00Z"}, None),  # the offer's own, spelled otherwise
        ({"startDate": "2024-03-02T00:00:00.000+00:00"}, SEVERE),
        ({"enabled": False}, INFORMATIONAL),
        ({"entity": "placement"}, SEVERE),
        ({"repeat": {"enabled": True}}, SEVERE),
        ({"events": ["click"]}, SEVERE),
        ({"customQuery": "x"}, SEVERE),
        ({"scope": "everywhere"}, SEVERE),
        ({"limit": "5"}, SEVERE),
    ],
)
def test_a_counter_goes_to_xcore_if_that_can_say_it(entry: Json, severity: Severity | None) -> None:
    counters = [{**COUNTER, **entry}]
    document = {"selectionConstraint": DATES_DPS, "frequencyCappingConstraints": counters}

    made = translate(OFFER, document, XCORE)

    assert [report.severity for report in made.reports] == ([severity] if severity else [])
    if severity is None:
        assert made.result["xdm:cappingConstraint"] == {"xdm:globalCap": 150}
    if severity is SEVERE:
        assert made.reports[0].value == counters[0]


def test_xcore_has_one_counter_of_each_scope() -> None:
    counters = [COUNTER, {**COUNTER, "scope": "profile"}, {**COUNTER, "limit": 3}]

    made = translate(
        OFFER, {"selectionConstraint": DATES_DPS, "frequencyCappingConstraints": counters}, XCORE, [Loss.CAPPING]
    )

    assert made.result["xdm:cappingConstraint"] == {"xdm:globalCap": 150, "xdm:profileCap": 150}
    assert [report.pointer for report in made.reports] == ["/frequencyCappingConstraints/2"]


def test_an_asset_without_an_address_is_severe_and_its_own_may_be_used() -> None:
    bound = {"repo:id": "urn:1", "repo:resolveURL": "https://assets/1", "repo:name": "a.png"}
    document = {"xdm:representations": [{"xdm:channel": WEB, "xdm:components": [bound]}]}

    assert isinstance(translate(OFFER, document, DPS), Refused)
    made = translate(OFFER, document, DPS, asset_urls=True)
    assert made.result["representations"][0]["components"] == [{"deliveryURL": "https://assets/1"}]
    addressed = {"xdm:representations": [{"xdm:channel": WEB, "xdm:components": [{**bound, "xdm:deliveryURL": "/a"}]}]}
    assert isinstance(translate(OFFER, addressed, DPS), Translated)


@pytest.mark.parametrize(
    ("content", "expected"), [({}, "old"), ({"xdm:content": ""}, "old"), ({"xdm:content": "new"}, "new")]
)
def test_a_copyline_is_the_content_of_a_component_that_has_none(content: Json, expected: str) -> None:
    components = [{"xdm:copyline": "old", **content}]

    made = translate(OFFER, {"xdm:representations": [{"xdm:channel": WEB, "xdm:components": components}]}, DPS)

    assert made.result["representations"][0]["components"] == [{"content": expected}]
    assert [report.pointer for report in made.reports] == ["/xdm:representations/0/xdm:components/0/xdm:copyline"]


def test_an_order_that_nobody_knows_in_the_target_is_left_out_if_allowed() -> None:
    order = {"orderEvaluationType": "ranking-strategy", "rankingStrategy": "model-1"}
    document = {"rank": {"priority": 1, "order": order}}

    assert isinstance(translate(OFFER, document, XCORE), Refused)
    assert translate(OFFER, document, XCORE, [Loss.RANKING]).result == {"xdm:rank": {"xdm:priority": 1}}


def test_the_oldest_form_of_a_decision_is_one_criterion() -> None:
    oldest = {"xdm:placement": "xcore:offer-placement:1", "xdm:filter": "xcore:offer-filter:1"}
    criterion = {"placements": ["dps:offer-placement:1"], "optionSelection": {"filter": "dps:offer-filter:1"}}

    assert translate(DECISION, oldest, DPS).result == {"criteria": [criterion]}
    both = translate(DECISION, {**oldest, "xdm:criteria": []}, DPS)
    assert both.result == {"criteria": []}
    assert {report.loss for report in both.reports} == {Loss.STRUCTURE}


def test_texts_that_mention_ids_are_told_only_if_the_sandbox_is_another() -> None:
    rule = {"condition": {"value": '_tenant.city = "x"'}}

    assert translate(RULE, rule, XCORE).reports == ()
    made = translate(RULE, rule, XCORE, other_sandbox=True)
    assert isinstance(made, Refused)
    assert made.reports[0].pointer == "/condition/value"


def test_an_id_of_a_collection_that_could_be_of_two_types_is_not_guessed() -> None:
    made = translate_document(
        EntityType.COLLECTION, {"ids": ["1"]}, DPS, XCORE, Context(resolve=lambda type_, id_: f"{type_}-{id_}")
    )

    assert isinstance(made, Refused)


@pytest.mark.parametrize(
    ("xcore", "dps"),
    [
        ("2024-03-01T00:00:00Z", "2024-03-01T00:00:00.000+00:00"),
        ("2024-03-01T00:00:00.5Z", "2024-03-01T00:00:00.500+00:00"),
        ("2024-03-01T00:00:00.123456Z", "2024-03-01T00:00:00.123456+00:00"),
        ("2024-03-01T00:00:00.000Z", "2024-03-01T00:00:00.000+00:00"),
        ("2024-03-01T00:00:00+02:00", "2024-03-01T00:00:00.000+02:00"),
        ("soon", "soon"),
        (None, None),
    ],
)
def test_a_date_keeps_its_instant_and_its_zone(xcore: str, dps: str) -> None:
    there = translate(DECISION, {"xdm:startDate": xcore}, DPS)
    back = translate(DECISION, {"startDate": dps}, XCORE)

    assert there.result == {"startDate": dps}
    assert back.result == {"xdm:startDate": xcore.replace(".000", "").replace(".5Z", ".500Z") if xcore else xcore}


@pytest.mark.parametrize(
    ("kind", "dps", "placement"),
    [("html", "html", "html"), ("text", "component-text", "text"), ("json", "json", "json"), ("odd", "odd", "odd")],
)
def test_what_a_component_is_has_a_word_of_its_own_in_components(kind: str, dps: str, placement: str) -> None:
    def component(made: Any) -> Any:
        return next(iter(made.result["representations"][0]["components"][0].values()))

    xcore = {"xdm:representations": [{"xdm:channel": WEB, "xdm:components": [{"@type": CONTENT + kind}]}]}
    assert component(translate(OFFER, xcore, DPS)) == dps
    assert translate(EntityType.PLACEMENT, {"xdm:componentType": CONTENT + kind}, DPS).result == {
        "componentType": placement
    }
    for word in {dps, placement}:
        back = translate(EntityType.PLACEMENT, {"componentType": word}, XCORE)
        assert back.result == {"xdm:componentType": CONTENT + kind}


@pytest.mark.parametrize("document", [None, [], "text", 7])
@pytest.mark.parametrize("to", [DPS, XCORE])
def test_what_is_no_object_is_refused(document: Json, to: str) -> None:
    assert isinstance(translate(EntityType.TAG, document, to), Refused)


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
