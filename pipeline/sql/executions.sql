-- name: take
-- Compare-and-set: zero rows means that somebody else has it, that it is over, or that an earlier execution of its
-- symbol is undecided. The same token again finds the take whose COMMIT answer was lost.
UPDATE execution AS e
SET state = 'submitting',
    fence = CASE WHEN e.lease_token = %(token)s THEN e.fence ELSE e.fence + 1 END,
    lease_until = clock_timestamp() + %(lease)s,
    lease_token = %(token)s,
    leased_by = %(worker)s,
    due_at = NULL,
    waits_for_symbol = false,
    settings_hash = %(settings_hash)s,
    reason_code = NULL,
    reason_facts = '{}',
    moved_by = %(worker)s,
    moved_why = NULL
FROM (
    SELECT execution_id, state AS from_state
    FROM execution
    WHERE execution_id = %(execution_id)s
    FOR UPDATE
) AS old
WHERE e.execution_id = old.execution_id
    AND (
        e.state = 'queued'
        OR (e.state = 'held' AND e.due_at <= clock_timestamp())
        OR (e.state = 'submitting' AND e.lease_token = %(token)s)
    )
    AND NOT EXISTS (
        SELECT
        FROM execution AS earlier
        WHERE earlier.executor_id = e.executor_id
            AND earlier.symbol = e.symbol
            AND earlier.seq < e.seq
            AND earlier.state IN ('queued', 'held', 'submitting', 'unknown')
    )
RETURNING e.*, old.from_state, clock_timestamp() AS now

-- name: wait_for_symbol
-- Leave a mark for whoever decides the earlier one. Zero rows: there is no earlier one any more, so take again.
UPDATE execution AS e
SET waits_for_symbol = true
WHERE e.execution_id = %(execution_id)s
    AND (e.state = 'queued' OR (e.state = 'held' AND e.due_at <= clock_timestamp()))
    AND EXISTS (
        SELECT
        FROM execution AS earlier
        WHERE earlier.executor_id = e.executor_id
            AND earlier.symbol = e.symbol
            AND earlier.seq < e.seq
            AND earlier.state IN ('queued', 'held', 'submitting', 'unknown')
    )
RETURNING e.execution_id

-- name: takeable
-- Could this execution be taken now, its symbol apart?
SELECT e.execution_id, e.executor_id, e.symbol, e.seq, e.action, s.intent
FROM execution AS e
JOIN signal AS s USING (signal_id)
WHERE e.execution_id = %(execution_id)s
    AND (e.state = 'queued' OR (e.state = 'held' AND e.due_at <= clock_timestamp()))

-- name: supersede_other_side
-- An exit ends the earlier entries of its symbol that were certainly not sent: nobody wants what is to be closed.
UPDATE execution AS e
SET state = 'skipped',
    reason_code = 'superseded',
    reason_facts = json_build_object('by', %(execution_id)s::text),
    settings_hash = %(settings_hash)s,
    due_at = NULL,
    ended_at = clock_timestamp(),
    moved_by = %(worker)s,
    moved_why = NULL
FROM signal AS s
WHERE s.signal_id = e.signal_id
    AND e.executor_id = %(executor_id)s
    AND e.symbol = %(symbol)s
    AND e.seq < %(seq)s
    AND e.state IN ('queued', 'held')
    AND e.action <> %(action)s
    AND s.intent <> 'close'
    AND NOT EXISTS (
        SELECT
        FROM broker_order AS o
        WHERE o.execution_id = e.execution_id
            AND o.may_exist
    )
RETURNING e.execution_id

-- name: next_of_symbol
-- The one that came too early and may go now that the one before it is decided.
SELECT execution_id
FROM execution
WHERE executor_id = %(executor_id)s
    AND symbol = %(symbol)s
    AND state IN ('queued', 'held')
    AND seq > %(seq)s
    AND waits_for_symbol
ORDER BY seq
LIMIT 1

-- name: renew
-- Zero rows: the lease was lost.
UPDATE execution
SET lease_until = clock_timestamp() + %(lease)s
WHERE execution_id = %(execution_id)s
    AND fence = %(fence)s
    AND state = 'submitting'
    AND lease_until > clock_timestamp()
RETURNING lease_until

-- name: settle
-- Move an execution that we have the lease of. Zero rows: somebody moved it first.
UPDATE execution
SET state = %(state)s,
    reason_code = %(reason_code)s,
    reason_facts = %(reason_facts)s,
    lease_until = NULL,
    due_at = CASE WHEN %(due_in)s::interval IS NULL THEN NULL ELSE clock_timestamp() + %(due_in)s::interval END,
    attempts = attempts + %(attempts)s,
    unknown_since = CASE WHEN %(state)s::execution_state = 'unknown' THEN coalesce(unknown_since, clock_timestamp()) END,
    lookups = 0,
    absences = 0,
    -- What was absent before this send says nothing about it.
    absent_for = '0',
    moved_by = %(moved_by)s,
    ended_at = CASE
        WHEN %(state)s::execution_state IN ('filled', 'canceled', 'expired', 'rejected', 'skipped') THEN clock_timestamp()
    END
WHERE execution_id = %(execution_id)s
    AND fence = %(fence)s
    AND state = 'submitting'
RETURNING execution_id

-- name: follow
-- The broker's word moves an execution from wherever it is, unless it is there already. The guard refuses the rest.
-- An answer that comes late tells of an order that still worked: it does not undo the broker's last word, heard since.
UPDATE execution
SET state = %(state)s,
    reason_code = %(reason_code)s,
    reason_facts = %(reason_facts)s,
    fence = fence + CASE WHEN state = 'submitting' THEN 1 ELSE 0 END,
    lease_until = NULL,
    due_at = NULL,
    unknown_since = NULL,
    moved_by = %(moved_by)s,
    moved_why = NULL,
    ended_at = CASE
        WHEN %(state)s::execution_state IN ('filled', 'canceled', 'expired', 'rejected') THEN clock_timestamp()
    END
WHERE execution_id = %(execution_id)s
    AND generation = %(generation)s
    AND state <> %(state)s
    AND EXISTS (
        SELECT
        FROM allowed_move
        WHERE from_state = execution.state
            AND to_state = %(state)s
    )
    AND NOT (
        %(state)s::execution_state IN ('accepted', 'partially_filled')
        AND EXISTS (
            SELECT
            FROM broker_order AS o
            WHERE o.execution_id = execution.execution_id
                AND o.generation = execution.generation
                AND o.ended_at IS NOT NULL
        )
    )
RETURNING execution_id, seq, executor_id, symbol

-- name: state_of
SELECT state, fence, seq, executor_id, symbol, generation
FROM execution
WHERE execution_id = %(execution_id)s

-- name: of_signal
-- EXECUTION rows of one signal in the order of their recording, each with its newest order.
SELECT e.*, s.confidence, o.order_id, o.client_order_id, o.first_sent_at AS submitted_at, o.filled_quantity,
    o.filled_average_price
FROM execution AS e
JOIN signal AS s USING (signal_id)
LEFT JOIN broker_order AS o ON o.execution_id = e.execution_id AND o.generation = e.generation
WHERE e.signal_id = ANY(%(signal_ids)s)
ORDER BY e.seq

-- name: list
SELECT e.*, s.confidence, o.order_id, o.client_order_id, o.first_sent_at AS submitted_at, o.filled_quantity,
    o.filled_average_price
FROM execution AS e
JOIN signal AS s USING (signal_id)
LEFT JOIN broker_order AS o ON o.execution_id = e.execution_id AND o.generation = e.generation
WHERE (%(signal_id)s::uuid IS NULL OR e.signal_id = %(signal_id)s)
    AND (%(state)s::execution_state IS NULL OR e.state = %(state)s)
    AND (%(executor_id)s::text IS NULL OR e.executor_id = %(executor_id)s)
    AND (%(since)s::timestamptz IS NULL OR e.created_at >= %(since)s)
ORDER BY e.created_at DESC, e.seq DESC
LIMIT %(limit)s
