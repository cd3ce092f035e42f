"""What a look at a deleted object proves."""

from __future__ import annotations

import pytest

from migrator.core.reconcile import Finding
from migrator.core.states import Move
from migrator.core.styles import DPS
from migrator.core.verdict import ErrorClass
from tests.core.looks import SOON, deletion, look, seen, word
from tests.core.styles import BOTH


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
    for style in BOTH:
        now_there = seen(style, 9) if there else None
        assert word(look(deletion(misses), now_there, style)) == quiet
        assert word(look(deletion(misses), now_there, style, SOON)) == soon


def test_a_deletion_that_fails_again_and_again_says_so() -> None:
    finding = look(deletion(4), seen(DPS, 9), DPS)

    assert finding == Finding(
        Move.REJECT, "lost 5 times and never applied; at last: HTTP 500: no body", ErrorClass.SERVER
    )
