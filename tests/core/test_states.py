"""The state table: every move that is not in it is impossible."""

from __future__ import annotations

from itertools import product

import pytest

from migrator.core.states import FINAL, FINE, IN_DOUBT, LEGAL, TABLE, Move, State, after


@pytest.mark.parametrize(
    ("state", "move", "following"),
    [
        (State.PENDING, Move.INTEND, State.INTENT),
        (State.PENDING, Move.REJECT, State.REJECTED),
        (State.PENDING, Move.AGREE, State.UNCHANGED),
        (State.PENDING, Move.SKIP, State.SKIPPED),
        (State.INTENT, Move.APPLY, State.APPLIED),
        (State.INTENT, Move.REJECT, State.REJECTED),
        (State.INTENT, Move.NOT_EXECUTED, State.PENDING),
        (State.INTENT, Move.LOSE, State.DOUBT),
        (State.DOUBT, Move.FIND, State.APPLIED),
        (State.DOUBT, Move.MISS, State.PENDING),
        (State.DOUBT, Move.REJECT, State.REJECTED),
        (State.DOUBT, Move.GIVE_UP, State.UNRESOLVED),
        (State.UNRESOLVED, Move.FIND, State.APPLIED),
        (State.UNRESOLVED, Move.MISS, State.PENDING),
        (State.UNRESOLVED, Move.REJECT, State.REJECTED),
    ],
)
def test_a_legal_move_leads_where_the_protocol_says(state: State, move: Move, following: State) -> None:
    assert after(state, move) is following


@pytest.mark.parametrize(("state", "move"), sorted(set(product(State, Move)) - set(TABLE)))
def test_every_other_move_is_refused(state: State, move: Move) -> None:
    with pytest.raises(ValueError, match=f"a step that is {state} cannot {move}"):
        after(state, move)


def test_nothing_leads_out_of_a_final_state() -> None:
    assert {State.APPLIED, State.REJECTED, State.UNCHANGED, State.SKIPPED} == FINAL
    assert FINAL - {State.REJECTED} == FINE
    assert not {before for before, _ in LEGAL} & FINAL


def test_a_step_whose_fate_is_unknown_is_never_sent_without_a_look() -> None:
    # INTENT reaches PENDING only by NOT_EXECUTED, which is proof; what is in doubt only by MISS, which is a look.
    ways_back = {(state, move) for (state, move), following in TABLE.items() if following is State.PENDING}
    assert ways_back == {
        (State.INTENT, Move.NOT_EXECUTED),
        (State.DOUBT, Move.MISS),
        (State.UNRESOLVED, Move.MISS),
    }
    assert {State.INTENT, State.DOUBT, State.UNRESOLVED} == IN_DOUBT
