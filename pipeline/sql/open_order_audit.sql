-- name: save
INSERT INTO open_order_audit (executor_id, strays)
VALUES (%(executor_id)s, %(strays)s)
ON CONFLICT (executor_id) DO UPDATE
SET read_at = clock_timestamp(),
    strays = excluded.strays

-- name: strays
SELECT a.executor_id, s.order_id, s.client_order_id, s.side, s.symbol, s.quantity
FROM open_order_audit AS a, jsonb_to_recordset(a.strays) AS s (
    order_id text, client_order_id text, side text, symbol text, quantity text
)
WHERE a.executor_id = ANY(%(executor_ids)s)
ORDER BY a.executor_id, s.client_order_id

-- name: last_read
SELECT executor_id, clock_timestamp() - read_at AS ago
FROM open_order_audit
WHERE executor_id = ANY(%(executor_ids)s)

-- name: claim_unconfirmed
-- Claim orders that the broker may have although their execution was given up. Each is looked up again after a tenth of
-- its age, so the search never ends, and old orders cost almost no requests. The frequent poll of the order list looks
-- for those of the last ten minutes.
UPDATE broker_order AS o
SET asked_at = clock_timestamp()
FROM (
    SELECT w.execution_id, w.generation
    FROM broker_order AS w
    JOIN execution AS e USING (execution_id)
    WHERE w.executor_id = %(executor_id)s
        AND w.order_id IS NULL
        AND w.may_exist
        AND w.intended_at < statement_timestamp() - interval '10 minutes'
        AND (w.asked_at IS NULL OR w.asked_at < statement_timestamp() - (statement_timestamp() - w.intended_at) / 10)
        AND (e.state NOT IN ('queued', 'held', 'submitting', 'unknown') OR e.generation <> w.generation)
    ORDER BY w.asked_at NULLS FIRST
    LIMIT %(limit)s
    FOR UPDATE OF w SKIP LOCKED
) AS due
WHERE o.execution_id = due.execution_id
    AND o.generation = due.generation
RETURNING o.client_order_id

-- name: return_to_older
-- The old order of a requeued execution was found before a new one was sent, so the execution returns to the old order.
UPDATE execution AS e
SET generation = %(generation)s,
    due_at = clock_timestamp()
WHERE e.execution_id = %(execution_id)s
    AND e.generation > %(generation)s
    AND e.state IN ('queued', 'held')
    AND NOT EXISTS (
        SELECT
        FROM broker_order AS o
        WHERE o.execution_id = e.execution_id
            AND o.generation > %(generation)s
            AND o.may_exist
    )
RETURNING e.execution_id
