-- name: steps
-- When each step of an execution was done, by the record's clock; NULL if not yet.
SELECT e.created_at AS recorded, taken.at AS taken, o.intended_at AS intended, a.sent_at AS sent,
    a.sent_at + make_interval(secs => a.took_ms::float / 1000) AS answered, ended.at AS ended,
    e.state, e.reason_code, e.reason_facts, o.order_id, o.client_order_id, o.order_status, o.quantity, o.limit_price,
    coalesce(o.filled_quantity, 0) AS filled_quantity, o.filled_average_price
FROM execution AS e
LEFT JOIN broker_order AS o ON o.execution_id = e.execution_id AND o.generation = e.generation
LEFT JOIN LATERAL (
    SELECT min(at) AS at
    FROM history
    WHERE execution_id = e.execution_id
        AND to_state = 'submitting'
) AS taken ON true
LEFT JOIN LATERAL (
    SELECT sent_at, took_ms
    FROM attempt
    WHERE execution_id = e.execution_id
    ORDER BY fence DESC
    LIMIT 1
) AS a ON true
LEFT JOIN LATERAL (
    SELECT max(at) AS at
    FROM history
    WHERE execution_id = e.execution_id
        AND to_state IN ('filled', 'canceled', 'expired', 'rejected', 'skipped', 'dead', 'discarded')
) AS ended ON true
WHERE e.execution_id = %(execution_id)s

-- name: held
-- Symbols that a probe must not use: the account's positions as last read, our open orders, and our open executions.
SELECT p ->> 'symbol' AS symbol
FROM account_snapshot AS s, jsonb_array_elements(s.positions) AS p
WHERE s.executor_id = %(executor_id)s
UNION
SELECT symbol
FROM broker_order
WHERE executor_id = %(executor_id)s
    AND ended_at IS NULL
UNION
SELECT symbol
FROM execution
WHERE executor_id = %(executor_id)s
    AND state IN ('queued', 'held', 'submitting', 'unknown')
