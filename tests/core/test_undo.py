"""Undoing: what takes back a change exactly, what of others' work it leaves alone, and what nothing can take back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from msgspec import UNSET

from migrator.core.base import Unfit, examine
from migrator.core.compare import same, same_place
from migrator.core.edit import edits_body, edits_of
from migrator.core.model import Base, EntityType, Json, Kind, Operation, Seen, Step, Swap, Touched
from migrator.core.patch import apply
from migrator.core.plan import restoring_stage_of, step_of
from migrator.core.pointers import value_at
from migrator.core.styles import DPS, XCORE, Style
from migrator.core.undo import Lasting, Made, Undo, undo
from migrator.core.verdict import ErrorClass
from tests.core.drawn import patches, patches_and_edits
from tests.core.styles import STYLES

ETAG = 4


def step(kind: Kind = Kind.PATCH, body: bytes = b"", object_: str = "o", type_: str = "tag") -> Step:
    return Step(7, "key", "dev", EntityType(type_), object_, kind, body)


def made(one: Step, document: Json, style: Style, etag: int = ETAG) -> Made:
    """Make a change and return it as its ledger tells; the service answered with the next version."""
    base = examine(one, Seen("o", "o", etag, document), style)
    assert isinstance(base, Base)
    return Made(one, base, etag + 1, told=True)


def after(change: Made, document: Json) -> Json:
    """Return what a change makes of a document."""
    assert change.base is not None
    return apply(operations(change.base.body), document)


def operations(body: bytes) -> list[Operation]:
    return [edit for edit in edits_of(body) if isinstance(edit, Operation)]


def undoing(change: Made, style: Style) -> Step | None:
    """Return the step that undoes a change, `None` if nothing is to be done."""
    found = undo(change, style, recreate=False)
    assert not isinstance(found, Lasting)
    return step_of(style.name, [found.change]) if found else None


def fit(undoing: Step, document: Json, style: Style, etag: int) -> Base | Unfit:
    return examine(undoing, Seen("o", "o", etag, document), style)


def overlap(one: str, other: str) -> bool:
    return one == other or one.startswith(other + "/") or other.startswith(one + "/")


# --- patches, at random -----------------------------------------------------------------------------------------------


@STYLES
@settings(max_examples=400, deadline=None)
@given(drawn=patches())
def test_what_is_undone_is_exactly_as_it_was(drawn: tuple[list[Operation], Json, Json], style: Style) -> None:
    patch, document, result = drawn
    change = made(step(body=edits_body(patch)), document, style)

    back = undoing(change, style)

    if back is None:
        assert same(result, document)
        return
    base = fit(back, result, style, ETAG + 1)
    assert isinstance(base, Base)
    assert same(apply(operations(base.body), result), document)


@STYLES
@settings(max_examples=200, deadline=None)
@given(drawn=patches())
def test_an_undoing_that_is_undone_has_made_the_change_again(
    drawn: tuple[list[Operation], Json, Json], style: Style
) -> None:
    patch, document, result = drawn
    back = undoing(made(step(body=edits_body(patch)), document, style), style)
    if back is None:
        return

    again = undoing(made(back, result, style, ETAG + 1), style)

    assert again is not None
    base = fit(again, document, style, ETAG + 2)
    assert isinstance(base, Base)
    assert same(apply(operations(base.body), document), result)


@STYLES
@settings(max_examples=600, deadline=None)
@given(drawn=patches_and_edits())
def test_what_somebody_else_has_edited_since_stays(
    drawn: tuple[list[Operation], Json, list[Operation]], style: Style
) -> None:
    patch, document, others = drawn
    change = made(step(body=edits_body(patch)), document, style)
    back = undoing(change, style)
    if back is None:
        return
    result = after(change, document)
    edit = made(step(body=edits_body(others)), result, style, ETAG + 1)
    edited = after(edit, result)
    ours = [place for place in (change.base and change.base.touched) or () if not same_place(place.before, place.after)]
    theirs = [place.path for place in (edit.base and edit.base.touched) or ()]

    base = fit(back, edited, style, ETAG + 2)

    elsewhere = [path for path in theirs if not any(overlap(path, place.path) for place in ours)]
    if len(elsewhere) == len(theirs):
        assert isinstance(base, Base), "others have edited only elsewhere"
    if any(_is_something_else(value_at(edited, place.path), place) for place in ours):
        assert isinstance(base, Unfit), "a place has neither what was there before nor what we wrote"
    if isinstance(base, Base):
        undone = apply(operations(base.body), edited)
        assert all(same_place(value_at(undone, place.path), place.before) for place in ours)
        assert all(same_place(value_at(undone, path), value_at(edited, path)) for path in elsewhere)


def _is_something_else(now: Json, place: Touched) -> bool:
    return not same_place(now, place.before) and not same_place(now, place.after)


# --- patches, one by one ----------------------------------------------------------------------------------------------

BEFORE = {"name": "Old", "tags": ["t1", "t2"], "rank": {"priority": 0}, "reps": [{"text": "a"}, {"text": "b"}]}


@pytest.mark.parametrize(
    ("patch", "swaps"),
    [
        ([("replace", "/name", "New")], [("/name", "New", "Old")]),
        ([("add", "/more", 1)], [("/more", 1, UNSET)]),
        ([("remove", "/name")], [("/name", UNSET, "Old")]),
        # An append touches the whole list; a replacement one element; several of them, each.
        ([("add", "/tags/-", "t3")], [("/tags", ["t1", "t2", "t3"], ["t1", "t2"])]),
        ([("replace", "/tags/1", "x")], [("/tags/1", "x", "t2")]),
        ([("replace", "/tags/0", "x"), ("replace", "/tags/1", "y")], [("/tags/1", "y", "t2"), ("/tags/0", "x", "t1")]),
        ([("replace", "/tags/0", "x"), ("remove", "/tags/1")], [("/tags", ["x"], ["t1", "t2"])]),
        ([("replace", "/reps/1/text", "c")], [("/reps/1/text", "c", "b")]),
        # What is inside of something that is new goes with it.
        ([("add", "/more", {}), ("add", "/more/deep", 1)], [("/more", {"deep": 1}, UNSET)]),
        # What is as it was needs nothing.
        ([("replace", "/name", "New"), ("replace", "/rank/priority", 0)], [("/name", "New", "Old")]),
        ([("add", "/more", 1), ("remove", "/more")], None),
    ],
)
def test_places_are_put_back_from_the_last_to_the_first(
    patch: list[tuple[Any, ...]], swaps: list[tuple[str, Json, Json]] | None
) -> None:
    change = made(step(body=edits_body(Operation(*one) for one in patch)), BEFORE, DPS)

    found = undo(change, DPS, recreate=False)

    if swaps is None:
        assert found is None
        return
    assert isinstance(found, Undo)
    assert found.change.edits == tuple(Swap(path, was, value, ETAG + 1) for path, was, value in swaps)
    assert (found.change.line, found.change.object, found.change.kind) == (7, "o", Kind.EDIT)


def test_in_dps_the_place_is_tested_by_the_service_and_in_xcore_the_version() -> None:
    change = made(step(body=edits_body([Operation("replace", "/name", "New")])), BEFORE, DPS)
    back = undoing(change, DPS)
    assert back is not None
    now = BEFORE | {"name": "New"}

    in_dps, in_xcore = fit(back, now, DPS, 9), fit(back, now, XCORE, 9)

    assert isinstance(in_dps, Base)
    assert operations(in_dps.body) == [Operation("test", "/name", "New"), Operation("replace", "/name", "Old")]
    assert isinstance(in_xcore, Base)
    assert (in_xcore.etag, in_xcore.guarded) == (9, True)


SENT = {"starts": "2026-01-01T00:00:00Z", "kind": "any-tags"}


class TestWhatTheServiceMakesOfWhatWasSent:
    def found(self, now: Json, etag: int, *, told: bool = True) -> Base | Unfit:
        one = step(body=edits_body([Operation("add", "/more", SENT)]))
        base = examine(one, Seen("o", "o", ETAG, BEFORE), DPS)
        assert isinstance(base, Base)
        back = undoing(Made(one, base, ETAG + 1 if told else ETAG + 2, told), DPS)
        assert back is not None
        return fit(back, BEFORE | {"more": now}, DPS, etag)

    @pytest.mark.parametrize("now", [SENT, SENT | {"added": 1}, SENT | {"kind": "anyTags"}, None])
    def test_is_ours_as_long_as_nobody_has_written_since(self, now: Json) -> None:
        assert isinstance(self.found(now, ETAG + 1), Base)

    def test_is_ours_later_too_if_only_a_date_is_spelled_anew(self) -> None:
        assert isinstance(self.found(SENT | {"starts": "2026-01-01T00:00:00.000+00:00"}, ETAG + 5), Base)

    @pytest.mark.parametrize("now", [SENT | {"added": 1}, SENT | {"kind": "anyTags"}, None])
    def test_may_be_somebodys_work_once_the_object_was_written(self, now: Json) -> None:
        found = self.found(now, ETAG + 2)

        assert isinstance(found, Unfit)
        assert found.error is ErrorClass.CONFLICT
        assert "/more" in found.message

    def test_may_be_somebodys_work_if_a_look_found_it_in_a_later_version(self) -> None:
        assert isinstance(self.found(SENT | {"added": 1}, ETAG + 2, told=False), Unfit)


# --- creates and deletions --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("etag", "told"), [(1, True), (3, True), (1, False)])
def test_what_was_created_is_deleted_in_the_version_in_which_it_was_made(etag: int, told: bool) -> None:
    found = undo(Made(step(Kind.CREATE, b'{"name":"A"}', "new"), None, etag, told), DPS, recreate=False)

    assert isinstance(found, Undo)
    assert (found.change.kind, found.change.object, found.version) == (Kind.DELETE, "new", etag)


READ: dict[str, tuple[Style, Json]] = {
    "dps": (
        DPS,
        {"id": "o", "etag": 3, "schemas": ["s"], "created": "2026", "lastModifiedBy": "us", "name": "A", "ids": ["x"]},
    ),
    "xcore": (
        XCORE,
        {"instanceId": "i", "repo:etag": 3, "_links": {}, "_instance": {"@id": "o", "name": "A", "ids": ["x"]}},
    ),
}


@pytest.mark.parametrize("style", READ)
def test_what_was_deleted_is_created_anew_without_what_is_the_services(style: str) -> None:
    rules, document = READ[style]
    deletion = made(step(Kind.DELETE), document, rules)

    refused = undo(deletion, rules, recreate=False)
    found = undo(deletion, rules, recreate=True)

    assert isinstance(refused, Lasting)
    assert "--recreate" in refused.reason
    assert isinstance(found, Undo)
    assert (found.change.kind, found.change.object, found.version) == (Kind.CREATE, "", None)
    assert found.change.document == {"name": "A", "ids": ["x"]}


@pytest.mark.parametrize(
    "lasting",
    [
        pytest.param(Made(step(), None, 5, told=True), id="a patch without a base"),
        pytest.param(Made(step(), Base(4, None, b"", guarded=True), 5, told=True), id="a patch of unknown effect"),
        pytest.param(Made(step(Kind.CREATE, object_=""), None, 1, told=True), id="a create without an id"),
        pytest.param(Made(step(Kind.CREATE), None, None, told=True), id="a create without a version"),
        pytest.param(Made(step(Kind.CREATE), None, 2, told=False), id="a create that was edited before it was found"),
        pytest.param(Made(step(Kind.DELETE), None, None, told=True), id="a deletion without a base"),
    ],
)
def test_what_is_not_known_cannot_be_undone(lasting: Made) -> None:
    found = undo(lasting, DPS, recreate=True)

    assert isinstance(found, Lasting)
    assert (found.line, found.type, found.object) == (7, EntityType.TAG, lasting.step.object)
    assert found.reason


def test_what_was_deleted_comes_back_before_all_else_and_what_was_created_goes_last() -> None:
    def stages(kind: Kind, documents: Sequence[str]) -> list[int]:
        base = Base(1, (Touched("", before={"name": "A"}),), b"", guarded=False)
        found = [undo(Made(step(kind, type_=type_), base, 1, told=True), DPS, recreate=True) for type_ in documents]
        return [restoring_stage_of(one.change) for one in found if isinstance(one, Undo)]

    order = ["placement", "personalized-offer", "collection", "decision"]
    back, away = stages(Kind.DELETE, order), stages(Kind.CREATE, order[::-1])

    assert back == sorted(set(back))
    assert away == sorted(set(away))
    assert max(back) < 0 < min(away)
    assert stages(Kind.DELETE, ["tag", "decision-rule", "fallback-offer"]) == [back[0], back[0], back[1]]


def test_swaps_come_back_from_a_ledger_as_they_went_in() -> None:
    swaps = (Swap("/a", was=None, value=UNSET, version=3), Swap("/b", value={"x": [1]}))

    assert edits_of(edits_body(swaps)) == swaps
    assert msgspec.json.decode(edits_body(swaps)) == [
        {"swap": {"path": "/a", "was": None, "version": 3}},
        {"swap": {"path": "/b", "value": {"x": [1]}}},
    ]
