"""What a ledger tells of how its run went: what was said no to, which requests left when, and what became of each row.

All is asked of a connection in one transaction (`at_one_moment`), so that what is told fits together also while the run
is running. Reads are in no ledger: a request here is a write.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

import msgspec
from msgspec import Struct

from migrator.core.model import Base, EntityType, Kind
from migrator.core.states import FINE, State
from migrator.core.verdict import ErrorClass
from migrator.ledger.columns import touched
from migrator.ledger.conditions import OBJECT
from migrator.ledger.database import format_of, read_only
from migrator.ledger.reading import MORE_ROWS
from migrator.ports import How

_FINE = ", ".join(f"'{state}'" for state in sorted(FINE))

ERRORS = f"""
SELECT p.error_class, p.http_status, p.message, p.state, sum(1 + {MORE_ROWS.format(step="p.step")}), min(s.seq), s.type,
       {OBJECT}
FROM progress AS p CROSS JOIN step AS s ON s.seq = p.step
WHERE p.state <> '{State.APPLIED}' AND p.error_class <> '' AND p.state NOT IN ({_FINE})
GROUP BY 1, 2, 3, 4
"""
# What was applied is not read: the condition is spelled as in the index of the rest. A step has the number of its first
# line. Beside min(), SQLite takes the other columns from the row that has it.


class Fate(StrEnum):
    """What became of one request."""

    DONE = "done"
    REFUSED = "refused"
    TURNED_AWAY = "turned away"
    """Before the service saw it, or because the object was locked: it goes again as it is."""
    NO_ANSWER = "no clear answer"
    """None, or one that does not say whether it was done, or none yet."""


_TURNED_AWAY = (
    ErrorClass.RATE_LIMITED,
    ErrorClass.UNAVAILABLE,
    ErrorClass.UNREACHABLE,
    ErrorClass.CREDENTIALS,
    ErrorClass.PERMISSION,
    ErrorClass.CONFLICT,
)
"""Of an attempt that settled nothing: a conflict is then an object that was locked."""

# An attempt that settled nothing is in `attempt`, the last one of each step in `progress`, and some are in both. One
# that ended without an error class was taken back before it was sent.
_REQUESTS = """
SELECT a.sent_at, a.ended_at, a.http_status, {fate_of_attempt} AS fate
FROM attempt AS a WHERE a.error_class <> ''
UNION ALL
SELECT p.sent_at, p.ended_at, CASE {how} WHEN 'answer' THEN p.http_status END, {fate_of_last}
FROM progress AS p
WHERE p.attempt > 0 AND NOT EXISTS (SELECT 1 FROM attempt AS a WHERE a.step = p.step AND a.number = p.attempt)
"""

_FATE_OF_ATTEMPT = f"""
CASE WHEN a.error_class IN ({", ".join(f"'{one}'" for one in _TURNED_AWAY)}) THEN '{Fate.TURNED_AWAY}'
     WHEN a.error_class = '{ErrorClass.GUARD_FAILED}' THEN '{Fate.REFUSED}' ELSE '{Fate.NO_ANSWER}' END
"""

_FATE_OF_LAST = f"""
CASE WHEN {{how}} <> '{How.ANSWER}' THEN '{Fate.NO_ANSWER}' WHEN p.state = '{State.APPLIED}' THEN '{Fate.DONE}'
     WHEN p.state = '{State.REJECTED}' THEN '{Fate.REFUSED}' ELSE '{Fate.NO_ANSWER}' END
"""

CONTAINERS = """
SELECT c.name, coalesce(p.state, 'PENDING'), count(*)
FROM input_row AS r JOIN step AS s ON s.seq = r.step JOIN container AS c ON c.id = s.container
LEFT JOIN progress AS p ON p.step = r.step
GROUP BY c.id, 2 ORDER BY c.id
"""

_CHOSEN = f"""
SELECT r.line FROM input_row AS r LEFT JOIN progress AS p ON p.step = r.step
ORDER BY coalesce(p.state, 'PENDING') IN ({_FINE}), r.line LIMIT ?
"""

_ROWS = """
SELECT r.line, r.step, r.raw, coalesce(p.state, 'PENDING'), c.name, s.type, {object}, s.kind, s.body,
       coalesce(p.error_class, ''), coalesce(p.message, ''), p.http_status, p.etag, coalesce({how}, ''),
       coalesce(p.attempt, 0), coalesce(p.request_id, ''), p.sent_at, p.ended_at,
       (SELECT json_group_array(json_array(a.number, a.sent_at, a.ended_at, a.http_status, a.error_class, a.message))
        FROM attempt AS a WHERE a.step = r.step),
       b.step IS NOT NULL, {etag}, b.touched, {name}
FROM input_row AS r JOIN step AS s ON s.seq = r.step JOIN container AS c ON c.id = s.container
LEFT JOIN progress AS p ON p.step = r.step LEFT JOIN base AS b ON b.step = r.step
WHERE r.line IN ({chosen}) ORDER BY r.line
"""


class Refusal(Struct, frozen=True):
    """What the same number of rows were told in the same words.

    Attributes:
        error_class: in a word of `ErrorClass`.
        http_status: status of the answer, or `None`.
        message: in a sentence.
        state: where that leaves the rows.
        rows: how many.
        line: of the first of them.
        type: of its object.
        object: of the same; `None` if it has none yet.
    """

    error_class: str
    http_status: int | None
    message: str
    state: State
    rows: int
    line: int
    type: EntityType
    object: str | None


class PastAttempt(Struct, frozen=True, array_like=True):
    """One try of a step that did not settle it: columns of the table `attempt`."""

    number: int
    sent_at: float
    ended_at: float
    http_status: int | None
    error_class: str
    message: str


class Told(Struct, frozen=True):
    """One input row, with all that the ledger knows of it.

    Attributes:
        line: the row's line.
        step: line of the first row of its request.
        raw: the row as it was read.
        state: where it stands.
        container: as in `core.model.Step`, and so are `type`, `object`, `kind` and `body`.
        error_class: why it was not applied.
        message: the same in a sentence.
        http_status: of the last answer, or `None`.
        etag: version of the object after the write, if told.
        how: by what the state was reached; "" if it was not.
        attempt: number of the last attempt; 0 if there was none.
        request_id: of the last attempt.
        sent_at: when its intent was written, seconds since the epoch.
        ended_at: when the state was reached.
        attempts: those that settled nothing.
        base: what the object was, or `None` if that is not known.
    """

    line: int
    step: int
    raw: str
    state: State
    container: str
    type: EntityType
    object: str
    kind: Kind
    body: bytes
    error_class: str
    message: str
    http_status: int | None
    etag: int | None
    how: str
    attempt: int
    request_id: str
    sent_at: float | None
    ended_at: float | None
    attempts: tuple[PastAttempt, ...]
    base: Base | None


@contextmanager
def at_one_moment(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a ledger to ask it several things, as it is at one moment."""
    with read_only(path) as db:
        db.execute("BEGIN")
        yield db


def refusals(db: sqlite3.Connection) -> Iterator[Refusal]:
    """Yield what rows that are not applied were told, each wording once."""
    for error_class, status, message, state, *rest in db.execute(ERRORS):
        rows, line, type_, object_ = rest
        yield Refusal(error_class, status, message, State(state), rows, line, EntityType(type_), object_)


def sent_by_second(db: sqlite3.Connection) -> Iterator[tuple[int, Fate, int]]:
    """Yield how many requests left in which second since the epoch, by their fate; in order of time."""
    query = f"SELECT cast(sent_at AS INTEGER), fate, count(*) FROM ({_requests(db)}) GROUP BY 1, 2 ORDER BY 1"
    for second, fate, count in db.execute(query):
        yield second, Fate(fate), count


def latencies(db: sqlite3.Connection) -> Iterator[float]:
    """Yield the seconds from the intent of each request that was answered to the end of its answer, in order of size.

    What was found out by looking has no answer, and whatever the host's clock was set back over is left out.
    """
    query = f"SELECT ended_at - sent_at AS s FROM ({_requests(db)}) WHERE http_status IS NOT NULL AND s >= 0 ORDER BY 1"
    for (seconds,) in db.execute(query):
        yield seconds


def _requests(db: sqlite3.Connection) -> str:
    how = _how(db)
    return _REQUESTS.format(how=how, fate_of_attempt=_FATE_OF_ATTEMPT, fate_of_last=_FATE_OF_LAST.replace("{how}", how))


def _how(db: sqlite3.Connection) -> str:
    """Return the expression for how a state was reached; in format 1 only answers led to one."""
    return "p.how" if format_of(db) >= 2 else f"'{How.ANSWER}'"


def states_by_container(db: sqlite3.Connection) -> dict[str, dict[State, int]]:
    """Count the rows of each container by state; containers in the order of their first rows."""
    counts: dict[str, dict[State, int]] = {}
    for name, state, rows in db.execute(CONTAINERS):
        counts.setdefault(name, {})[State(state)] = rows
    return counts


_ATTEMPTS = msgspec.json.Decoder(tuple[PastAttempt, ...]).decode


def told_rows(db: sqlite3.Connection, most: int) -> Iterator[Told]:
    """Yield input rows with all that is known of them, in the order of the input.

    Args:
        db: the ledger.
        most: how many rows at the most: first those that somebody has to do something about.
    """
    found = format_of(db)
    query = _ROWS.format(
        object=OBJECT,
        how=_how(db),
        chosen=_CHOSEN,
        etag="b.etag" if found >= 2 else "NULL",
        name="b.name" if found >= 3 else "''",
    )
    for line, step, raw, state, container, type_, object_, kind, *rest in db.execute(query, (most,)):
        *known, attempts, based, etag, places, name = rest
        base = Base(etag, touched(places), b"", guarded=False, name=name) if based else None
        what = (State(state), container, EntityType(type_), object_ or "", Kind(kind))
        members = [*what, *known, _ATTEMPTS(attempts), base]
        yield Told(line, step, raw, *members)
