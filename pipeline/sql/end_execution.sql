-- name: end
-- End an execution that waits. No row is returned if it does not wait, or if the broker may have an open order of it.
UPDATE execution AS e
SET state = 'skipped',
    reason_code = %(reason_code)s,
    reason_facts = %(reason_facts)s,
    due_at = NULL,
    unknown_since = NULL,
    ended_at = clock_timestamp(),
    moved_by = %(by)s,
    moved_why = %(why)s
WHERE e.execution_id = %(execution_id)s
    AND e.state IN ('queued', 'held')
    AND NOT EXISTS (
        SELECT
        FROM broker_order AS o
        WHERE o.execution_id = e.execution_id
            AND o.may_exist
            AND o.ended_at IS NULL
    )
RETURNING e.execution_id, e.signal_id, e.executor_id, e.symbol, e.seq

-- name: ended
-- Return the execution if exactly this request ended it.
SELECT execution_id, signal_id, executor_id, symbol, seq
FROM execution
WHERE execution_id = %(execution_id)s
    AND state = 'skipped'
    AND reason_code = %(reason_code)s
    AND moved_by = %(by)s
    AND moved_why = %(why)s
