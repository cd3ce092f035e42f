"""What a look at a replaced object proves."""

from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace

from migrator.core.base import Unfit, examine
from migrator.core.model import Doubt, EntityType, Json, Kind, Seen, Step
from migrator.core.states import Move, State
from migrator.core.styles import DPS, XCORE
from migrator.core.styles.base import Style
from tests.core.looks import ETAG, LOST, QUIET, REFUSED, SENT_AT, SOON, look, seen, word
from tests.core.styles import STYLES

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


@STYLES
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


@STYLES
@pytest.mark.parametrize(
    ("there", "moved", "proven"),
    [(WANTED, 0, "find"), (WANTED, 3, "find"), (WANTED | {"name": "x"}, 1, "rebase"), (WAS, 2, "give_up")],
)
def test_a_replacement_by_the_same_is_there_if_nothing_else_is(
    style: Style, there: dict[str, Json], moved: int, proven: str
) -> None:
    doubt = replacement(style, was=WANTED)
    assert word(look(doubt, shown(style, moved, there), style)) == proven


@STYLES
@pytest.mark.parametrize(("there", "quiet", "soon"), [(WANTED, "find", "find"), (WAS, "miss", "later")])
def test_a_replacement_without_a_base_may_be_repeated(
    style: Style, there: dict[str, Json], quiet: str, soon: str
) -> None:
    doubt = replace(replacement(style), base=None)

    assert word(look(doubt, shown(style, 5, there), style)) == quiet
    assert word(look(doubt, shown(style, 5, there), style, SOON)) == soon


@STYLES
def test_a_replaced_object_that_is_gone_cannot_tell(style: Style) -> None:
    assert word(look(replacement(style), None, style)) == "give_up"
