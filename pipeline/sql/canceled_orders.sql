-- name: ask
-- Record an order before its cancel is requested. *asks* is false if its cancel was already requested in the last 2 s.
-- *seen_open* is the number of times in a row that this exit has found the order open.
INSERT INTO canceled_order AS c (
    order_id, client_order_id, executor_id, symbol, side, quantity, terms, execution_id
)
VALUES (
    %(order_id)s, %(client_order_id)s, %(executor_id)s, %(symbol)s, %(side)s, %(quantity)s, %(terms)s, %(execution_id)s
)
ON CONFLICT (order_id) DO UPDATE
SET first_asked_at = CASE WHEN c.settled_at IS NULL THEN c.first_asked_at ELSE clock_timestamp() END,
    seen_open = CASE
        WHEN c.settled_at IS NULL AND c.execution_id = excluded.execution_id THEN c.seen_open + 1
        ELSE 1
    END,
    asked_at = CASE
        WHEN c.settled_at IS NULL AND c.asked_at > clock_timestamp() - interval '2 seconds' THEN c.asked_at
        ELSE clock_timestamp()
    END,
    execution_id = excluded.execution_id,
    looks = 0,
    due_at = clock_timestamp(),
    short_at = NULL,
    outcome = NULL,
    restored_quantity = NULL,
    message = NULL,
    settled_at = NULL
RETURNING seen_open, asked_at >= statement_timestamp() AS asks

-- name: unsettled
-- Canceled orders whose exit is over: no order of an exit may still work, and no execution that may be the exit (of the
-- order's side, FLAT or REVERSE) is undecided. An exit that has not been sent after 5 s is not waited for, so that the
-- position does not stay unprotected. *changed_at* is the time at which the newest fill or end of one of our orders in
-- the symbol became known.
SELECT c.*, clock_timestamp() AS now,
    (
        SELECT max(greatest(o.filled_at, o.ended_at))
        FROM broker_order AS o
        WHERE o.executor_id = c.executor_id
            AND o.symbol = c.symbol
            AND o.intended_at > c.first_asked_at - interval '1 day'
    ) AS changed_at
FROM canceled_order AS c
WHERE c.executor_id = %(executor_id)s
    AND c.settled_at IS NULL
    AND c.due_at <= clock_timestamp()
    AND NOT EXISTS (
        SELECT
        FROM broker_order AS o
        JOIN execution AS e USING (execution_id, generation)
        WHERE o.executor_id = c.executor_id
            AND o.symbol = c.symbol
            AND o.role = 'exit'
            AND o.ended_at IS NULL
            AND o.may_exist
            AND e.state IN ('submitting', 'unknown', 'accepted', 'partially_filled')
    )
    AND (
        c.asked_at < clock_timestamp() - interval '5 seconds'
        OR NOT EXISTS (
            SELECT
            FROM execution AS e
            WHERE e.executor_id = c.executor_id
                AND e.symbol = c.symbol
                AND (lower(e.action::text) = c.side OR e.action IN ('FLAT', 'REVERSE'))
                AND e.state IN ('queued', 'held', 'submitting', 'unknown')
        )
    )
    -- For 5 s, the follow-up of an exit that has ended may record a further exit.
    AND NOT EXISTS (
        SELECT
        FROM broker_order AS o
        WHERE o.executor_id = c.executor_id
            AND o.symbol = c.symbol
            AND o.follow_up
            AND o.ended_at > clock_timestamp() - interval '5 seconds'
    )
ORDER BY c.first_asked_at
LIMIT %(limit)s

-- name: look_again
-- Keep an order for a later check. *outcome*, if given, names the step that could not be done yet.
UPDATE canceled_order
SET looks = looks + 1,
    due_at = clock_timestamp() + %(pause)s,
    short_at = CASE WHEN %(short)s THEN coalesce(short_at, clock_timestamp()) END,
    outcome = coalesce(%(outcome)s, outcome),
    message = coalesce(%(message)s, message)
WHERE order_id = %(order_id)s
    AND settled_at IS NULL
RETURNING order_id

-- name: settle
UPDATE canceled_order
SET settled_at = clock_timestamp(),
    outcome = %(outcome)s,
    restored_quantity = %(restored_quantity)s,
    message = coalesce(%(message)s, message)
WHERE order_id = %(order_id)s
    AND settled_at IS NULL
RETURNING order_id
