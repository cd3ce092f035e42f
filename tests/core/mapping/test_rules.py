"""What holds between members: counters, assets, orders, criteria; and words and dates that are spelled otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from migrator.core.mapping import (
    DPS,
    UNKNOWN,
    XCORE,
    Context,
    Known,
    Loss,
    Refused,
    Severity,
    Translated,
    translate_document,
    translate_operations,
)
from migrator.core.model import EntityType, Operation
from tests.core.mapping.spelling import CONTENT, COUNTER, DATES_DPS, WEB, translate

Json = Any
INFORMATIONAL, SEVERE = Severity.INFORMATIONAL, Severity.SEVERE
OFFER, RULE, DECISION = EntityType.PERSONALIZED_OFFER, EntityType.DECISION_RULE, EntityType.DECISION


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


NONE = {"profileConstraintType": "none"}


@pytest.mark.parametrize("known", [UNKNOWN, Known(target={"_instance": {"xdm:criteria": [{}]}})])
@pytest.mark.parametrize(
    ("pointer", "value"),
    [("/criteria/0/profileConstraint", NONE), ("/criteria/0/profileConstraint", {**NONE, "eligibilityRule": "dps:r"})],
)
def test_a_constraint_that_says_nothing_is_told_where_a_patch_sets_it(pointer: str, value: Json, known: Known) -> None:
    patch = [Operation("add", pointer, value)]

    found = translate_operations(DECISION, patch, DPS, XCORE, Context(lambda _, id_: id_), known)

    assert isinstance(found, Translated)
    assert len(found.result) == 1
    assert (Loss.NO_COUNTERPART in {report.loss for report in found.reports}) == (value == NONE)
