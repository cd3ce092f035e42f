"""When a look can tell that there is no effect, and how often a change goes again after one."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from migrator.core.model import Kind
from migrator.core.reconcile import Finding, told_at
from migrator.core.states import Move
from migrator.core.styles import DPS
from migrator.core.styles.base import Style
from migrator.core.verdict import ErrorClass
from tests.core.looks import BOUNDS, ETAG, LOST, REFUSED, SENT_AT, SOON, deletion, look, rename, seen, word
from tests.core.styles import STYLES


def test_a_look_tells_after_the_quiet_period_and_a_search_after_the_lag_of_lists_too() -> None:
    patch, delete = rename(DPS, LOST), deletion()

    assert told_at(patch, BOUNDS) == told_at(delete, BOUNDS) == SENT_AT + 60
    create = replace(delete, step=replace(delete.step, kind=Kind.CREATE))
    assert told_at(create, BOUNDS) == SENT_AT + 60 + 30


@STYLES
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


@STYLES
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
