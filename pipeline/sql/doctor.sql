-- name: waiting
-- Undecided executions by reason; served by the index on open executions.
SELECT executor_id, state, reason_code, count(*) AS count,
    extract(epoch FROM clock_timestamp() - min(created_at))::float AS oldest_s
FROM execution
WHERE state IN ('queued', 'held', 'submitting', 'unknown')
GROUP BY executor_id, state, reason_code
ORDER BY executor_id, state, reason_code

-- name: unknowns
SELECT executor_id, count(*) AS count, extract(epoch FROM clock_timestamp() - min(unknown_since))::float AS oldest_s,
    (array_agg(execution_id ORDER BY unknown_since))[1] AS execution_id
FROM execution
WHERE state = 'unknown'
    AND unknown_since < clock_timestamp() - %(older_than)s::interval
GROUP BY executor_id
ORDER BY executor_id

-- name: late_books
-- Symbols whose fills changed, with the earliest of these fills before the given time, and whose books are not computed.
SELECT account_number, symbol
FROM fill_change
WHERE since < clock_timestamp() - %(older_than)s::interval
ORDER BY account_number, symbol

-- name: last_fill
SELECT e.mode, o.symbol, o.side, o.filled_quantity, o.filled_average_price, o.filled_at,
    clock_timestamp() - o.filled_at AS ago
FROM broker_order AS o
JOIN execution AS e USING (execution_id)
WHERE o.executor_id = %(executor_id)s
    AND o.filled_quantity > 0
ORDER BY o.intended_at DESC
LIMIT 1

-- name: budgets
-- The number of an account's requests in the last minute. The requests of second s are in slot mod(s, 63) + 1.
SELECT b.holder, b.refusals,
    greatest(extract(epoch FROM b.closed_until - clock_timestamp()), 0)::float AS closed_s,
    coalesce(sum(b.slots[mod(s, 63) + 1]) FILTER (WHERE s <= b.second AND s > b.second - 63), 0) AS spent
FROM request_budget AS b
CROSS JOIN generate_series(
    floor(extract(epoch FROM clock_timestamp()))::bigint - 61,
    floor(extract(epoch FROM clock_timestamp()))::bigint
) AS s
WHERE b.holder = ANY(%(holders)s)
GROUP BY b.holder
