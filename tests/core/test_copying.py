"""Copies: what stands for an object that is not made yet, and what is sent once it is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import to_builtins

from migrator.core.copying import Copy, Marks, Reference, copy_of, document_of, unknown
from migrator.core.model import Change, EntityType, Kind
from migrator.core.plan import body_of

MARKS = Marks("4b1d ")
TAG, OFFER = EntityType.TAG, EntityType.PERSONALIZED_OFFER
T = MARKS.mark(TAG, "xcore:tag:1")
P = MARKS.mark(OFFER, "xcore:personalized-offer:1")
IDS = {(TAG, "xcore:tag:1"): "dps:tag:9", (OFFER, "xcore:personalized-offer:1"): "dps:personalized-offer:8"}

PLACES: list[tuple[Any, list[tuple[str, EntityType]], Any]] = [
    ({"name": "no references"}, [], {"name": "no references"}),
    ({"fallback": P}, [("/fallback", OFFER)], {"fallback": "dps:personalized-offer:8"}),
    ({"tags": ["dps:tag:7", T]}, [("/tags/1", TAG)], {"tags": ["dps:tag:7", "dps:tag:9"]}),
    ({"ids": [T, P]}, [("/ids/0", TAG), ("/ids/1", OFFER)], {"ids": ["dps:tag:9", "dps:personalized-offer:8"]}),
    ({"a/b~c": {"": [[T]]}}, [("/a~1b~0c//0/0", TAG)], {"a/b~c": {"": [["dps:tag:9"]]}}),
    # What looks like one without the word is text, and so is the word inside of a text.
    ({"name": "tag xcore:tag:1", "content": f"see {T}"}, [], {"name": "tag xcore:tag:1", "content": f"see {T}"}),
]


@pytest.mark.parametrize(("document", "places", "sent"), PLACES)
def test_a_mark_becomes_the_id_of_what_was_made(document: Any, places: list[tuple[str, EntityType]], sent: Any) -> None:
    copy = MARKS.copy(document)

    assert [(one.path, one.type) for one in copy.references] == places
    assert json.loads(document_of(copy, IDS)) == sent
    change = Change(2, "prod", OFFER, "", Kind.COPY, document=to_builtins(copy))
    assert copy_of(body_of(change)) == copy


def test_what_is_not_made_is_named() -> None:
    copy = Copy({"tags": [T, T]}, (Reference("/tags/0", TAG, "xcore:tag:1"), Reference("/tags/1", TAG, "xcore:tag:2")))

    assert [one.path for one in unknown(copy, IDS)] == ["/tags/1"]
    assert not unknown(MARKS.copy({"tags": [T]}), IDS)


def test_the_same_id_of_another_type_is_another_object() -> None:
    assert unknown(Copy({}, (Reference("/x", OFFER, "xcore:tag:1"),)), IDS)
