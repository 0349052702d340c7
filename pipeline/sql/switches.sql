-- name: turn_on
-- A switch that is already on keeps its figures, its time and the name of who turned it on; a person may change the
-- reason (*why*). A new request to flatten changes the switch: a person's request every time, a limit's once per halt.
WITH held AS (
    INSERT INTO switch AS s (switch_id, holder, kind, cause, facts, flatten, set_by, why)
    VALUES (%(switch_id)s, %(holder)s, %(kind)s, %(cause)s, %(facts)s, %(flatten)s, %(by)s, %(why)s)
    ON CONFLICT (holder, kind, cause) DO UPDATE
    SET switch_id = CASE WHEN excluded.flatten AND NOT s.flatten THEN excluded.switch_id ELSE s.switch_id END,
        flattened_at = CASE WHEN NOT excluded.flatten THEN s.flattened_at END,
        flatten = s.flatten OR excluded.flatten,
        why = coalesce(excluded.why, s.why)
    WHERE (excluded.flatten AND NOT s.flatten AND (s.flattened_at IS NULL OR s.cause = 'person'))
        OR (s.cause = 'person' AND excluded.why <> coalesce(s.why, ''))
    RETURNING s.*, xmax = 0 AS new
)
INSERT INTO switch_history (holder, kind, cause, turned, facts, flatten, moved_by, why)
SELECT holder, kind, cause, CASE WHEN new THEN 'on' ELSE 'changed' END, facts, flatten, %(by)s, %(why)s
FROM held
RETURNING turned

-- name: turn_off
WITH gone AS (
    DELETE FROM switch
    WHERE holder = ANY(%(holders)s)
        AND (%(kinds)s::text[] IS NULL OR kind = ANY(%(kinds)s))
        AND (%(causes)s::text[] IS NULL OR cause = ANY(%(causes)s))
    RETURNING *
), recorded AS (
    INSERT INTO switch_history (holder, kind, cause, turned, facts, flatten, moved_by, why)
    SELECT holder, kind, cause, 'off', facts, flatten, %(by)s, %(why)s
    FROM gone
)
SELECT kind, cause, facts, flatten, set_by, why, set_at
FROM gone
ORDER BY set_at

-- name: adopt
-- An executor's account number is known now: give it the switches that were turned under its provisional key.
WITH moved AS (
    DELETE FROM switch
    WHERE holder = %(provisional)s
    RETURNING *
), renamed AS (
    UPDATE switch_history
    SET holder = %(account_number)s
    WHERE holder = %(provisional)s
)
INSERT INTO switch AS s (switch_id, holder, kind, cause, facts, flatten, set_by, why, set_at, flattened_at)
SELECT switch_id, %(account_number)s, kind, cause, facts, flatten, set_by, why, set_at, flattened_at
FROM moved
ON CONFLICT (holder, kind, cause) DO UPDATE
SET flatten = s.flatten OR excluded.flatten

-- name: release_paused
-- The pause is over: the executions that it held are due now.
UPDATE execution
SET due_at = clock_timestamp()
WHERE executor_id = %(executor_id)s
    AND state = 'held'
    AND reason_code = ANY(%(reason_codes)s)
RETURNING execution_id

-- name: active_controls
-- Since when the account's entries are stopped (NULL: they are not), whether to flatten it, whether an entry has worked
-- for longer than *timeout*, and whether a person requested the cancel of an order.
SELECT max(set_at) FILTER (WHERE kind IN ('reducing', 'halted')) AS entries_stopped_since,
    coalesce(bool_or(flatten), false) AS flatten,
    EXISTS (
        SELECT
        FROM broker_order AS o
        JOIN execution AS e USING (execution_id)
        WHERE o.executor_id = %(executor_id)s
            AND o.ended_at IS NULL
            AND o.role = 'entry'
            AND o.order_id IS NOT NULL
            AND o.first_sent_at < clock_timestamp() - %(timeout)s::interval
            AND e.state IN ('accepted', 'partially_filled')
    ) AS has_old_entries,
    EXISTS (
        SELECT
        FROM broker_order
        WHERE executor_id = %(executor_id)s
            AND cancel_requested_at IS NOT NULL
            AND ended_at IS NULL
    ) AS has_requested_cancels
FROM switch
WHERE holder IN (
    SELECT account_number
    FROM account_snapshot
    WHERE executor_id = %(executor_id)s
    UNION ALL
    SELECT 'executor:' || %(executor_id)s
)

-- name: release_stopped
-- Make entries due that were held when the account was stopped: a worker decides again and ends them. A worker that
-- decided at that moment may not have seen the switch, so entries that were held within *grace* afterwards count, too.
UPDATE execution AS e
SET due_at = clock_timestamp()
WHERE e.executor_id = %(executor_id)s
    AND e.state = 'held'
    AND e.due_at > clock_timestamp() + interval '1 second'
    AND e.reason_code = ANY(%(reason_codes)s)
    AND (SELECT max(at) FROM history WHERE execution_id = e.execution_id) < %(since)s::timestamptz + %(grace)s::interval
RETURNING e.execution_id

-- name: working_entries
SELECT o.order_id, o.symbol, coalesce(o.first_sent_at, o.intended_at) AS sent_at
FROM broker_order AS o
JOIN execution AS e USING (execution_id)
WHERE o.executor_id = %(executor_id)s
    AND o.ended_at IS NULL
    AND o.role = 'entry'
    AND o.order_id IS NOT NULL
    AND e.state IN ('accepted', 'partially_filled')

-- name: flatten_requests
SELECT switch_id, cause, set_by
FROM switch
WHERE holder = ANY(%(holders)s)
    AND flatten
ORDER BY set_at

-- name: order_activity
-- Whether an order of ours may still change a position or has done so since the positions were read, and the number of
-- undecided executions.
SELECT EXISTS (
        SELECT
        FROM broker_order AS o
        JOIN execution AS e USING (execution_id)
        WHERE o.executor_id = %(executor_id)s
            AND o.ended_at IS NULL
            AND o.may_exist
            AND e.state IN ('held', 'submitting', 'unknown', 'accepted', 'partially_filled')
    ) OR EXISTS (
        -- The worker may have decided before the switch was turned on, and may be about to write an order.
        SELECT
        FROM execution
        WHERE executor_id = %(executor_id)s
            AND state = 'submitting'
    ) AS open,
    EXISTS (
        SELECT
        FROM broker_order
        WHERE executor_id = %(executor_id)s
            AND filled_at > %(taken_at)s
    ) AS filled_since,
    (SELECT count(*) FROM execution WHERE executor_id = %(executor_id)s AND state IN ('queued', 'held', 'submitting', 'unknown'))
    AS undecided

-- name: next_close
-- The number of the next exit that closes a symbol, how long ago the last one ended, the quantity that it left as dust,
-- and whether an exit is under way.
WITH RECURSIVE used AS (
    SELECT 0 AS n
    UNION ALL
    SELECT n + 1
    FROM used
    WHERE EXISTS (
        SELECT
        FROM signal
        WHERE source = %(source)s
            AND source_id = %(root)s || (n + 1)
    )
), last AS (
    SELECT max(n) AS n
    FROM used
)
SELECT last.n + 1 AS number,
    (
        SELECT clock_timestamp() - max(coalesce(e.ended_at, e.decided_at))
        FROM execution AS e
        JOIN signal AS s USING (signal_id)
        WHERE s.source = %(source)s
            AND s.source_id = %(root)s || last.n
    ) AS since_last,
    (
        SELECT max((e.reason_facts ->> 'dust')::numeric)
        FROM execution AS e
        JOIN signal AS s USING (signal_id)
        WHERE s.source = %(source)s
            AND s.source_id = %(root)s || last.n
            AND e.executor_id = %(executor_id)s
            AND e.state = 'skipped'
            AND e.reason_code = 'dust'
    ) AS dust,
    EXISTS (
        SELECT
        FROM execution AS e
        JOIN signal AS s USING (signal_id)
        WHERE e.executor_id = %(executor_id)s
            AND e.symbol = %(symbol)s
            AND e.state IN ('queued', 'held', 'submitting', 'unknown')
            AND s.source = ANY(%(sources)s)
    ) OR EXISTS (
        SELECT
        FROM broker_order AS o
        JOIN execution AS e USING (execution_id)
        JOIN signal AS s USING (signal_id)
        WHERE o.executor_id = %(executor_id)s
            AND o.symbol = %(symbol)s
            AND o.ended_at IS NULL
            AND o.role = 'exit'
            AND o.may_exist
            AND e.state IN ('held', 'submitting', 'unknown', 'accepted', 'partially_filled')
            -- The limit close of a person may rest for hours. The next exit cancels it.
            AND NOT (s.source = 'tradewire:hand' AND o.limit_price IS NOT NULL AND o.order_id IS NOT NULL)
    ) OR EXISTS (
        SELECT
        FROM broker_order
        WHERE executor_id = %(executor_id)s
            AND symbol = %(symbol)s
            AND filled_at > %(taken_at)s
    ) AS under_way
FROM last

-- name: supersede_symbol
-- End the unsent executions that are earlier than an exit which closes the symbol's whole position. They are not wanted
-- any more, and an exit among them would delay that exit.
UPDATE execution AS e
SET state = 'skipped',
    reason_code = 'superseded',
    reason_facts = json_build_object('by', %(execution_id)s::text),
    due_at = NULL,
    ended_at = clock_timestamp(),
    moved_by = %(by)s,
    moved_why = NULL
FROM signal AS s
WHERE s.signal_id = e.signal_id
    AND e.executor_id = %(executor_id)s
    AND e.symbol = %(symbol)s
    AND e.seq < (SELECT seq FROM execution WHERE execution_id = %(execution_id)s)
    AND e.state IN ('queued', 'held')
    AND s.source <> ALL(%(sources)s)
    AND NOT EXISTS (
        SELECT
        FROM broker_order AS o
        WHERE o.execution_id = e.execution_id
            AND o.may_exist
    )
RETURNING e.execution_id

-- name: end_flatten
-- Everything is closed, by us or by others. The request ends, and the halt stays.
WITH done AS (
    UPDATE switch
    SET flatten = false,
        flattened_at = clock_timestamp()
    WHERE switch_id = ANY(%(switch_ids)s)
        AND flatten
    RETURNING *
)
INSERT INTO switch_history (holder, kind, cause, turned, facts, flatten, moved_by, why)
SELECT holder, kind, cause, 'changed', facts, flatten, %(by)s, %(why)s
FROM done
RETURNING holder

-- name: closings
-- The exits of a flatten that are not done.
SELECT e.symbol, e.state, e.reason_code, e.reason_facts, e.due_at
FROM execution AS e
JOIN signal AS s USING (signal_id)
WHERE e.executor_id = %(executor_id)s
    AND e.state IN ('queued', 'held', 'submitting', 'unknown', 'accepted', 'partially_filled', 'dead')
    AND s.source = 'tradewire:flatten'
    AND e.created_at > statement_timestamp() - interval '10 days'
ORDER BY e.seq
