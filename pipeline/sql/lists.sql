-- name: signals
-- One page, newest first. PostgreSQL drops the filters that are NULL before it plans the statement.
SELECT s.*
FROM signal AS s
WHERE (%(symbol)s::text IS NULL OR s.symbol = %(symbol)s)
    AND (%(action)s::signal_action IS NULL OR s.action = %(action)s)
    AND (%(source)s::text IS NULL OR s.source = %(source)s)
    AND (%(since)s::timestamptz IS NULL OR s.recorded_at >= %(since)s)
    AND (%(before)s::timestamptz IS NULL OR (s.recorded_at, s.signal_id) < (%(before)s, %(before_id)s::uuid))
    AND (
        %(executor_id)s::text IS NULL
        -- EXISTS would become a join with all executions, which does not start with the newest signals.
        OR (SELECT true FROM execution AS e WHERE e.signal_id = s.signal_id AND e.executor_id = %(executor_id)s)
    )
ORDER BY s.recorded_at DESC, s.signal_id DESC
LIMIT %(limit)s

-- name: executions
-- One page, newest first.
SELECT e.*, s.confidence, o.order_id, o.client_order_id, o.first_sent_at AS submitted_at, o.filled_quantity,
    o.filled_average_price
FROM execution AS e
JOIN signal AS s USING (signal_id)
LEFT JOIN broker_order AS o ON o.execution_id = e.execution_id AND o.generation = e.generation
WHERE (%(signal_id)s::uuid IS NULL OR e.signal_id = %(signal_id)s)
    AND (%(state)s::execution_state IS NULL OR e.state = %(state)s)
    AND (%(executor_id)s::text IS NULL OR e.executor_id = %(executor_id)s)
    AND (%(symbol)s::text IS NULL OR e.symbol = %(symbol)s)
    AND (%(since)s::timestamptz IS NULL OR e.created_at >= %(since)s)
    AND (%(before)s::timestamptz IS NULL OR (e.created_at, e.seq) < (%(before)s, %(before_id)s::bigint))
ORDER BY e.created_at DESC, e.seq DESC
LIMIT %(limit)s

-- name: execution
SELECT e.*, s.confidence, o.order_id, o.client_order_id, o.first_sent_at AS submitted_at, o.filled_quantity,
    o.filled_average_price
FROM execution AS e
JOIN signal AS s USING (signal_id)
LEFT JOIN broker_order AS o ON o.execution_id = e.execution_id AND o.generation = e.generation
WHERE e.execution_id = %(execution_id)s

-- name: refusals
-- One page, newest first.
SELECT *
FROM refusal
WHERE (%(source)s::text IS NULL OR source = %(source)s)
    AND (%(code)s::text IS NULL OR code = %(code)s)
    AND (%(since)s::timestamptz IS NULL OR at >= %(since)s)
    AND (%(before)s::timestamptz IS NULL OR (at, refusal_id) < (%(before)s, %(before_id)s::uuid))
ORDER BY at DESC, refusal_id DESC
LIMIT %(limit)s

-- name: signal_groups
SELECT source, action, count(*) AS count, count(confidence) AS with_confidence, sum(confidence) AS confidence,
    min(recorded_at) AS first, max(recorded_at) AS last
FROM signal
WHERE recorded_at >= %(since)s
GROUP BY source, action

-- name: open_signals
-- Signals with an undecided execution or a working order.
SELECT count(*) AS count
FROM (
    SELECT signal_id
    FROM execution
    WHERE state IN ('queued', 'held', 'submitting', 'unknown')
        AND created_at >= %(since)s
    UNION
    SELECT signal_id
    FROM execution
    WHERE state IN ('accepted', 'partially_filled')
        AND created_at >= %(since)s
) AS open

-- name: refused
SELECT count(*) AS count
FROM refusal
WHERE at >= %(since)s

-- name: reasons
-- The reasons of executions that ended without a fill.
SELECT executor_id, mode, state, reason_code, count(*) AS count
FROM execution
WHERE created_at >= %(since)s
    AND state IN ('canceled', 'expired', 'rejected', 'skipped', 'dead', 'discarded')
    AND reason_code IS NOT NULL
GROUP BY executor_id, mode, state, reason_code
ORDER BY count(*) DESC, reason_code, executor_id

-- name: open_work
SELECT executor_id, state, count(*) AS count, extract(epoch FROM clock_timestamp() - min(created_at)) AS oldest_s
FROM execution
WHERE state IN ('queued', 'held', 'submitting', 'unknown')
GROUP BY executor_id, state

-- name: open_dead_letters
SELECT executor_id, count(*) AS count
FROM dead_letter
WHERE closed_at IS NULL
GROUP BY executor_id
