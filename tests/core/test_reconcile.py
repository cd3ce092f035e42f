"""What a look proves, as tables: one cell for each thing that may have happened to a step."""

from __future__ import annotations

from itertools import product

import msgspec
import pytest
from msgspec import UNSET
from msgspec.structs import replace

from migrator.core.base import Unfit, examine
from migrator.core.edit import edits_body
from migrator.core.model import Doubt, EntityType, Json, Kind, Operation, Seen, Step
from migrator.core.plan import name_in
from migrator.core.reconcile import Bounds, Finding, judge_look, told_at
from migrator.core.states import Move, State
from migrator.core.styles import DPS, XCORE
from migrator.core.styles.base import Style
from migrator.core.verdict import ErrorClass

SENT_AT = 1000.0
BOUNDS = Bounds(quiet_period_s=60, search_lag_s=30, max_attempts=5)
SOON, QUIET = SENT_AT + 59.9, SENT_AT + 60.0

ETAG = 4
NAMES = {"before": "Old", "after": "New", "neither": "Other"}
STYLES = [DPS, XCORE]
LOST, REFUSED = ErrorClass.NO_ANSWER, ErrorClass.GUARD_FAILED


def seen(style: Style, etag: int | None, **members: Json) -> Seen:
    """Show an object with these members; a value that is `UNSET` is not there."""
    there = {name: value for name, value in members.items() if value is not UNSET}
    document = {style.root[1:]: there} if style.root else there
    return Seen("o", "o", etag, document, changed_by="ann", changed_at="noon")


def doubt_of(style: Style, operations: list[Operation], was: Seen | None, error: str = LOST, misses: int = 0) -> Doubt:
    """Return a patch whose last request, sent at `SENT_AT`, was lost or refused."""
    rooted = [replace(one, path=style.root + one.path) for one in operations]
    step = Step(2, "k", "dev", EntityType.TAG, "o", Kind.PATCH, edits_body(rooted), attempts=misses + 1, misses=misses)
    base = None if was is None else examine(step, was, style)
    assert not isinstance(base, Unfit)
    return Doubt(step, base, State.DOUBT, SENT_AT - 500, SENT_AT, None, error, "HTTP 409: no")


RENAME = [Operation("replace", "/name", "New")]


def rename(style: Style, error: str, *, misses: int = 0, guarded: bool = True) -> Doubt:
    doubt = doubt_of(style, RENAME, seen(style, ETAG, name="Old"), error, misses)
    assert doubt.base is not None
    return doubt if guarded else replace(doubt, base=replace(doubt.base, guarded=False))


def word(finding: Finding | None) -> str:
    """Spell a finding as the tables do."""
    if finding is None:
        return "later"
    return "rebase" if finding.base is not None and finding.move is Move.MISS else finding.move.value


def look(doubt: Doubt, there: Seen | None, style: Style, now: float = QUIET) -> Finding | None:
    return judge_look(doubt, there, style, BOUNDS, client_id="us", now=now)


# --- patches ----------------------------------------------------------------------------------------------------------

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

    for style, guarded, misses in product(STYLES, (True, False), (0, 3)):
        by_etag = style is XCORE and guarded
        assert proven(style, LOST, QUIET, misses=misses, guarded=guarded) == quiet
        assert proven(style, LOST, SOON, misses=misses, guarded=guarded) == (soon_etag if by_etag else soon)
    for now in (SOON, QUIET):
        assert proven(DPS, REFUSED, now) == refused_dps
        assert proven(XCORE, REFUSED, now) == refused_xcore
    for style in STYLES:
        assert proven(style, REFUSED, QUIET, misses=1) == missed
        assert proven(style, REFUSED, SOON, misses=1) == (m_etag if style is XCORE else m_soon)


def test_the_etag_of_the_base_may_be_untold_too() -> None:
    doubt = doubt_of(DPS, RENAME, seen(DPS, None, name="Old"))

    assert word(look(doubt, seen(DPS, 5, name="Old"), DPS)) == "give_up"
    assert word(look(doubt, seen(DPS, 5, name="New"), DPS)) == "find"


@pytest.mark.parametrize("style", STYLES, ids=["dps", "xcore"])
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
    for style in STYLES:
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


def test_what_was_taken_away_is_no_default_of_the_service() -> None:
    doubt = doubt_of(DPS, [Operation("replace", "/more", {})], seen(DPS, ETAG, more={"a": "1"}), REFUSED)

    assert word(look(doubt, seen(DPS, ETAG + 1, more={"a": "2"}), DPS)) == "rebase"
    assert word(look(doubt, seen(DPS, ETAG + 1, more={"default": 0}), DPS)) == "find"


@pytest.mark.parametrize("was", [{"name": "Old"}, {}])
def test_what_cannot_be_told_has_a_fresh_base_in_case_it_is_to_be_sent_again(was: Json) -> None:
    for style in STYLES:
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
    for style in STYLES:
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
@pytest.mark.parametrize("style", STYLES, ids=["dps", "xcore"])
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
@pytest.mark.parametrize("style", STYLES, ids=["dps", "xcore"])
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


# --- replacements -----------------------------------------------------------------------------------------------------

WAS: dict[str, Json] = {"name": "Old", "note": "x", "date": "2026-01-01T00:00:00Z"}
WANTED: dict[str, Json] = {"name": "New", "date": "2026-02-01T00:00:00Z", "more": {"a": 1}}


def shown(style: Style, moved: int | None, members: dict[str, Json]) -> Seen:
    """Show an object whose etag has moved so far, with what the service shows beside its members."""
    etag = None if moved is None else ETAG + moved
    owned: dict[str, Json] = {"@id": "xcore:o"} if style.root else {"id": "o", "etag": etag, "modified": f"at {etag}"}
    there = {**owned, **members}
    return replace(seen(style, etag), document={style.root[1:]: there} if style.root else there)


def replacement(style: Style, error: str = LOST, *, misses: int = 0, was: dict[str, Json] | None = None) -> Doubt:
    """Return a replacement whose last request, sent at `SENT_AT`, was lost or refused."""
    body = msgspec.json.encode(WANTED)
    step = Step(2, "k", "dev", EntityType.DECISION_RULE, "o", Kind.REPLACE, body, attempts=misses + 1, misses=misses)
    base = examine(step, shown(style, 0, WAS if was is None else was), style)
    assert not isinstance(base, Unfit)
    return Doubt(step, base, State.DOUBT, SENT_AT - 500, SENT_AT, None, error, "HTTP 409: no")


WHOLE = {
    # How far the etag has moved, and what is there: what that proves of a replacement that was …
    #                                     lost,      lost a moment ago:  refused,
    #                                     now quiet  xcore     dps       xcore
    "as it was": (0, WAS, "miss", "miss", "later", "reject"),
    "as it was, after a write beside it": (1, WAS, "rebase", "rebase", "later", "rebase"),
    "as it was, perhaps again": (2, WAS, "give_up", "later", "later", "rebase"),
    "as it was, of no version": (None, WAS, "give_up", "later", "later", "rebase"),
    "as sent": (1, WANTED, "find", "find", "find", "find"),
    "as sent, and written since": (3, WANTED, "find", "find", "find", "find"),
    "as sent, in the service's spelling": (1, WANTED | {"date": "2026-02-01T00:00:00.000+00:00"}, *["find"] * 4),
    "as sent, with a default": (1, WANTED | {"more": {"a": 1, "b": 0}, "labels": []}, *["find"] * 4),
    "with a member that should be gone": (1, WANTED | {"note": "x"}, "rebase", "rebase", "later", "rebase"),
    "with a member of somebody else's": (1, WAS | {"name": "Theirs"}, "rebase", "rebase", "later", "rebase"),
    "sent, then edited": (2, WANTED | {"name": "Theirs"}, "give_up", "later", "later", "rebase"),
    "something else, of no version": (None, WANTED | {"name": "Theirs"}, "give_up", "later", "later", "rebase"),
    "half of it": (2, WANTED | {"name": "Old"}, "give_up", "later", "later", "rebase"),
}


@pytest.mark.parametrize(("moved", "there", "quiet", "soon_xcore", "soon_dps", "refused"), WHOLE.values(), ids=WHOLE)
def test_a_look_at_a_replaced_object_proves(
    moved: int | None, there: dict[str, Json], quiet: str, soon_xcore: str, soon_dps: str, refused: str
) -> None:
    def at(style: Style, now: float, error: str = LOST) -> str:
        return word(look(replacement(style, error), shown(style, moved, there), style, now))

    assert at(XCORE, QUIET) == at(DPS, QUIET) == quiet
    assert (at(XCORE, SOON), at(DPS, SOON)) == (soon_xcore, soon_dps)
    assert at(XCORE, SOON, REFUSED) == refused


@pytest.mark.parametrize("style", STYLES, ids=["dps", "xcore"])
def test_of_a_replacement_that_cannot_be_told_what_is_otherwise_is_said_and_nothing_else(style: Style) -> None:
    there = shown(style, 2, {**WANTED, "name": "Theirs", "note": "x"})

    finding = look(replacement(style), there, style)

    assert finding is not None
    assert finding.move is Move.GIVE_UP
    assert finding.note == (
        f'{style.root}/name is "Theirs", {style.root}/note is "x"; version 4 before, now 6'
        " (last changed by ann at noon). See whether the change is in it, or was and has been undone"
    )
    assert finding.base == examine(replacement(style).step, there, style)


@pytest.mark.parametrize("style", STYLES, ids=["dps", "xcore"])
@pytest.mark.parametrize(
    ("there", "moved", "proven"),
    [(WANTED, 0, "find"), (WANTED, 3, "find"), (WANTED | {"name": "x"}, 1, "rebase"), (WAS, 2, "give_up")],
)
def test_a_replacement_by_the_same_is_there_if_nothing_else_is(
    style: Style, there: dict[str, Json], moved: int, proven: str
) -> None:
    doubt = replacement(style, was=WANTED)
    assert word(look(doubt, shown(style, moved, there), style)) == proven


@pytest.mark.parametrize("style", STYLES, ids=["dps", "xcore"])
@pytest.mark.parametrize(("there", "quiet", "soon"), [(WANTED, "find", "find"), (WAS, "miss", "later")])
def test_a_replacement_without_a_base_may_be_repeated(
    style: Style, there: dict[str, Json], quiet: str, soon: str
) -> None:
    doubt = replace(replacement(style), base=None)

    assert word(look(doubt, shown(style, 5, there), style)) == quiet
    assert word(look(doubt, shown(style, 5, there), style, SOON)) == soon


@pytest.mark.parametrize("style", STYLES, ids=["dps", "xcore"])
def test_a_replaced_object_that_is_gone_cannot_tell(style: Style) -> None:
    assert word(look(replacement(style), None, style)) == "give_up"


# --- how often --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("style", STYLES, ids=["dps", "xcore"])
@pytest.mark.parametrize(("moved", "again"), [(0, "miss"), (1, "rebase")])
@pytest.mark.parametrize(("error", "as_"), [(LOST, ErrorClass.NO_ANSWER), (REFUSED, ErrorClass.CONFLICT)])
def test_what_was_never_applied_however_often_it_was_sent_has_failed(
    style: Style, moved: int, again: str, error: str, as_: ErrorClass
) -> None:
    there = seen(style, ETAG + moved, name="Old")
    # A refusal is no loss.
    most = 4 if error == LOST else 5
    if error == LOST or moved:
        assert word(look(rename(style, error, misses=most - 1), there, style)) == again

    last = look(rename(style, error, misses=most), there, style)
    assert last is not None
    assert (last.move, last.error) == (Move.REJECT, as_)
    assert last.note.endswith("HTTP 409: no")
    # … once nothing of it can be carried out any more, whatever guards it.
    assert look(rename(style, error, misses=most), there, style, SOON) is None


@pytest.mark.parametrize("style", STYLES, ids=["dps", "xcore"])
def test_an_object_that_others_change_all_the_time_is_not_fought_for_without_end(style: Style) -> None:
    doubt = rename(style, REFUSED)
    there = seen(style, ETAG + 9, name="Other")

    def after_attempts(number: int) -> Finding | None:
        return look(replace(doubt, step=replace(doubt.step, attempts=number)), there, style)

    assert word(after_attempts(24)) == "rebase"
    last = after_attempts(25)
    assert last is not None
    assert (last.move, last.error) == (Move.REJECT, ErrorClass.CONFLICT)


def test_what_is_found_at_last_is_found() -> None:
    assert word(look(rename(DPS, LOST, misses=9), seen(DPS, ETAG, name="New"), DPS)) == "find"
    assert word(look(rename(DPS, LOST, misses=9), seen(DPS, ETAG + 2, name="Old"), DPS)) == "give_up"


# --- deletions --------------------------------------------------------------------------------------------------------


def deletion(misses: int = 0) -> Doubt:
    step = Step(2, "k", "dev", EntityType.TAG, "o", Kind.DELETE, b"", misses=misses)
    return Doubt(step, None, State.DOUBT, SENT_AT, SENT_AT, 500, ErrorClass.SERVER, "HTTP 500: no body")


@pytest.mark.parametrize(
    ("there", "misses", "quiet", "soon"),
    [
        (False, 0, "find", "find"),
        (False, 4, "find", "find"),
        # One that is only accepted, or lost, may still come.
        (True, 0, "miss", "later"),
        (True, 3, "miss", "later"),
        (True, 4, "reject", "later"),
    ],
)
def test_a_deletion_is_done_when_the_object_is_gone(there: bool, misses: int, quiet: str, soon: str) -> None:
    for style in STYLES:
        now_there = seen(style, 9) if there else None
        assert word(look(deletion(misses), now_there, style)) == quiet
        assert word(look(deletion(misses), now_there, style, SOON)) == soon


def test_a_deletion_that_fails_again_and_again_says_so() -> None:
    finding = look(deletion(4), seen(DPS, 9), DPS)

    assert finding == Finding(
        Move.REJECT, "lost 5 times and never applied; at last: HTTP 500: no body", ErrorClass.SERVER
    )


# --- what is said -----------------------------------------------------------------------------------------------------


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


def test_a_look_tells_after_the_quiet_period_and_a_search_after_the_lag_of_lists_too() -> None:
    patch, delete = rename(DPS, LOST), deletion()

    assert told_at(patch, BOUNDS) == told_at(delete, BOUNDS) == SENT_AT + 60
    create = replace(delete, step=replace(delete.step, kind=Kind.CREATE))
    assert told_at(create, BOUNDS) == SENT_AT + 60 + 30


def test_a_name_is_read_in_the_words_of_either_style() -> None:
    assert name_in({"name": "A"}) == name_in({"xdm:name": "A"}) == "A"
    assert name_in({"name": 5, "xdm:name": "A"}) == "A"
    assert name_in({}) == name_in(None) == ""
