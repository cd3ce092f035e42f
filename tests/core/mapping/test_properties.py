"""What holds for every object and every patch: there and back is where it began; translating and applying commute."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from migrator.core.compare import instant, same
from migrator.core.mapping import (
    DPS,
    NEVER_ALLOWED,
    UNKNOWN,
    XCORE,
    Known,
    Loss,
    Refused,
    Report,
    Translated,
    translate_document,
    translate_operations,
)
from migrator.core.mapping.routes import spelled, table
from migrator.core.model import EntityType
from migrator.core.patch import apply
from migrator.core.pointers import parts_of
from tests.core.mapping.documents import DOCUMENTS, DPS_ONLY, TO_DPS, TO_XCORE
from tests.core.mapping.patching import patches

Json = Any
TYPES = list(EntityType)
OPS = {XCORE: ("add", "remove", "replace"), DPS: ("add", "remove", "replace", "copy", "test")}
EXAMPLES = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def meant(value: Json) -> Json:
    """Spell dates alike, and put counters in one order, for they have none."""
    if isinstance(value, dict):
        made = {name: meant(inner) for name, inner in value.items()}
        if isinstance(counters := made.get("frequencyCappingConstraints"), list):
            counters.sort(key=repr)
        return made
    if isinstance(value, list):
        return [meant(inner) for inner in value]
    moment = instant(value) if isinstance(value, str) else None
    return value if moment is None else f"at {moment}"


def alike(one: Json, other: Json) -> bool:
    return same(meant(one), meant(other))


def dropped(document: Json, pointer: str) -> None:
    """Take a place out of a document, if it is there."""
    *path, last = parts_of(pointer)
    for part in path:
        document = document[int(part)] if isinstance(document, list) else document.get(part, {})
    if isinstance(document, dict):
        document.pop(last, None)


NOT_LOST = {Loss.UNATTESTED, Loss.CAPPING, Loss.DATES}
INSTEAD = {"xdm:copyline": "xdm:content", "repo:resolveURL": "xdm:deliveryURL"}


def without_losses(document: Json, reports: list[Report]) -> Json:
    """Take out what was reported as lost, and what was written instead."""
    document = copy.deepcopy(document)
    for report in reports:
        above, _, last = report.pointer.rpartition("/")
        if report.loss is Loss.FILLED:
            dropped(document, f"{report.pointer}/xdm:channel")
        elif report.loss is Loss.STRUCTURE:
            dropped(document, "/xdm:criteria")
        elif last in INSTEAD:
            dropped(document, f"{above}/{INSTEAD[last]}")
        if report.loss not in NOT_LOST:
            dropped(document, report.pointer)
    return document


def done(made: Any) -> Any:
    assert isinstance(made, Translated), made
    return made


def in_xcore(report: Report, type_: EntityType) -> Report:
    """Point with a report on a dps object into the xcore one."""
    pointer, _ = spelled("", table(type_, XCORE).route(report.pointer).parts)
    return Report(report.entity, report.id, pointer, report.value, "", report.loss, report.severity, report.reason)


@pytest.mark.parametrize("type_", TYPES)
@EXAMPLES
@given(data=st.data())
def test_there_and_back_is_the_object_but_for_what_was_reported(type_: EntityType, data: st.DataObject) -> None:
    document = data.draw(DOCUMENTS[type_])
    there = done(translate_document(type_, document, XCORE, DPS, TO_DPS))

    back = done(translate_document(type_, there.result, DPS, XCORE, TO_XCORE))

    reports = [*there.reports, *(in_xcore(report, type_) for report in back.reports)]
    assert alike(without_losses(back.result, reports), without_losses(document, reports))


@pytest.mark.parametrize("type_", TYPES)
@EXAMPLES
@given(data=st.data())
def test_a_translation_shares_nothing_with_what_it_was_made_of_that_a_patch_could_change(
    type_: EntityType, data: st.DataObject
) -> None:
    document = data.draw(DOCUMENTS[type_])
    before = copy.deepcopy(document)

    translate_document(type_, document, XCORE, DPS, TO_DPS)

    assert document == before


def wrapped(document: Json, style: str) -> Json:
    return {"_instance": document, "instanceId": "i"} if style == XCORE else document


def root(style: str) -> str:
    return "/_instance" if style == XCORE else ""


def drawn(data: st.DataObject, type_: EntityType, style: str) -> Json:
    """Draw an object in a style; in dps with members that xcore does not have."""
    document = data.draw(DOCUMENTS[type_])
    if style == XCORE:
        return document
    made = done(translate_document(type_, document, XCORE, DPS, TO_DPS)).result
    return {**made, **data.draw(st.fixed_dictionaries({}, optional=DPS_ONLY[type_]))}


def translated(type_: EntityType, document: Json, style: str) -> Any:
    to, context = (DPS, TO_DPS) if style == XCORE else (XCORE, TO_XCORE)
    own = document["_instance"] if style == XCORE else document
    made = translate_document(type_, own, style, to, context)
    return made if isinstance(made, Refused) else wrapped(made.result, to)


@pytest.mark.parametrize("style", [XCORE, DPS])
@pytest.mark.parametrize("type_", TYPES)
@EXAMPLES
@given(data=st.data())
def test_translating_a_patch_and_applying_it_is_applying_it_and_translating(
    type_: EntityType, style: str, data: st.DataObject
) -> None:
    to, context = (DPS, TO_DPS) if style == XCORE else (XCORE, TO_XCORE)
    source = wrapped(drawn(data, type_, style), style)
    other = wrapped(drawn(data, type_, style), style)
    patch, after = data.draw(patches(source, other, root(style), OPS[style]))
    target, wanted = translated(type_, source, style), translated(type_, after, style)
    assume(not isinstance(target, Refused))

    made = translate_operations(type_, patch, style, to, context, Known("o", source, target))

    if isinstance(wanted, Refused):
        event("the patched object cannot be translated")
        return
    assert alike(apply(done(made).result, target), wanted)


BY_THE_OBJECT = {Loss.CAPPING, Loss.FILLED, Loss.NO_COUNTERPART, Loss.ASSET, Loss.AUDIENCE, Loss.GUARD}
"""Reports after which a patch that was translated without the object need not be what it would be with it."""


@pytest.mark.parametrize("target_known", [False, True], ids=["nothing known", "the target known"])
@pytest.mark.parametrize("style", [XCORE, DPS])
@pytest.mark.parametrize("type_", TYPES)
@EXAMPLES
@given(data=st.data())
def test_without_the_source_the_same_holds_or_the_patch_is_refused_or_it_is_reported(
    type_: EntityType, style: str, target_known: bool, data: st.DataObject
) -> None:
    to, context = (DPS, TO_DPS) if style == XCORE else (XCORE, TO_XCORE)
    source = wrapped(drawn(data, type_, style), style)
    other = wrapped(drawn(data, type_, style), style)
    patch, after = data.draw(patches(source, other, root(style), OPS[style]))
    target, wanted = translated(type_, source, style), translated(type_, after, style)
    assume(not isinstance(target, Refused) and not isinstance(wanted, Refused))

    known = Known("o", target=target) if target_known else UNKNOWN
    made = translate_operations(type_, patch, style, to, context, known)

    if isinstance(made, Refused):
        event("refused")
        assert {report.loss for report in made.reports} & NEVER_ALLOWED
    elif {report.loss for report in made.reports} & BY_THE_OBJECT:
        event("reported")
    else:
        event("translated")
        assert alike(apply(made.result, target), wanted)
