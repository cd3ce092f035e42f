"""The properties can fail: each table here has one line broken, and one of them notices.

A wrong *name* is the exception: it is wrong on the way there and on the way back alike. So the names are held against
the emulator's own tables, which were written without ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from migrator.core.mapping import DPS, XCORE, Context, routes, translate_document
from migrator.core.mapping import tables as mapping_tables
from migrator.core.mapping.losses import ALLOWABLE
from migrator.core.mapping.shapes import Keyed, Many, Member, Members, Shape, Word
from migrator.core.model import EntityType
from migrator.core.pointers import value_at
from migrator.emulator.schemas import SCHEMAS
from migrator.emulator.shapes import Rewriting
from tests.core.mapping import test_properties as properties
from tests.core.mapping.documents import DOCUMENTS, WORDS
from tests.core.mapping.patching import places

Json = Any
Change = Callable[[Member], Member | None]


def changed(shape: Shape, name: str, change: Change) -> Shape:
    """Return a table with one member of a name changed, or without it."""
    if isinstance(shape, Many):
        return msgspec.structs.replace(shape, of=changed(shape.of, name, change))
    if not isinstance(shape, Members):
        return shape
    found = [
        change(member) if name in member.xcore else replaced(member, shape=changed(member.shape, name, change))
        for member in shape.members
    ]
    return msgspec.structs.replace(shape, members=tuple(filter(None, found)))


def replaced(member: Member, **attributes: Any) -> Member:
    return msgspec.structs.replace(member, **attributes)


def without_rule(shape: Members, position: int, watches: frozenset[str]) -> Members:
    rules = list(shape.rules)
    rules[position] = msgspec.structs.replace(rules[position], watches=watches)
    return msgspec.structs.replace(shape, rules=tuple(rules))


@contextmanager
def broken(type_: EntityType, table: Shape) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(routes, "TABLES", {**mapping_tables.TABLES, type_: table})
        routes.table.cache_clear()
        yield
    routes.table.cache_clear()


def noticed(test: Callable[..., Any], **arguments: Any) -> bool:
    """Whether a property fails, tried often enough to be sure."""
    inner = test.hypothesis.inner_test  # type: ignore[attr-defined]
    again = settings(
        max_examples=2000,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )(given(data=st.data())(inner))
    try:
        again(**arguments)
    except (AssertionError, ExceptionGroup, AttributeError, KeyError, TypeError):
        return True
    return False


THERE_AND_BACK = properties.test_there_and_back_is_the_object_but_for_what_was_reported
COMMUTES = properties.test_translating_a_patch_and_applying_it_is_applying_it_and_translating
ONE_WORD = Word(pairs=(("offers", "offers"), ("anyTags", "any-tags"), ("allTags", "any-tags")))

MUTANTS: dict[str, tuple[EntityType, Callable[[Members], Shape], Any, dict[str, str]]] = {
    "two words become one": (
        EntityType.COLLECTION,
        lambda table: changed(table, "xdm:filterType", lambda member: replaced(member, shape=ONE_WORD)),
        THERE_AND_BACK,
        {},
    ),
    "two members become one": (
        EntityType.PERSONALIZED_OFFER,
        lambda table: changed(table, "xdm:linkURL", lambda member: replaced(member, dps=("format",))),
        THERE_AND_BACK,
        {},
    ),
    "data is looked into": (
        EntityType.DECISION_RULE,
        lambda table: changed(
            table, "offerui:segmentModel", lambda member: replaced(member, shape=Keyed(of=Members(members=())))
        ),
        THERE_AND_BACK,
        {},
    ),
    "a pointer ends too early": (
        EntityType.PERSONALIZED_OFFER,
        lambda table: changed(table, "xdm:characteristics", lambda member: replaced(member, shape=Shape())),
        COMMUTES,
        {"style": XCORE},
    ),
    "counters do not move with the offer": (
        EntityType.PERSONALIZED_OFFER,
        lambda table: without_rule(table, 0, frozenset()),
        COMMUTES,
        {"style": XCORE},
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_broken_line_is_noticed(name: str) -> None:
    type_, break_, property_, arguments = MUTANTS[name]

    with broken(type_, break_(mapping_tables.TABLES[type_])):
        assert noticed(property_, type_=type_, **arguments)


BY_RULE = {"cappingConstraint", "profileConstraint", "profileConstraintType", "content", "deliveryURL", "channel"}
"""What rules write is more than another spelling."""

OURS_ALONE = {"contentTypes", "placement", "filter", "status"}
"""The emulator lets pass in dps what documents show in xcore alone, and words that are ours to replace."""


def disagreements(type_: EntityType, document: Json) -> list[str]:
    """List where the emulator's own tables spell an object otherwise than ours."""
    theirs = SCHEMAS[WORDS[type_]].rewrite(document, Rewriting("xcore", "dps", drop_unknown=True, respell=True))
    context = Context(
        resolve=lambda kind, id_: id_ if f":{WORDS[kind]}:" in id_ else None, allowed=frozenset(ALLOWABLE)
    )
    made: Any = translate_document(type_, document, XCORE, DPS, context)
    found = []
    for pointer, value in places(theirs):
        parts = pointer.split("/")[1:]
        free = parts[0] in ("characteristics", "segmentModel")
        known = parts[0] in OURS_ALONE or (parts[0] == "criteria" and parts[-1] == "description")
        if not free and (known or BY_RULE.intersection(parts)):
            continue
        ours = value_at(made.result, pointer)
        if not isinstance(value, (dict, list)) and properties.meant(ours) != properties.meant(value):
            found.append(pointer)
    return found


@pytest.mark.parametrize("type_", list(EntityType))
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_the_emulator_names_every_member_alike(type_: EntityType, data: st.DataObject) -> None:
    document = data.draw(DOCUMENTS[type_])

    assert disagreements(type_, document) == []


def test_a_wrong_name_is_noticed_by_the_emulator() -> None:
    def misnamed(member: Member) -> Member:
        return replaced(member, dps=("langauge",))

    type_ = EntityType.PERSONALIZED_OFFER
    components = [{"@type": "x", "dc:format": "text/html", "dc:language": ["en"]}]
    document = {"xdm:name": "a", "xdm:representations": [{"xdm:components": components}]}
    assert disagreements(type_, document) == []
    with broken(type_, changed(mapping_tables.TABLES[type_], "dc:language", misnamed)):
        assert "/representations/0/components/0/language/0" in disagreements(type_, document)
