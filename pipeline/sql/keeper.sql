-- name: lead
-- Take or renew the lease on leadership. A row is returned when this keeper leads.
INSERT INTO leadership AS l (role, holder, lease_until)
VALUES (%(role)s, %(holder)s, clock_timestamp() + %(lease)s)
ON CONFLICT (role) DO UPDATE
SET holder = excluded.holder,
    lease_until = excluded.lease_until
WHERE l.holder = excluded.holder
    OR l.lease_until < clock_timestamp()
RETURNING role

-- name: resign
DELETE FROM leadership
WHERE role = %(role)s
    AND holder = %(holder)s

-- name: mark_due
-- Mark candidates whose last job is gone as enqueued, if they still wait. The time of the next check is set before the
-- job is enqueued, so that a crash in between costs one interval.
UPDATE execution AS e
SET due_at = CASE
        WHEN e.state = 'queued' THEN clock_timestamp() + least(interval '1 second' * (e.enqueues + 1), interval '5 seconds')
        ELSE e.due_at
    END,
    enqueues = e.enqueues + 1,
    job_id = e.execution_id || '-' || (e.enqueues + 1)
FROM (
    SELECT w.execution_id
    FROM execution AS w
    WHERE w.state IN ('queued', 'held')
        AND w.due_at <= clock_timestamp()
        AND w.execution_id = ANY(%(execution_ids)s)
        AND NOT EXISTS (
            SELECT
            FROM execution AS earlier
            WHERE earlier.executor_id = w.executor_id
                AND earlier.symbol = w.symbol
                AND earlier.seq < w.seq
                AND earlier.state IN ('queued', 'held', 'submitting', 'unknown')
        )
    FOR UPDATE SKIP LOCKED
) AS waiting
JOIN LATERAL (
    SELECT confidence
    FROM signal
    WHERE signal_id = (SELECT signal_id FROM execution WHERE execution_id = waiting.execution_id)
) AS s ON true
WHERE e.execution_id = waiting.execution_id
RETURNING e.execution_id, e.executor_id, e.job_id, e.action, e.symbol, s.confidence, e.seq, e.due_at, e.reason_code,
    e.fence > 0 AS begun

-- name: candidates
-- Executions that are due and whose symbol is free, the oldest first. Their last job may still be in the queue.
-- Conditions that an index serves use statement_timestamp() here and below: an index cannot serve a volatile clock.
-- An imported order of `flatten --direct` has had no job yet, so its execution id takes the place of a job's id.
SELECT w.execution_id, coalesce(w.job_id, w.execution_id::text) AS job_id, w.due_at
FROM execution AS w
WHERE w.state IN ('queued', 'held')
    AND w.due_at <= statement_timestamp()
    AND w.executor_id = %(executor_id)s
    AND NOT EXISTS (
        SELECT
        FROM execution AS earlier
        WHERE earlier.executor_id = w.executor_id
            AND earlier.symbol = w.symbol
            AND earlier.seq < w.seq
            AND earlier.state IN ('queued', 'held', 'submitting', 'unknown')
    )
ORDER BY w.due_at
LIMIT %(limit)s

-- name: postpone
-- The job is still in the queue, so the execution is checked again later.
UPDATE execution
SET due_at = clock_timestamp() + interval '1 second'
WHERE execution_id = ANY(%(execution_ids)s)
    AND state = 'queued'

-- name: end_expired_leases
-- The worker is gone. Without an intent nothing was sent; with one the broker may have the order.
UPDATE execution AS e
SET state = CASE WHEN gone.intended THEN 'unknown'::execution_state ELSE 'queued'::execution_state END,
    fence = e.fence + 1,
    lease_until = NULL,
    due_at = clock_timestamp(),
    unknown_since = CASE WHEN gone.intended THEN coalesce(e.unknown_since, clock_timestamp()) END,
    lookups = 0,
    absences = 0,
    absent_since = NULL,
    attempts = e.attempts + CASE WHEN gone.intended THEN 1 ELSE 0 END,
    reason_code = CASE WHEN gone.intended THEN 'lease_ran_out' END,
    reason_facts = CASE WHEN gone.intended THEN json_build_object('worker', e.leased_by) ELSE '{}' END,
    moved_by = %(moved_by)s
FROM (
    SELECT w.execution_id, EXISTS (
        SELECT
        FROM broker_order AS o
        WHERE o.execution_id = w.execution_id
            AND o.generation = w.generation
            AND o.may_exist
    ) AS intended
    FROM execution AS w
    WHERE w.state = 'submitting'
        AND w.lease_until < statement_timestamp()
    ORDER BY w.lease_until
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
) AS gone
WHERE e.execution_id = gone.execution_id
RETURNING e.execution_id, e.executor_id, e.state

-- name: claim_unknown
-- Claim the look-ups that are due: their time is moved on, so that another keeper skips them for a while.
UPDATE execution AS e
SET due_at = clock_timestamp() + %(claim)s
FROM (
    SELECT w.execution_id, w.due_at
    FROM execution AS w
    WHERE w.state = 'unknown'
        AND w.due_at <= statement_timestamp()
        AND w.executor_id = ANY(%(executor_ids)s)
    ORDER BY w.due_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
) AS due
WHERE e.execution_id = due.execution_id
RETURNING e.execution_id, e.seq, e.executor_id, e.symbol, e.fence, e.generation, e.attempts, e.reason_code, e.lookups,
    e.absences, coalesce(clock_timestamp() - e.absent_since, '0') AS absent_for, e.unknown_answered,
    clock_timestamp() AS now, EXISTS (
        SELECT
        FROM attempt AS a
        WHERE a.execution_id = e.execution_id
            AND a.generation = e.generation
            AND a.outcome = 'duplicate'
    ) AS duplicate

-- name: postpone_lookup
-- The order is still unknown. The time that counts for `unknown_s` passes only while the broker answers.
UPDATE execution
SET due_at = clock_timestamp() + %(gap)s,
    lookups = lookups + 1,
    absences = CASE WHEN %(absent)s THEN absences + 1 ELSE absences END,
    absent_since = CASE WHEN %(absent)s THEN coalesce(absent_since, clock_timestamp()) END,
    unknown_answered = unknown_answered + CASE WHEN %(answered)s THEN %(gap)s ELSE interval '0' END
WHERE execution_id = %(execution_id)s
    AND fence = %(fence)s
    AND state = 'unknown'
RETURNING execution_id

-- name: settle_unknown
-- Change the state of an unknown execution whose order was not found: it is tried again, skipped or a dead letter.
UPDATE execution
SET state = %(state)s,
    generation = generation + CASE WHEN %(new_order)s THEN 1 ELSE 0 END,
    reason_code = %(reason_code)s,
    reason_facts = %(reason_facts)s,
    due_at = CASE WHEN %(state)s::execution_state = 'held' THEN clock_timestamp() + %(due_in)s::interval END,
    unknown_since = CASE WHEN %(state)s::execution_state = 'held' THEN unknown_since END,
    ended_at = CASE WHEN %(state)s::execution_state = 'skipped' THEN clock_timestamp() END,
    moved_by = %(moved_by)s
WHERE execution_id = %(execution_id)s
    AND fence = %(fence)s
    AND state = 'unknown'
RETURNING execution_id, seq, executor_id, symbol

-- name: open_orders
-- Of the orders without a final status that no list has just shown (*seen*), the time of the oldest intent: among the
-- young ones, among the older ones that the broker has (*old*), and among the older ones that it may have
-- (*unconfirmed*). *canceling* is true if a cancel was requested in the last minute, so an exit may wait for it.
-- *pressing* is true if one is an exit, whose end leads to a next step, or should not trade any more.
WITH waiting AS (
    SELECT o.intended_at, o.order_id, o.cancel_asked_at,
        o.order_id IS NOT NULL AND (o.role = 'exit' OR e.reason_code = 'late_order' OR o.generation < e.generation) AS pressing
    FROM broker_order AS o
    JOIN execution AS e USING (execution_id)
    WHERE o.executor_id = %(executor_id)s
        AND o.ended_at IS NULL
        AND (o.order_id IS NOT NULL OR o.may_exist)
        AND o.client_order_id <> ALL(%(seen)s::text[])
        AND (
            o.intended_at > statement_timestamp() - interval '10 minutes'
            OR e.state IN ('accepted', 'partially_filled')
        )
    UNION ALL
    SELECT intended_at, order_id, cancel_asked_at, false
    FROM broker_order
    WHERE executor_id = %(executor_id)s
        AND order_id IS NULL
        AND may_exist
        AND ended_at IS NOT NULL
        AND client_order_id <> ALL(%(seen)s::text[])
        AND intended_at > statement_timestamp() - interval '10 minutes'
)
SELECT min(intended_at) FILTER (WHERE intended_at > statement_timestamp() - %(young)s::interval) AS young,
    min(intended_at) FILTER (WHERE intended_at <= statement_timestamp() - %(young)s::interval AND order_id IS NOT NULL) AS old,
    count(*) FILTER (WHERE intended_at <= statement_timestamp() - %(young)s::interval AND order_id IS NOT NULL) AS old_count,
    min(intended_at) FILTER (WHERE intended_at <= statement_timestamp() - %(young)s::interval AND order_id IS NULL) AS unconfirmed,
    coalesce(bool_or(cancel_asked_at > statement_timestamp() - interval '1 minute'), false) AS canceling,
    coalesce(bool_or(pressing), false) AS pressing
FROM waiting

-- name: claim_unlisted
-- Claim a few working orders that no list showed, first those that were reported longest ago. An order may be younger
-- than the list, so a young one is left out for some seconds.
UPDATE broker_order AS o
SET asked_at = clock_timestamp()
FROM (
    SELECT w.execution_id, w.generation
    FROM broker_order AS w
    JOIN execution AS e USING (execution_id)
    WHERE w.executor_id = %(executor_id)s
        AND w.ended_at IS NULL
        AND w.order_id IS NOT NULL
        AND e.state IN ('accepted', 'partially_filled')
        AND w.client_order_id <> ALL(%(seen)s::text[])
        AND (
            w.intended_at <= statement_timestamp() - %(young)s::interval
            OR w.polled_at < statement_timestamp() - interval '5 seconds'
        )
        AND (w.asked_at IS NULL OR w.asked_at < statement_timestamp() - interval '5 seconds')
    ORDER BY greatest(w.polled_at, w.asked_at)
    LIMIT %(limit)s
    FOR UPDATE OF w SKIP LOCKED
) AS longest
WHERE o.execution_id = longest.execution_id
    AND o.generation = longest.generation
RETURNING o.execution_id, o.generation, o.order_id

-- name: record_polled
-- Note that the broker still has these orders: at most every 10 s, since the time only serves to find vanished orders.
UPDATE broker_order
SET polled_at = clock_timestamp()
WHERE client_order_id = ANY(%(client_order_ids)s)
    AND polled_at < clock_timestamp() - interval '10 seconds'

-- name: known_orders
SELECT o.*, e.state, e.reason_code, e.generation AS current_generation, e.seq
FROM broker_order AS o
JOIN execution AS e USING (execution_id)
WHERE o.client_order_id = ANY(%(client_order_ids)s)

-- name: active_executors
-- The executors with work in the last minute. The keeper keeps their snapshots fresh.
SELECT executor_id
FROM execution
WHERE created_at > statement_timestamp() - interval '1 minute'
    AND state <> 'skipped'
GROUP BY executor_id

-- name: free_symbol
-- The earlier execution of the symbol is decided, so the next one is due now.
UPDATE execution
SET due_at = clock_timestamp()
WHERE execution_id = (
    SELECT execution_id
    FROM execution
    WHERE executor_id = %(executor_id)s
        AND symbol = %(symbol)s
        AND seq > %(seq)s
        AND state = 'queued'
    ORDER BY seq
    LIMIT 1
)
    AND state = 'queued'

-- name: vanished
-- An accepted order that the broker has not shown for a minute: reads do not lag that much.
UPDATE execution AS e
SET state = 'dead',
    reason_code = %(reason_code)s,
    reason_facts = %(reason_facts)s,
    moved_by = %(moved_by)s
FROM broker_order AS o
WHERE e.execution_id = %(execution_id)s
    AND e.generation = %(generation)s
    AND e.state IN ('accepted', 'partially_filled')
    AND o.execution_id = e.execution_id
    AND o.generation = e.generation
    AND o.polled_at < clock_timestamp() - interval '60 seconds'
RETURNING e.execution_id

-- name: note_unreadable
-- Note orders that the broker lists and that cannot be read: at most every 10 s, since the time only shows that the
-- order is still there.
INSERT INTO unreadable_order AS u (executor_id, order_id, why)
SELECT DISTINCT ON (r.order_id) %(executor_id)s, r.order_id, r.why
FROM jsonb_to_recordset(%(rows)s::jsonb) AS r (order_id text, why text)
ON CONFLICT (executor_id, order_id) DO UPDATE
SET why = excluded.why,
    seen_at = excluded.seen_at
WHERE u.seen_at < excluded.seen_at - interval '10 seconds'

-- name: kept_orders
-- Those of the given orders that a flatten leaves alone: exits that are open in our record, and orders whose cancel was
-- requested in the last 2 s.
SELECT o.client_order_id
FROM broker_order AS o
JOIN execution AS e USING (execution_id, generation)
WHERE o.client_order_id = ANY(%(client_order_ids)s)
    AND (
        (
            o.role = 'exit'
            AND o.may_exist
            AND o.ended_at IS NULL
            AND e.state IN ('queued', 'held', 'submitting', 'unknown', 'accepted', 'partially_filled')
        )
        OR o.cancel_asked_at > clock_timestamp() - interval '2 seconds'
    )

-- name: return_to_older
-- The old order of a requeued execution was found before a new one was sent, so the execution returns to the old order.
UPDATE execution AS e
SET generation = %(generation)s,
    due_at = clock_timestamp()
WHERE e.execution_id = %(execution_id)s
    AND e.generation > %(generation)s
    AND e.state IN ('queued', 'held')
    AND NOT EXISTS (
        SELECT
        FROM broker_order AS o
        WHERE o.execution_id = e.execution_id
            AND o.generation > %(generation)s
            AND o.may_exist
    )
RETURNING e.execution_id
