-- name: trades
SELECT *
FROM trade
WHERE (%(executor_id)s::text IS NULL OR executor_id = %(executor_id)s)
    AND (%(since)s::timestamptz IS NULL OR closed_at >= %(since)s)
    AND (%(until)s::timestamptz IS NULL OR closed_at < %(until)s)
ORDER BY closed_at, trade_id

-- name: fills
-- Fills that the broker took back are listed too, with the time at which it did.
SELECT f.*, o.order_id, o.client_order_id
FROM fill AS f
JOIN broker_order AS o USING (execution_id, generation)
WHERE (%(executor_id)s::text IS NULL OR f.executor_id = %(executor_id)s)
    AND (%(since)s::timestamptz IS NULL OR f.filled_at >= %(since)s)
    AND (%(until)s::timestamptz IS NULL OR f.filled_at < %(until)s)
ORDER BY f.filled_at, f.account_number, f.fill_id

-- name: executions
SELECT e.*, s.confidence, o.order_id, o.client_order_id, o.first_sent_at AS submitted_at, o.filled_quantity,
    o.filled_average_price
FROM execution AS e
JOIN signal AS s USING (signal_id)
LEFT JOIN broker_order AS o ON o.execution_id = e.execution_id AND o.generation = e.generation
WHERE (%(executor_id)s::text IS NULL OR e.executor_id = %(executor_id)s)
    AND (%(since)s::timestamptz IS NULL OR e.created_at >= %(since)s)
    AND (%(until)s::timestamptz IS NULL OR e.created_at < %(until)s)
ORDER BY e.created_at, e.seq

-- name: orders
SELECT order_id, client_order_id, executor_id, execution_id, role, symbol, side, request ->> 'type' AS type, quantity,
    filled_quantity, limit_price, (request ->> 'stop_price')::numeric AS stop_price, order_status,
    NULL::text AS leg_of, intended_at AS created_at
FROM broker_order
WHERE (%(executor_id)s::text IS NULL OR executor_id = %(executor_id)s)
    AND (%(since)s::timestamptz IS NULL OR intended_at >= %(since)s)
    AND (%(until)s::timestamptz IS NULL OR intended_at < %(until)s)
ORDER BY intended_at, client_order_id

-- name: signals
-- With an executor: the signals that have an execution there.
SELECT s.*
FROM signal AS s
WHERE (%(since)s::timestamptz IS NULL OR s.recorded_at >= %(since)s)
    AND (%(until)s::timestamptz IS NULL OR s.recorded_at < %(until)s)
    AND (
        %(executor_id)s::text IS NULL
        OR (SELECT true FROM execution AS e WHERE e.signal_id = s.signal_id AND e.executor_id = %(executor_id)s)
    )
ORDER BY s.recorded_at, s.signal_id

-- name: no_time_limit
-- A reader of the output may be slow, and the first row comes after all were sorted.
SELECT set_config('idle_in_transaction_session_timeout', '0', true), set_config('statement_timeout', '0', true)
