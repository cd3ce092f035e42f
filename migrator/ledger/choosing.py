"""Choosing the steps of a first try: the others are held back until it is over and the run goes on without a choice.

A canary is a run of which only some steps are sent now. What is held is pending like everything that was not sent yet,
so that nothing is lost by looking at the first results for as long as one likes. A first try that was interrupted has
shown nothing yet: going on ends it, and the others wait until somebody goes on once more.
"""

from __future__ import annotations

import sqlite3

from migrator.core.states import OPEN, State
from migrator.ledger.columns import listed
from migrator.ledger.schema import UNSETTLED
from migrator.ports import Choice

# Keys are hashes, so that their order is as good as chance, and the same each time.
_CHOSEN = """
SELECT s.seq FROM to_send AS t JOIN step AS s ON s.seq = t.step
WHERE :objects IS NULL OR s.object IN (SELECT value FROM json_each(:objects))
ORDER BY {order} LIMIT :most
"""

_HOLD = f"INSERT INTO held SELECT step FROM to_send WHERE step NOT IN ({_CHOSEN}) ORDER BY step"

_TRYING = f"""
SELECT EXISTS (SELECT 1 FROM held) AND EXISTS (
    SELECT step FROM to_send WHERE step NOT IN (SELECT step FROM held)
    UNION ALL
    SELECT step FROM progress WHERE {UNSETTLED} AND state IN ({", ".join(f"'{state}'" for state in sorted(OPEN))})
      AND step NOT IN (SELECT step FROM held)
)
"""

_SKIP = f"""
INSERT INTO progress (step, state, attempt, request_id, sent_at, ended_at, how)
SELECT step, '{State.SKIPPED}', 0, '', :now, :now, 'policy' FROM held
"""


_UNKNOWN = "SELECT value FROM json_each(:objects) WHERE value NOT IN (SELECT object FROM step) ORDER BY 1"


def hold_back(db: sqlite3.Connection, choice: Choice | None) -> list[str]:
    """Hold back the pending steps that are not chosen; without a choice, none, unless a first try is not over yet.

    Returns:
        The objects that were chosen and that no step is for.
    """
    if choice is None and db.execute(_TRYING).fetchone() == (1,):
        return []
    db.execute("DELETE FROM held")
    if choice is None:
        return []
    objects = None if choice.objects is None else listed(choice.objects)
    most = -1 if choice.most is None else choice.most
    order = "s.key" if choice.at_random else "s.stage, s.seq"
    db.execute(_HOLD.format(order=order), {"objects": objects, "most": most})
    return [name for (name,) in db.execute(_UNKNOWN, {"objects": objects})] if objects else []


def skip_held(db: sqlite3.Connection, now: float) -> None:
    """Leave out for good what is held back.

    Args:
        db: the ledger.
        now: seconds since the epoch.
    """
    db.execute(_SKIP, {"now": now})
    db.execute("DELETE FROM held")
