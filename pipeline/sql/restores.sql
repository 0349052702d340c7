-- name: note
INSERT INTO record_restore (restored_by, file_name)
VALUES (%(by)s, %(file_name)s)

-- name: not_compared
-- The last restore, and the executors whose account was not reconciled since. No row if there was no restore.
SELECT r.restored_at, r.restored_by, r.file_name,
    ARRAY(
        SELECT e.executor_id
        FROM unnest(%(executor_ids)s::text[]) AS e (executor_id)
        WHERE NOT EXISTS (
            SELECT
            FROM reconciliation AS c
            WHERE c.executor_id = e.executor_id
                AND c.read_at > r.restored_at
        )
        ORDER BY e.executor_id
    ) AS executor_ids
FROM record_restore AS r
ORDER BY r.restored_at DESC
LIMIT 1

-- name: to_compare
-- The time of the last restore, if the account was not reconciled since.
SELECT r.restored_at
FROM record_restore AS r
WHERE NOT EXISTS (
    SELECT
    FROM reconciliation AS c
    WHERE c.account_number = %(account_number)s
        AND c.read_at > r.restored_at
)
ORDER BY r.restored_at DESC
LIMIT 1

-- name: unsent
-- The executions of the backup without an order that the broker may have: those that wait, dead letters, and those that
-- ended since the restore. Their orders may have been sent after the backup.
SELECT e.execution_id, e.generation, e.symbol, e.created_at, s.source, s.intent, s.asset_class, s.strategy,
    s.entry_price, s.stop_price
FROM execution AS e
JOIN signal AS s USING (signal_id)
WHERE e.executor_id = %(executor_id)s
    AND e.created_at < %(restored_at)s
    AND (e.state IN ('queued', 'held', 'submitting', 'dead') OR e.ended_at >= %(restored_at)s)
    AND NOT EXISTS (
        SELECT
        FROM broker_order AS o
        WHERE o.execution_id = e.execution_id
            AND o.generation = e.generation
            AND o.may_exist
    )
ORDER BY e.seq

-- name: adopt_order
-- Record an order that the broker has. No row is returned if an intent that may be at the broker is recorded already.
INSERT INTO broker_order AS o (
    execution_id, generation, executor_id, account_number, client_order_id, role, symbol, side, quantity, limit_price,
    reference_price, request, strategy, stop_price, risk, follow_up, intended_at, first_sent_at, last_sent_at
)
SELECT
    %(execution_id)s, %(generation)s, %(executor_id)s, %(account_number)s, %(client_order_id)s, %(role)s, %(symbol)s,
    %(side)s, %(quantity)s, %(limit_price)s, %(reference_price)s, %(request)s, %(strategy)s, %(stop_price)s, %(risk)s,
    %(role)s::order_role = 'exit', sent_at, sent_at, sent_at
FROM (SELECT coalesce(%(sent_at)s::timestamptz, clock_timestamp()) AS sent_at) AS sent
ON CONFLICT (execution_id, generation) DO UPDATE
SET account_number = excluded.account_number,
    role = excluded.role,
    side = excluded.side,
    quantity = excluded.quantity,
    limit_price = excluded.limit_price,
    reference_price = excluded.reference_price,
    request = excluded.request,
    strategy = excluded.strategy,
    stop_price = excluded.stop_price,
    risk = excluded.risk,
    rest = 0,
    dust = 0,
    covers = NULL,
    follow_up = excluded.follow_up,
    intended_at = excluded.intended_at,
    may_exist = true,
    ended_at = NULL,
    first_sent_at = excluded.first_sent_at,
    last_sent_at = excluded.last_sent_at
WHERE NOT o.may_exist
RETURNING o.execution_id

-- name: claim_unsent
-- Take an execution that waits, so that it can follow its order at once. No worker can have it.
UPDATE execution
SET state = 'submitting',
    fence = fence + 1,
    lease_until = clock_timestamp(),
    lease_token = NULL,
    leased_by = %(who)s,
    due_at = NULL,
    waits_for_symbol = false,
    reason_code = NULL,
    reason_facts = '{}',
    moved_by = %(who)s,
    moved_why = 'its order was sent after the backup'
WHERE execution_id = %(execution_id)s
    AND state IN ('queued', 'held')
RETURNING execution_id

-- name: is_submitting
SELECT state = 'submitting' AS is_submitting
FROM execution
WHERE execution_id = %(execution_id)s
