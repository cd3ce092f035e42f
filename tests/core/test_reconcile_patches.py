"""What a look at a patched object proves, as tables: one cell for each thing that may have happened to the step."""

from __future__ import annotations

from itertools import product

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from migrator.core.base import examine
from migrator.core.model import Json, Operation, Seen
from migrator.core.reconcile import Finding
from migrator.core.states import Move
from migrator.core.styles import DPS, XCORE
from migrator.core.styles.base import Style
from migrator.core.verdict import ErrorClass
from tests.core.looks import ETAG, LOST, QUIET, REFUSED, RENAME, SOON, doubt_of, look, rename, seen, word
from tests.core.styles import BOTH, STYLES

NAMES = {"before": "Old", "after": "New", "neither": "Other"}

TABLE = [
    # How far the etag has moved, and what is there: what that proves of a request that was …
    #              lost,      lost a moment ago,    refused,             refused, after one was lost,
    #              and it is  guarded               dps,      xcore      and it is   a moment ago
    #              quiet      by etag    otherwise                       quiet       by etag   otherwise
    (0, "before", "miss", "miss", "later", "reject", "reject", "reject", "later", "later"),
    (0, "neither", "give_up", "later", "later", "rebase", "rebase", "give_up", "later", "later"),
    (1, "before", "rebase", "rebase", "later", "reject", "rebase", "rebase", "rebase", "later"),
    (1, "neither", "rebase", "rebase", "later", "rebase", "rebase", "rebase", "rebase", "later"),
    *[
        (moved, there, "give_up", "later", "later", refused, "rebase", "give_up", "later", "later")
        for moved in (2, 7, -1, None)
        for there, refused in (("before", "reject"), ("neither", "rebase"))
    ],
    # That the effect is there can be seen at once.
    *[(moved, "after", *["find"] * 8) for moved in (0, 1, 2, 7, -1, None)],
]


@pytest.mark.parametrize(
    ("moved", "there", "quiet", "soon_etag", "soon", "refused_dps", "refused_xcore", "missed", "m_etag", "m_soon"),
    TABLE,
)
def test_a_look_at_a_patched_object_proves(
    moved: int | None,
    there: str,
    quiet: str,
    soon_etag: str,
    soon: str,
    refused_dps: str,
    refused_xcore: str,
    missed: str,
    m_etag: str,
    m_soon: str,
) -> None:
    etag = None if moved is None else ETAG + moved

    def proven(style: Style, error: str, now: float, *, misses: int = 0, guarded: bool = True) -> str:
        doubt = rename(style, error, misses=misses, guarded=guarded)
        return word(look(doubt, seen(style, etag, name=NAMES[there]), style, now))

    for style, guarded, misses in product(BOTH, (True, False), (0, 3)):
        by_etag = style is XCORE and guarded
        assert proven(style, LOST, QUIET, misses=misses, guarded=guarded) == quiet
        assert proven(style, LOST, SOON, misses=misses, guarded=guarded) == (soon_etag if by_etag else soon)
    for now in (SOON, QUIET):
        assert proven(DPS, REFUSED, now) == refused_dps
        assert proven(XCORE, REFUSED, now) == refused_xcore
    for style in BOTH:
        assert proven(style, REFUSED, QUIET, misses=1) == missed
        assert proven(style, REFUSED, SOON, misses=1) == (m_etag if style is XCORE else m_soon)


def test_the_etag_of_the_base_may_be_untold_too() -> None:
    doubt = doubt_of(DPS, RENAME, seen(DPS, None, name="Old"))

    assert word(look(doubt, seen(DPS, 5, name="Old"), DPS)) == "give_up"
    assert word(look(doubt, seen(DPS, 5, name="New"), DPS)) == "find"


@STYLES
@pytest.mark.parametrize(
    ("name", "moved", "proven"),
    [("Old", 0, "find"), ("Old", 3, "find"), ("Other", 1, "rebase"), ("Other", 2, "give_up")],
)
def test_a_patch_that_changes_nothing_is_there_if_nothing_else_is(
    style: Style, name: str, moved: int, proven: str
) -> None:
    doubt = doubt_of(style, [Operation("replace", "/name", "Old")], seen(style, ETAG, name="Old"))

    assert word(look(doubt, seen(style, ETAG + moved, name=name), style)) == proven


NOWHERE = UNSET


@pytest.mark.parametrize(
    ("operation", "was", "now", "moved", "proven"),
    [
        # An append: the array as a whole is compared.
        (Operation("add", "/tags/-", "x"), ["x"], ["x"], 0, "miss"),
        (Operation("add", "/tags/-", "x"), ["x"], ["x", "x"], 1, "find"),
        (Operation("add", "/tags/-", "x"), ["x"], ["x", "x", "x"], 2, "give_up"),
        (Operation("add", "/tags/-", "x"), ["x"], ["x", "y"], 1, "give_up"),
        # A member that was not there, or is not to be there.
        (Operation("add", "/tags", 1), NOWHERE, 1, 1, "find"),
        (Operation("add", "/tags", 1), NOWHERE, NOWHERE, 0, "miss"),
        (Operation("add", "/tags", 1), NOWHERE, NOWHERE, 2, "give_up"),
        (Operation("add", "/tags", None), NOWHERE, NOWHERE, 0, "miss"),
        (Operation("remove", "/tags"), 1, NOWHERE, 1, "find"),
        (Operation("remove", "/tags"), 1, 1, 0, "miss"),
        (Operation("remove", "/tags"), 1, None, 1, "give_up"),
        # What is there may be spelled anew; what was there is compared to the letter, and first.
        (Operation("replace", "/tags", {"a": 1}), {}, {"a": 1.0, "default": 0}, 1, "find"),
        (Operation("replace", "/tags", {"a": 1}), {"a": 1, "b": 2}, {"a": 1, "b": 2}, 0, "miss"),
        (Operation("replace", "/tags", "2026-01-01T00:00:00Z"), "x", "2026-01-01T00:00:00.000+00:00", 1, "find"),
        (
            Operation("replace", "/tags", "2026-01-01T00:00:00Z"),
            "2026-01-01T00:00:00.0Z",
            "2026-01-01T00:00:00.0Z",
            0,
            "miss",
        ),
        (Operation("replace", "/tags", True), 1, 1, 0, "miss"),
    ],
)
def test_what_is_there_is_compared_with_what_was_and_what_was_sent(
    operation: Operation, was: Json, now: Json, moved: int, proven: str
) -> None:
    for style in BOTH:
        doubt = doubt_of(style, [operation], seen(style, ETAG, tags=was))
        assert word(look(doubt, seen(style, ETAG + moved, tags=now), style)) == proven


def test_half_of_an_effect_is_none() -> None:
    both = [Operation("replace", "/name", "New"), Operation("add", "/more", 1)]
    doubt = doubt_of(DPS, both, seen(DPS, ETAG, name="Old"))

    assert word(look(doubt, seen(DPS, ETAG + 2, name="New"), DPS)) == "give_up"
    assert word(look(doubt, seen(DPS, ETAG + 2, name="New", more=1), DPS)) == "find"


@pytest.mark.parametrize(("client", "proven"), [("somebody-else", "rebase"), ("us", "give_up"), ("", "give_up")])
def test_an_append_goes_again_only_if_another_client_changed_the_object(client: str, proven: str) -> None:
    # The service may have put what we sent into a form of its own: then the one write since was ours.
    doubt = doubt_of(XCORE, [Operation("add", "/tags/-", "x")], seen(XCORE, ETAG, tags=[]))
    there = replace(seen(XCORE, ETAG + 1, tags=["y"]), changed_by_client=client)

    finding = look(doubt, there, XCORE)

    assert word(finding) == proven
    assert finding is not None
    assert finding.base == examine(doubt.step, there, XCORE)
    assert finding.base.touched is not None
    assert finding.base.touched[0].after == ["y", "x"]


@pytest.mark.parametrize("client", ["somebody-else", "us", ""])
def test_an_append_of_which_nothing_is_there_goes_again_whoever_wrote_elsewhere(client: str) -> None:
    doubt = doubt_of(XCORE, [Operation("add", "/tags/-", "x")], seen(XCORE, ETAG, tags=["y"]))
    there = replace(seen(XCORE, ETAG + 1, tags=["y"], name="Other"), changed_by_client=client)

    assert word(look(doubt, there, XCORE)) == "rebase"


def test_a_patch_to_which_others_have_left_nothing_to_do_goes_again_on_what_they_have_left() -> None:
    # Of what is found, undoing would look for what it was to become before they came.
    doubt = doubt_of(DPS, [Operation("copy", "/name", source="/note")], seen(DPS, ETAG, name="Old", note="New"))
    there = replace(seen(DPS, ETAG + 1, name="Other", note="Other"), changed_by_client="somebody-else")

    assert word(look(doubt, there, DPS)) == "rebase"


def test_what_was_taken_away_is_no_default_of_the_service() -> None:
    doubt = doubt_of(DPS, [Operation("replace", "/more", {})], seen(DPS, ETAG, more={"a": "1"}), REFUSED)

    assert word(look(doubt, seen(DPS, ETAG + 1, more={"a": "2"}), DPS)) == "rebase"
    assert word(look(doubt, seen(DPS, ETAG + 1, more={"default": 0}), DPS)) == "find"


@pytest.mark.parametrize("was", [{"name": "Old"}, {}])
def test_what_cannot_be_told_has_a_fresh_base_in_case_it_is_to_be_sent_again(was: Json) -> None:
    for style in BOTH:
        doubt, there = doubt_of(style, RENAME, seen(style, ETAG, **was)), seen(style, ETAG + 2, name="Other")
        finding = look(doubt, there, style)

        assert finding is not None
        assert finding.move is Move.GIVE_UP
        assert finding.base == examine(doubt.step, there, style)


UNKNOWN = [
    # How far the etag has moved:
    # lost    a moment ago,  refused   refused,
    #         by etag        at once   after one was lost
    (0, "miss", "miss", "reject", "reject"),
    *[(moved, "give_up", "later", "rebase", "give_up") for moved in (1, 2, -1, None)],
]


@pytest.mark.parametrize(("moved", "quiet", "soon", "refused", "missed"), UNKNOWN)
def test_of_a_patch_that_did_not_fit_only_the_version_can_tell(
    moved: int | None, quiet: str, soon: str, refused: str, missed: str
) -> None:
    for style in BOTH:
        there = seen(style, None if moved is None else ETAG + moved, name="Old")
        was = seen(style, ETAG)

        def proven(error: str, now: float, misses: int = 0, style: Style = style, was: Seen = was) -> str:
            doubt = doubt_of(style, RENAME, was, error, misses)
            assert doubt.base is not None
            assert doubt.base.touched is None
            return word(look(doubt, there, style, now))  # noqa: B023 (called before the next)

        assert proven(LOST, QUIET) == quiet
        assert proven(LOST, SOON) == (soon if style is XCORE else "later")
        assert proven(REFUSED, SOON) == refused
        assert proven(REFUSED, QUIET, 1) == missed


@pytest.mark.parametrize(
    ("operations", "there", "quiet", "soon"),
    [
        (RENAME, {"name": "New"}, "find", "find"),
        (RENAME, {"name": "Other"}, "miss", "later"),
        (RENAME, {}, "give_up", "later"),  # it does not fit
        ([Operation("add", "/name", {"a": 1})], {"name": {"a": 1, "default": 0}}, "miss", "later"),
        ([Operation("add", "/tags/-", "x")], {"tags": ["x"]}, "give_up", "later"),
        ([Operation("remove", "/name")], {"name": 1}, "give_up", "later"),  # it would not fit a second time
        ([Operation("remove", "/name")], {}, "give_up", "later"),
    ],
)
@STYLES
def test_without_a_base_only_what_may_be_repeated_is_told(
    style: Style, operations: list[Operation], there: dict[str, Json], quiet: str, soon: str
) -> None:
    doubt = doubt_of(style, operations, None)

    assert word(look(doubt, seen(style, 9, **there), style)) == quiet
    assert word(look(doubt, seen(style, 9, **there), style, SOON)) == soon


@pytest.mark.parametrize(
    ("error", "misses", "quiet", "soon"),
    [
        (LOST, 0, "give_up", "later"),
        (LOST, 1, "give_up", "later"),
        (REFUSED, 0, "reject", "reject"),
        (REFUSED, 1, "give_up", "later"),
    ],
)
@STYLES
def test_an_object_that_is_gone_may_have_been_changed_before(
    style: Style, error: str, misses: int, quiet: str, soon: str
) -> None:
    doubt = rename(style, error, misses=misses)

    assert word(look(doubt, None, style)) == quiet
    assert word(look(doubt, None, style, SOON)) == soon
    finding = look(doubt, None, style)
    assert finding is not None
    assert "not there any more" in finding.note
    assert finding.error is (ErrorClass.NOT_FOUND if quiet == "reject" else ErrorClass.UNDECIDED)


@pytest.mark.parametrize(
    ("operation", "now", "sentence"),
    [
        (RENAME[0], "Other", '/name is "Other"; version 4 before, now 6 (last changed by ann at noon).'),
        (Operation("replace", "/name", 1), "x" * 70, f'/name is "{"x" * 58}…; version'),
        (Operation("replace", "/name", 1), "x" * 58, f'/name is "{"x" * 58}"; version'),
        (RENAME[0], UNSET, "/name is not there; version"),
    ],
)
def test_what_cannot_be_told_says_what_was_seen(operation: Operation, now: Json, sentence: str) -> None:
    doubt = doubt_of(DPS, [operation], seen(DPS, ETAG, name="Old"))

    finding = look(doubt, seen(DPS, ETAG + 2, name=now), DPS)

    assert finding is not None
    assert finding.note.startswith(sentence)
    assert "undone" in finding.note
    assert finding.error is ErrorClass.UNDECIDED


@pytest.mark.parametrize(
    ("moved", "by", "at", "note"),
    [
        (1, "ann", "noon", ""),
        (0, "ann", "noon", ""),
        (2, "ann", "noon", "; changed again since (last changed by ann at noon)"),
        (2, "ann", "", "; changed again since (last changed by ann)"),
        (2, "", "noon", "; changed again since (last changed at noon)"),
        (2, "", "", "; changed again since"),
    ],
)
def test_an_effect_that_was_edited_since_is_noted(moved: int, by: str, at: str, note: str) -> None:
    there = replace(seen(DPS, ETAG + moved, name="New"), changed_by=by, changed_at=at)

    finding = look(rename(DPS, LOST), there, DPS)

    assert finding == Finding(Move.FIND, f"found by looking{note}", seen=there)
