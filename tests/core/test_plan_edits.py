"""Merging texts and swaps with each other and with patches, what is to be looked up, and what comes before what."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import UNSET

from migrator.core.edit import edits_of
from migrator.core.model import By, Change, Edit, EntityType, Kind, Operation, Problem, Sought, Step, Swap, TextChange
from migrator.core.plan import identity, merge, stage_of

OFFER = EntityType.PERSONALIZED_OFFER


def patch(line: int, *operations: Operation, object_: str = "o1") -> Change:
    return Change(line, "dev", OFFER, object_, Kind.PATCH, operations)


def put(path: str, value: object = 1) -> Operation:
    return Operation("replace", path, value)


def create(line: int, document: dict[str, object], key: str = "") -> Change:
    return Change(line, "dev", OFFER, "", Kind.CREATE, document=document, key=key)


def delete(line: int) -> Change:
    return Change(line, "dev", OFFER, "o1", Kind.DELETE)


WEB, MAIL = "dps:offer-placement:1", "dps:offer-placement:2"


def text(line: int, placement: str, language: str, content: str = "New", **more: Any) -> Change:
    edit = TextChange(placement, language, content, **more)
    return Change(line, "dev", OFFER, "o1", Kind.EDIT, (edit,))


def test_texts_and_patches_of_an_object_become_one_edit_in_the_order_of_the_file() -> None:
    rows = [
        patch(2, put("/status", "draft"), put("/name", "A")),
        text(3, WEB, "en", was="Old", format="text/html"),
        text(5, WEB, "fr"),
        patch(8, put("/status", "approved")),
    ]
    contradicted = merge("dps", rows)
    step = merge("dps", rows[:3])

    assert isinstance(contradicted, list)
    assert [(problem.line, problem.column) for problem in contradicted] == [(8, "path")]
    assert isinstance(step, Step)
    assert (step.seq, step.kind, step.object) == (2, Kind.EDIT, "o1")
    assert edits_of(step.body) == tuple(edit for row in rows[:3] for edit in row.edits)


@pytest.mark.parametrize("kinds", [(Kind.PATCH, Kind.PATCH), (Kind.PATCH, Kind.EDIT), (Kind.EDIT, Kind.PATCH)])
def test_a_step_is_a_patch_only_if_all_of_its_rows_are(kinds: tuple[Kind, Kind]) -> None:
    rows = [text(line, WEB, "en") if kind is Kind.EDIT else patch(line, put("/a")) for line, kind in enumerate(kinds)]

    step = merge("dps", rows)

    assert isinstance(step, Step)
    assert step.kind is (Kind.EDIT if Kind.EDIT in kinds else Kind.PATCH)


@pytest.mark.parametrize(
    ("earlier", "later", "where"),
    [
        (text(2, WEB, "en", "A"), text(7, WEB, "en", "B"), f"placement {WEB}, language en"),
        (text(2, WEB, "en", "A"), text(7, WEB, "EN", "a"), f"placement {WEB}, language EN"),
        (text(2, WEB, "", "A"), text(7, WEB, "", "B"), f"placement {WEB}"),
        (text(2, "Web, top", "en", "A"), text(7, "Web, top", "en", "B"), "placement Web, top, language en"),
        (
            text(2, WEB, "en", "A", format="text/html"),
            text(7, WEB, "en", "B", format="text/html"),
            f"placement {WEB}, language en",
        ),
    ],
)
def test_rows_that_write_two_texts_in_one_place_contradict(earlier: Change, later: Change, where: str) -> None:
    problems = merge("dps", [earlier, patch(5, put("/name", "A")), later])

    said = f"{where}: contradicts line 2, which writes another text there"
    assert problems == [Problem(7, "content", said, "keep one of the two rows")]


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        (text(2, WEB, "en", "A"), text(7, WEB, "en", "A")),
        (text(2, WEB, "en", "A"), text(7, WEB, "EN", "A", was="B")),
        (text(2, WEB, "en", "A"), text(7, WEB, "fr", "B")),
        (text(2, WEB, "en", "A"), text(7, WEB, "", "B")),
        (text(2, WEB, "en", "A"), text(7, WEB, "en-US", "B")),
        (text(2, WEB, "en", "A"), text(7, MAIL, "en", "B")),
        (text(2, WEB, "en", "A", format="text/html"), text(7, WEB, "en", "B", format="text/plain")),
    ],
)
def test_texts_in_different_places_and_one_text_twice_merge(earlier: Change, later: Change) -> None:
    step = merge("dps", [earlier, later])

    assert isinstance(step, Step)
    assert edits_of(step.body) == (*earlier.edits, *later.edits)


@pytest.mark.parametrize(
    ("first", "second", "contradict"),
    [
        (Swap("/name", "A", "B"), put("/name", "C"), True),
        (put("/name", "C"), Swap("/name", "A", "B"), True),
        (Swap("/name", "A", "B"), put("/name", "B"), False),
        (Swap("/name", UNSET, "B"), Operation("add", "/name", "B"), False),
        (Swap("/rank", {"a": 1}), put("/rank/a", 2), True),
        (Swap("/name", "A"), Operation("remove", "/name"), False),
        # The second finds what the first has left, and does not fit then.
        (Swap("/tags/0", "A", "B"), Swap("/tags/0", "A", "C"), False),
        (Swap("/name", "A", "B"), Swap("/name", "X", "B"), False),
        (Swap("/name", "A", "B"), put("/status", "B"), False),
    ],
)
def test_a_swap_writes_where_its_operation_would(first: Edit, second: Edit, contradict: bool) -> None:
    changes = [Change(line, "dev", OFFER, "o1", Kind.EDIT, (edit,)) for line, edit in ((2, first), (7, second))]

    assert isinstance(merge("dps", changes), list) is contradict


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (delete(9), "deletes the object that line 2 edits"),
        (Change(9, "dev", OFFER, "", Kind.CREATE, document={"name": "x"}, key="k"), "creates the same object as"),
    ],
)
def test_an_edit_does_not_go_with_a_deletion_or_a_create(change: Change, problem: str) -> None:
    problems = merge("dps", [text(2, WEB, "en"), change])

    assert isinstance(problems, list)
    assert [found.message.startswith(problem) for found in problems] == [True]


def test_an_object_that_is_to_be_looked_up_is_known_by_what_it_is_looked_up_by() -> None:
    def sought(by: By, value: str) -> Change:
        return Change(2, "dev", OFFER, "", Kind.PATCH, (put("/a"),), sought=Sought(by, value))

    names = {
        identity(sought(By.NAME, "x")),
        identity(sought(By.NAME, "y")),
        identity(sought(By.REFERENCE, "x")),
        identity(patch(2, put("/a"), object_="x")),
        identity(create(2, {"name": "x"}, "x")),
    }
    assert len(names) == 5


def test_what_refers_to_others_is_deleted_before_them() -> None:
    # Contract section 8: a decision names its fallback, its collection and placements; a collection names tags and
    # offers; offers name tags, rules and placements.
    refers = {
        EntityType.DECISION: {EntityType.FALLBACK_OFFER, EntityType.COLLECTION, EntityType.PLACEMENT},
        EntityType.COLLECTION: {EntityType.TAG, EntityType.PERSONALIZED_OFFER},
        EntityType.PERSONALIZED_OFFER: {EntityType.TAG, EntityType.DECISION_RULE, EntityType.PLACEMENT},
        EntityType.FALLBACK_OFFER: {EntityType.TAG, EntityType.PLACEMENT},
    }

    def stage(type_: EntityType) -> int:
        return stage_of(Change(2, "dev", type_, "o", Kind.DELETE))

    for one, others in refers.items():
        assert all(stage(one) < stage(other) for other in others), one
    assert min(map(stage, EntityType)) > 0


@pytest.mark.parametrize("type_", EntityType)
@pytest.mark.parametrize("kind", sorted(set(Kind) - {Kind.DELETE}))
def test_everything_else_is_done_before_anything_is_deleted(type_: EntityType, kind: Kind) -> None:
    stage = stage_of(Change(2, "dev", type_, "o", kind))

    assert stage < 0 if kind is Kind.COPY else stage == 0, "copies come first, each type after what it refers to"
