-- name: orders
-- Orders that the broker has or may have, at every executor.
SELECT executor_id, client_order_id, order_id, symbol, side, quantity, filled_quantity
FROM broker_order
WHERE ended_at IS NULL
    AND (order_id IS NOT NULL OR may_exist)
ORDER BY executor_id, intended_at

-- name: positions
SELECT account_number, symbol, sum(quantity) AS quantity
FROM holding
GROUP BY account_number, symbol
HAVING sum(quantity) <> 0
ORDER BY account_number, symbol
