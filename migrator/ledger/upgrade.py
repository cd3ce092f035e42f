"""Bringing a ledger of an earlier format up to ours, so that a run begun with an older version can be resumed.

Tables are changed step by step, each from one format to the next, in words that stay as they are once they were
released. Views and triggers hold nothing: they are dropped and made anew as `schema` has them now, which also
lets the tables be changed in ways that the triggers are there to refuse.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from migrator.ledger.database import format_of
from migrator.ledger.schema import FORMAT, VIEW, results_view, triggers

UPGRADES: Mapping[int, str] = {
    1: """
ALTER TABLE progress ADD COLUMN misses INTEGER NOT NULL DEFAULT 0;
ALTER TABLE progress ADD COLUMN first_sent_at REAL;
ALTER TABLE progress ADD COLUMN how TEXT NOT NULL DEFAULT '';
UPDATE progress SET
    first_sent_at = coalesce((SELECT min(a.sent_at) FROM attempt a WHERE a.step = progress.step), sent_at),
    how = CASE WHEN ended_at IS NULL THEN '' ELSE 'answer' END;
CREATE TABLE base (
    step INTEGER PRIMARY KEY REFERENCES step, etag INTEGER, touched TEXT, body BLOB NOT NULL, guarded INTEGER NOT NULL
) STRICT;
CREATE TABLE lease (epoch INTEGER NOT NULL, owner TEXT NOT NULL, expires_at REAL NOT NULL) STRICT;
INSERT INTO lease VALUES (0, '', 0);
""",
    2: """
ALTER TABLE step ADD COLUMN stage INTEGER NOT NULL DEFAULT 0;
ALTER TABLE base ADD COLUMN name TEXT NOT NULL DEFAULT '';
CREATE TABLE origin (
    step INTEGER PRIMARY KEY REFERENCES step, container TEXT NOT NULL, object TEXT NOT NULL, reference TEXT NOT NULL,
    etag INTEGER
) STRICT;
CREATE INDEX origin_by_reference ON origin (reference);
CREATE TABLE review (
    step INTEGER PRIMARY KEY REFERENCES step, etag INTEGER, touched TEXT, name TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE TABLE held (step INTEGER PRIMARY KEY REFERENCES step) STRICT;
DROP INDEX step_by_container;
CREATE INDEX step_by_container ON step (container, stage);
""",
    3: """
DROP INDEX step_by_container;
CREATE INDEX row_merged ON input_row (step) WHERE step <> line;
CREATE TABLE to_send (
    container INTEGER NOT NULL, stage INTEGER NOT NULL, step INTEGER NOT NULL, PRIMARY KEY (container, stage, step)
) STRICT, WITHOUT ROWID;
INSERT INTO to_send
    SELECT s.container, s.stage, s.seq FROM step AS s LEFT JOIN progress AS p ON p.step = s.seq
    WHERE coalesce(p.state, 'PENDING') = 'PENDING' ORDER BY 1, 2, 3;
CREATE TABLE stage (number INTEGER PRIMARY KEY) STRICT;
INSERT INTO stage SELECT DISTINCT stage FROM step;
CREATE TABLE tally (
    state TEXT PRIMARY KEY, steps INTEGER NOT NULL, rows INTEGER NOT NULL, attempts INTEGER NOT NULL,
    tried INTEGER NOT NULL, first_sent_at REAL, ended_at REAL
) STRICT;
INSERT INTO tally
    SELECT f.value, count(p.step), count(p.step) + coalesce(sum(r.more), 0),
           coalesce(sum(p.attempt - coalesce(a.unsent, 0)), 0), coalesce(sum(p.attempt > coalesce(a.unsent, 0)), 0),
           min(p.sent_at) FILTER (WHERE p.attempt > 0), max(p.ended_at)
    FROM json_each('["APPLIED", "REJECTED", "SKIPPED", "UNCHANGED"]') AS f LEFT JOIN progress AS p ON p.state = f.value
    LEFT JOIN (SELECT step, count(*) AS more FROM input_row WHERE step <> line GROUP BY step) AS r ON r.step = p.step
    LEFT JOIN (SELECT step, count(*) AS unsent FROM attempt WHERE error_class = '' GROUP BY step) AS a
        ON a.step = p.step
    GROUP BY f.value;
CREATE INDEX progress_unsettled ON progress (step, state) WHERE state IN ('PENDING', 'INTENT', 'DOUBT', 'UNRESOLVED');
CREATE INDEX progress_failed ON progress (ended_at) WHERE state <> 'APPLIED' AND error_class <> '';
""",
    4: """
DROP INDEX progress_unsettled;
CREATE INDEX progress_unsettled ON progress (step, state)
    WHERE state = 'PENDING' OR state = 'INTENT' OR state = 'DOUBT' OR state = 'UNRESOLVED';
""",
}
"""By format, the statements that lead to the next."""


def upgrade(db: sqlite3.Connection) -> None:
    """Bring the ledger that `db` has open for writing up to our format: all of it, or nothing.

    The caller holds the run's lock, and has seen to it that a commit is synced.
    """
    found = format_of(db)
    if found == FORMAT:
        return
    (shape,) = db.execute("SELECT shape FROM run").fetchone()
    made = db.execute("SELECT type, name FROM sqlite_master WHERE type IN ('trigger', 'view')").fetchall()
    db.executescript(
        "BEGIN IMMEDIATE;"
        + "".join(f"DROP {type_} {name};" for type_, name in made)
        + "".join(UPGRADES[format_] for format_ in range(found, FORMAT))
        + VIEW
        + results_view(shape)
        + triggers()
        + f"PRAGMA user_version = {FORMAT}; COMMIT;"
    )
