-- name: open
-- The orders that are open by the record, and those of which it is not known whether the broker has them (without an
-- order id), the oldest first.
SELECT o.order_id, o.client_order_id, o.executor_id, o.execution_id, o.role, o.symbol, o.side,
    o.request ->> 'type' AS type, coalesce(o.replacement_quantity, o.quantity) AS quantity, o.filled_quantity,
    o.limit_price, (o.request ->> 'stop_price')::numeric AS stop_price, o.order_status,
    coalesce(o.first_sent_at, o.intended_at) AS created_at
FROM broker_order AS o
JOIN execution AS e USING (execution_id)
WHERE o.ended_at IS NULL
    AND e.state NOT IN ('dead', 'discarded')
    AND (o.order_id IS NOT NULL OR (o.may_exist AND e.state = 'unknown'))
    AND (%(executor_id)s::text IS NULL OR o.executor_id = %(executor_id)s)
ORDER BY o.intended_at, o.client_order_id

-- name: named
-- The order that a person's text names by the broker's id or by ours, or the newest order of the named execution.
WITH named AS (
    SELECT execution_id, generation
    FROM broker_order
    WHERE order_id = %(text)s
    UNION
    SELECT execution_id, generation
    FROM broker_order
    WHERE client_order_id = %(text)s
    UNION
    SELECT execution_id, generation
    FROM execution
    WHERE execution_id = %(execution_id)s
)
SELECT e.execution_id, e.executor_id, e.symbol, e.state, s.source, o.generation, o.role, o.side, o.order_id,
    o.client_order_id, coalesce(o.replacement_quantity, o.quantity) AS quantity, o.filled_quantity,
    o.filled_average_price, o.order_status, o.ended_at, o.cancel_requested_at, o.cancel_requested_by,
    o.cancel_requested_why
FROM named
JOIN execution AS e USING (execution_id)
JOIN signal AS s USING (signal_id)
LEFT JOIN broker_order AS o ON o.execution_id = named.execution_id AND o.generation = named.generation
ORDER BY e.seq, o.generation

-- name: request_cancel
-- Record a person's request to cancel a working order. An earlier request stays. The reason is set before the keeper
-- sends the request, so that it is also that of a cancel which others ask for meanwhile.
UPDATE broker_order AS o
SET cancel_requested_at = coalesce(o.cancel_requested_at, clock_timestamp()),
    cancel_requested_by = coalesce(o.cancel_requested_by, %(by)s),
    cancel_requested_why = CASE WHEN o.cancel_requested_at IS NULL THEN %(why)s ELSE o.cancel_requested_why END,
    canceled_for = coalesce(o.canceled_for, %(reason_code)s)
FROM execution AS e
WHERE e.execution_id = o.execution_id
    AND o.execution_id = %(execution_id)s
    AND o.generation = %(generation)s
    AND o.order_id IS NOT NULL
    AND o.ended_at IS NULL
    AND e.state IN ('accepted', 'partially_filled')
RETURNING o.execution_id

-- name: requested
-- The open orders whose cancel a person requested.
SELECT o.order_id
FROM broker_order AS o
JOIN execution AS e USING (execution_id)
WHERE o.executor_id = %(executor_id)s
    AND o.cancel_requested_at IS NOT NULL
    AND o.ended_at IS NULL
    AND o.order_id IS NOT NULL
    AND e.state NOT IN ('dead', 'discarded')
ORDER BY o.cancel_requested_at
