-- name: sessions
-- The regular sessions of some days, and whether each was read within *kept*.
SELECT day, opens_at, closes_at, read_at > clock_timestamp() - %(kept)s::interval AS fresh
FROM market_day
WHERE calendar = %(calendar)s
    AND day BETWEEN %(first)s AND %(last)s
ORDER BY day

-- name: clear_sessions
-- Delete the sessions before new ones are saved, since a day can lose its session: a holiday that was announced late.
DELETE FROM market_day
WHERE calendar = %(calendar)s
    AND day BETWEEN %(first)s AND %(last)s

-- name: save_session
INSERT INTO market_day AS m (calendar, day, opens_at, closes_at)
VALUES (%(calendar)s, %(day)s, %(opens_at)s, %(closes_at)s)
ON CONFLICT (calendar, day) DO UPDATE
SET opens_at = excluded.opens_at,
    closes_at = excluded.closes_at,
    read_at = excluded.read_at

-- name: was_held_for_open
SELECT EXISTS (
    SELECT
    FROM history
    WHERE execution_id = %(execution_id)s
        AND reason_code = 'market_closed'
        AND to_state = 'held'
) AS held

-- name: waits_for_open
SELECT EXISTS (
    SELECT
    FROM execution
    WHERE executor_id = %(executor_id)s
        AND state = 'held'
        AND reason_code = 'market_closed'
        AND due_at > statement_timestamp()
) AS waits

-- name: release
-- The market is open, so executions that waited for it are due: exits first, then by confidence, then by age. Their due
-- times are past and one millisecond apart, so that they are enqueued in this order. They are computed from one time,
-- because clock_timestamp() advances between two rows, on a loaded machine by more than a millisecond.
UPDATE execution AS e
SET due_at = statement_timestamp() - interval '1 millisecond' * queue.behind
FROM (
    SELECT waiting.execution_id, row_number() OVER (
        ORDER BY waiting.reason_facts ->> 'role' = 'exit', s.confidence NULLS FIRST, waiting.seq DESC
    ) AS behind
    FROM (
        SELECT execution_id, signal_id, reason_facts, seq
        FROM execution
        WHERE executor_id = %(executor_id)s
            AND state = 'held'
            AND reason_code = 'market_closed'
            AND due_at > statement_timestamp()
        ORDER BY execution_id
        FOR UPDATE SKIP LOCKED
    ) AS waiting
    JOIN signal AS s USING (signal_id)
) AS queue
WHERE e.execution_id = queue.execution_id
RETURNING e.execution_id
