-- name: signal_of
SELECT s.*
FROM signal AS s
WHERE s.signal_id = %(id)s
    OR s.signal_id = (SELECT signal_id FROM execution WHERE execution_id = %(id)s)

-- name: history
SELECT *
FROM history
WHERE execution_id = %(execution_id)s
ORDER BY history_id

-- name: attempts
SELECT *
FROM attempt
WHERE execution_id = %(execution_id)s
ORDER BY fence

-- name: orders
SELECT *
FROM broker_order
WHERE execution_id = %(execution_id)s
ORDER BY generation

-- name: fills
SELECT f.*, f.recorded_at < statement_timestamp() - %(within)s::interval AS given_up
FROM fill AS f
WHERE f.execution_id = %(execution_id)s
ORDER BY f.generation, f.filled_at, f.fill_id

-- name: changes_after
-- The state changes after a number, without the newest: a change with a smaller number may still be committed.
SELECT h.history_id, h.at, h.from_state, h.to_state, h.reason_code, h.reason_facts, e.execution_id, e.executor_id,
    e.symbol, e.action, e.created_at, e.signal_id, s.confidence, o.order_id, o.filled_quantity,
    o.filled_average_price,
    CASE WHEN h.to_state = 'held' THEN NOT EXISTS (
        SELECT
        FROM history AS earlier
        WHERE earlier.execution_id = h.execution_id
            AND earlier.history_id < h.history_id
            AND earlier.to_state = 'held'
    ) ELSE false END AS first_hold
FROM history AS h
JOIN execution AS e USING (execution_id)
JOIN signal AS s USING (signal_id)
LEFT JOIN broker_order AS o ON o.execution_id = e.execution_id AND o.generation = e.generation
WHERE h.history_id > %(after)s
    AND h.at < clock_timestamp() - interval '50 milliseconds'
ORDER BY h.history_id
LIMIT %(limit)s

-- name: last_change
SELECT coalesce(max(history_id), 0) AS last
FROM history

-- name: totals
-- One pass over the executions since a time.
SELECT e.executor_id, e.mode, e.state, e.reason_code, count(*) AS count, count(o.order_id) AS with_order,
    count(*) FILTER (WHERE e.state = 'filled') AS filled
FROM execution AS e
LEFT JOIN broker_order AS o ON o.execution_id = e.execution_id AND o.generation = e.generation
WHERE %(since)s::timestamptz IS NULL
    OR e.created_at >= %(since)s
GROUP BY e.executor_id, e.mode, e.state, e.reason_code

-- name: signal_counts
SELECT
    (SELECT count(*) FROM signal WHERE %(since)s::timestamptz IS NULL OR recorded_at >= %(since)s) AS signals,
    (SELECT count(*) FROM refusal WHERE %(since)s::timestamptz IS NULL OR at >= %(since)s) AS refused,
    (
        SELECT extract(epoch FROM clock_timestamp() - min(created_at))
        FROM execution
        WHERE state IN ('queued', 'held', 'submitting', 'unknown')
    ) AS oldest_unfinished_s

-- name: latencies
-- Milliseconds from the recorded signal to the recorded order id.
SELECT percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (
    ORDER BY extract(epoch FROM o.accepted_at - e.created_at) * 1000
) AS percentiles
FROM execution AS e
JOIN broker_order AS o ON o.execution_id = e.execution_id AND o.generation = e.generation
WHERE o.accepted_at IS NOT NULL
    AND (%(since)s::timestamptz IS NULL OR e.created_at >= %(since)s)

-- name: last_move_before
-- The last state change before a time. Changes are numbered in the order of time, so the search starts from the newest.
SELECT history_id AS last
FROM history
WHERE at < %(since)s
ORDER BY history_id DESC
LIMIT 1
