-- name: ended
-- Exits whose order has ended and that have not been followed up yet. *is_replaced* is true for a person's limit close
-- whose place a later exit of the symbol takes.
SELECT o.execution_id, o.generation, o.quantity, o.filled_quantity, o.rest, o.limit_price, o.order_status, e.state,
    e.reason_code, e.symbol, e.action, o.side, s.source, s.source_id, s.strategy,
    o.cancel_requested_at IS NOT NULL AS ended_by_person,
    s.source = 'tradewire:hand' AND o.limit_price IS NOT NULL AND EXISTS (
        SELECT
        FROM execution AS later
        JOIN signal AS exit ON exit.signal_id = later.signal_id
        WHERE later.executor_id = o.executor_id
            AND later.symbol = o.symbol
            AND later.seq > e.seq
            AND later.state NOT IN ('skipped', 'dead', 'discarded')
            AND exit.intent <> 'open'
            -- A stop order takes the place of no close.
            AND exit.source <> 'tradewire:protect'
            AND (lower(later.action::text) = o.side OR later.action IN ('FLAT', 'REVERSE'))
    ) AS is_replaced
FROM broker_order AS o
JOIN execution AS e USING (execution_id, generation)
JOIN signal AS s USING (signal_id)
WHERE o.executor_id = %(executor_id)s
    AND o.follow_up
    AND o.ended_at IS NOT NULL
    AND e.state IN ('filled', 'canceled', 'expired', 'rejected', 'skipped')
ORDER BY o.ended_at
LIMIT %(limit)s

-- name: next_try
-- The next try of an exit, if it was recorded. *ended* is true if that try is over, and *found_nothing* if it was
-- skipped because no position was left.
SELECT state = 'skipped' AND reason_code = 'no_position' AS found_nothing,
    state NOT IN ('queued', 'held', 'submitting', 'unknown', 'accepted', 'partially_filled') AS ended
FROM execution AS e
JOIN signal AS s USING (signal_id)
WHERE s.source = %(source)s
    AND s.source_id = %(source_id)s
    AND e.executor_id = %(executor_id)s

-- name: closed_by_others
-- Each REVERSE of the last day whose position was closed by others before its own order could close it, and that has no
-- entry on the other side yet. *side* is the side of the order that would have closed the position.
SELECT *
FROM (
    SELECT e.execution_id, e.symbol, s.source, s.source_id, s.strategy,
        coalesce(
            (
                SELECT o.side
                FROM broker_order AS o
                WHERE o.execution_id = e.execution_id
                    AND o.role = 'exit'
                ORDER BY o.generation DESC
                LIMIT 1
            ),
            (
                SELECT h.reason_facts ->> 'closes'
                FROM history AS h
                WHERE h.execution_id = e.execution_id
                    AND h.reason_facts ->> 'closes' IS NOT NULL
                ORDER BY h.history_id DESC
                LIMIT 1
            )
        ) AS side
    FROM execution AS e
    JOIN signal AS s USING (signal_id)
    WHERE e.executor_id = %(executor_id)s
        AND e.action = 'REVERSE'
        AND e.state = 'skipped'
        AND e.reason_code = 'no_position'
        AND e.ended_at > statement_timestamp() - interval '1 day'
        AND NOT EXISTS (
            SELECT
            FROM signal AS f
            WHERE f.source = 'tradewire:flip'
                AND f.source_id = e.execution_id::text
        )
    ORDER BY e.ended_at
    LIMIT %(limit)s
) AS reverse
WHERE side IS NOT NULL

-- name: first_signal
SELECT e.action, s.source, s.intent, s.confidence, s.entry_price, s.target_price, s.stop_price, s.generated_at,
    s.expires_at, s.price, s.quantity, s.notional, s.equity_percent
FROM execution AS e
JOIN signal AS s USING (signal_id)
WHERE e.execution_id = %(execution_id)s

-- name: followed_up
UPDATE broker_order
SET follow_up = false
WHERE execution_id = %(execution_id)s
    AND generation = %(generation)s
RETURNING execution_id

-- name: resting
-- The limit orders of exits to cancel: those that were not filled within *at_most*, since the market has left their
-- price; and those of a person's closes (*by_hand*) while a later exit waits behind another execution of the symbol, which
-- may itself wait for them. A worker cancels them for any other exit. While the market is closed (*open* is false), only
-- those in crypto.
SELECT o.order_id, s.source = 'tradewire:hand' AS by_hand
FROM broker_order AS o
JOIN execution AS e USING (execution_id, generation)
JOIN signal AS s USING (signal_id)
WHERE o.executor_id = %(executor_id)s
    AND o.follow_up
    AND o.ended_at IS NULL
    AND o.order_id IS NOT NULL
    AND o.limit_price IS NOT NULL
    AND e.state IN ('accepted', 'partially_filled')
    AND (%(open)s OR strpos(o.symbol, '/') > 0)
    AND CASE
        WHEN s.source = 'tradewire:hand' THEN EXISTS (
            SELECT
            FROM execution AS later
            JOIN signal AS exit ON exit.signal_id = later.signal_id
            WHERE later.executor_id = o.executor_id
                AND later.symbol = o.symbol
                AND later.execution_id <> e.execution_id
                AND later.state IN ('queued', 'held')
                AND later.waits_for_symbol
                AND exit.intent <> 'open'
                AND exit.source <> 'tradewire:protect'
                AND (lower(later.action::text) = o.side OR later.action IN ('FLAT', 'REVERSE'))
        )
        ELSE o.accepted_at < clock_timestamp() - %(at_most)s::interval
    END

-- name: late
-- Undecided executions that are or may be exits, and have waited for over 15 minutes. Time before the market opened
-- does not count: the wait begins when the last hold for a closed market ended.
SELECT e.execution_id, e.symbol, e.state, e.reason_code, clock_timestamp() - waiting.since AS age
FROM execution AS e
JOIN signal AS s USING (signal_id)
CROSS JOIN LATERAL (
    SELECT coalesce(max(h.at), e.created_at) AS since
    FROM (
        SELECT at, lag(reason_code) OVER (ORDER BY history_id) AS reason_before
        FROM history
        WHERE execution_id = e.execution_id
    ) AS h
    WHERE h.reason_before = 'market_closed'
) AS waiting
WHERE e.executor_id = %(executor_id)s
    AND e.state IN ('queued', 'held', 'submitting', 'unknown')
    AND e.created_at < statement_timestamp() - interval '15 minutes'
    AND (s.intent = 'close' OR (e.action IN ('SELL', 'REVERSE') AND s.intent = 'auto'))
    AND e.reason_code IS DISTINCT FROM 'market_closed'
    AND waiting.since < statement_timestamp() - interval '15 minutes'
ORDER BY e.created_at
LIMIT %(limit)s
