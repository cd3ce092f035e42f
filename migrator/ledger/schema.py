"""The tables of a ledger file, format 5.

A ledger is one SQLite file, meant to be read by people and by other tools while and after it is written:

* `run`: one row; what was asked, of which input, with which settings (never a secret).
* `container`: the containers, in the order of their first rows.
* `input_row`: every record of the input as it was read, and the step it became part of.
* `step`: the plan. One request each, in order; written once, before the first request, and never changed.
* `progress`: how far each step is. No row means PENDING. The only table that changes much while a run is running.
* `to_send`: the steps that are PENDING, so that what is left of a run is found without a look at what is done.
* `tally`: what the steps that are settled come to, by state, for the same reason. Triggers keep both up to date.
* `stage`: the stages that steps have.
* `attempt`: attempts that ended without settling their step, as history.
* `base`: what the object of a change was when the change was made ready, and what is sent because of it.
* `origin`: of what object elsewhere a step makes a copy.
* `review`: what the object of a step was when the plan was reviewed; such a step is sent only while that is so.
* `held`: steps that wait until those chosen for a first try are done.
* `lease`: one row; which process may write, and until when another machine has to take its word for it.
* `outcomes`: a view that joins them: one line per input row with its state. Start here.
* `results`: a view with the columns of the results files: the input's own, by their names, and ours.

The protocol's guarantees rest on two settings. `journal_mode=WAL` with `synchronous=FULL` makes a commit survive a
power cut, which an intent must (with NORMAL nearly every commit of the last moments is lost:
`reference/resumption.md` section 8). And the triggers on `progress` refuse every move that `core.states` does not
list, whoever asks for it. A ledger of an earlier format is brought up to this one by `upgrade`.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from migrator.core.states import FINAL, LEGAL, State

FORMAT = 5
"""Version of the tables, kept in `PRAGMA user_version`. A ledger of a later version is refused, not guessed at."""

PLAN = """
CREATE TABLE run (
    id           TEXT PRIMARY KEY,
    created_at   REAL NOT NULL,  -- seconds since the epoch
    style        TEXT NOT NULL,
    input        TEXT NOT NULL,  -- name of the input as it was given
    input_sha256 TEXT NOT NULL,  -- of the decompressed bytes
    shape        TEXT NOT NULL,  -- JSON: format, header, delimiter, line end
    fingerprint  TEXT NOT NULL,  -- of the plan: target and all changes
    settings     TEXT NOT NULL,  -- JSON: what shapes requests; no secret
    rows         INTEGER NOT NULL,
    steps        INTEGER NOT NULL
) STRICT;
CREATE TABLE container (
    id   INTEGER PRIMARY KEY,    -- in the order of first rows
    name TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE input_row (
    line INTEGER PRIMARY KEY,    -- physical line on which the record begins
    step INTEGER NOT NULL,       -- step.seq
    raw  TEXT NOT NULL           -- JSON array of cells (CSV), or the line (JSONL)
) STRICT;
CREATE INDEX row_merged ON input_row (step) WHERE step <> line;  -- all rows of a step but the first
CREATE TABLE step (
    seq       INTEGER PRIMARY KEY,  -- line of its first row
    key       TEXT NOT NULL,        -- content-made identity
    container INTEGER NOT NULL REFERENCES container,
    type      TEXT NOT NULL,
    object    TEXT NOT NULL,        -- id in the URL; '' for a create
    kind      TEXT NOT NULL,        -- patch, edit, create, replace, delete
    body      BLOB NOT NULL,        -- JSON as sent, or of an edit as planned
    stage     INTEGER NOT NULL DEFAULT 0  -- sent when all of the stages before it are settled
) STRICT;
CREATE TABLE origin (
    step      INTEGER PRIMARY KEY REFERENCES step,
    container TEXT NOT NULL,
    object    TEXT NOT NULL,    -- id in the URL of the source
    reference TEXT NOT NULL,    -- id by which others refer to it there
    etag      INTEGER
) STRICT;
CREATE INDEX origin_by_reference ON origin (reference);
CREATE TABLE review (
    step    INTEGER PRIMARY KEY REFERENCES step,
    etag    INTEGER,
    touched TEXT,              -- as in base
    name    TEXT NOT NULL DEFAULT ''  -- as in base
) STRICT;
"""
"""Written while planning."""

DRAFT = """
CREATE TABLE draft.problem (line INTEGER, col TEXT, message TEXT, hint TEXT) STRICT;
CREATE TABLE draft.lasting (line INTEGER, type TEXT, object TEXT, reason TEXT) STRICT;
CREATE TABLE draft.change (
    line INTEGER PRIMARY KEY, container INTEGER, type TEXT, identity TEXT, kind TEXT, name TEXT, sought TEXT,
    placement TEXT
) STRICT;  -- of rows that are not told by the id of an object alone
CREATE TABLE draft.shared (
    container INTEGER, type TEXT, identity TEXT, line INTEGER, PRIMARY KEY (container, type, identity, line)
) STRICT, WITHOUT ROWID;
CREATE TABLE draft.settled (
    step INTEGER PRIMARY KEY, state TEXT, error_class TEXT, message TEXT, object TEXT, reference TEXT
) STRICT;
CREATE INDEX draft.change_sought ON change (container, type, sought, name) WHERE sought <> '';
CREATE TABLE draft.found (
    container INTEGER, type TEXT, sought TEXT, value TEXT, object TEXT,
    PRIMARY KEY (container, type, sought, value, object)
) STRICT, WITHOUT ROWID;
"""
"""What is only there while a plan is made, in a file of its own that is thrown away."""

PROGRESS = """
CREATE TABLE to_send (
    container INTEGER NOT NULL, stage INTEGER NOT NULL, step INTEGER NOT NULL, PRIMARY KEY (container, stage, step)
) STRICT, WITHOUT ROWID;
CREATE TABLE stage (number INTEGER PRIMARY KEY) STRICT;
CREATE TABLE tally (
    state         TEXT PRIMARY KEY,  -- only final ones
    steps         INTEGER NOT NULL,
    rows          INTEGER NOT NULL,
    attempts      INTEGER NOT NULL,  -- requests that were sent for them
    tried         INTEGER NOT NULL,  -- steps for which any was sent
    first_sent_at REAL,
    ended_at      REAL               -- of the last one
) STRICT;
CREATE TABLE progress (
    step        INTEGER PRIMARY KEY REFERENCES step,
    state       TEXT NOT NULL,
    attempt     INTEGER NOT NULL,      -- number of the last one, from 1; 0 if the step was dismissed unsent
    request_id  TEXT NOT NULL,         -- x-request-id of the last one
    sent_at     REAL NOT NULL,         -- when its intent was written, or its step dismissed; seconds since the epoch
    ended_at    REAL,
    http_status INTEGER,
    error_class TEXT NOT NULL DEFAULT '',
    message     TEXT NOT NULL DEFAULT '',
    etag        INTEGER,
    object      TEXT NOT NULL DEFAULT '',  -- id told by the receipt
    reference   TEXT NOT NULL DEFAULT '',  -- id by which others refer to it, told by the receipt
    misses      INTEGER NOT NULL DEFAULT 0,  -- attempts that were lost and then found not to have been applied
    first_sent_at REAL,                      -- when the intent of the first attempt was written
    how         TEXT NOT NULL DEFAULT ''     -- by what the state was reached: answer, look, policy
) STRICT;
CREATE INDEX progress_unsettled ON progress (step, state)
    WHERE state = 'PENDING' OR state = 'INTENT' OR state = 'DOUBT' OR state = 'UNRESOLVED';
CREATE INDEX progress_failed ON progress (ended_at) WHERE state <> 'APPLIED' AND error_class <> '';
CREATE TABLE attempt (
    step INTEGER NOT NULL, number INTEGER NOT NULL, request_id TEXT NOT NULL,
    sent_at REAL NOT NULL, ended_at REAL NOT NULL,
    http_status INTEGER, error_class TEXT NOT NULL, message TEXT NOT NULL,
    PRIMARY KEY (step, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE base (
    step    INTEGER PRIMARY KEY REFERENCES step,
    etag    INTEGER,
    touched TEXT,              -- JSON array of path, before, after; NULL if the effect is not known
    body    BLOB NOT NULL,     -- JSON as sent
    guarded INTEGER NOT NULL,  -- 1 if the service itself refuses what it has already applied
    name    TEXT NOT NULL DEFAULT ''  -- what people call the object
) STRICT;
CREATE TABLE held (step INTEGER PRIMARY KEY REFERENCES step) STRICT;
CREATE TABLE lease (
    epoch      INTEGER NOT NULL,  -- grows with each process that opens the ledger for writing
    owner      TEXT NOT NULL,     -- host and process id
    expires_at REAL NOT NULL      -- seconds since the epoch; 0 when the owner has left
) STRICT;
INSERT INTO lease VALUES (0, '', 0);
"""
"""Written while running."""

DERIVED = """
INSERT INTO to_send
    SELECT s.container, s.stage, s.seq FROM step AS s LEFT JOIN progress AS p ON p.step = s.seq
    WHERE coalesce(p.state, 'PENDING') = 'PENDING' ORDER BY 1, 2, 3;
INSERT INTO stage
    SELECT DISTINCT stage FROM to_send UNION SELECT s.stage FROM progress AS p JOIN step AS s ON s.seq = p.step;
INSERT INTO tally
    SELECT f.value, count(p.step), count(p.step) + coalesce(sum(r.more), 0),
           coalesce(sum(p.attempt - coalesce(a.unsent, 0)), 0), coalesce(sum(p.attempt > coalesce(a.unsent, 0)), 0),
           min(p.sent_at) FILTER (WHERE p.attempt > 0), max(p.ended_at)
    FROM json_each('["APPLIED", "REJECTED", "SKIPPED", "UNCHANGED"]') AS f LEFT JOIN progress AS p ON p.state = f.value
    LEFT JOIN (SELECT step, count(*) AS more FROM input_row WHERE step <> line GROUP BY step) AS r ON r.step = p.step
    LEFT JOIN (SELECT step, count(*) AS unsent FROM attempt WHERE error_class = '' GROUP BY step) AS a
        ON a.step = p.step
    GROUP BY f.value;
"""
"""What the triggers keep up to date from then on, worked out of steps and progress."""

UNSETTLED = "(state = 'PENDING' OR state = 'INTENT' OR state = 'DOUBT' OR state = 'UNRESOLVED')"
"""Of the records of progress, those with a state that is not final: spelled as in their index, which is used then.

Comparisons one by one are what makes the index cheap: for a list behind IN, SQLite builds a table in memory each time a
record is written, which costs more than writing it.
"""

VIEW = """
CREATE VIEW outcomes AS
    SELECT r.line, coalesce(p.state, 'PENDING') AS state, c.name AS container, s.type,
           coalesce(nullif(p.object, ''), s.object) AS object, s.kind, s.key, p.attempt, p.request_id,
           p.sent_at, p.ended_at, p.http_status, coalesce(p.error_class, '') AS error_class,
           coalesce(p.message, '') AS message, p.etag, r.raw, coalesce(p.how, '') AS how
    FROM input_row r JOIN step s ON s.seq = r.step JOIN container c ON c.id = s.container
    LEFT JOIN progress p ON p.step = s.seq;
"""

MOST_COLUMNS = 1900
"""Columns of an input that the view of results has at the most: SQLite gives no more than 2,000."""


def results_view(shape: str) -> str:
    """Return the view that has the columns of the results files; of lines of JSON, the line as `row`.

    Args:
        shape: how the input was written, as in the table `run`.
    """
    header = msgspec.json.decode(shape).get("header")
    cells = ", ".join(_cells(header)) if header else "raw AS row"
    return f"""
CREATE VIEW results AS
    SELECT {cells}, line AS _line, state AS _state, http_status AS _http_status, error_class AS _error_class,
           message AS _message, etag AS _etag, object AS _object
    FROM outcomes;
"""


def _cells(header: Sequence[str]) -> list[str]:
    names = [name.replace('"', '""').replace("\0", "") for name in header[:MOST_COLUMNS]]
    return [f'raw ->> {index} AS "{name}"' for index, name in enumerate(names)]


def triggers() -> str:
    """Return the triggers that refuse what must never be written.

    On `progress`, that is every change of state that the table of `core.states` does not list.

    A row that is not there is PENDING, so an insert is a move, and a delete would be one that nothing allows. A change
    that leaves the state as it is is none of the moves either: what is final stays as it is, to the letter.

    Those fire for every record of a run. Comparisons one by one are what makes that cheap, as in `UNSETTLED`.

    What is pending, and what has come of all that is final, is written down by triggers too: nobody can forget it.

    The lease is one row whose epoch only grows, and changes hands only with the epoch.
    """
    refuse = "BEGIN SELECT RAISE(ABORT, 'illegal move of a step'); END;"
    keep = "BEGIN SELECT RAISE(ABORT, 'illegal change of the lease'); END;"
    cases = " ".join(f"WHEN '{before}' THEN {_is_one_of(_following(before))}" for before in State if _following(before))
    # The state is looked up on insert, because INSERT OR REPLACE deletes without asking the trigger for deletes.
    return f"""
CREATE TRIGGER progress_begins BEFORE INSERT ON progress
WHEN NOT ({_is_one_of(_following(State.PENDING))})
     OR (SELECT state FROM progress WHERE step = NEW.step) <> '{State.PENDING}'
{refuse}
CREATE TRIGGER progress_moves BEFORE UPDATE ON progress
WHEN NEW.step <> OLD.step OR NOT (CASE OLD.state {cases} ELSE false END)
{refuse}
CREATE TRIGGER progress_stays BEFORE DELETE ON progress
{refuse}
CREATE TRIGGER progress_begun AFTER INSERT ON progress
BEGIN {_NO_MORE_TO_SEND} END;
CREATE TRIGGER progress_again AFTER UPDATE ON progress WHEN OLD.state = '{State.PENDING}'
BEGIN {_NO_MORE_TO_SEND} END;
CREATE TRIGGER progress_back AFTER UPDATE ON progress WHEN NEW.state = '{State.PENDING}'
BEGIN INSERT INTO to_send SELECT container, stage, seq FROM step WHERE seq = NEW.step; END;
CREATE TRIGGER progress_dismissed AFTER INSERT ON progress WHEN {_is_one_of(sorted(FINAL))}
BEGIN {_ONE_MORE_SETTLED} END;
CREATE TRIGGER progress_settled AFTER UPDATE ON progress WHEN {_is_one_of(sorted(FINAL))}
BEGIN {_ONE_MORE_SETTLED} END;
CREATE TRIGGER lease_grows BEFORE UPDATE ON lease
WHEN NEW.epoch < OLD.epoch OR (NEW.epoch = OLD.epoch AND NEW.owner <> OLD.owner)
{keep}
CREATE TRIGGER lease_is_one BEFORE INSERT ON lease
{keep}
CREATE TRIGGER lease_stays BEFORE DELETE ON lease
{keep}
"""


_NO_MORE_TO_SEND = """
DELETE FROM to_send WHERE (container, stage, step) = (SELECT container, stage, seq FROM step WHERE seq = NEW.step);
"""

_TAKEN_BACK = "(SELECT count(*) FROM attempt WHERE step = NEW.step AND error_class = '')"
"""Attempts that ended without an error class were taken back before they were sent."""

_ONE_MORE_SETTLED = f"""
UPDATE tally SET
    steps = steps + 1,
    rows = rows + 1 + (SELECT count(*) FROM input_row WHERE step = NEW.step AND step <> line),
    attempts = attempts + NEW.attempt - {_TAKEN_BACK},
    tried = tried + (NEW.attempt > {_TAKEN_BACK}),
    first_sent_at = CASE WHEN NEW.attempt > 0 THEN min(coalesce(first_sent_at, NEW.sent_at), NEW.sent_at)
                         ELSE first_sent_at END,
    ended_at = max(coalesce(ended_at, NEW.ended_at), coalesce(NEW.ended_at, ended_at))
WHERE state = NEW.state;
"""


def _following(before: State) -> list[State]:
    return [after for after in State if (before, after) in LEGAL]


def _is_one_of(states: list[State]) -> str:
    return " OR ".join(f"NEW.state = '{state}'" for state in states)
