"""The worked examples of the mapping (section 7), one by one."""

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
    Report,
    Severity,
    Translated,
    translate_operations,
)
from migrator.core.model import EntityType, Operation

OFFER, RULE = EntityType.PERSONALIZED_OFFER, EntityType.DECISION_RULE
TAG = ("xcore:tag:124e147572cd7866", "dps:tag:1a08a14ccfe533c0")
PLACEMENT = ("xcore:offer-placement:124e0be5699743d3", "dps:offer-placement:1a08a14ccfe533b6")
ELIGIBILITY = ("xcore:eligibility-rule:124e0faf5b8ee89b", "dps:eligibility-rule:19af09a9ae45a8d3")
MAP = {"tag": TAG, "placement": PLACEMENT, "decision-rule": ELIGIBILITY}
WEB = "https://ns.adobe.com/xdm/channel-types/web"
TEXT = "https://ns.adobe.com/experience/offer-management/content-component-text"
START, END = "2024-03-01T00:00:00.000+00:00", "2024-06-01T00:00:00.000+00:00"
WINDOW = {"startDate": START, "endDate": END}


def resolve(to: str) -> Any:
    new = 1 if to == DPS else 0

    def find(type_: str, id_: str) -> str | None:
        pair = MAP.get(type_)
        return pair[new] if pair and pair[1 - new] == id_ else None

    return find


def translate(
    patch: list[Operation],
    to: str,
    *,
    type_: EntityType = OFFER,
    known: Known = UNKNOWN,
    allowed: frozenset[Loss] = frozenset(),
) -> Any:
    context = Context(resolve=resolve(to), channel_of=lambda _: WEB, allowed=allowed)
    return translate_operations(type_, patch, XCORE if to == DPS else DPS, to, context, known)


def done(made: Any) -> tuple[Operation, ...]:
    assert isinstance(made, Translated), made
    result: tuple[Operation, ...] = made.result
    return result


def told(made: Any) -> list[tuple[Loss, Severity]]:
    reports: tuple[Report, ...] = made.reports
    return [(report.loss, report.severity) for report in reports]


def op(op: str, path: str, value: Any = None, source: str = "") -> Operation:
    return Operation(op, path, value, source)


RENAMED = {
    "1 plain rename": (
        [op("replace", "/_instance/xdm:name", "Autumn loan")],
        [op("replace", "/name", "Autumn loan")],
    ),
    "3 deep index": (
        [op("replace", "/_instance/xdm:representations/1/xdm:components/0/dc:language/0", "fr")],
        [op("replace", "/representations/1/components/0/language/0", "fr")],
    ),
    "4 reference": ([op("add", "/_instance/xdm:tags/-", TAG[0])], [op("add", "/tags/-", TAG[1])]),
    "5 indices": (
        [op("add", "/_instance/xdm:tags/0", TAG[0]), op("remove", "/_instance/xdm:tags/2")],
        [op("add", "/tags/0", TAG[1]), op("remove", "/tags/2")],
    ),
    "6 slash in a key": (
        [op("add", "/_instance/xdm:characteristics/price~1unit", "EUR/kg")],
        [op("add", "/characteristics/price~1unit", "EUR/kg")],
    ),
    "7 tilde, and a prefix in a key": (
        [op("replace", "/_instance/xdm:characteristics/xdm:rate~0promo~1v2", "2.9")],
        [op("replace", "/characteristics/xdm:rate~0promo~1v2", "2.9")],
    ),
    "7 what looks escaped twice": (
        [op("replace", "/_instance/xdm:characteristics/a~01", "~1")],
        [op("replace", "/characteristics/a~01", "~1")],
    ),
}


@pytest.mark.parametrize("name", RENAMED)
def test_an_operation_is_renamed_both_ways_in_its_place(name: str) -> None:
    xcore, dps = RENAMED[name]

    assert list(done(translate(xcore, DPS))) == dps
    assert list(done(translate(dps, XCORE))) == xcore


def test_2_a_representation_is_translated_to_its_depth_and_gets_its_channel() -> None:
    component = {"@type": TEXT, "dc:format": "text/plain", "dc:language": ["en"], "xdm:content": "Hello"}
    value = {"xdm:placement": PLACEMENT[0], "xdm:components": [component]}

    made = translate([op("add", "/_instance/xdm:representations/-", value)], DPS)

    components = [{"type": "component-text", "format": "text/plain", "language": ["en"], "content": "Hello"}]
    expected = {"placement": PLACEMENT[1], "channel": WEB, "components": components}
    assert list(done(made)) == [op("add", "/representations/-", expected)]
    assert told(made) == [(Loss.FILLED, Severity.INFORMATIONAL)]


def test_4_a_list_that_is_not_there_yet_is_added_whole() -> None:
    made = translate([op("add", "/_instance/xdm:tags/-", TAG[0])], DPS, known=Known(target={"name": "a"}))

    assert list(done(made)) == [op("add", "/tags", [TAG[1]])]


def test_8_a_rule_is_two_operations_in_dps() -> None:
    xcore = [op("add", "/_instance/xdm:selectionConstraint/xdm:eligibilityRule", ELIGIBILITY[0])]

    made = translate(xcore, DPS)

    assert list(done(made)) == [
        op("add", "/selectionConstraint/profileConstraintType", "eligibilityRule"),
        op("add", "/selectionConstraint/eligibilityRule", ELIGIBILITY[1]),
    ]
    assert list(done(translate(list(done(made)), XCORE))) == xcore
    assert told(made) == [(Loss.UNATTESTED, Severity.INFORMATIONAL)]


def test_8_two_operations_that_take_a_rule_away_are_one_in_xcore() -> None:
    dps = [
        op("remove", "/selectionConstraint/eligibilityRule"),
        op("replace", "/selectionConstraint/profileConstraintType", "none"),
    ]

    xcore = [op("remove", "/_instance/xdm:selectionConstraint/xdm:eligibilityRule")]
    assert list(done(translate(dps, XCORE))) == xcore
    assert {made.path for made in done(translate(xcore, DPS))} == {made.path for made in dps}


ENTRY = {
    "enabled": True,
    "limit": 150,
    "scope": "global",
    "entity": "offer",
    **WINDOW,
    "repeat": {"enabled": False, "unit": "month", "unitCount": 1},
}
CAP = [op("add", "/_instance/xdm:cappingConstraint", {"xdm:globalCap": 150})]


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        ({}, [op("add", "/frequencyCappingConstraints", [ENTRY])]),
        ({"frequencyCappingConstraints": []}, [op("add", "/frequencyCappingConstraints/-", ENTRY)]),
        (
            {"frequencyCappingConstraints": [{**ENTRY, "limit": 9}]},
            [op("replace", "/frequencyCappingConstraints/0/limit", 150)],
        ),
        # What xcore knows nothing of stays where it is.
        (
            {"frequencyCappingConstraints": [{**ENTRY, "entity": "placement"}]},
            [op("add", "/frequencyCappingConstraints/-", ENTRY)],
        ),
    ],
    ids=["no list", "an empty list", "a counter of this scope", "a counter of another kind"],
)
def test_9_a_counter_becomes_frequency_capping_as_the_target_needs_it(held: Any, expected: Any) -> None:
    target = {"name": "a", "selectionConstraint": WINDOW, "cappingConstraint": {}, **held}

    made = translate(CAP, DPS, known=Known(target=target))

    assert list(done(made)) == expected
    assert (Loss.CAPPING, Severity.INFORMATIONAL) in told(made)


def test_9_without_the_offer_it_is_refused_or_written_as_it_is() -> None:
    made = translate(CAP, DPS)
    assert isinstance(made, Refused)
    assert told(made) == [(Loss.NEEDS_OBJECT, Severity.SEVERE)]

    verbatim = translate_operations(OFFER, CAP, XCORE, DPS, Context(capping_verbatim=True))
    assert list(done(verbatim)) == [op("add", "/cappingConstraint", {"globalCap": 150})]


GUARDED = [
    op("test", "/status", "draft"),
    op("copy", "/representations/1/components/0/content", None, "/representations/0/components/0/content"),
]


def xcore_offer(status: str) -> Any:
    components = [{"xdm:components": [{"xdm:content": text}]} for text in ("Hello", "Bye")]
    return {"_instance": {"xdm:status": status, "xdm:representations": components}}


def test_10_a_test_is_made_here_and_a_copy_is_an_add_of_what_is_there() -> None:
    made = translate(GUARDED, XCORE, known=Known(target=xcore_offer("draft")))

    content = "/_instance/xdm:representations/1/xdm:components/0/xdm:content"
    assert list(done(made)) == [op("add", content, "Hello")]


def test_10_a_copy_takes_what_operations_before_it_have_left() -> None:
    first = op("replace", "/representations/0/components/0/content", "Good day")

    made = translate([first, *GUARDED], XCORE, known=Known(target=xcore_offer("draft")))

    assert [one.value for one in done(made)] == ["Good day", "Good day"]


def test_10_a_test_that_fails_refuses_the_patch() -> None:
    made = translate(GUARDED, XCORE, known=Known(target=xcore_offer("approved")))

    assert isinstance(made, Refused)
    assert 'it is "approved", not "draft"' in made.reports[0].reason


def test_10_without_the_object_both_are_refused() -> None:
    made = translate(GUARDED, XCORE, allowed=frozenset({Loss.GUARD}))

    assert isinstance(made, Refused)
    assert told(made) == [(Loss.GUARD, Severity.SEVERE), (Loss.NEEDS_OBJECT, Severity.SEVERE)]
    assert done(translate(GUARDED[:1], XCORE, allowed=frozenset({Loss.GUARD}))) == ()


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        (None, "/_instance/condition/value"),
        ({"condition": {"value": "x"}}, "/_instance/condition/value"),
        ({"xdm:condition": {"xdm:value": "x"}}, "/_instance/xdm:condition/xdm:value"),
        ({"xdm:condition": {"value": "x"}}, "/_instance/xdm:condition/value"),
    ],
)
def test_11_a_condition_is_written_as_the_object_has_it(held: Any, expected: str) -> None:
    known = UNKNOWN if held is None else Known(target={"_instance": held})

    made = translate([op("replace", "/condition/value", "p")], XCORE, type_=RULE, known=known)

    assert list(done(made)) == [op("replace", expected, "p")]
    assert list(done(translate([op("replace", expected, "p")], DPS, type_=RULE))) == [
        op("replace", "/condition/value", "p")
    ]


def test_11_a_whole_condition_is_spelled_as_the_object_has_it() -> None:
    known = Known(target={"_instance": {"xdm:condition": {}}})

    made = translate([op("replace", "/condition", {"value": "p"})], XCORE, type_=RULE, known=known)

    assert list(done(made)) == [op("replace", "/_instance/xdm:condition", {"xdm:value": "p"})]


@pytest.mark.parametrize(
    ("dps", "xcore"),
    [
        ("/definedOn/profile/schema/ref", "/_instance/xdm:definedOn/profile/xdm:schema/$ref"),
        ("/definedOn//referencePaths/-", "/_instance/xdm:definedOn//xdm:referencePaths/-"),
        ("/definedOn//schema/version", "/_instance/xdm:definedOn//xdm:schema/version"),
    ],
)
def test_11_12_what_a_rule_is_defined_on_has_free_keys_also_the_empty_one(dps: str, xcore: str) -> None:
    assert list(done(translate([op("add", dps, "x")], XCORE, type_=RULE))) == [op("add", xcore, "x")]
    assert list(done(translate([op("add", xcore, "x")], DPS, type_=RULE))) == [op("add", dps, "x")]


COMPONENT = "/_instance/xdm:representations/0/xdm:components/0"


@pytest.mark.parametrize(
    ("operation", "to", "loss"),
    [
        (op("replace", f"{COMPONENT}/repo:name", "banner.png"), DPS, Loss.ASSET),
        (op("add", "/_links/related", {}), DPS, Loss.ENVELOPE),
        (op("add", "/labels/-", "core/C1"), XCORE, Loss.LABELS),
        (op("move", "/tags/1", None, "/tags/0"), XCORE, Loss.OPERATION),
        (op("replace", "/_instance/xdm:nmae", "x"), DPS, Loss.UNKNOWN),
        (op("replace", "/_instance/xdm:name/0", "x"), DPS, Loss.UNKNOWN),
        (op("replace", "/_instance/xdm:tags/first", TAG[0]), DPS, Loss.UNKNOWN),
        (op("add", "/_instance/xdm:tags/-", "xcore:tag:nobody"), DPS, Loss.REFERENCES),
        (op("add", "/_instance/xdm:tags/-", 7), DPS, Loss.MALFORMED),
        (op("add", "/_instance/xdm:tags", TAG[0]), DPS, Loss.MALFORMED),
        (op("replace", "/_instance/xdm:rank/xdm:priority", "3"), DPS, Loss.MALFORMED),
    ],
)
def test_13_what_has_no_counterpart_refuses_the_patch_and_says_so(operation: Operation, to: str, loss: Loss) -> None:
    made = translate([operation, op("replace", "/_instance/xdm:name" if to == DPS else "/name", "a")], to)

    assert isinstance(made, Refused)
    (report,) = made.reports
    assert (report.loss, report.severity) == (loss, Severity.SEVERE)
    assert (report.pointer, report.value) == (operation.path, operation.value)
    assert report.reason


def test_13_a_loss_that_is_allowed_leaves_the_operation_out() -> None:
    patch = [op("add", "/labels/-", "core/C1"), op("replace", "/name", "a")]

    made = translate(patch, XCORE, allowed=frozenset({Loss.LABELS}))

    assert list(done(made)) == [op("replace", "/_instance/xdm:name", "a")]
    assert told(made) == [(Loss.LABELS, Severity.SEVERE)]


def test_the_whole_object_can_be_set() -> None:
    made = translate([op("replace", "/_instance", {"xdm:name": "a"})], DPS, type_=EntityType.TAG)

    assert list(done(made)) == [op("replace", "", {"name": "a"})]


@pytest.mark.parametrize("kind", ["remove", "replace"])
def test_what_the_target_lacks_is_added_or_need_not_be_removed(kind: str) -> None:
    known = Known(target={"name": "a", "selectionConstraint": {}})
    value = None if kind == "remove" else "2024-03-01T00:00:00Z"

    made = translate([op(kind, "/_instance/xdm:selectionConstraint/xdm:endDate", value)], DPS, known=known)

    expected = [] if kind == "remove" else [op("add", "/selectionConstraint/endDate", START)]
    assert list(done(made)) == expected


def test_a_thousand_tags_are_a_thousand_references() -> None:
    made = translate([op("add", "/_instance/xdm:tags", [TAG[0]] * 1000)], DPS)

    assert done(made)[0].value == [TAG[1]] * 1000
