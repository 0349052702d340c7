-- name: orders
-- Orders that the broker has or may have, at every executor.
SELECT executor_id, client_order_id, order_id, symbol, side, quantity, filled_quantity
FROM broker_order
WHERE ended_at IS NULL
    AND (order_id IS NOT NULL OR may_exist)
ORDER BY executor_id, intended_at

-- name: positions
-- Several executors may have traded one account. If no reading of it was recorded, none is known.
SELECT
    h.account_number,
    h.symbol,
    sum(h.quantity) AS quantity,
    (
        SELECT string_agg(s.executor_id, ', ' ORDER BY s.executor_id)
        FROM account_snapshot AS s
        WHERE s.account_number = h.account_number
    ) AS executors
FROM holding AS h
GROUP BY h.account_number, h.symbol
HAVING sum(h.quantity) <> 0
ORDER BY executors, h.account_number, h.symbol
