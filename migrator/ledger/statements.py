"""What a running ledger says to SQLite.

Writes come as functions of a number of rows, because all rows of a batch go into one statement (see `runledger`). What
is not needed in such a statement is bound to 0, and a row of step 0 is none.
"""

from __future__ import annotations

from functools import cache

from migrator.core.model import Kind
from migrator.core.states import State
from migrator.ledger.schema import UNSETTLED


@cache
def intend(rows: int) -> str:
    """Return the statement that writes up to so many intents: `Intent`'s members in their order, for each."""
    return f"""
INSERT INTO progress (step, attempt, request_id, sent_at, first_sent_at, state)
SELECT *, column4, '{State.INTENT}' FROM ({_values(rows, 4)}) WHERE column1 > 0
ON CONFLICT (step) DO UPDATE SET
    state = excluded.state, attempt = excluded.attempt, request_id = excluded.request_id, sent_at = excluded.sent_at,
    ended_at = NULL, http_status = NULL, error_class = '', message = '', how = ''
"""


@cache
def record(rows: int) -> str:
    """Return the statement that writes up to so many outcomes: `Outcome`'s members in their order, for each."""
    return f"""
UPDATE progress SET
    misses = misses + (column2 = '{State.PENDING}' AND state <> '{State.INTENT}' AND error_class <> 'guard_failed'),
    state = column2, ended_at = column3, http_status = column4, error_class = column5, message = column6,
    etag = column7, object = column8, reference = column9, how = column10
FROM ({_values(rows, 10)}) WHERE step = column1
"""


@cache
def remember(rows: int) -> str:
    """Return the statement that keeps up to so many attempts that settled nothing as history.

    How such an attempt ended is what the outcome says, unless the step was in doubt: then the outcome is that of a
    look, and how the attempt ended is what was known until now. A step that looking could not tell is remembered when
    that is found, and again, which changes nothing, if a later look finds that it was not applied.
    """
    # CROSS JOIN fixes the order of the loops: each outcome finds its row by the primary key.
    return f"""
INSERT INTO attempt
SELECT step, attempt, request_id, sent_at,
       CASE state WHEN '{State.INTENT}' THEN column3 ELSE coalesce(ended_at, column3) END,
       CASE state WHEN '{State.INTENT}' THEN column4 ELSE http_status END,
       CASE state WHEN '{State.INTENT}' THEN column5 ELSE error_class END,
       CASE state WHEN '{State.INTENT}' THEN column6 ELSE message END
FROM ({_values(rows, 10)}) CROSS JOIN progress ON step = column1 WHERE true
ON CONFLICT (step, number) DO UPDATE SET number = number
"""


@cache
def dismiss(rows: int) -> str:
    """Return the statement that ends up to so many steps without a request: `Outcome`'s members, for each."""
    return f"""
INSERT INTO progress (
    step, attempt, request_id, sent_at, state, ended_at, http_status, error_class, message, etag, object, reference, how
)
SELECT column1, 0, '', column3, column2, column3, column4, column5, column6, column7, column8, column9, column10
FROM ({_values(rows, 10)}) WHERE column1 > 0
ON CONFLICT (step) DO UPDATE SET
    state = excluded.state, ended_at = excluded.ended_at, http_status = excluded.http_status,
    error_class = excluded.error_class, message = excluded.message, how = excluded.how
"""


@cache
def keep(rows: int) -> str:
    """Return the statement that writes up to so many bases: columns of the table `base`, for each."""
    return f"""
INSERT INTO base (step, etag, touched, body, guarded, name)
SELECT * FROM ({_values(rows, 6)}) WHERE column1 > 0
ON CONFLICT (step) DO UPDATE SET
    etag = excluded.etag, touched = excluded.touched, body = excluded.body, guarded = excluded.guarded,
    name = excluded.name
"""


def _values(rows: int, columns: int) -> str:
    row = f"({', '.join('?' * columns)})"
    return "VALUES " + ", ".join([row] * rows)


FREE = "NOT EXISTS (SELECT 1 FROM held AS h WHERE h.step = t.step)"
"""The condition that a step `t` to be sent meets if it is not held back."""

STEP = """
s.seq, s.key, c.name, s.type, s.object, s.kind, coalesce(b.body, s.body),
coalesce(p.attempt, 0), coalesce(p.misses, 0), b.step IS NOT NULL, b.etag, coalesce(b.guarded, 0)
"""
"""The members of `Step` in their order."""

PENDING = f"""
SELECT {STEP}
FROM container AS c CROSS JOIN to_send AS t ON t.container = c.id CROSS JOIN step AS s ON s.seq = t.step
LEFT JOIN progress AS p ON p.step = t.step LEFT JOIN base AS b ON b.step = t.step
WHERE c.name = ? AND t.stage = ? AND t.step > ? AND {FREE}
ORDER BY t.step LIMIT ?
"""

UNBASED = f"""
SELECT s.type, count(*)
FROM container AS c CROSS JOIN to_send AS t ON t.container = c.id CROSS JOIN step AS s ON s.seq = t.step
LEFT JOIN base AS b ON b.step = t.step
WHERE c.name = ? AND t.stage = ? AND s.kind IN (SELECT value FROM json_each(?)) AND b.step IS NULL AND {FREE}
GROUP BY s.type
"""

INDEX_OBJECTS = "CREATE INDEX IF NOT EXISTS step_by_object ON step (object)"
"""Planning finds by it the rows that are for one object. Of a run that was planned without it, such as a retry, whoever
asks first for steps by object waits for it once."""

UNBASED_AMONG = f"""
SELECT {STEP}
FROM step AS s INDEXED BY step_by_object CROSS JOIN container AS c ON c.id = s.container
CROSS JOIN to_send AS t ON t.container = s.container AND t.stage = s.stage AND t.step = s.seq
LEFT JOIN progress AS p ON p.step = s.seq LEFT JOIN base AS b ON b.step = s.seq
WHERE s.object IN (SELECT value FROM json_each(?)) AND c.name = ? AND s.stage = ? AND s.type = ?
  AND s.kind IN (SELECT value FROM json_each(?)) AND b.step IS NULL AND {FREE}
ORDER BY s.seq
"""

UNSETTLED_DOUBTS = f"""
SELECT {STEP.replace("coalesce(b.body, s.body)", "s.body")},
       b.touched, b.body, b.name, p.state, p.first_sent_at, p.sent_at, p.http_status, p.error_class, p.message,
       CASE p.state WHEN '{State.DOUBT}' THEN p.ended_at END
FROM progress AS p INDEXED BY progress_unsettled
CROSS JOIN step AS s ON s.seq = p.step JOIN container AS c ON c.id = s.container
LEFT JOIN base AS b ON b.step = s.seq
WHERE {UNSETTLED} AND p.state IN (SELECT value FROM json_each(?)) AND p.step > ?
ORDER BY p.step LIMIT ?
"""

DOUBTS = UNSETTLED_DOUBTS.replace("INDEXED BY progress_unsettled", "").replace(f"{UNSETTLED} AND", "")
"""The same of steps that may be settled: all of the progress is read."""

SETTLED_OBJECTS = f"""
SELECT s.object FROM step AS s INDEXED BY step_by_object CROSS JOIN progress AS p ON p.step = s.seq
WHERE s.object IN (SELECT value FROM json_each(?1)) AND p.state = '{State.APPLIED}'
UNION
SELECT object FROM progress WHERE object IN (SELECT value FROM json_each(?1)) AND state = '{State.APPLIED}'
"""
"""A change names its object itself; what was created, the receipt names."""

CONTAINERS = f"""
SELECT c.name, EXISTS (
    SELECT 1 FROM to_send AS t CROSS JOIN step AS s ON s.seq = t.step
    WHERE t.container = c.id AND t.stage = ?1 AND {FREE}
)
FROM container AS c WHERE EXISTS (
    SELECT 1 FROM to_send AS t WHERE t.container = c.id AND t.stage = ?1 AND {FREE}
) ORDER BY c.id
"""
"""The containers that have steps to send, and whether the plan has any of those steps: a damaged ledger may not."""

STAGES = "SELECT number FROM stage ORDER BY number"

REVIEWED = "SELECT r.step, r.etag, r.touched, r.name FROM review AS r WHERE r.step IN (SELECT value FROM json_each(?))"

IDS = f"""
SELECT s.type, o.reference, p.reference
FROM origin AS o JOIN step AS s ON s.seq = o.step JOIN progress AS p ON p.step = o.step
WHERE o.reference IN (SELECT value FROM json_each(?)) AND p.state IN ('{State.APPLIED}', '{State.UNCHANGED}')
  AND p.reference <> ''
"""
"""Ids in the target of objects of the source."""

ANY_REVIEWED = "SELECT EXISTS (SELECT 1 FROM review)"

FORGET_BASES = f"""
DELETE FROM base WHERE step IN (
    SELECT t.step FROM to_send AS t JOIN review AS r ON r.step = t.step JOIN step AS s ON s.seq = t.step
    LEFT JOIN progress AS p ON p.step = t.step
    WHERE s.kind = '{Kind.DELETE}' OR coalesce(p.misses, 0) = 0
)
"""
"""What was reviewed is compared with its object anew by each process: the object may have changed meanwhile. Only a
patch that was lost goes again on the base that guards it against itself."""

DOUBT_INTENTS = f"""
UPDATE progress SET state = '{State.DOUBT}', error_class = 'no_answer',
       message = 'the run ended between sending and the answer'
WHERE {UNSETTLED} AND state = '{State.INTENT}'
"""
