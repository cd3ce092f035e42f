"""Writing a batch of a shard: one function of the database, so that a commit is one question and one answer.

Each of its statements is the twin of one in `ledger.statements`, in the same order and for the same reasons. Records
come as JSON: outcomes and dismissals as `ports.Outcome`, intents as `ports.Intent`, bases by the columns of their
table. Outcomes come in parts, in each of which a step is once at the most.

The function is a transaction of its own: it renews the lease of its epoch, and writes all of the batch or, by raising
one of the errors below, nothing.
"""

from __future__ import annotations

from migrator.core.states import OPEN, State

TAKEN_OVER = "MG001"
"""The error by which it says that the shard has a later epoch."""

NOT_TAKEN = "MG002"
"""The error by which it says that a record has no place: it is for a step that somebody else has moved."""

_OPEN = ", ".join(f"'{state}'" for state in sorted(OPEN))

_OUTCOMES = """AS o (
        seq bigint, state text, at double precision, http_status integer, error_class text, message text, etag bigint,
        object text, reference text, how text
    )"""

COMMIT = f"""
CREATE FUNCTION migrator.expect(taken bigint, records json) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF taken <> json_array_length(records) THEN
        RAISE EXCEPTION 'took % of % records', taken, json_array_length(records) USING ERRCODE = '{NOT_TAKEN}';
    END IF;
END $$;
CREATE FUNCTION migrator.commit_batch(
    of_run text, part integer, mine bigint, lease_s double precision, outcomes json, bases json, dismissals json,
    intents json, leaving boolean
) RETURNS text LANGUAGE plpgsql SET search_path TO migrator AS $$
DECLARE
    stopped text;
    records json;
    taken bigint;
BEGIN
    UPDATE shard AS h SET expires_at = clock_timestamp() + make_interval(secs => lease_s)
    FROM run AS r WHERE r.id = of_run AND h.run = of_run AND h.number = part AND h.epoch = mine
    RETURNING r.stopped INTO stopped;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'taken over' USING ERRCODE = '{TAKEN_OVER}';
    END IF;
    FOR records IN SELECT value FROM json_array_elements(outcomes) LOOP
        INSERT INTO attempt
        SELECT p.run, p.step, p.attempt, p.request_id, p.sent_at,
               CASE p.state WHEN '{State.INTENT}' THEN o.at ELSE coalesce(p.ended_at, o.at) END,
               CASE p.state WHEN '{State.INTENT}' THEN o.http_status ELSE p.http_status END,
               CASE p.state WHEN '{State.INTENT}' THEN o.error_class ELSE p.error_class END,
               CASE p.state WHEN '{State.INTENT}' THEN o.message ELSE p.message END
        FROM json_to_recordset(records) {_OUTCOMES} JOIN progress AS p ON p.run = of_run AND p.step = o.seq
        WHERE o.state IN ('{State.PENDING}', '{State.UNRESOLVED}')
        ON CONFLICT (run, step, number) DO NOTHING;
        UPDATE progress AS p SET
            misses = p.misses + (
                o.state = '{State.PENDING}' AND p.state <> '{State.INTENT}' AND p.error_class <> 'guard_failed'
            )::integer,
            state = o.state, ended_at = o.at, http_status = o.http_status, error_class = o.error_class,
            message = o.message, etag = o.etag, object = o.object, reference = o.reference, how = o.how
        FROM json_to_recordset(records) {_OUTCOMES} WHERE p.run = of_run AND p.step = o.seq;
        GET DIAGNOSTICS taken = ROW_COUNT;
        PERFORM expect(taken, records);
    END LOOP;
    INSERT INTO base (run, step, etag, touched, body, guarded, name)
    SELECT of_run, b.step, b.etag, b.touched, decode(b.body, 'base64'), b.guarded, b.name
    FROM json_to_recordset(bases) AS b (
        step bigint, etag bigint, touched text, body text, guarded integer, name text
    )
    ON CONFLICT (run, step) DO UPDATE SET
        etag = excluded.etag, touched = excluded.touched, body = excluded.body, guarded = excluded.guarded,
        name = excluded.name;
    INSERT INTO progress (
        run, step, attempt, request_id, sent_at, state, ended_at, http_status, error_class, message, etag, object,
        reference, how
    )
    SELECT of_run, o.seq, 0, '', o.at, o.state, o.at, o.http_status, o.error_class, o.message, o.etag, o.object,
           o.reference, o.how
    FROM json_to_recordset(dismissals) {_OUTCOMES}
    ON CONFLICT (run, step) DO UPDATE SET
        state = excluded.state, ended_at = excluded.ended_at, http_status = excluded.http_status,
        error_class = excluded.error_class, message = excluded.message, how = excluded.how;
    INSERT INTO progress (run, step, attempt, request_id, sent_at, first_sent_at, state)
    SELECT of_run, i.seq, i.attempt, i.request_id, i.at, i.at, '{State.INTENT}'
    FROM json_to_recordset(intents) AS i (seq bigint, attempt integer, request_id text, at double precision)
    ON CONFLICT (run, step) DO UPDATE SET
        state = excluded.state, attempt = excluded.attempt, request_id = excluded.request_id,
        sent_at = excluded.sent_at, ended_at = NULL, http_status = NULL, error_class = '', message = '', how = '';
    IF leaving THEN
        UPDATE shard AS h SET expires_at = '-infinity', done = NOT EXISTS (
            SELECT 1 FROM step AS s LEFT JOIN progress AS p ON p.run = of_run AND p.step = s.seq
            WHERE s.run = of_run AND s.shard = part AND coalesce(p.state, '{State.PENDING}') IN ({_OPEN})
              AND NOT EXISTS (SELECT 1 FROM held WHERE held.run = of_run AND held.step = s.seq)
        ) WHERE h.run = of_run AND h.number = part;
    END IF;
    RETURN stopped;
END $$;
"""
