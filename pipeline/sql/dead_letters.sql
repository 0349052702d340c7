-- name: open
SELECT d.*, e.symbol, e.action, e.signal_id, e.state, e.created_at, e.attempts, s.confidence, s.source, s.source_id
FROM dead_letter AS d
JOIN execution AS e USING (execution_id)
JOIN signal AS s USING (signal_id)
WHERE d.closed_at IS NULL
    AND (%(executor_id)s::text IS NULL OR d.executor_id = %(executor_id)s)
ORDER BY d.opened_at
LIMIT %(limit)s

-- name: requeue
-- Queue the execution again, once per dead letter. It keeps its intent and client_order_id, so that an existing order
-- is found and not sent twice. The next try is a new order (a new generation) only if the old order ended without a
-- fill, was not replaced at the broker, and was never refused as a duplicate. Look-ups before the requeue that found no
-- order do not count, since the request may have been on its way.
UPDATE execution AS e
SET state = 'queued',
    generation = e.generation + CASE
        WHEN EXISTS (
            SELECT
            FROM broker_order AS o
            WHERE o.execution_id = e.execution_id
                AND o.generation = e.generation
                AND o.filled_quantity = 0
                AND o.order_id IS NOT NULL
                AND o.ended_at IS NOT NULL
                AND o.order_status IS DISTINCT FROM 'replaced'
        ) AND NOT EXISTS (
            SELECT
            FROM attempt AS a
            WHERE a.execution_id = e.execution_id
                AND a.generation = e.generation
                AND a.outcome = 'duplicate'
        ) THEN 1
        ELSE 0
    END,
    reason_code = 'requeued',
    reason_facts = '{}',
    due_at = clock_timestamp(),
    enqueues = e.enqueues + 1,
    job_id = e.execution_id || '-' || (e.enqueues + 1),
    attempts = 0,
    unknown_since = NULL,
    unknown_answered = '0',
    lookups = 0,
    absences = 0,
    absent_since = NULL,
    accept_age = %(accept_age)s,
    decided_at = NULL,
    moved_by = %(by)s,
    moved_why = %(why)s
FROM dead_letter AS d
WHERE e.execution_id = %(execution_id)s
    AND e.state = 'dead'
    AND d.execution_id = e.execution_id
    AND d.closed_at IS NULL
    AND (%(number)s::integer IS NULL OR d.number = %(number)s)
RETURNING e.execution_id

-- name: discard
UPDATE execution
SET state = 'discarded',
    reason_code = 'discarded',
    reason_facts = (jsonb_build_object('was', reason_code) || reason_facts::jsonb)::json,
    due_at = NULL,
    ended_at = clock_timestamp(),
    moved_by = %(by)s,
    moved_why = %(why)s
WHERE execution_id = %(execution_id)s
    AND state = 'dead'
RETURNING execution_id

-- name: closed
-- Return a row if the execution's newest dead letter was closed exactly like this.
SELECT execution_id
FROM dead_letter AS d
WHERE execution_id = %(execution_id)s
    AND number = (SELECT max(number) FROM dead_letter WHERE execution_id = d.execution_id)
    AND ending = %(ending)s
    AND closed_by = %(by)s
    AND closed_why = %(why)s
