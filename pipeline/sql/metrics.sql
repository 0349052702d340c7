-- name: settled_before
-- No open transaction has written before this time, so a statement that begins later sees every state change up to it.
SELECT least(clock_timestamp(), min(xact_start)) - interval '100 milliseconds' AS before
FROM pg_stat_activity
WHERE datname = current_database()
    AND backend_xid IS NOT NULL

-- name: batch
-- The next state changes to count: all before the first one that is too young. If a number among them is missing, no
-- open transaction can still commit a change with this number.
WITH next AS (
    SELECT history_id, at
    FROM history
    WHERE history_id > %(after)s
    ORDER BY history_id
    LIMIT %(limit)s
), edge AS (
    SELECT min(history_id) AS history_id
    FROM next
    WHERE at >= %(before)s::timestamptz
)
SELECT max(next.history_id) FILTER (WHERE edge.history_id IS NULL OR next.history_id < edge.history_id) AS through,
    count(*) AS count,
    (SELECT max(history_id) FROM history) AS newest
FROM next, edge

-- name: moves
SELECT e.executor_id, e.mode, h.to_state AS state, coalesce(h.reason_code, '') AS reason, count(*) AS count
FROM history AS h
JOIN execution AS e USING (execution_id)
WHERE h.history_id > %(after)s
    AND h.history_id <= %(through)s
GROUP BY e.executor_id, e.mode, h.to_state, h.reason_code

-- name: decisions
-- Decided executions, by outcome: an order with its id, a skip, or neither.
SELECT e.executor_id, e.mode, d.outcome, count(*) AS count
FROM history AS h
JOIN execution AS e USING (execution_id)
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN h.to_state = 'skipped' THEN 'skipped'
        WHEN EXISTS (
            SELECT
            FROM broker_order AS o
            WHERE o.execution_id = h.execution_id
                AND o.order_id IS NOT NULL
                AND o.accepted_at < h.at + interval '1 second'
        ) THEN 'order'
        ELSE 'no_order'
    END AS outcome
) AS d
WHERE h.history_id > %(after)s
    AND h.history_id <= %(through)s
    AND h.to_state NOT IN ('queued', 'held', 'submitting', 'unknown')
    AND coalesce(h.from_state IN ('queued', 'held', 'submitting', 'unknown'), true)
GROUP BY e.executor_id, e.mode, d.outcome

-- name: steps
-- The duration of each step, as counts per bucket: bucket 0 ends at the first bound, the last one is above all bounds.
WITH moved AS (
    SELECT h.execution_id, h.at, h.from_state, h.to_state, h.fence, e.executor_id, e.mode, e.created_at
    FROM history AS h
    JOIN execution AS e USING (execution_id)
    WHERE h.history_id > %(after)s
        AND h.history_id <= %(through)s
), answered AS (
    SELECT m.executor_id, m.mode, a.sent_at, a.answered_at, t.at AS taken_at
    FROM moved AS m
    JOIN attempt AS a USING (execution_id, fence)
    CROSS JOIN LATERAL (
        SELECT at
        FROM history
        WHERE execution_id = m.execution_id
            AND fence = m.fence
            AND to_state = 'submitting'
        ORDER BY history_id
        LIMIT 1
    ) AS t
    WHERE m.from_state = 'submitting'
        AND a.sent_at IS NOT NULL
), took AS (
    SELECT executor_id, mode, 'recorded_to_taken' AS step, at - created_at AS took
    FROM moved
    WHERE to_state = 'submitting'
        AND fence = 1
    UNION ALL
    SELECT executor_id, mode, 'taken_to_sent', sent_at - taken_at
    FROM answered
    UNION ALL
    SELECT executor_id, mode, 'sent_to_answered', answered_at - sent_at
    FROM answered
    UNION ALL
    SELECT m.executor_id, m.mode, 'recorded_to_order_id', o.accepted_at - m.created_at
    FROM moved AS m
    CROSS JOIN LATERAL (
        SELECT max(accepted_at) AS accepted_at
        FROM broker_order
        WHERE execution_id = m.execution_id
            AND order_id IS NOT NULL
            AND accepted_at < m.at + interval '1 second'
    ) AS o
    WHERE m.from_state IN ('submitting', 'unknown')
        AND m.to_state IN ('accepted', 'partially_filled', 'filled', 'canceled', 'expired', 'rejected')
        AND o.accepted_at IS NOT NULL
)
SELECT executor_id, mode, step, width_bucket(seconds, %(bounds)s::float8[]) AS bucket, count(*) AS count,
    sum(seconds) AS seconds
FROM (
    SELECT executor_id, mode, step, greatest(extract(epoch FROM took), 0)::float8 AS seconds
    FROM took
) AS measured
GROUP BY executor_id, mode, step, bucket

-- name: unfinished
-- Each half uses its own partial index.
SELECT executor_id, mode, state, count(*) AS count,
    extract(epoch FROM clock_timestamp() - min(created_at))::float AS oldest_s
FROM execution
WHERE state IN ('queued', 'held', 'submitting', 'unknown')
GROUP BY executor_id, mode, state
UNION ALL
SELECT executor_id, mode, state, count(*), extract(epoch FROM clock_timestamp() - min(created_at))
FROM execution
WHERE state IN ('accepted', 'partially_filled')
GROUP BY executor_id, mode, state

-- name: dead_letters
SELECT executor_id, count(*) AS count, extract(epoch FROM clock_timestamp() - min(opened_at))::float AS oldest_s
FROM dead_letter
WHERE closed_at IS NULL
GROUP BY executor_id

-- name: last_fills
SELECT executor_id, (
    SELECT max(filled_at)
    FROM broker_order
    WHERE broker_order.executor_id = ours.executor_id
        AND filled_at IS NOT NULL
) AS filled_at
FROM unnest(%(executor_ids)s::text[]) AS ours (executor_id)

-- name: last_signals
-- Reads the index once per source.
WITH RECURSIVE each AS (
    (
        SELECT source
        FROM signal
        ORDER BY source
        LIMIT 1
    )
    UNION ALL
    SELECT (
        SELECT source
        FROM signal
        WHERE signal.source > each.source
        ORDER BY source
        LIMIT 1
    )
    FROM each
    WHERE each.source IS NOT NULL
)
SELECT source, (SELECT max(recorded_at) FROM signal WHERE signal.source = each.source) AS recorded_at
FROM each
WHERE source IS NOT NULL

-- name: budgets
-- The number of an account's requests in the last minute, by the executor that trades it.
SELECT ours.executor_id, coalesce(b.closed_until > clock_timestamp(), false) AS closed, (
    SELECT coalesce(sum(b.slots[mod(s, 63) + 1]), 0)
    FROM generate_series(
        greatest(b.second - 62, floor(extract(epoch FROM clock_timestamp()))::bigint - 62), b.second
    ) AS s
) AS spent
FROM unnest(%(executor_ids)s::text[]) AS ours (executor_id)
LEFT JOIN account_snapshot AS a USING (executor_id)
JOIN request_budget AS b ON b.holder = coalesce(a.account_number, 'executor:' || ours.executor_id)

-- name: switches
SELECT ours.executor_id, s.kind, s.cause
FROM unnest(%(executor_ids)s::text[]) AS ours (executor_id)
LEFT JOIN account_snapshot AS a USING (executor_id)
JOIN switch AS s ON s.holder IN (a.account_number, 'executor:' || ours.executor_id)
