"""What a shard that is carried out says to PostgreSQL.

Each is the twin of one in `ledger.statements`, which says what it is for. `$1` is the run, and where a statement is
about the steps of one shard alone, `$2` is the shard. What writes a batch is a function of the database: see `commit`.
"""

from __future__ import annotations

from migrator.core.model import Kind
from migrator.core.states import State

UNSENT = f"(p.state IS NULL OR p.state = '{State.PENDING}')"

_HELD = "EXISTS (SELECT 1 FROM held AS h WHERE h.run = $1 AND h.step = s.seq)"

TO_SEND = f"{UNSENT} AND NOT {_HELD}"

STEP = """
s.seq, s.key, c.name, s.type, s.object, s.kind, coalesce(b.body, s.body),
coalesce(p.attempt, 0), coalesce(p.misses, 0), b.step IS NOT NULL, b.etag, coalesce(b.guarded, 0)
"""
"""The members of `Step` in their order."""

_STEPS = """
step AS s JOIN container AS c ON c.run = $1 AND c.id = s.container
LEFT JOIN progress AS p ON p.run = $1 AND p.step = s.seq LEFT JOIN base AS b ON b.run = $1 AND b.step = s.seq
"""

_HERE = "s.run = $1 AND s.shard = $2"

STAGES = "SELECT DISTINCT stage FROM step WHERE run = $1 AND shard = $2 ORDER BY stage"

CONTAINERS = f"""
SELECT c.name FROM container AS c WHERE c.run = $1 AND EXISTS (
    SELECT 1 FROM step AS s LEFT JOIN progress AS p ON p.run = $1 AND p.step = s.seq
    WHERE {_HERE} AND s.container = c.id AND s.stage = $3 AND {TO_SEND}
) ORDER BY c.id
"""

PENDING = f"""
SELECT {STEP} FROM {_STEPS}
WHERE {_HERE} AND c.name = $3 AND s.stage = $4 AND s.seq > $5 AND {TO_SEND} ORDER BY s.seq LIMIT $6
"""

UNBASED = f"""
SELECT s.type, count(*) FROM {_STEPS}
WHERE {_HERE} AND c.name = $3 AND s.stage = $4 AND s.kind = ANY($5::text[]) AND b.step IS NULL AND {TO_SEND}
GROUP BY s.type
"""

UNBASED_AMONG = f"""
SELECT {STEP} FROM {_STEPS}
WHERE {_HERE} AND s.object = ANY($7::text[]) AND c.name = $3 AND s.stage = $4 AND s.type = $6
  AND s.kind = ANY($5::text[]) AND b.step IS NULL AND {TO_SEND}
ORDER BY s.seq
"""

UNBASED_ELSEWHERE = UNBASED_AMONG.replace(_HERE, "s.run = $1 AND s.shard <> $2")

LEND = """
INSERT INTO base (run, step, etag, touched, body, guarded, name)
SELECT $1, b.step, b.etag, b.touched, decode(b.body, 'base64'), b.guarded, b.name
FROM json_to_recordset($2) AS b (step bigint, etag bigint, touched text, body text, guarded integer, name text)
WHERE NOT EXISTS (SELECT FROM progress AS p WHERE p.run = $1 AND p.step = b.step)
ON CONFLICT (run, step) DO NOTHING
"""
"""Only for steps that nobody has begun. Whoever sends one on another base writes that one over it first."""

DOUBTS = f"""
SELECT {STEP.replace("coalesce(b.body, s.body)", "s.body")},
       b.touched, b.body, b.name, p.state, p.first_sent_at, p.sent_at, p.http_status, p.error_class, p.message,
       CASE p.state WHEN '{State.DOUBT}' THEN p.ended_at END
FROM {_STEPS} WHERE {_HERE} AND p.state = ANY($3::text[]) AND s.seq > $4 ORDER BY s.seq LIMIT $5
"""

SETTLED_OBJECTS = f"""
SELECT s.object FROM step AS s JOIN progress AS p ON p.run = $1 AND p.step = s.seq
WHERE s.run = $1 AND s.object = ANY($2::text[]) AND p.state = '{State.APPLIED}'
UNION
SELECT object FROM progress WHERE run = $1 AND object = ANY($2::text[]) AND state = '{State.APPLIED}'
"""

REVIEWED = "SELECT step, etag, touched, name FROM review WHERE run = $1 AND step = ANY($2::bigint[])"

ANY_REVIEWED = "SELECT EXISTS (SELECT 1 FROM review WHERE run = $1)"

IDS = f"""
SELECT s.type, o.reference, p.reference
FROM origin AS o JOIN step AS s ON s.run = $1 AND s.seq = o.step JOIN progress AS p ON p.run = $1 AND p.step = o.step
WHERE o.run = $1 AND o.reference = ANY($2::text[]) AND p.state IN ('{State.APPLIED}', '{State.UNCHANGED}')
  AND p.reference <> ''
"""

TAKE = """
UPDATE shard SET epoch = epoch + 1, owner = $3, expires_at = clock_timestamp() + make_interval(secs => $4)
WHERE run = $1 AND number = $2
  AND (owner = $3 OR expires_at + make_interval(secs => $5) < clock_timestamp())
  AND EXISTS (SELECT 1 FROM run WHERE id = $1 AND stopped = '')
RETURNING epoch
"""
"""Only when the lease of whoever had it has been over for some time more: its last request has ended then."""

TAKEN = """
SELECT h.owner, extract(epoch FROM h.expires_at)::double precision, r.stopped
FROM shard AS h JOIN run AS r ON r.id = $1 WHERE h.run = $1 AND h.number = $2
"""

DOUBT_INTENTS = f"""
UPDATE progress AS p SET state = '{State.DOUBT}', error_class = 'no_answer',
       message = 'the run ended between sending and the answer'
FROM step AS s WHERE {_HERE} AND p.run = $1 AND p.step = s.seq AND p.state = '{State.INTENT}'
"""

FORGET_BASES = f"""
DELETE FROM base AS d WHERE d.run = $1 AND d.step IN (
    SELECT s.seq FROM review AS r JOIN step AS s ON s.run = $1 AND s.seq = r.step
    LEFT JOIN progress AS p ON p.run = $1 AND p.step = s.seq
    WHERE r.run = $1 AND {_HERE} AND {UNSENT} AND (s.kind = '{Kind.DELETE}' OR coalesce(p.misses, 0) = 0)
)
"""
