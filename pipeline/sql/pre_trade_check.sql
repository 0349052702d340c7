-- name: book
-- What the strategies hold by our own record, and per symbol what entries of this executor may still add: what of their
-- orders is not filled, and what was filled since the positions were read. One statement: a fill that is heard between
-- two would be in neither. What was given up adds nothing, unless the broker is heard of it after all.
SELECT *
FROM (
    SELECT symbol, strategy, quantity, entries, opened_at, stop_price, changed_at
    FROM holding
    WHERE account_number = %(account_number)s
        -- What was closed a moment ago tells how old a reading of the position may be.
        AND (quantity <> 0 OR changed_at > statement_timestamp() - interval '5 seconds')
) AS held
FULL JOIN (
    SELECT symbol,
        sum(side * open) AS open_quantity,
        sum(open * reference_price) AS open_value,
        sum(open * unit_risk) AS open_risk,
        sum(side * fresh) AS fresh_quantity,
        max(reference_price) AS price,
        max(unit_risk) AS unit_risk,
        -- Entries that nothing is filled of yet, and may be.
        count(*) FILTER (WHERE open > 0 AND open = whole) AS working
    FROM (
        SELECT o.symbol, o.reference_price, o.quantity AS whole, o.risk / o.quantity AS unit_risk,
            CASE o.side WHEN 'buy' THEN 1 ELSE -1 END AS side,
            CASE WHEN o.ended_at IS NULL THEN o.quantity - o.filled_quantity ELSE 0 END AS open,
            CASE WHEN o.filled_at > %(taken_at)s THEN o.filled_quantity ELSE 0 END AS fresh
        FROM broker_order AS o
        JOIN execution AS e USING (execution_id)
        WHERE o.executor_id = %(executor_id)s
            AND (o.ended_at IS NULL OR o.filled_at > %(taken_at)s)
            AND o.role = 'entry'
            AND o.may_exist
            AND o.execution_id <> %(execution_id)s
            AND (o.filled_quantity > 0 OR e.state NOT IN ('skipped', 'discarded', 'rejected'))
    ) AS entry
    GROUP BY symbol
) AS coming USING (symbol)

-- name: repeat
-- The youngest order of the same idea, or the same content, that came to anything or still may. An exit counts: the SELL
-- that closed, given again, must not open a short. What we closed by ourselves does not, nor do probes: nobody's idea.
SELECT o.execution_id, clock_timestamp() - o.intended_at AS age
FROM broker_order AS o
JOIN execution AS e USING (execution_id)
JOIN signal AS s USING (signal_id)
WHERE o.executor_id = %(executor_id)s
    AND o.symbol = %(symbol)s
    AND o.side = %(side)s
    AND (o.role = 'entry' OR NOT starts_with(s.source, 'tradewire:'))
    AND s.source <> 'tradewire:probe'
    AND o.may_exist
    AND o.intended_at > statement_timestamp() - %(window)s::interval
    AND o.execution_id <> %(execution_id)s
    AND (o.filled_quantity > 0 OR (o.ended_at IS NULL AND e.state NOT IN ('skipped', 'discarded', 'rejected')))
    AND CASE WHEN %(by_content)s THEN s.content_hash = %(content_hash)s ELSE o.strategy = %(strategy)s END
ORDER BY o.intended_at DESC
LIMIT 1

-- name: entries_since
SELECT count(*) AS entries
FROM broker_order
WHERE executor_id = %(executor_id)s
    AND intended_at >= %(since)s
    AND role = 'entry'
    AND may_exist
    AND execution_id <> %(execution_id)s

-- name: newest_answers
-- What the broker said of the newest entries, the newest first. What ended without its word tells nothing.
SELECT e.state, clock_timestamp() - e.decided_at AS ago
FROM broker_order AS o
JOIN execution AS e USING (execution_id)
WHERE o.executor_id = %(executor_id)s
    AND o.role = 'entry'
    AND o.execution_id <> %(execution_id)s
    AND e.state NOT IN ('queued', 'held', 'submitting', 'unknown', 'skipped', 'dead', 'discarded')
ORDER BY o.intended_at DESC
LIMIT %(limit)s

-- name: newest_try
-- How long ago an entry was last written down to be sent, whatever became of it.
SELECT clock_timestamp() - max(intended_at) AS ago
FROM broker_order
WHERE executor_id = %(executor_id)s
    AND role = 'entry'
    AND execution_id <> %(execution_id)s
    AND intended_at > statement_timestamp() - %(window)s::interval

-- name: equity_baseline
SELECT w.*, d.start_equity AS day_start_equity, d.start_balance AS day_start_balance,
    d.started_at AS day_started_at,
    coalesce(p.best, 0) AS best_day_profit,
    coalesce(p.earned, 0) + w.equity - d.start_equity AS earned
FROM account_watch AS w
JOIN account_day AS d USING (holder, day)
LEFT JOIN LATERAL (
    SELECT max(last_equity - start_equity) AS best, sum(last_equity - start_equity) AS earned
    FROM account_day
    WHERE holder = w.holder
        AND day < w.day
) AS p ON true
WHERE w.holder = %(holder)s

-- name: switches
SELECT kind, cause, facts, flatten, set_by, why, set_at
FROM switch
WHERE holder = ANY(%(holders)s)
ORDER BY set_at
