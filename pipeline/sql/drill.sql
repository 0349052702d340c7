-- name: alive
-- How many processes of a kind have a fresh heartbeat.
SELECT count(*) AS alive
FROM heartbeat
WHERE kind = %(kind)s
    AND beat_at > clock_timestamp() - interval '3 seconds'

-- name: held_by
-- The database's time, and what a worker holds, by its pid.
SELECT clock_timestamp() AS now, e.execution_id
FROM (SELECT 1) AS once
LEFT JOIN execution AS e ON e.state = 'submitting' AND e.leased_by LIKE %(worker)s

-- name: cut
-- End so many sessions, any of them, wherever they are.
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
SELECT count(*) AS undecided
FROM execution
WHERE state IN ('queued', 'held', 'submitting', 'unknown')

-- name: recorded
SELECT count(*) AS recorded
FROM signal
WHERE source = %(source)s

-- name: signals
SELECT signal_id, source, source_id
FROM signal

-- name: executions
SELECT e.execution_id, e.seq, e.signal_id, e.executor_id, e.symbol, e.action, e.state, e.reason_code, e.reason_facts,
    e.decided_at
FROM execution AS e
ORDER BY e.seq

-- name: orders
SELECT execution_id, generation, executor_id, client_order_id, order_id, symbol, side, quantity, filled_quantity,
    order_status
FROM broker_order

-- name: history
SELECT h.*, a.outcome, a.message, a.took_ms
FROM history AS h
LEFT JOIN attempt AS a ON a.execution_id = h.execution_id AND a.fence = h.fence
ORDER BY h.history_id
