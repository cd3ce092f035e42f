"""What the database keeps of each limit, and the functions by which its moments are reserved (see `limiter`).

`permits` says up to when the moments of a limit are given out. It changes with every reservation, and a reservation
must not wait for the disk; so it is not logged, and empty after a crash or on a server that has taken over. The workers
still have what they have reserved before, so `permits_bound` says when all of that is over at the latest: a limit that
is not there begins then. It is written ahead, once in a few seconds, and on the disk before what it covers is given
out. (A transaction that changes only what is not logged waits for no disk.)

All instants are those of the database's clock; they leave it as seconds since the epoch, together with what the clock
says.
"""

from __future__ import annotations

PERMITS = """
CREATE UNLOGGED TABLE migrator.permits (
    key text PRIMARY KEY,
    until timestamptz NOT NULL,         -- up to here the moments are given out
    gap_s double precision NOT NULL,    -- between two moments, as whoever reserved last sees it
    sent bigint NOT NULL DEFAULT 0,     -- requests that have left, as far as has been told
    paused_until timestamptz NOT NULL DEFAULT 'epoch'
);
CREATE TABLE migrator.permits_bound (key text PRIMARY KEY, until timestamptz NOT NULL);
CREATE FUNCTION migrator.lock_limits(asked text[], gaps_s double precision[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO migrator.permits (key, until, gap_s)
    SELECT k.key, coalesce(b.until, '-infinity'), k.gap_s
    FROM unnest(asked, gaps_s) AS k (key, gap_s) LEFT JOIN migrator.permits_bound AS b USING (key) ORDER BY k.key
    ON CONFLICT DO NOTHING;
    PERFORM FROM migrator.permits WHERE key = ANY (asked) ORDER BY key FOR UPDATE;
END $$;
CREATE FUNCTION migrator.bound_limits(asked text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM migrator.permits AS p LEFT JOIN migrator.permits_bound AS b USING (key)
        WHERE key = ANY (asked) AND (b.until IS NULL OR p.until > b.until)
    ) THEN
        INSERT INTO migrator.permits_bound
        SELECT key, until + interval '2 s' FROM migrator.permits WHERE key = ANY (asked) ORDER BY key
        ON CONFLICT (key) DO UPDATE SET until = greatest(permits_bound.until, excluded.until);
    END IF;
END $$;
CREATE FUNCTION migrator.reserve(
    asked text, n integer, gap double precision, wait_s double precision, used integer,
    OUT now_s double precision, OUT at_s double precision, OUT paused_s double precision
) LANGUAGE plpgsql AS $$
DECLARE
    ends timestamptz;
BEGIN
    PERFORM migrator.lock_limits(ARRAY[asked], ARRAY[gap]);
    UPDATE migrator.permits SET
        until = greatest(until, clock_timestamp() + make_interval(secs => wait_s)) + make_interval(secs => n * gap),
        gap_s = gap, sent = sent + used
    WHERE key = asked RETURNING until, extract(epoch FROM paused_until - clock_timestamp()) INTO ends, paused_s;
    PERFORM migrator.bound_limits(ARRAY[asked]);
    at_s := extract(epoch FROM ends) - n * gap;
    now_s := extract(epoch FROM clock_timestamp());
END $$;
CREATE FUNCTION migrator.reserve_one_of_each(
    asked text[], gaps_s double precision[], wait_s double precision, used integer[],
    OUT granted boolean, OUT now_s double precision, OUT at_s double precision, OUT paused_s double precision
) LANGUAGE plpgsql AS $$
DECLARE
    soonest timestamptz;
    widest timestamptz;
    narrower timestamptz;
BEGIN
    PERFORM migrator.lock_limits(asked, gaps_s);
    soonest := clock_timestamp() + make_interval(secs => wait_s);
    SELECT greatest(max(until) FILTER (WHERE key = asked[cardinality(asked)]), soonest),
           max(until) FILTER (WHERE key <> asked[cardinality(asked)]),
           extract(epoch FROM max(paused_until) - clock_timestamp())
    INTO widest, narrower, paused_s FROM migrator.permits WHERE key = ANY (asked);
    granted := narrower <= widest + make_interval(secs => wait_s);
    UPDATE migrator.permits AS p SET
        until = CASE WHEN granted THEN greatest(widest, narrower) + make_interval(secs => k.gap_s) ELSE p.until END,
        gap_s = k.gap_s, sent = p.sent + k.used
    FROM unnest(asked, gaps_s, used) AS k (key, gap_s, used) WHERE p.key = k.key;
    PERFORM migrator.bound_limits(asked);
    at_s := extract(epoch FROM greatest(widest, narrower));
    now_s := extract(epoch FROM clock_timestamp());
END $$;
CREATE FUNCTION migrator.penalize(asked text, gap double precision, seconds double precision)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    over timestamptz := clock_timestamp() + make_interval(secs => seconds);
BEGIN
    PERFORM migrator.lock_limits(ARRAY[asked], ARRAY[gap]);
    UPDATE migrator.permits SET until = greatest(until, over), paused_until = greatest(paused_until, over)
    WHERE key = asked;
    PERFORM migrator.bound_limits(ARRAY[asked]);
END $$;
"""
