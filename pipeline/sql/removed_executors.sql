-- name: open_work
-- The open executions of executors that are not in the file. Each of the three parts uses its own index. The executions
-- that an executor had when it was forgotten are not listed, except queued ones: those were queued again afterwards.
SELECT w.executor_id, w.state, count(*) AS count
FROM (
    SELECT executor_id, state, created_at
    FROM execution
    WHERE state IN ('queued', 'held', 'submitting', 'unknown')
    UNION ALL
    SELECT executor_id, state, created_at
    FROM execution
    WHERE state IN ('accepted', 'partially_filled')
    UNION ALL
    SELECT executor_id, state, created_at
    FROM execution
    WHERE state = 'dead'
) AS w
WHERE w.executor_id <> ALL(%(executor_ids)s)
    AND (
        w.state = 'queued'
        OR NOT EXISTS (
            SELECT
            FROM forgotten_executor AS f
            WHERE f.executor_id = w.executor_id
                AND f.back_at IS NULL
                AND f.forgotten_at >= w.created_at
        )
    )
GROUP BY w.executor_id, w.state
ORDER BY w.executor_id, w.state

-- name: positions
-- Positions in accounts that only removed executors traded. An account that an executor of the file trades now, by its
-- pinned number or by the number that was read last, is left out. So is an executor that was forgotten afterwards.
SELECT s.executor_id, s.account_number, h.symbol, sum(h.quantity) AS quantity
FROM account_snapshot AS s
JOIN holding AS h USING (account_number)
WHERE s.executor_id <> ALL(%(executor_ids)s)
    AND s.account_number <> ALL(%(account_numbers)s)
    AND NOT EXISTS (
        SELECT
        FROM account_snapshot AS other
        WHERE other.account_number = s.account_number
            AND other.executor_id = ANY(%(executor_ids)s)
    )
    AND NOT EXISTS (
        SELECT
        FROM forgotten_executor AS f
        WHERE f.executor_id = s.executor_id
            AND f.back_at IS NULL
            AND f.forgotten_at >= greatest(s.taken_at, h.changed_at)
    )
GROUP BY s.executor_id, s.account_number, h.symbol
HAVING sum(h.quantity) <> 0
ORDER BY s.executor_id, h.symbol

-- name: back
-- Mark forgotten executors that are in the file again: if they are removed again, their new executions are listed.
UPDATE forgotten_executor
SET back_at = clock_timestamp()
WHERE back_at IS NULL
    AND executor_id = ANY(%(executor_ids)s)

-- name: end_waiting
-- Skip the executions that no worker will execute any more. Their orders at the broker are listed by `orders_left`.
UPDATE execution AS e
SET state = 'skipped',
    reason_code = 'executor_gone',
    reason_facts = '{}',
    due_at = NULL,
    unknown_since = NULL,
    ended_at = clock_timestamp(),
    moved_by = %(by)s,
    moved_why = %(why)s
WHERE e.executor_id = %(executor_id)s
    AND e.state IN ('queued', 'held')
RETURNING e.execution_id

-- name: dead_letter_unknown
-- Turn unknown executions into dead letters: no keeper will look them up any more.
UPDATE execution
SET state = 'dead',
    fence = fence + 1,
    reason_code = 'executor_gone',
    reason_facts = json_build_object('was', 'unknown'),
    due_at = NULL,
    unknown_since = NULL,
    moved_by = %(by)s,
    moved_why = %(why)s
WHERE executor_id = %(executor_id)s
    AND state = 'unknown'
RETURNING execution_id

-- name: submitting
SELECT execution_id, leased_by
FROM execution
WHERE executor_id = %(executor_id)s
    AND state = 'submitting'

-- name: orders_left
-- Orders that the broker has or may have.
SELECT o.client_order_id, o.order_id, o.account_number, o.symbol, o.side, o.quantity, o.filled_quantity, e.state
FROM broker_order AS o
JOIN execution AS e USING (execution_id)
WHERE o.executor_id = %(executor_id)s
    AND o.ended_at IS NULL
    AND (o.order_id IS NOT NULL OR o.may_exist)
ORDER BY o.intended_at

-- name: dead_left
SELECT count(*) AS count
FROM execution
WHERE executor_id = %(executor_id)s
    AND state = 'dead'

-- name: forget
INSERT INTO forgotten_executor (executor_id, forgotten_by, why, left_over)
VALUES (%(executor_id)s, %(by)s, %(why)s, %(left_over)s)

-- name: known
-- Return a row if the record holds anything of this executor.
SELECT
WHERE EXISTS (SELECT FROM execution WHERE executor_id = %(executor_id)s)
    OR EXISTS (SELECT FROM account_snapshot WHERE executor_id = %(executor_id)s)
