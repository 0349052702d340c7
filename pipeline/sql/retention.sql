-- name: through
-- The end of the next batch, by the time of recording; no row after the last one.
SELECT created_at
FROM (
    SELECT created_at
    FROM execution
    WHERE created_at > %(after)s
        AND created_at < %(before)s
    ORDER BY created_at
    LIMIT %(limit)s
) AS next
ORDER BY created_at DESC
LIMIT 1

-- name: prune_executions
-- Remove the steps and attempts of executions that ended before a time. The executions stay, with their orders and all
-- ids. An execution keeps everything while an order, a dead letter or a canceled order of it is open, while its account
-- is being flattened, and while the position that it traded may be held.
WITH pruned AS (
    UPDATE execution AS e
    SET pruned_at = clock_timestamp()
    WHERE e.created_at > %(after)s
        AND e.created_at <= %(through)s
        AND e.ended_at < %(before)s
        AND e.pruned_at IS NULL
        AND NOT EXISTS (
            SELECT
            FROM broker_order AS o
            LEFT JOIN holding AS h USING (account_number, symbol)
            WHERE o.execution_id = e.execution_id
                AND (
                    (o.ended_at IS NULL AND o.may_exist)
                    OR (o.filled_quantity > 0 AND h.quantity <> 0)
                )
        )
        AND NOT EXISTS (
            SELECT
            FROM dead_letter AS d
            WHERE d.execution_id = e.execution_id
                AND d.closed_at IS NULL
        )
        AND NOT EXISTS (
            SELECT
            FROM canceled_order AS c
            WHERE c.execution_id = e.execution_id
                AND c.settled_at IS NULL
        )
        AND NOT EXISTS (
            SELECT
            FROM switch AS s
            LEFT JOIN account_snapshot AS a ON a.account_number = s.holder
            WHERE s.flatten
                AND e.executor_id IN (a.executor_id, substr(s.holder, length('executor:') + 1))
        )
    RETURNING e.execution_id
), steps AS (
    DELETE FROM history AS h
    USING pruned
    WHERE h.execution_id = pruned.execution_id
    RETURNING h.execution_id
), attempts AS (
    DELETE FROM attempt AS a
    USING pruned
    WHERE a.execution_id = pruned.execution_id
    RETURNING a.execution_id
)
SELECT (SELECT count(*) FROM pruned)::int AS executions, (SELECT count(*) FROM steps)::int AS steps,
    (SELECT count(*) FROM attempts)::int AS attempts

-- name: prune_refusals
-- Remove old input that was not a signal, oldest first.
DELETE FROM refusal
WHERE refusal_id IN (
    SELECT refusal_id
    FROM refusal
    WHERE at < %(before)s
    ORDER BY at
    LIMIT %(limit)s
)

-- name: prune_refused_deliveries
-- Remove old refused deliveries to webhooks. Deliveries that became a signal stay, because re-sends are found by them.
DELETE FROM delivery
WHERE delivery_id IN (
    SELECT delivery_id
    FROM delivery
    WHERE code IS NOT NULL
        AND at < %(before)s
    ORDER BY seq
    LIMIT %(limit)s
)

-- name: prune_events
-- Remove old events, oldest first; with *has_receiver*, only those that it has.
DELETE FROM event
WHERE entry_id IN (
    SELECT entry_id
    FROM event
    WHERE at < %(before)s
        AND event_id IS NOT NULL
        AND (NOT %(has_receiver)s::boolean OR event_id <= (SELECT delivered FROM event_feed))
    ORDER BY at
    LIMIT %(limit)s
)

-- name: count_others
SELECT
    (SELECT count(*) FROM refusal WHERE at < %(before)s)::int AS refusals,
    (SELECT count(*) FROM delivery WHERE code IS NOT NULL AND at < %(before)s)::int AS deliveries,
    (
        SELECT count(*)
        FROM event
        WHERE at < %(before)s
            AND event_id IS NOT NULL
            AND (NOT %(has_receiver)s::boolean OR event_id <= (SELECT delivered FROM event_feed))
    )::int AS events
