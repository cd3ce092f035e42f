"""What a look proves of an edit: where its text has moved, and what is done on what others have left."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from migrator.core.base import examine
from migrator.core.edit import edits_body, edits_of
from migrator.core.model import Base, Doubt, Edit, Json, Operation, Seen, Swap, TextChange
from migrator.core.reconcile import Finding
from migrator.core.states import Move, State
from migrator.core.styles import XCORE, Style
from migrator.core.verdict import ErrorClass
from tests.core import looks
from tests.core.looks import ETAG, LOST, QUIET, REFUSED, SENT_AT, SOON
from tests.core.styles import STYLES
from tests.core.texts import (
    HTML,
    MAIL,
    MAIL_TEXTS,
    WEB,
    WEB_TEXTS,
    content_at,
    missing,
    offer,
    put,
    seen,
    spring,
    step_of,
    text,
)


def doubt_of(style: Style, *edits: Edit, error: str = LOST, misses: int = 0, on: Json = None) -> Doubt:
    """Return an edit of an object as it is, whose last request, sent at `SENT_AT`, was lost or refused."""
    step = replace(step_of(edits_body(edits)), attempts=misses + 1, misses=misses)
    base = examine(step, seen(spring(style) if on is None else on, ETAG), style)
    assert isinstance(base, Base)
    return Doubt(step, base, State.DOUBT, SENT_AT - 500, SENT_AT, None, error, "HTTP 409: no")


def look(doubt: Doubt, there: Seen | None, style: Style, now: float = QUIET) -> Finding:
    finding = looks.look(doubt, there, style, now)
    assert finding is not None
    return finding


def web(style: Style, english: str, etag: int | None, *, by: str = "somebody-else") -> Seen:
    """Show an offer with this English text on the web, as another client has left it."""
    there = offer(style, web=[("en", HTML, english), *WEB_TEXTS[1:]], mail=MAIL_TEXTS)
    return replace(seen(there, etag), changed_by_client=by)


@STYLES
def test_a_text_that_is_there_is_found(style: Style) -> None:
    for etag in (ETAG, ETAG + 1, ETAG + 7, None):
        for error in (LOST, REFUSED):
            finding = look(doubt_of(style, text(WEB, "en"), error=error), web(style, "New", etag), style, SOON)
            assert finding.move is Move.FIND


@STYLES
def test_what_was_not_applied_goes_again_on_the_same_base(style: Style) -> None:
    assert look(doubt_of(style, text(WEB, "en")), web(style, "Hello", ETAG), style) == Finding(Move.MISS, "not applied")


CHANGED = "not applied: somebody else changed the object (last changed by somebody-else at noon)"
FIRST = "somebody else was first (last changed by somebody-else at noon)"


@STYLES
@pytest.mark.parametrize(("error", "note"), [(LOST, CHANGED), (REFUSED, FIRST)])
def test_what_somebody_else_was_first_with_is_located_anew(style: Style, error: str, note: str) -> None:
    # They have put the mail in front, and written another text.
    moved = offer(style, mail=MAIL_TEXTS, web=[("en", HTML, "Hi")])
    there = replace(seen(moved, ETAG + 1), changed_by_client="somebody-else")

    finding = look(doubt_of(style, text(WEB, "en"), error=error), there, style)

    assert (finding.move, finding.note) == (Move.MISS, note)
    assert finding.base is not None
    assert finding.base.touched is not None
    assert [(place.path, place.before, place.after) for place in finding.base.touched] == [
        (content_at(style, 1, 0), "Hi", "New")
    ]
    assert put(content_at(style, 1, 0), "New") in edits_of(finding.base.body)
    assert finding.base.etag == ETAG + 1


@STYLES
@pytest.mark.parametrize(("error", "note"), [(LOST, CHANGED), (REFUSED, FIRST)])
@pytest.mark.parametrize(
    ("change", "now", "as_", "said"),
    [
        (text(WEB, "en", was="Hello"), "Hi", ErrorClass.CONFLICT, 'the text is "Hi", and `was` says "Hello"'),
        (text(WEB, "fr", was="Salut"), None, ErrorClass.CANNOT_APPLY, "the offer has no text in 'fr'"),
    ],
)
def test_what_does_not_fit_what_others_have_left_has_failed(
    style: Style, error: str, note: str, change: TextChange, now: str | None, as_: ErrorClass, said: str
) -> None:
    left = offer(style, web=[("en", HTML, now or "Hello")])
    there = replace(seen(left, ETAG + 1), changed_by_client="somebody-else")

    finding = look(doubt_of(style, change, error=error), there, style)

    assert (finding.move, finding.error) == (Move.REJECT, as_)
    assert finding.note.startswith(f"{note}; {said}")


@STYLES
@pytest.mark.parametrize(("error", "note"), [(LOST, CHANGED), (REFUSED, FIRST)])
def test_what_others_have_made_as_wanted_is_found_although_it_has_moved(style: Style, error: str, note: str) -> None:
    moved = offer(style, mail=MAIL_TEXTS, web=[("en", HTML, "New")])
    there = replace(seen(moved, ETAG + 1), changed_by_client="somebody-else")

    finding = look(doubt_of(style, text(WEB, "en"), error=error), there, style)

    assert finding == Finding(Move.FIND, f"{note}; it is as wanted", seen=there)


@STYLES
def test_what_cannot_be_told_is_given_up_with_a_fresh_base_or_without(style: Style) -> None:
    doubt = doubt_of(style, text(WEB, "en", was="Hello"))

    same = look(doubt, web(style, "Hello", ETAG + 2), style)
    other = look(doubt, web(style, "Hi", ETAG + 2), style)

    assert (same.move, other.move) == (Move.GIVE_UP, Move.GIVE_UP)
    assert same.base == examine(doubt.step, web(style, "Hello", ETAG + 2), style)
    assert other.base is None, "it could not be sent again"


@STYLES
@pytest.mark.parametrize(("by", "move"), [("somebody-else", Move.MISS), ("us", Move.GIVE_UP), ("", Move.GIVE_UP)])
def test_of_one_write_by_ourselves_or_nobody_knows_whom_only_what_may_be_repeated_goes_again(
    style: Style, by: str, move: Move
) -> None:
    # A representation that is added twice would be there twice, but for the search for one.
    append = doubt_of(style, Operation("add", f"{style.texts.representations}/-", {"x": 1}), text(WEB, "en"))
    assert look(append, web(style, "Hi", ETAG + 1, by=by), style).move is move
    # An edit is located each time, and finds what it has made.
    added = text(WEB, "it", missing=missing(style, WEB))
    for repeatable in (text(WEB, "en"), added):
        assert look(doubt_of(style, repeatable), web(style, "Hi", ETAG + 1, by=by), style).move is Move.MISS


@STYLES
def test_an_edit_that_is_gone_with_its_object_is_given_up_or_refused(style: Style) -> None:
    assert look(doubt_of(style, text(WEB, "en")), None, style).move is Move.GIVE_UP
    refused = look(doubt_of(style, text(WEB, "en"), error=REFUSED), None, style)
    assert (refused.move, refused.error) == (Move.REJECT, ErrorClass.NOT_FOUND)


@STYLES
def test_an_edit_of_which_no_base_is_known_is_judged_by_whether_it_may_be_repeated(style: Style) -> None:
    def blind(change: Edit) -> Doubt:
        return replace(doubt_of(style, change), base=None)

    assert look(blind(text(WEB, "en")), web(style, "New", 9), style).move is Move.FIND
    assert look(blind(text(WEB, "en")), web(style, "Hi", 9), style).move is Move.MISS
    assert look(blind(text(WEB, "en", was="Hello")), web(style, "Hi", 9), style).move is Move.GIVE_UP
    assert look(blind(text(MAIL, "de-CH")), seen(offer(style, web=WEB_TEXTS), 9), style).move is Move.GIVE_UP


@STYLES
def test_a_swap_back_of_what_others_have_changed_is_a_conflict(style: Style) -> None:
    name = f"{style.root}/{'xdm:' if style is XCORE else ''}name"
    doubt = doubt_of(style, Swap(name, "Spring", "Summer"), error=REFUSED)
    there = spring(style)
    members = there[style.root[1:]] if style.root else there
    members[name.rpartition("/")[2]] = "Autumn"

    finding = look(doubt, replace(seen(there, ETAG + 1), changed_by_client="somebody-else"), style)

    assert (finding.move, finding.error) == (Move.REJECT, ErrorClass.CONFLICT)
    assert finding.note == f'{FIRST}; {name} is "Autumn", and was "Spring" when the change was made'
