"""The base of a patch: which places it touches, what stands there on either side, and what guards it."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from msgspec import UNSET

from migrator.core import base as rules
from migrator.core.base import examine, is_idempotent, now_at, result_of
from migrator.core.compare import same, same_place
from migrator.core.edit import edits_body, edits_of
from migrator.core.model import Base, EntityType, Json, Kind, Operation, Seen, Step, Touched
from migrator.core.patch import CannotApply, apply
from migrator.core.pointers import value_at
from migrator.core.styles import DPS, XCORE
from migrator.core.styles.base import Style
from tests.core.drawn import patches
from tests.core.styles import STYLES

DOCUMENT = {"name": "Old", "tags": ["t1", "t2"], "rank": {"priority": 0, "kind": "x"}, "a/b": {"m~n": 1}, "0": "zero"}


def add(path: str, value: Json = "new") -> Operation:
    return Operation("add", path, value)


def put(path: str, value: Json = "new") -> Operation:
    return Operation("replace", path, value)


def remove(path: str) -> Operation:
    return Operation("remove", path)


def copy(source: str, path: str) -> Operation:
    return Operation("copy", path, source=source)


def test(path: str, value: Json) -> Operation:
    return Operation("test", path, value)


test.__test__ = False  # type: ignore[attr-defined]


def step_of(kind: Kind, body: bytes) -> Step:
    return Step(2, "k", "dev", EntityType.DECISION_RULE, "o", kind, body)


def base_of(operations: Sequence[Operation], style: Style = DPS, document: Json = None, etag: int | None = 4) -> Base:
    seen = Seen("o", "o", etag, DOCUMENT if document is None else document)
    base = examine(step_of(Kind.PATCH, edits_body(operations)), seen, style)
    assert isinstance(base, Base)
    return base


def operations_of(body: bytes) -> list[Operation]:
    return [one for one in edits_of(body) if isinstance(one, Operation)]


def sent(base: Base) -> list[str]:
    """Spell a body in short."""
    return [
        " ".join(filter(None, (one.op, one.source, one.path, "" if one.op in ("remove", "copy") else repr(one.value))))
        for one in operations_of(base.body)
    ]


@pytest.mark.parametrize(
    ("operations", "touched"),
    [
        # A member: replaced, added over another, added where none was, removed, copied to.
        ([put("/name")], [Touched("/name", "Old", "new")]),
        ([add("/name")], [Touched("/name", "Old", "new")]),
        ([add("/more")], [Touched("/more", UNSET, "new")]),
        ([add("/more", None)], [Touched("/more", UNSET, None)]),
        ([remove("/name")], [Touched("/name", "Old", UNSET)]),
        ([copy("/rank", "/more")], [Touched("/more", UNSET, {"priority": 0, "kind": "x"})]),
        ([copy("/name", "/rank/kind")], [Touched("/rank/kind", "x", "Old")]),
        ([put("/rank/priority", 5)], [Touched("/rank/priority", 0, 5)]),
        ([put("/a~1b/m~0n", 2)], [Touched("/a~1b/m~0n", 1, 2)]),
        # An element is replaced where it is. What moves elements touches the array.
        ([put("/tags/0", "x")], [Touched("/tags/0", "t1", "x")]),
        ([add("/tags/-", "x")], [Touched("/tags", ["t1", "t2"], ["t1", "t2", "x"])]),
        ([add("/tags/0", "x")], [Touched("/tags", ["t1", "t2"], ["x", "t1", "t2"])]),
        ([remove("/tags/0")], [Touched("/tags", ["t1", "t2"], ["t2"])]),
        ([copy("/name", "/tags/-")], [Touched("/tags", ["t1", "t2"], ["t1", "t2", "Old"])]),
        ([copy("/tags/1", "/tags/0")], [Touched("/tags", ["t1", "t2"], ["t2", "t1", "t2"])]),
        # A number is an index, and a - the end, in an array only.
        ([add("/-")], [Touched("/-", UNSET, "new")]),
        ([add("/rank/-")], [Touched("/rank/-", UNSET, "new")]),
        ([remove("/0")], [Touched("/0", "zero", UNSET)]),
        # Of places inside of each other the outermost counts, in the order in which they come.
        ([put("/rank/priority", 5), put("/rank", {})], [Touched("/rank", {"priority": 0, "kind": "x"}, {})]),
        ([put("/rank", {}), add("/rank/priority", 5)], [Touched("/rank", DOCUMENT["rank"], {"priority": 5})]),
        ([add("/more", {}), add("/more/deep", 1)], [Touched("/more", UNSET, {"deep": 1})]),
        ([add("/more", []), add("/more/0", 1)], [Touched("/more", UNSET, [1])]),
        ([put("/tags/0", "x"), remove("/tags/1")], [Touched("/tags", ["t1", "t2"], ["x"])]),
        ([put("/tags/0", "x"), put("/name")], [Touched("/tags/0", "t1", "x"), Touched("/name", "Old", "new")]),
        ([put("/name", "A"), put("/name", "B")], [Touched("/name", "Old", "B")]),
        ([add("/ran", 1), put("/rank/kind")], [Touched("/ran", UNSET, 1), Touched("/rank/kind", "x", "new")]),
        # What comes and goes, and what stays as it is, is touched all the same.
        ([add("/more"), remove("/more")], [Touched("/more", UNSET, UNSET)]),
        ([put("/name", "Old")], [Touched("/name", "Old", "Old")]),
        # A test touches nothing.
        ([test("/name", "Old")], []),
        ([test("/name", "Old"), put("/rank/priority", 5)], [Touched("/rank/priority", 0, 5)]),
        ([], []),
    ],
)
@STYLES
def test_a_patch_touches_these_places(style: Style, operations: list[Operation], touched: list[Touched]) -> None:
    assert base_of(operations, style).touched == tuple(touched)


@pytest.mark.parametrize(
    ("operations", "body"),
    [
        # What can be repeated keeps its operations, behind a test of each value that it touches.
        ([put("/name", "N")], ["test /name 'Old'", "replace /name 'N'"]),
        ([add("/name", "N")], ["test /name 'Old'", "add /name 'N'"]),
        ([put("/tags/0", "x")], ["test /tags/0 't1'", "replace /tags/0 'x'"]),
        ([put("/name", "N"), add("/more", 1)], ["test /name 'Old'", "replace /name 'N'", "add /more 1"]),
        (
            [test("/0", "zero"), put("/name", "N")],
            ["test /name 'Old'", "test /0 'zero'", "replace /name 'N'"],
        ),
        # What would do more, or could not be done, the second time is sent as its effect.
        ([add("/tags/-", "x")], ["test /tags ['t1', 't2']", "replace /tags ['t1', 't2', 'x']"]),
        ([remove("/tags/0")], ["test /tags ['t1', 't2']", "replace /tags ['t2']"]),
        ([remove("/name")], ["test /name 'Old'", "remove /name"]),
        (
            [add("/tags/-", "x"), put("/name", "N"), add("/more", 1)],
            [
                "test /tags ['t1', 't2']",
                "test /name 'Old'",
                "replace /tags ['t1', 't2', 'x']",
                "replace /name 'N'",
                "add /more 1",
            ],
        ),
        # … without what does not change in the end.
        (
            [remove("/name"), put("/rank/kind", "x")],
            ["test /name 'Old'", "test /rank/kind 'x'", "remove /name"],
        ),
        # Tests of the author stay if they look elsewhere.
        (
            [test("/name", "Old"), test("/rank/kind", "x"), test("/tags/0", "t1"), remove("/tags/0")],
            ["test /tags ['t1', 't2']", "test /name 'Old'", "test /rank/kind 'x'", "replace /tags ['t2']"],
        ),
        ([test("/name", "Old"), put("/name", "N")], ["test /name 'Old'", "replace /name 'N'"]),
        # One that was meant for the middle is put in front as what was there then.
        (
            [remove("/rank/kind"), test("/rank", {"priority": 0})],
            ["test /rank/kind 'x'", "test /rank {'priority': 0, 'kind': 'x'}", "remove /rank/kind"],
        ),
    ],
)
def test_a_patch_in_dps_carries_its_guard(operations: list[Operation], body: list[str]) -> None:
    base = base_of(operations)

    assert sent(base) == body
    assert base.guarded
    assert base.etag == 4


@pytest.mark.parametrize(
    "operations",
    [
        [add("/more", 1)],
        [add("/more", 1), add("/rank/more", 2)],
        [add("/more", 1), remove("/more")],
        [put("/name", "Old")],
        [put("/rank/priority", 0.0)],
        [put("/rank", {"kind": "x", "priority": 0})],
        [add("/tags/-", "x"), remove("/tags/2")],
        [test("/name", "Old")],
        [],
    ],
)
def test_where_no_value_becomes_another_there_is_nothing_to_test(operations: list[Operation]) -> None:
    base = base_of(operations)

    assert not base.guarded
    assert base.body == edits_body(operations)
    assert base.touched is not None


NEVER_FITS = [
    [put("/nobody")],
    [remove("/nobody")],
    [add("/nobody/deep")],
    [add("/name/deep")],
    [add("/tags/9", "x")],
    [add("/tags/x", "x")],
    [copy("/nobody", "/name")],
    [test("/name", "Other"), put("/name")],
    [put("/name"), test("/name", "Old")],
]


@pytest.mark.parametrize("operations", NEVER_FITS)
def test_of_a_patch_that_does_not_fit_only_the_version_is_known(operations: list[Operation]) -> None:
    body = edits_body(operations)

    assert base_of(operations) == Base(4, None, body, guarded=False, name="Old")
    assert base_of(operations, XCORE) == Base(4, None, body, guarded=True)
    assert base_of(operations, XCORE, etag=None) == Base(None, None, body, guarded=False)


@pytest.mark.parametrize("operations", [[put("/name")], [add("/tags/-", "x")], [add("/more")], [put("/name", "Old")]])
def test_a_patch_in_xcore_goes_as_it_is_and_its_etag_guards_it(operations: list[Operation]) -> None:
    base = base_of(operations, XCORE)
    assert (base.etag, base.body, base.guarded) == (4, edits_body(operations), True)

    untold = base_of(operations, XCORE, etag=None)
    assert (untold.etag, untold.body, untold.guarded) == (None, edits_body(operations), False)
    assert untold.touched == base.touched


def test_a_guard_in_dps_does_not_need_an_etag() -> None:
    base = base_of([put("/name")], etag=None)

    assert base.guarded
    assert base.etag is None


def test_a_patch_that_would_be_too_large_with_its_guard_goes_without(monkeypatch: pytest.MonkeyPatch) -> None:
    operations = [add("/tags/-", "x")]
    guarded = base_of(operations)
    monkeypatch.setattr(rules, "MAX_GUARDED_BYTES", len(guarded.body))
    assert base_of(operations) == guarded

    monkeypatch.setattr(rules, "MAX_GUARDED_BYTES", len(guarded.body) - 1)
    assert base_of(operations) == Base(4, guarded.touched, edits_body(operations), guarded=False, name="Old")


# --- replacements -----------------------------------------------------------------------------------------------------

KEPT: dict[str, dict[str, Json]] = {"dps": {"id": "o", "etag": 4, "modified": "now"}, "xcore": {"@id": "xcore:o"}}


def replaced(wanted: Json, style: Style, own: Json = None, etag: int | None = 4) -> tuple[Step, Seen, Base]:
    """Return a replacement, its object as it is seen with what the service shows beside the members, and the base."""
    members = {**KEPT[style.name], **(DOCUMENT if own is None else own)}
    seen = Seen("o", "o", etag, {"_instance": members, "repo:etag": etag} if style.root else members)
    step = step_of(Kind.REPLACE, json.dumps(wanted).encode())
    base = examine(step, seen, style)
    assert isinstance(base, Base)
    return step, seen, base


@STYLES
@pytest.mark.parametrize(
    ("wanted", "own", "touched"),
    [
        # Each member of either document is touched, also where it stays as it is; in the order in which they come.
        ({"name": "N"}, {"name": "O"}, [("name", "O", "N")]),
        ({"name": "O"}, {"name": "O"}, [("name", "O", "O")]),
        ({"name": "N", "more": [1]}, {"name": "O"}, [("name", "O", "N"), ("more", UNSET, [1])]),
        ({"name": "O"}, {"gone": None, "name": "O"}, [("name", "O", "O"), ("gone", None, UNSET)]),
        ({"name": "N", "rank": {"b": 2}}, {"rank": {"a": 1}}, [("name", UNSET, "N"), ("rank", {"a": 1}, {"b": 2})]),
        ({"name": "N", "a/b": 1}, {"m~n": 2}, [("name", UNSET, "N"), ("a~1b", UNSET, 1), ("m~0n", 2, UNSET)]),
        ({"name": "N", "0": 1, "-": 2}, {}, [("name", UNSET, "N"), ("0", UNSET, 1), ("-", UNSET, 2)]),
    ],
)
def test_a_replacement_touches_the_members_of_both_documents_but_not_the_service_s(
    style: Style, wanted: Json, own: Json, touched: list[tuple[str, Json, Json]]
) -> None:
    *_, base = replaced(wanted, style, own)

    assert base.touched == tuple(Touched(f"{style.root}/{name}", *sides) for name, *sides in touched)


def test_a_replacement_is_guarded_by_its_etag_or_not_at_all() -> None:
    guarded = [replaced({"name": "N"}, style, etag=etag)[2].guarded for style in (DPS, XCORE) for etag in (4, None)]
    assert guarded == [False, False, True, False]


@STYLES
def test_a_replacement_goes_as_it_was_planned(style: Style) -> None:
    step, _, base = replaced({"name": "N"}, style)
    assert (base.body, base.etag) == (step.body, 4)


@STYLES
@pytest.mark.parametrize("wanted", [{"name": "N"}, {**DOCUMENT, "rank": []}, {"name": "N", "a/b": {"~": "/"}}])
def test_a_replacement_leaves_what_it_says_beside_the_service_s_and_may_be_repeated(style: Style, wanted: Json) -> None:
    step, seen, _ = replaced(wanted, style)
    before = json.dumps(seen.document)

    result = result_of(step, seen.document, style)

    assert value_at(result, style.root) == {**KEPT[style.name], **wanted}
    assert json.dumps(seen.document) == before
    assert is_idempotent(step, seen.document, style)


@pytest.mark.parametrize("instance", [None, [], "text", UNSET])
def test_of_a_replacement_of_what_cannot_be_read_only_the_version_is_known(instance: Json) -> None:
    seen = Seen("o", "o", 4, {} if instance is UNSET else {"_instance": instance})
    step = step_of(Kind.REPLACE, b'{"xdm:name": "N"}')

    assert examine(step, seen, XCORE) == Base(4, None, step.body, guarded=True)
    assert not is_idempotent(step, seen.document, XCORE)


def test_what_stands_at_a_place_is_compared_as_json() -> None:
    assert same_place(UNSET, UNSET)
    assert not same_place(UNSET, None)
    assert not same_place(None, UNSET)
    assert not same_place(1, True)
    assert same_place(1, 1.0)
    assert now_at([Touched("/name"), Touched("/tags/1"), Touched("/gone")], DOCUMENT) == ["Old", "t2", UNSET]


# --- for random documents and patches ---------------------------------------------------------------------------------


@settings(max_examples=400, deadline=None)
@given(patches())
def test_the_guarded_body_does_what_the_patch_does_and_only_once(drawn: tuple[list[Operation], Json, Json]) -> None:
    operations, document, result = drawn
    unchanged = json.dumps(document)

    base = base_of(operations, document=document)

    assert same(apply(operations_of(base.body), document), result)
    assert json.dumps(document) == unchanged
    if base.guarded:
        with pytest.raises(CannotApply):
            apply(operations_of(base.body), result)
    else:
        assert base.body == edits_body(operations)


@settings(max_examples=400, deadline=None)
@given(patches())
def test_outside_of_the_touched_places_nothing_changes(drawn: tuple[list[Operation], Json, Json]) -> None:
    operations, document, result = drawn

    base = base_of(operations, XCORE, document=document)

    assert base.touched is not None
    for place in base.touched:
        assert same_place(place.before, value_at(document, place.path))
        assert same_place(place.after, value_at(result, place.path))
        others = [other.path for other in base.touched if other is not place]
        assert not any(f"{place.path}/".startswith(f"{other}/") for other in others)
    assert same(without(base.touched, document), without(base.touched, result))


def without(places: Sequence[Touched], document: Json) -> Json:
    """Return `document` with nothing at these places, and null where that would move elements."""
    for place in places:
        if value_at(document, place.path) is not UNSET:
            in_array = isinstance(value_at(document, place.path.rpartition("/")[0]), list)
            document = apply([put(place.path, None) if in_array else remove(place.path)], document)
    return document
