-- name: listens
-- The stream is open. What happened before was perhaps not heard, so the orders are polled.
INSERT INTO stream AS s (executor_id, state, connected_at, last_heard_at, poll_requested_at, poll_reason)
VALUES (
    %(executor_id)s, 'listening', clock_timestamp(), clock_timestamp(), clock_timestamp(), 'the stream was opened'
)
ON CONFLICT (executor_id) DO UPDATE
SET state = excluded.state,
    state_since = clock_timestamp(),
    connected_at = excluded.connected_at,
    last_heard_at = excluded.last_heard_at,
    poll_requested_at = excluded.poll_requested_at,
    poll_reason = excluded.poll_reason

-- name: heard
-- The broker sent a frame or answered a ping.
UPDATE stream
SET last_heard_at = clock_timestamp()
WHERE executor_id = %(executor_id)s
    AND state = 'listening'

-- name: failed
-- The stream broke off, or could not be opened.
INSERT INTO stream AS s (executor_id, state, problem, problem_at)
VALUES (%(executor_id)s, 'down', %(problem)s, clock_timestamp())
ON CONFLICT (executor_id) DO UPDATE
SET state = excluded.state,
    state_since = CASE WHEN s.state = 'down' THEN s.state_since ELSE clock_timestamp() END,
    problem = excluded.problem,
    problem_at = excluded.problem_at

-- name: stopped
-- The tracker ends on purpose.
UPDATE stream
SET state = 'off',
    state_since = clock_timestamp()
WHERE executor_id = ANY(%(executor_ids)s)

-- name: request_poll
UPDATE stream
SET poll_requested_at = clock_timestamp(),
    poll_reason = %(reason)s
WHERE executor_id = %(executor_id)s

-- name: keep_oddity
-- Keep an odd frame, and delete the oldest ones of this executor beyond the number to keep.
WITH kept AS (
    INSERT INTO stream_oddity (executor_id, why, frame)
    VALUES (%(executor_id)s, %(why)s, %(frame)s)
)
DELETE FROM stream_oddity
WHERE executor_id = %(executor_id)s
    AND oddity_id <= (
        SELECT oddity_id
        FROM stream_oddity
        WHERE executor_id = %(executor_id)s
        ORDER BY oddity_id DESC
        -- The new row is not visible here.
        OFFSET %(most)s - 1
        LIMIT 1
    )

-- name: may_replace_ours
-- Whether an order that replaces another one may belong to an open order of ours: it replaces that order, or one that
-- has replaced it before.
SELECT EXISTS (
    SELECT
    FROM broker_order
    WHERE executor_id = %(executor_id)s
        AND ended_at IS NULL
        AND (order_id = %(replaces)s OR replacement_quantity IS NOT NULL)
)

-- name: poll_needs
-- Whether the stream is open and was heard lately, and the last request for a poll. No row: no tracker ran yet.
SELECT state = 'listening' AND coalesce(last_heard_at > clock_timestamp() - %(silent)s::interval, false) AS alive,
    poll_requested_at
FROM stream
WHERE executor_id = %(executor_id)s
