-- name: record_open
-- Record that the stream is open. Updates before its opening may have been missed, so the orders are polled.
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

-- name: record_message
-- The broker sent a frame or answered a ping, so the stream is open, whatever another tracker has recorded.
UPDATE stream
SET last_heard_at = clock_timestamp(),
    state = 'listening',
    state_since = CASE WHEN state = 'listening' THEN state_since ELSE clock_timestamp() END
WHERE executor_id = %(executor_id)s

-- name: record_failure
-- The stream broke off (*was_open*), or could not be opened. In the second case another tracker may have it open and
-- receive messages: the broker allows one connection.
INSERT INTO stream AS s (executor_id, state, problem, problem_at)
VALUES (%(executor_id)s, 'down', %(problem)s, clock_timestamp())
ON CONFLICT (executor_id) DO UPDATE
SET state = excluded.state,
    state_since = CASE WHEN s.state = 'down' THEN s.state_since ELSE clock_timestamp() END,
    problem = excluded.problem,
    problem_at = excluded.problem_at
WHERE %(was_open)s
    OR s.state <> 'listening'
    OR s.last_heard_at < clock_timestamp() - interval '15 seconds'

-- name: record_stop
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
        -- This query does not see the new row, so it counts one row less.
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
-- Whether the stream is open and brought a message lately, and the last request for a poll. No row: no tracker ran yet.
SELECT state = 'listening' AND coalesce(last_heard_at > clock_timestamp() - %(silent)s::interval, false) AS alive,
    poll_requested_at
FROM stream
WHERE executor_id = %(executor_id)s

-- name: down
-- The streams that a tracker opened in the last day and that are not open now, or sent nothing lately, although orders
-- work or the market is open by the last reading of the clock.
SELECT s.executor_id, CASE WHEN s.state = 'down' THEN s.problem ELSE 'the broker sent nothing' END AS problem
FROM stream AS s
LEFT JOIN account_snapshot AS a USING (executor_id)
WHERE s.executor_id = ANY(%(executor_ids)s)
    AND (s.state = 'down' OR (s.state = 'listening' AND s.last_heard_at < statement_timestamp() - %(silent)s::interval))
    -- A user who stopped using the tracker does not need an alert for ever.
    AND greatest(s.last_heard_at, s.problem_at) > statement_timestamp() - interval '1 day'
    AND (
        EXISTS (
            SELECT
            FROM broker_order AS o
            WHERE o.executor_id = s.executor_id
                AND o.ended_at IS NULL
                AND o.order_id IS NOT NULL
        )
        OR (
            (a.clock ->> 'is_open')::boolean
            AND (a.clock ->> 'timestamp')::timestamptz + (statement_timestamp() - (a.clock ->> 'read_at')::timestamptz)
                < (a.clock ->> 'next_close')::timestamptz
        )
    )
ORDER BY s.executor_id

-- name: odd_lately
-- The odd frames of the last hour by executor, with the reason of the newest.
SELECT executor_id, count(*) AS frames, (array_agg(why ORDER BY oddity_id DESC))[1] AS why
FROM stream_oddity
WHERE executor_id = ANY(%(executor_ids)s)
    AND seen_at > statement_timestamp() - interval '1 hour'
GROUP BY executor_id
ORDER BY executor_id

-- name: states
-- The streams that a tracker has opened or tried to open, and did not give up on purpose.
SELECT executor_id, state = 'listening' AND last_heard_at >= statement_timestamp() - %(silent)s::interval AS is_open,
    problem, statement_timestamp() - state_since AS lasts, statement_timestamp() - last_heard_at AS silent
FROM stream
WHERE executor_id = ANY(%(executor_ids)s)
    AND state <> 'off'
