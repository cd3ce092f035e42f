"""Whether an object is as it was written, as tables, in both endpoint styles."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from migrator.core.base import examine
from migrator.core.edit import edits_body
from migrator.core.model import Base, Edit, EntityType, Json, Kind, Operation, Seen, Step, Swap, TextChange
from migrator.core.patch import CannotApply, apply
from migrator.core.states import State
from migrator.core.styles import DPS
from migrator.core.styles.base import Style
from migrator.core.verify import Difference, Written, effect_of_patch, judge
from tests.core.styles import STYLES

GONE = "the object is not there any more"
NOON, NOON_IN_BERLIN = "2026-01-01T12:00:00.000+00:00", "2026-01-01T13:00:00+01:00"


def seen(style: Style, members: dict[str, Json]) -> Seen:
    return Seen("o", "o", 1, {style.root[1:]: members} if style.root else members)


def step_of(kind: Kind, body: bytes) -> Step:
    return Step(2, "k", "dev", EntityType.PERSONALIZED_OFFER, "o", kind, body)


def rooted(style: Style, edit: Edit) -> Edit:
    return edit if isinstance(edit, TextChange) else replace(edit, path=style.root + edit.path)


def changed(
    style: Style, before: dict[str, Json], *edits: Edit, kind: Kind = Kind.PATCH, state: State = State.APPLIED
) -> Written:
    """Return a change that was made on an object that was so before."""
    step = step_of(kind, edits_body(rooted(style, edit) for edit in edits))
    base = examine(step, seen(style, before), style)
    assert isinstance(base, Base)
    return Written(step, state, base.touched if state is State.APPLIED else None, 1)


def blind(style: Style, *operations: Operation) -> Written:
    """Return a patch that was sent without looking."""
    return Written(step_of(Kind.PATCH, edits_body(rooted(style, one) for one in operations)), State.APPLIED, None, 1)


def told(style: Style, written: Written, now: dict[str, Json] | None) -> list[str]:
    """Return what is said of an object that is so now, without the root of the style."""
    judgement = judge(written, None if now is None else seen(style, now), style)
    return [str(difference).removeprefix(style.root) for difference in judgement.differences]


# --- what was there before is known -----------------------------------------------------------------------------------

RENAME = Operation("replace", "/name", "New")
APPEND = Operation("add", "/tags/-", "b")
OLD: dict[str, Json] = {"name": "Old", "tags": ["a"], "start": NOON, "rank": {"priority": 1}}


@STYLES
@pytest.mark.parametrize(
    ("operations", "now", "says"),
    [
        ([RENAME], {"name": "New"}, []),
        ([RENAME], {"name": "New", "others": "may do what they like"}, []),
        ([RENAME], {"name": "Old"}, ['/name is "Old", expected "New"']),
        ([RENAME], {}, ['/name is not there, expected "New"']),
        ([RENAME], None, [GONE]),
        ([Operation("remove", "/name")], {}, []),
        ([Operation("remove", "/name")], {"name": "Back"}, ['/name is "Back", expected nothing']),
        # An append has left a whole array.
        ([APPEND], {"tags": ["a", "b"]}, []),
        ([APPEND], {"tags": ["a", "b", "c"]}, ['/tags is ["a","b","c"], expected ["a","b"]']),
        ([APPEND], {"tags": ["a"]}, ['/tags is ["a"], expected ["a","b"]']),
        ([APPEND], {"tags": ["b", "a"]}, ['/tags/0 is "b", expected "a"', '/tags/1 is "a", expected "b"']),
        # The service spells dates its own way, and adds members by itself …
        ([Operation("replace", "/start", NOON_IN_BERLIN)], {"start": NOON}, []),
        (
            [Operation("replace", "/start", NOON_IN_BERLIN)],
            {"start": "2026-01-01T13:00:00Z"},
            [f'/start is "2026-01-01T13:00:00Z", expected "{NOON_IN_BERLIN}"'],
        ),
        ([Operation("replace", "/rank", {"order": 2})], {"rank": {"order": 2, "default": 0}}, []),
        # … but none that was there before and was to go, and it may not drop any.
        (
            [Operation("replace", "/rank", {"order": 2})],
            {"rank": {"order": 2, "priority": 1}},
            ["/rank/priority is 1, expected nothing"],
        ),
        (
            [Operation("add", "/more", {"a/b": 1, "c~d": 2})],
            {"more": {"c~d": 2}},
            ["/more/a~1b is not there, expected 1"],
        ),
        ([Operation("add", "/more", {"x": [1, 2]})], {"more": {"x": [1, 3]}}, ["/more/x/1 is 3, expected 2"]),
        ([RENAME, APPEND], {"name": "New", "tags": []}, ['/tags is [], expected ["a","b"]']),
    ],
)
def test_each_place_that_a_patch_touched_is_compared(
    style: Style, operations: list[Operation], now: dict[str, Json] | None, says: list[str]
) -> None:
    assert told(style, changed(style, OLD, *operations), now) == says


@STYLES
def test_a_difference_names_both_values(style: Style) -> None:
    judgement = judge(changed(style, OLD, RENAME), seen(style, {"name": "Theirs"}), style)
    assert judgement.differences == (Difference(f"{style.root}/name", "New", "Theirs"),)
    assert judgement.unchecked == ()


@STYLES
@pytest.mark.parametrize(
    ("now", "says"),
    [
        ({"name": "New", "start": NOON, "tags": ["a"]}, []),
        ({"name": "New", "start": "2026-01-01T12:00:00Z"}, []),
        ({"name": "Old", "start": NOON}, ['/name is "Old", expected "New"']),
        ({"start": NOON}, ["the change does not fit any more: replace /name: /name is not there"]),
        (None, [GONE]),
    ],
)
def test_what_was_as_wanted_already_still_has_to_be(style: Style, now: dict[str, Json] | None, says: list[str]) -> None:
    wanted = [RENAME, Operation("replace", "/start", NOON)]
    found = changed(style, {"name": "New", "start": NOON}, *wanted, state=State.UNCHANGED)
    assert [sentence.replace(style.root, "") for sentence in told(style, found, now)] == says


# --- edits, creates, deletions ----------------------------------------------------------------------------------------


def offer(style: Style, *texts: tuple[str, str, str]) -> dict[str, Json]:
    """Return an offer with such texts: placement, language, content."""
    names = style.texts
    representations = [
        {
            names.placement: placement,
            names.components: [{names.format: "text/html", names.language: [language], names.content: content}],
        }
        for placement, language, content in texts
    ]
    return {names.representations.removeprefix(f"{style.root}/"): representations}


@STYLES
def test_a_text_is_found_where_it_has_moved_to(style: Style) -> None:
    text = TextChange("p1", "en", "New")
    written = changed(style, offer(style, ("p1", "en", "Old"), ("p2", "en", "Two")), text, kind=Kind.EDIT)
    content = f"/{style.texts.representations.rpartition('/')[2]}/0/{style.texts.components}/0/{style.texts.content}"

    assert told(style, written, offer(style, ("p1", "en", "New"))) == []
    assert told(style, written, offer(style, ("p2", "en", "Two"), ("p1", "en", "New"))) == []
    assert told(style, written, offer(style, ("p1", "en", "Theirs"))) == [f'{content} is "Theirs", expected "New"']
    assert told(style, written, offer(style, ("p2", "en", "Two"))) == [f'{content} is "Two", expected "New"']


@STYLES
@pytest.mark.parametrize(
    ("swap", "now", "says"),
    [
        (Swap("/name", "Old", "New"), {"name": "New"}, []),
        (Swap("/name", "Old", "New"), {"name": "Theirs"}, ['/name is "Theirs", expected "New"']),
        (Swap("/name", "Old", UNSET), {}, []),
        (Swap("/name", "Old", UNSET), {"name": "Old"}, ['/name is "Old", expected nothing']),
    ],
)
def test_a_swap_is_compared_where_it_was_made(style: Style, swap: Swap, now: dict[str, Json], says: list[str]) -> None:
    assert told(style, changed(style, OLD, swap, kind=Kind.EDIT), now) == says


@STYLES
@pytest.mark.parametrize(
    ("now", "says"),
    [
        ({"name": "F", "tags": ["a"], "start": NOON, "etag": 1}, []),
        ({"name": "F", "tags": ["a"]}, [f'/start is not there, expected "{NOON_IN_BERLIN}"']),
        ({"name": "G", "tags": [], "start": NOON}, ['/name is "G", expected "F"', '/tags is [], expected ["a"]']),
        (None, [GONE]),
    ],
)
def test_what_was_created_shows_the_document_sent(style: Style, now: dict[str, Json] | None, says: list[str]) -> None:
    body = msgspec.json.encode({"name": "F", "tags": ["a"], "start": NOON_IN_BERLIN})
    assert told(style, Written(step_of(Kind.CREATE, body), State.APPLIED, None, 1), now) == says


@STYLES
@pytest.mark.parametrize(("now", "says"), [(None, []), ({"name": "Old"}, ["the object is still there"])])
def test_what_was_deleted_is_gone(style: Style, now: dict[str, Json] | None, says: list[str]) -> None:
    assert told(style, Written(step_of(Kind.DELETE, b""), State.APPLIED, None, 1), now) == says


# --- what was there before is not known -------------------------------------------------------------------------------


def replaced(path: str, value: Json) -> Operation:
    return Operation("replace", path, value)


def added(path: str, value: Json) -> Operation:
    return Operation("add", path, value)


def removed(path: str) -> Operation:
    return Operation("remove", path)


def copied(source: str, path: str) -> Operation:
    return Operation("copy", path, source=source)


@pytest.mark.parametrize(
    ("operations", "places", "elements", "unchecked"),
    [
        ([replaced("/a", 1), replaced("/a", 2)], {"/a": 2}, [], []),
        ([added("/a", 1), removed("/a")], {"/a": UNSET}, [], []),
        ([removed("/a"), added("/a", 1)], {"/a": 1}, [], []),
        ([Operation("test", "/a", 1)], {}, [], []),
        # Inside of what was written, what is written later is known, too …
        ([replaced("/a", {"b": 1}), replaced("/a/b", 2), added("/a/c", 3)], {"/a": {"b": 2, "c": 3}}, [], []),
        ([replaced("/a", [1]), added("/a/-", 2), added("/a/0", 0)], {"/a": [0, 1, 2]}, [], []),
        ([replaced("/a/b", 2), replaced("/a", {"b": 1})], {"/a": {"b": 1}}, [], []),
        # … unless the service has made something else of it.
        ([replaced("/a", {}), replaced("/a/b", 2)], {}, [], ["/a"]),
        # An element of an array is somewhere in it, as long as nothing else has to do with elements there.
        ([added("/a/-", 1), added("/a/-", 2)], {}, [("/a", 1), ("/a", 2)], []),
        ([added("/a/-", 1), removed("/a/0")], {}, [], ["/a", "/a/0"]),
        ([added("/a/-", {"b": 1}), replaced("/a/3/b", 2)], {"/a/3/b": 2}, [], ["/a"]),
        ([added("/a/-", 1), replaced("/a", [])], {"/a": []}, [], []),
        ([added("/a/-", 1), added("/ab/c", 2)], {"/ab/c": 2}, [("/a", 1)], []),
        # An element that is put between others, or taken out, moves those behind it.
        ([replaced("/a/2/b", 1), added("/a/0", 0)], {"/a/0": 0}, [], ["/a/2/b"]),
        ([replaced("/a/2/b", 1), removed("/a/0")], {}, [], ["/a/2/b", "/a/0"]),
        ([replaced("/a/2/b", 1), replaced("/a/0", 0)], {"/a/2/b": 1, "/a/0": 0}, [], []),
        ([replaced("/a/b", 1), added("/a/0", 0)], {"/a/b": 1, "/a/0": 0}, [], []),
        # What is copied is known if its source is.
        ([replaced("/a", {"b": 1}), copied("/a/b", "/c")], {"/a": {"b": 1}, "/c": 1}, [], []),
        ([replaced("/a", 1), copied("/a", "/b/-")], {"/a": 1}, [("/b", 1)], []),
        ([copied("/a", "/b")], {}, [], ["/b"]),
        ([copied("/a", "/b/-")], {}, [], ["/b"]),
        ([copied("/a", "/b"), replaced("/b", 1)], {"/b": 1}, [], []),
        ([removed("/a"), copied("/a", "/b")], {"/a": UNSET}, [], ["/b"]),
    ],
)
def test_operations_alone_tell_so_much(
    operations: list[Operation],
    places: dict[str, Json | UnsetType],
    elements: list[tuple[str, Json]],
    unchecked: list[str],
) -> None:
    effect = effect_of_patch(operations)
    assert {place.path: place.after for place in effect.places} == places
    assert list(effect.elements) == elements
    assert list(effect.unchecked) == unchecked


@STYLES
@pytest.mark.parametrize(
    ("operations", "now", "says"),
    [
        ([RENAME], {"name": "New"}, []),
        ([RENAME], {"name": "Theirs"}, ['/name is "Theirs", expected "New"']),
        ([APPEND], {"tags": ["a", "b", "c"]}, []),
        ([APPEND], {"tags": ["a"]}, ['/tags is ["a"], expected "b" in it']),
        ([APPEND], {}, ['/tags is not there, expected "b" in it']),
        ([APPEND], {"tags": "b"}, ['/tags is "b", expected "b" in it']),
        ([added("/tags/-", {"at": NOON_IN_BERLIN})], {"tags": [{"at": NOON, "by": "us"}]}, []),
        ([removed("/name")], {}, []),
        ([removed("/name")], {"name": "Back"}, ['/name is "Back", expected nothing']),
        ([copied("/name", "/title")], {}, []),
    ],
)
def test_what_was_sent_without_a_look_is_compared_as_far_as_it_goes(
    style: Style, operations: list[Operation], now: dict[str, Json], says: list[str]
) -> None:
    copies = [one for one in operations if one.op == "copy"]
    patch = [replace(one, source=style.root + one.source) if one.op == "copy" else one for one in operations]
    written = blind(style, *patch)
    assert told(style, written, now) == says
    assert len(judge(written, seen(style, now), style).unchecked) == len(copies)


PATHS = st.sampled_from(["/a", "/b", "/a/b", "/l/0", "/l/1", "/l/-", "/a/l/-", "/a/l/0"])
VALUES: st.SearchStrategy[Any] = st.sampled_from([1, 2, [], [3], {"b": 4}, {"l": [5, 6]}])
OPERATIONS = st.lists(
    st.builds(Operation, st.sampled_from(["add", "replace"]), PATHS, VALUES)
    | st.builds(removed, PATHS)
    | st.builds(copied, PATHS, PATHS),
    max_size=5,
)
DOCUMENTS = st.fixed_dictionaries({}, optional={"a": VALUES, "b": VALUES, "l": st.lists(VALUES, max_size=3)})


@given(OPERATIONS, DOCUMENTS)
def test_what_operations_tell_is_so_in_every_document_that_they_fit(
    operations: list[Operation], document: dict[str, Json]
) -> None:
    try:
        result = apply(operations, document)
    except CannotApply:
        return
    written = Written(step_of(Kind.PATCH, edits_body(operations)), State.APPLIED, None, 1)
    assert judge(written, Seen("o", "o", 1, result), DPS).differences == ()


@given(OPERATIONS, DOCUMENTS)
def test_every_place_that_operations_change_is_told_of(operations: list[Operation], document: dict[str, Json]) -> None:
    try:
        apply(operations, document)
    except CannotApply:
        return
    effect = effect_of_patch(operations)
    said = [
        *(place.path for place in effect.places),
        *(path for path, _ in effect.elements),
        *effect.unchecked,
    ]
    for operation in operations:
        path = operation.path.removesuffix("/-")
        assert any(f"{path}/".startswith(f"{one}/") or f"{one}/".startswith(f"{path}/") for one in said)
