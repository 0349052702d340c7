-- name: recorded_orders
-- The orders that are open in the record. *changed_at* is the time of the last message about each order, sent or
-- received.
SELECT o.order_id, o.symbol, o.side, o.quantity, o.filled_quantity,
    greatest(o.intended_at, o.last_sent_at, o.filled_at, o.cancel_asked_at) AS changed_at
FROM broker_order AS o
JOIN execution AS e USING (execution_id, generation)
WHERE o.executor_id = %(executor_id)s
    AND o.account_number = %(account_number)s
    AND o.ended_at IS NULL
    AND o.order_id IS NOT NULL
    AND e.state IN ('accepted', 'partially_filled')
ORDER BY o.intended_at

-- name: recorded_positions
-- Per symbol: what the strategies hold, when that last changed, and what our orders may still buy and sell. An order
-- that was given up counts for 10 minutes; after that, it is looked up again and again (`claim_unconfirmed`). The orders
-- in *listed* count for nothing: the same reading has shown what they have filled.
WITH held AS (
    SELECT symbol, sum(quantity) AS quantity, max(changed_at) AS changed_at
    FROM holding
    WHERE account_number = %(account_number)s
    GROUP BY symbol
    HAVING sum(quantity) <> 0
        OR max(changed_at) >= %(settled_before)s
), open AS (
    SELECT o.symbol, o.side, greatest(coalesce(o.replacement_quantity, o.quantity) - o.filled_quantity, 0) AS rest
    FROM broker_order AS o
    JOIN execution AS e USING (execution_id)
    WHERE o.executor_id = %(executor_id)s
        AND o.account_number = %(account_number)s
        AND o.ended_at IS NULL
        AND o.may_exist
        AND NOT coalesce(o.order_id = ANY(%(listed)s::text[]), false)
        AND (
            e.state IN ('queued', 'held', 'submitting', 'unknown', 'accepted', 'partially_filled')
            OR o.intended_at > statement_timestamp() - interval '10 minutes'
        )
    UNION ALL
    SELECT symbol, side, quantity
    FROM broker_order
    WHERE executor_id = %(executor_id)s
        AND account_number = %(account_number)s
        AND order_id IS NULL
        AND may_exist
        AND ended_at IS NOT NULL
        AND intended_at > statement_timestamp() - interval '10 minutes'
), coming AS (
    SELECT symbol, coalesce(sum(rest) FILTER (WHERE side = 'buy'), 0) AS may_buy,
        coalesce(sum(rest) FILTER (WHERE side = 'sell'), 0) AS may_sell
    FROM open
    GROUP BY symbol
)
SELECT symbol, coalesce(held.quantity, 0) AS quantity, held.changed_at, coalesce(coming.may_buy, 0) AS may_buy,
    coalesce(coming.may_sell, 0) AS may_sell
FROM held
FULL JOIN coming USING (symbol)

-- name: adopted_orders
SELECT order_id
FROM finding
WHERE account_number = %(account_number)s
    AND state = 'adopted'
    AND order_id <> ''

-- name: lock
-- The results of one account are saved one after the other.
SELECT pg_advisory_xact_lock(hashtextextended('reconcile:' || %(account_number)s, 7204211))

-- name: last_read
SELECT read_at
FROM reconciliation
WHERE account_number = %(account_number)s

-- name: current
SELECT *
FROM finding
WHERE account_number = %(account_number)s
    AND closed_at IS NULL
ORDER BY first_seen

-- name: insert
INSERT INTO finding (
    finding_id, account_number, executor_id, kind, symbol, order_id, state, facts, first_seen, last_seen, closed_at,
    closed_by
)
VALUES (
    %(finding_id)s, %(account_number)s, %(executor_id)s, %(kind)s, %(symbol)s, %(order_id)s, %(finding_state)s,
    %(facts)s, %(read_at)s, %(read_at)s,
    CASE WHEN %(finding_state)s IN ('healed', 'adopted') THEN clock_timestamp() END,
    CASE WHEN %(finding_state)s IN ('healed', 'adopted') THEN %(by)s END
)
ON CONFLICT DO NOTHING

-- name: see_again
UPDATE finding
SET state = %(finding_state)s,
    facts = %(facts)s,
    executor_id = %(executor_id)s,
    first_seen = CASE WHEN %(anew)s THEN %(read_at)s ELSE first_seen END,
    last_seen = %(read_at)s
WHERE finding_id = %(finding_id)s
    AND closed_at IS NULL

-- name: heal
UPDATE finding
SET state = 'healed',
    closed_at = clock_timestamp(),
    closed_by = %(by)s
WHERE finding_id = %(finding_id)s
    AND closed_at IS NULL

-- name: dismiss
DELETE FROM finding
WHERE finding_id = %(finding_id)s
    AND state = 'suspected'

-- name: complete
INSERT INTO reconciliation (account_number, executor_id, read_at, unread_symbols)
VALUES (%(account_number)s, %(executor_id)s, %(read_at)s, %(unread_symbols)s)
ON CONFLICT (account_number) DO UPDATE
SET executor_id = excluded.executor_id,
    read_at = excluded.read_at,
    unread_symbols = excluded.unread_symbols,
    completed_at = clock_timestamp()

-- name: release
-- Entries that waited for a reconcile, or for the end of a finding in their symbol, are due now.
UPDATE execution AS e
SET due_at = clock_timestamp()
WHERE e.executor_id = %(executor_id)s
    AND e.state = 'held'
    AND (
        e.reason_code = 'not_reconciled'
        OR (
            e.reason_code = 'quarantined'
            AND NOT EXISTS (
                SELECT
                FROM finding AS f
                WHERE f.account_number = %(account_number)s
                    AND f.symbol = e.symbol
                    AND f.closed_at IS NULL
            )
        )
    )

-- name: waits
-- Whether the execution waits for a reconcile.
SELECT count(*) > 0 AS waits
FROM execution
WHERE execution_id = %(execution_id)s
    AND state = 'held'
    AND reason_code = 'not_reconciled'

-- name: gate
-- The finding for which an entry in the symbol has to wait, if any. A suspected finding holds the entry too: after a
-- restore, the first entries may repeat orders that the record has lost.
SELECT EXISTS (
    SELECT
    FROM reconciliation AS r
    WHERE r.account_number = %(account_number)s
        AND r.completed_at > statement_timestamp() - %(counts_for)s::interval
        AND r.read_at > coalesce((SELECT max(restored_at) FROM record_restore), '-infinity')
        AND NOT %(symbol)s = ANY(r.unread_symbols)
) AS is_reconciled, EXISTS (
    SELECT
    FROM record_restore AS b
    WHERE b.restored_at >= coalesce(
        (SELECT read_at FROM reconciliation WHERE account_number = %(account_number)s), '-infinity'
    )
) AS is_restored, found.finding_id, found.kind
FROM (VALUES (1)) AS one (row)
LEFT JOIN LATERAL (
    SELECT finding_id, kind
    FROM finding
    WHERE account_number = %(account_number)s
        AND symbol = %(symbol)s
        AND closed_at IS NULL
    ORDER BY state, first_seen
    LIMIT 1
) AS found ON true

-- name: last_completed
SELECT r.executor_id, r.account_number, r.completed_at, clock_timestamp() - r.completed_at AS ago
FROM reconciliation AS r
JOIN account_snapshot AS s USING (executor_id, account_number)
WHERE r.executor_id = ANY(%(executor_ids)s)

-- name: in_state
-- Only of the account that the executor has now, here and in the next two statements.
SELECT f.*
FROM finding AS f
JOIN account_snapshot USING (executor_id, account_number)
WHERE executor_id = ANY(%(executor_ids)s)
    AND state = %(finding_state)s
ORDER BY executor_id, symbol, first_seen

-- name: closed_since
SELECT f.*
FROM finding AS f
JOIN account_snapshot USING (executor_id, account_number)
WHERE executor_id = ANY(%(executor_ids)s)
    AND closed_at > statement_timestamp() - %(within)s::interval
ORDER BY executor_id, symbol, closed_at

-- name: adoptable
SELECT f.*
FROM finding AS f
JOIN account_snapshot USING (executor_id, account_number)
WHERE executor_id = ANY(%(executor_ids)s)
    AND state = 'open'
    AND kind = ANY(%(kinds)s)
    AND (%(symbol)s::text IS NULL OR symbol = %(symbol)s)
ORDER BY executor_id, symbol, first_seen

-- name: lock_finding
-- No row if the last completed reconcile did not decide whether the finding is still there: its figures may be old.
SELECT *
FROM finding
WHERE finding_id = %(finding_id)s
    AND (
        state <> 'open'
        OR last_seen >= (SELECT read_at FROM reconciliation WHERE account_number = %(account_number)s)
    )
FOR UPDATE

-- name: held
-- The strategies' holdings of the symbol together, locked until the end of the transaction.
SELECT coalesce(sum(quantity), 0) AS quantity
FROM (
    SELECT quantity
    FROM holding
    WHERE account_number = %(account_number)s
        AND symbol = %(symbol)s
    FOR UPDATE
) AS held

-- name: take
-- Take *less* from what the strategies hold on the side *side*: adopted quantities first, then the oldest holdings.
WITH held AS (
    SELECT strategy, coalesce(sum(abs(quantity)) OVER (
        ORDER BY strategy <> %(manual)s, opened_at, strategy ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ), 0) AS before
    FROM holding
    WHERE account_number = %(account_number)s
        AND symbol = %(symbol)s
        AND sign(quantity) = %(side)s
), left_over AS (
    SELECT h.strategy, h.quantity - %(side)s * least(abs(h.quantity), greatest(%(less)s - held.before, 0)) AS quantity
    FROM holding AS h
    JOIN held USING (strategy)
    WHERE h.account_number = %(account_number)s
        AND h.symbol = %(symbol)s
)
UPDATE holding AS h
SET quantity = l.quantity,
    entries = CASE WHEN l.quantity = 0 THEN 0 ELSE h.entries END,
    opened_at = CASE WHEN l.quantity <> 0 THEN h.opened_at END,
    stop_price = CASE WHEN l.quantity <> 0 THEN h.stop_price END,
    changed_at = clock_timestamp()
FROM left_over AS l
WHERE h.account_number = %(account_number)s
    AND h.symbol = %(symbol)s
    AND h.strategy = l.strategy
    AND h.quantity <> l.quantity

-- name: give
-- Add a quantity to what is adopted. It counts as one entry.
INSERT INTO holding AS h (account_number, symbol, strategy, quantity, entries, opened_at)
VALUES (%(account_number)s, %(symbol)s, %(manual)s, %(more)s, 1, clock_timestamp())
ON CONFLICT (account_number, symbol, strategy) DO UPDATE
SET quantity = h.quantity + excluded.quantity,
    entries = CASE WHEN h.quantity + excluded.quantity = 0 THEN 0 ELSE greatest(h.entries, 1) END,
    opened_at = CASE WHEN h.quantity + excluded.quantity <> 0 THEN coalesce(h.opened_at, excluded.opened_at) END,
    changed_at = clock_timestamp()

-- name: adopt
UPDATE finding
SET state = 'adopted',
    closed_at = clock_timestamp(),
    closed_by = %(by)s,
    closed_why = %(why)s
WHERE finding_id = %(finding_id)s
    AND state = 'open'

-- name: claim_unconfirmed
-- Claim orders that the broker may have although their execution was given up. Each is looked up again after a tenth of
-- its age, so the search never ends, and old orders cost almost no requests. The frequent poll of the order list looks
-- for those of the last ten minutes.
UPDATE broker_order AS o
SET asked_at = clock_timestamp()
FROM (
    SELECT w.execution_id, w.generation
    FROM broker_order AS w
    JOIN execution AS e USING (execution_id)
    WHERE w.executor_id = %(executor_id)s
        AND w.order_id IS NULL
        AND w.may_exist
        AND w.intended_at < statement_timestamp() - interval '10 minutes'
        AND (w.asked_at IS NULL OR w.asked_at < statement_timestamp() - (statement_timestamp() - w.intended_at) / 10)
        AND (e.state NOT IN ('queued', 'held', 'submitting', 'unknown') OR e.generation <> w.generation)
    ORDER BY w.asked_at NULLS FIRST
    LIMIT %(limit)s
    FOR UPDATE OF w SKIP LOCKED
) AS due
WHERE o.execution_id = due.execution_id
    AND o.generation = due.generation
RETURNING o.client_order_id
