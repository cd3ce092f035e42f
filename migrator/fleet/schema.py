"""The tables of the fleet's ledger in PostgreSQL, format 2.

They are those of a ledger file (`ledger.schema`, which explains each), with the run in front of every key, and:

* `run`: also whether the run was stopped, and where it has moved to.
* `shard`: the steps that one worker carries out at a time, and the lease of whoever does.
* `permits`, `permits_bound`: until when the permits of each limit are given out (see `permits`).
* `worker`: who is there, and when it was last heard of.

Every table that grows with the input is partitioned by run: a run is dropped by dropping its partitions, and no run
slows another. What is not there is PENDING, and `progress` refuses every move that `core.states` does not list, as the
file does.

The guarantees rest on `synchronous_commit`, which every connection sets to `on`: an intent must survive a crash of the
server (`reference/resumption.md` section 9).
"""

from __future__ import annotations

from migrator.core.states import LEGAL, State

FORMAT = 2
"""Version of the tables. A database of another version is refused, not guessed at."""

PARTITIONED = ("container", "input_row", "step", "origin", "review", "progress", "attempt", "base", "held", "shard")
"""The tables that have a partition for each run."""

TABLES = """
CREATE SCHEMA migrator;
SET LOCAL search_path TO migrator;
CREATE TABLE format (version integer NOT NULL);
CREATE TABLE run (
    id           text PRIMARY KEY,
    number       integer GENERATED ALWAYS AS IDENTITY UNIQUE,  -- names its partitions
    created_at   double precision NOT NULL,
    style        text NOT NULL,
    input        text NOT NULL,
    input_sha256 text NOT NULL,
    shape        text NOT NULL,
    fingerprint  text NOT NULL,
    settings     text NOT NULL,
    rows         bigint NOT NULL,
    steps        bigint NOT NULL,
    stopped      text NOT NULL DEFAULT ''  -- why nobody is to go on with it now, as JSON: see `runs.Stop`
);
CREATE TABLE container (
    run text NOT NULL, id integer NOT NULL, name text NOT NULL, PRIMARY KEY (run, id), UNIQUE (run, name)
) PARTITION BY LIST (run);
CREATE TABLE input_row (
    run text NOT NULL, line bigint NOT NULL, step bigint NOT NULL, raw text NOT NULL, PRIMARY KEY (run, line)
) PARTITION BY LIST (run);
CREATE TABLE step (
    run text NOT NULL, seq bigint NOT NULL, key text NOT NULL, container integer NOT NULL, type text NOT NULL,
    object text NOT NULL, kind text NOT NULL, body bytea NOT NULL, stage integer NOT NULL, shard integer NOT NULL,
    PRIMARY KEY (run, seq)
) PARTITION BY LIST (run);
CREATE INDEX step_by_shard ON step (run, shard, container, seq);
CREATE INDEX step_by_object ON step (run, object);
CREATE TABLE origin (
    run text NOT NULL, step bigint NOT NULL, container text NOT NULL, object text NOT NULL, reference text NOT NULL,
    etag bigint, PRIMARY KEY (run, step)
) PARTITION BY LIST (run);
CREATE INDEX origin_by_reference ON origin (run, reference);
CREATE TABLE review (
    run text NOT NULL, step bigint NOT NULL, etag bigint, touched text, name text NOT NULL, PRIMARY KEY (run, step)
) PARTITION BY LIST (run);
CREATE TABLE progress (
    run text NOT NULL, step bigint NOT NULL, state text NOT NULL, attempt integer NOT NULL, request_id text NOT NULL,
    sent_at double precision NOT NULL, ended_at double precision, http_status integer,
    error_class text NOT NULL DEFAULT '', message text NOT NULL DEFAULT '', etag bigint,
    object text NOT NULL DEFAULT '', reference text NOT NULL DEFAULT '', misses integer NOT NULL DEFAULT 0,
    first_sent_at double precision, how text NOT NULL DEFAULT '', PRIMARY KEY (run, step)
) PARTITION BY LIST (run);
CREATE TABLE attempt (
    run text NOT NULL, step bigint NOT NULL, number integer NOT NULL, request_id text NOT NULL,
    sent_at double precision NOT NULL, ended_at double precision NOT NULL, http_status integer,
    error_class text NOT NULL, message text NOT NULL, PRIMARY KEY (run, step, number)
) PARTITION BY LIST (run);
CREATE TABLE base (
    run text NOT NULL, step bigint NOT NULL, etag bigint, touched text, body bytea NOT NULL, guarded integer NOT NULL,
    name text NOT NULL, PRIMARY KEY (run, step)
) PARTITION BY LIST (run);
CREATE TABLE held (run text NOT NULL, step bigint NOT NULL, PRIMARY KEY (run, step)) PARTITION BY LIST (run);
CREATE TABLE shard (
    run text NOT NULL, number integer NOT NULL, stage integer NOT NULL, steps integer NOT NULL,
    epoch bigint NOT NULL DEFAULT 0,   -- grows with each process that takes the shard
    owner text NOT NULL DEFAULT '',    -- host and process id
    expires_at timestamptz NOT NULL DEFAULT '-infinity',
    done boolean NOT NULL DEFAULT false,
    submitted integer NOT NULL DEFAULT 0,  -- how often it was handed to the engine
    PRIMARY KEY (run, number)
) PARTITION BY LIST (run);
CREATE TABLE worker (
    name text PRIMARY KEY, version text NOT NULL, since timestamptz NOT NULL, heard_at timestamptz NOT NULL,
    shards integer NOT NULL
);
"""


def protections() -> str:
    """Return what refuses what must never be written: moves that the table of `core.states` does not list.

    A row that is not there is PENDING, so an insert is a move, and a delete would be one that nothing allows; but a run
    is dropped with its partitions, which asks no trigger.
    """
    legal = ", ".join(f"'{before}>{after}'" for before, after in sorted(LEGAL))
    return f"""
CREATE FUNCTION migrator.progress_moves() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE before text := '{State.PENDING}';
BEGIN
    IF TG_OP = 'INSERT' THEN
        SELECT state INTO before FROM migrator.progress WHERE run = NEW.run AND step = NEW.step;
        before := coalesce(before, '{State.PENDING}');
        IF before <> '{State.PENDING}' THEN  -- what has begun is only updated
            RAISE EXCEPTION 'illegal move of a step' USING ERRCODE = 'check_violation';
        END IF;
    ELSIF TG_OP = 'UPDATE' THEN
        before := OLD.state;
    END IF;
    IF TG_OP = 'DELETE' OR NOT (before || '>' || NEW.state) IN ({legal}) THEN
        RAISE EXCEPTION 'illegal move of a step' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER progress_moves BEFORE INSERT OR UPDATE OR DELETE ON migrator.progress
    FOR EACH ROW EXECUTE FUNCTION migrator.progress_moves();
CREATE FUNCTION migrator.lease_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.epoch < OLD.epoch OR (NEW.epoch = OLD.epoch AND NEW.owner <> OLD.owner) THEN
        RAISE EXCEPTION 'illegal change of a lease' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER lease_grows BEFORE UPDATE ON migrator.shard
    FOR EACH ROW EXECUTE FUNCTION migrator.lease_grows();
"""
