-- name: alive
-- How many processes of a kind have a fresh heartbeat.
SELECT count(*) AS alive
FROM heartbeat
WHERE kind = %(kind)s
    AND beat_at > clock_timestamp() - interval '3 seconds'

-- name: held_by
-- The database's time, and the executions that a worker has claimed. The worker's name ends in its process id.
SELECT clock_timestamp() AS now, e.execution_id
FROM (SELECT 1) AS once
LEFT JOIN execution AS e ON e.state = 'submitting' AND e.leased_by LIKE %(worker)s

-- name: cut
-- End up to *limit* of tradewire's sessions, chosen at random.
SELECT pg_terminate_backend(pid)
FROM (
    SELECT pid
    FROM pg_stat_activity
    WHERE application_name = 'tradewire'
        AND pid <> pg_backend_pid()
    ORDER BY random()
    LIMIT %(limit)s
) AS chosen

-- name: undecided
-- The number of executions that are undecided or may be repeated, and of holdings without their stop order.
SELECT count(*) + (
        SELECT count(*)
        FROM holding AS h
        WHERE h.quantity <> 0
            AND h.stop_price IS NOT NULL
            AND abs(h.quantity) <> (
                SELECT coalesce(sum(o.quantity - o.filled_quantity), 0)
                FROM broker_order AS o
                WHERE o.account_number = h.account_number
                    AND o.symbol = h.symbol
                    AND o.strategy = h.strategy
                    AND o.role = 'protection'
                    AND o.order_id IS NOT NULL
                    AND o.ended_at IS NULL
            )
    ) AS undecided
FROM execution AS e
WHERE state IN ('queued', 'held', 'submitting', 'unknown')
    OR (state IN ('filled', 'canceled', 'expired', 'rejected') AND EXISTS (
        SELECT
        FROM broker_order AS o
        WHERE o.execution_id = e.execution_id
            AND o.follow_up
            AND o.ended_at IS NOT NULL
    ))

-- name: recorded
SELECT count(*) AS recorded
FROM signal
WHERE source = %(source)s

-- name: signals
SELECT signal_id, source, source_id
FROM signal

-- name: executions
SELECT e.execution_id, e.seq, e.signal_id, e.executor_id, e.symbol, e.state, e.reason_code, e.decided_at,
    s.intent = 'close' AND s.source <> 'tradewire:protect' AS closes, s.source = 'tradewire:protect' AS protects
FROM execution AS e
JOIN signal AS s USING (signal_id)
ORDER BY e.seq

-- name: intents
SELECT execution_id, executor_id, client_order_id, order_id, symbol, side, filled_quantity
FROM broker_order

-- name: holdings
-- Without the fractions that were bought by hand and adopted: they are in the account's orders by hand.
SELECT account_number, symbol, sum(quantity) AS quantity,
    coalesce(sum(quantity) FILTER (WHERE stop_price IS NOT NULL), 0) AS stopped
FROM holding
WHERE strategy <> 'manual'
GROUP BY account_number, symbol
HAVING sum(quantity) <> 0

-- name: history
SELECT execution_id, at, to_state, reason_code
FROM history
ORDER BY history_id

-- name: execution_lines
-- Each execution as one line of JSON, for the folder of a drill that found something.
SELECT row_to_json(e)::text AS line
FROM execution AS e
ORDER BY e.seq

-- name: intent_lines
SELECT row_to_json(o)::text AS line
FROM broker_order AS o

-- name: history_lines
-- Each state change, with the answer of the broker that led to it.
SELECT row_to_json(moved)::text AS line
FROM (
    SELECT h.*, a.outcome, a.message, a.took_ms
    FROM history AS h
    LEFT JOIN attempt AS a ON a.execution_id = h.execution_id AND a.fence = h.fence
    ORDER BY h.history_id
) AS moved
