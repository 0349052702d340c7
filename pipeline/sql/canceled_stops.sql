-- name: record
-- This is written before the cancel is requested, so that another process can restore the stop if this one dies.
INSERT INTO canceled_stop (executor_id, order_id, symbol, request)
VALUES (%(executor_id)s, %(order_id)s, %(symbol)s, %(request)s)
ON CONFLICT (executor_id, order_id) DO UPDATE
SET request = excluded.request,
    asked_at = excluded.asked_at,
    settled_at = NULL,
    ending = NULL

-- name: open
-- The canceled stops that are not settled, whether the close was accepted, and whether it is time to restore them.
SELECT c.order_id, c.symbol, c.request,
    EXISTS (
        SELECT
        FROM broker_order AS o
        WHERE o.executor_id = c.executor_id
            AND o.symbol = c.symbol
            AND o.role = 'exit'
            AND o.accepted_at > c.asked_at
    ) AS closed,
    c.asked_at < clock_timestamp() - %(within)s::interval AS due
FROM canceled_stop AS c
WHERE c.executor_id = %(executor_id)s
    AND c.settled_at IS NULL
ORDER BY c.asked_at

-- name: settle
UPDATE canceled_stop
SET settled_at = clock_timestamp(),
    ending = %(ending)s
WHERE executor_id = %(executor_id)s
    AND order_id = %(order_id)s
    AND settled_at IS NULL
