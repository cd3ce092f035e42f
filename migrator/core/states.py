"""The states of a step and the moves between them: the whole protocol as one table.

Everything that says which state may follow which lives here. The ledger builds the trigger that refuses other moves
from `LEGAL`, so an illegal move is impossible in the file as well as in the program. Source:
`reference/resumption.md` section 5.

::

                      ┌──────────────── NOT_EXECUTED ─────────────────┐
                      ▼                                               │
    (absent) = PENDING ──INTEND──▶ INTENT ──┬──APPLY──▶ APPLIED       │
                  │   ▲                     ├──REJECT─▶ REJECTED      │
                  │   │                     ├───────────────────────▶─┘
                  │   │                     └──LOSE───▶ DOUBT ──FIND──▶ APPLIED
                  │   ├────────────── MISS ───────────────┼──REJECT─▶ REJECTED
                  │   │                                   └──GIVE_UP─▶ UNRESOLVED ─┬─FIND──▶ APPLIED
                  │   └────────────── MISS ────────────────────────────────────────┴─REJECT─▶ REJECTED
                  └──REJECT──▶ REJECTED, ──AGREE──▶ UNCHANGED, ──SKIP──▶ SKIPPED

A step goes from PENDING to REJECTED when the look before the first request shows that it cannot be sent: its object is
not there, or is not what the change was made for. It goes to UNCHANGED when the object is as wanted already, and to
SKIPPED when it was left out on purpose. It goes from DOUBT to REJECTED when a look shows that it was not applied and it
is not to be sent again: what the service said was a refusal after all, or it has been lost too often. UNRESOLVED is as
far as looking gets by itself; a later look, or a person, may still lead out of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class State(StrEnum):
    """Where a step stands. A step that the ledger has no word on yet is `PENDING`."""

    PENDING = "PENDING"
    """Not sent, or sent and known not to have been executed."""
    INTENT = "INTENT"
    """Durably about to be sent; whether it was is known only to the process that wrote this."""
    DOUBT = "DOUBT"
    """It was, or may have been, sent, and its fate is unknown."""
    APPLIED = "APPLIED"
    """The service has it."""
    REJECTED = "REJECTED"
    """The service said no, for good."""
    UNRESOLVED = "UNRESOLVED"
    """Looking could not tell; a person has to, or a later look."""
    UNCHANGED = "UNCHANGED"
    """The object was as wanted already; nothing was sent."""
    SKIPPED = "SKIPPED"
    """Left out on purpose; nothing was sent."""


class Move(StrEnum):
    """What happens to a step."""

    INTEND = "intend"
    APPLY = "apply"
    REJECT = "reject"
    NOT_EXECUTED = "not_executed"
    LOSE = "lose"
    FIND = "find"
    MISS = "miss"
    GIVE_UP = "give_up"
    AGREE = "agree"
    SKIP = "skip"


TABLE: Mapping[tuple[State, Move], State] = {
    (State.PENDING, Move.INTEND): State.INTENT,
    (State.PENDING, Move.REJECT): State.REJECTED,
    (State.PENDING, Move.AGREE): State.UNCHANGED,
    (State.PENDING, Move.SKIP): State.SKIPPED,
    (State.INTENT, Move.APPLY): State.APPLIED,
    (State.INTENT, Move.REJECT): State.REJECTED,
    (State.INTENT, Move.NOT_EXECUTED): State.PENDING,
    (State.INTENT, Move.LOSE): State.DOUBT,
    (State.DOUBT, Move.FIND): State.APPLIED,
    (State.DOUBT, Move.MISS): State.PENDING,
    (State.DOUBT, Move.REJECT): State.REJECTED,
    (State.DOUBT, Move.GIVE_UP): State.UNRESOLVED,
    (State.UNRESOLVED, Move.FIND): State.APPLIED,
    (State.UNRESOLVED, Move.MISS): State.PENDING,
    (State.UNRESOLVED, Move.REJECT): State.REJECTED,
}

LEGAL: frozenset[tuple[State, State]] = frozenset((before, after) for (before, _), after in TABLE.items())
"""Every pair of states in which the second may follow the first."""

FINAL: frozenset[State] = frozenset(State) - {before for before, _ in TABLE}
"""States without a way out."""

OPEN: frozenset[State] = frozenset({State.PENDING, State.INTENT, State.DOUBT})
"""States that a run leads out of by itself."""

FINE: frozenset[State] = frozenset({State.APPLIED, State.UNCHANGED, State.SKIPPED})
"""Final states that nobody needs to do anything about."""

IN_DOUBT: frozenset[State] = frozenset({State.INTENT, State.DOUBT, State.UNRESOLVED})
"""States of a step that is not running any more and whose fate is unknown."""


def after(state: State, move: Move) -> State:
    """Return the state that follows.

    Raises:
        ValueError: the move is illegal from `state`.
    """
    try:
        return TABLE[state, move]
    except KeyError:
        raise ValueError(f"a step that is {state} cannot {move}") from None
