"""Steps that have ended, read back from the ledger one by one while their run is running."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from migrator.core.model import EntityType, Kind
from migrator.core.states import State
from migrator.ledger.columns import listed
from migrator.ledger.conditions import OBJECT
from migrator.ledger.database import read_only
from migrator.ports import How


class StepOutcome(Struct, frozen=True):
    """How one step ended: one request, or the finding that none is needed, for all rows of one object.

    Attributes:
        line: of its first row.
        container: the container of xcore, the sandbox of dps.
        type: of the object.
        object: id of the object, also of one that was created; "" if it is not known.
        kind: what was wanted.
        state: `APPLIED`, `UNCHANGED`, `REJECTED`, `UNRESOLVED` or `SKIPPED`.
        http_status: of the answer, or `None` if there was none.
        error_class: a word of `core.verdict.ErrorClass`, "" for success.
        message: why, in one line; "" for success.
        etag: version of the object after the write, if told.
        how: whether the answer said so, a look showed it, or a person decided.
    """

    line: int
    container: str
    type: EntityType
    object: str
    kind: Kind
    state: State
    http_status: int | None
    error_class: str
    message: str
    etag: int | None
    how: How


ENDED = f"""
SELECT s.seq, c.name, s.type, {OBJECT}, s.kind, p.state, p.http_status, p.error_class, p.message, p.etag, p.how
FROM json_each(?) AS wanted CROSS JOIN step AS s ON s.seq = wanted.value
JOIN container AS c ON c.id = s.container JOIN progress AS p ON p.step = s.seq
ORDER BY wanted.key
"""


def step_outcomes(path: Path, steps: Sequence[int]) -> list[StepOutcome]:
    """Return how `steps` of the ledger `path` ended, in the order in which they are named."""
    with read_only(path) as db:
        return [_outcome(*row) for row in db.execute(ENDED, (listed(steps),))]


def _outcome(*columns: Any) -> StepOutcome:
    line, container, type_, object_, kind, state, status, error, message, etag, how = columns
    return StepOutcome(
        line, container, EntityType(type_), object_, Kind(kind), State(state), status, error, message, etag, How(how)
    )
