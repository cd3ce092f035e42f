"""Conditions on steps, for the statements of all who ask a ledger which of them it has.

In each, `s` is the step and `p` its record of progress, unless it says otherwise.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec
from msgspec import Struct

from migrator.core.states import State
from migrator.core.verdict import ErrorClass

NOTHING = "kind = 'edit' AND body = ?"
"""The condition that a step or a change meets if there is nothing to do for it; its parameter is `plan.NO_EDITS`."""

OBJECT = "coalesce(nullif(s.object, ''), p.object)"
"""The object of a step `s` with a record `p` of progress: of what was created, only the receipt tells."""

_APPLIED = f"p.state = '{State.APPLIED}'"

_ON_LINES = """s.seq IN (
    SELECT r.step FROM json_each(:lines) AS span CROSS JOIN main.input_row AS r
    WHERE r.line BETWEEN span.value ->> 0 AND span.value ->> 1
)"""

_OF_OBJECTS = f"{OBJECT} IN (SELECT value FROM json_each(:objects))"


class Chosen(Struct, frozen=True):
    """Which steps of an earlier run a new one takes up.

    Attributes:
        condition: what such a step `s`, with its record `p` of progress, meets in its own ledger; SQL.
        parameters: values that the condition names.
    """

    condition: str
    parameters: Mapping[str, str] = {}


def failed(classes: Collection[ErrorClass]) -> Chosen:
    """Choose the steps that failed: with one of `classes`, if any."""
    wanted = " OR ".join(f"p.error_class = '{one}'" for one in classes)
    return Chosen(f"p.state = '{State.REJECTED}'" + (f" AND ({wanted})" if wanted else ""))


def applied(lines: Collection[tuple[int, int]] = (), objects: Collection[str] = ()) -> Chosen:
    """Choose the steps that were applied.

    Args:
        lines: only those with a row on a line within one of these bounds, each the first and the last one.
        objects: only those for an object with one of these ids. With both, what either names.
    """
    if not lines and not objects:
        return Chosen(_APPLIED)
    parameters = {"lines": _listed(lines), "objects": _listed(objects)}
    return Chosen(f"{_APPLIED} AND ({_ON_LINES} OR {_OF_OBJECTS})", parameters)


def _listed(members: Collection[object]) -> str:
    """Spell values as what `json_each` takes."""
    return msgspec.json.encode(list(members)).decode()
