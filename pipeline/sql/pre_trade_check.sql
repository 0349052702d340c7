-- name: book
-- The holdings of each strategy by our own record, and per symbol the quantity that this executor's entries may still
-- add: the part that is not filled, and the part that was filled since the positions were read. Holdings and entries
-- are read by one statement, since a fill that is recorded between two statements would be in neither. Entries that
-- were given up add nothing, unless the broker fills them after all.
SELECT symbol, held.strategy, coalesce(held.quantity, 0) AS quantity, coalesce(held.entries, 0) AS entries,
    held.opened_at, held.stop_price, held.changed_at, coming.working IS NOT NULL AS has_entries,
    coalesce(coming.open_quantity, 0) AS open_quantity, coalesce(coming.open_value, 0) AS open_value,
    coalesce(coming.open_risk, 0) AS open_risk, coalesce(coming.fresh_quantity, 0) AS fresh_quantity,
    coalesce(coming.price, 0) AS price, coalesce(coming.unit_risk, 0) AS unit_risk,
    coalesce(coming.working, 0) AS working
FROM (
    SELECT symbol, strategy, quantity, entries, opened_at, stop_price, changed_at
    FROM holding
    WHERE account_number = %(account_number)s
        -- A holding that was closed a moment ago is needed, too: a reading from before still shows its position.
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
        -- Entries that have no fill yet and may still get one.
        count(*) FILTER (WHERE open > 0 AND open = whole) AS working
    FROM (
        SELECT o.symbol, o.reference_price, coalesce(o.replacement_quantity, o.quantity) AS whole, o.risk / o.quantity AS unit_risk,
            CASE o.side WHEN 'buy' THEN 1 ELSE -1 END AS side,
            CASE
                WHEN o.ended_at IS NULL THEN coalesce(o.replacement_quantity, o.quantity) - o.filled_quantity
                ELSE 0
            END AS open,
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
-- The account's newest order in this symbol and side, of the same strategy or with the same content, that was filled or
-- may still be filled. An exit counts: a SELL that closed a position must not open a short when it is sent again. A
-- REVERSE repeats only another REVERSE. Our own exits and probes do not count, since they belong to no strategy.
SELECT o.execution_id, clock_timestamp() - o.intended_at AS age
FROM broker_order AS o
JOIN execution AS e USING (execution_id)
JOIN signal AS s USING (signal_id)
WHERE o.account_number = %(account_number)s
    AND o.symbol = %(symbol)s
    AND CASE WHEN %(reverses)s THEN s.action = 'REVERSE' ELSE o.side = %(side)s END
    AND (o.role = 'entry' OR NOT starts_with(s.source, 'tradewire:'))
    AND s.source <> 'tradewire:probe'
    AND o.may_exist
    AND o.intended_at > statement_timestamp() - %(window)s::interval
    AND o.execution_id <> %(execution_id)s
    AND (o.filled_quantity > 0 OR (o.ended_at IS NULL AND e.state NOT IN ('skipped', 'discarded', 'rejected')))
    AND CASE WHEN %(by_content)s THEN s.content_hash = %(content_hash)s ELSE o.strategy = %(strategy)s END
ORDER BY o.intended_at DESC
LIMIT 1

-- name: closed_by_stop
-- Whether a stop on this side was filled after *since*: of the strategy or, with *whole*, of any.
SELECT EXISTS (
    SELECT
    FROM broker_order AS o
    JOIN execution AS e USING (execution_id)
    JOIN signal AS s USING (signal_id)
    WHERE o.executor_id = %(executor_id)s
        AND o.filled_at > %(since)s
        AND o.symbol = %(symbol)s
        AND o.side = %(side)s
        AND (%(whole)s OR o.strategy = %(strategy)s)
        AND s.source IN ('tradewire:protect', 'tradewire:protect_exit')
) AS closed_by_stop

-- name: flat_since
-- The newest FLAT that was recorded after the exit *first* and closes the position that the entry on the other side
-- would open. A skipped FLAT, such as one for other executors, counts only if there was no position to close.
SELECT later.execution_id
FROM execution AS exit
JOIN execution AS later USING (executor_id, symbol)
JOIN signal AS s ON s.signal_id = later.signal_id
WHERE exit.execution_id = %(first)s::uuid
    AND later.seq > exit.seq
    AND later.action = 'FLAT'
    AND (later.state <> 'skipped' OR later.reason_code = 'no_position')
    AND (%(whole)s OR coalesce(s.strategy, '') = %(strategy)s)
ORDER BY later.seq DESC
LIMIT 1

-- name: entries_since
SELECT count(*) AS entries
FROM broker_order
WHERE account_number = %(account_number)s
    AND intended_at >= %(since)s
    AND role = 'entry'
    AND first_sent_at IS NOT NULL
    AND may_exist
    AND execution_id <> %(execution_id)s

-- name: newest_answers
-- The states of the account's newest entries that the broker has answered, the newest first. Entries that ended without
-- an answer do not count.
SELECT e.state, clock_timestamp() - e.decided_at AS ago
FROM broker_order AS o
JOIN execution AS e USING (execution_id)
WHERE o.account_number = %(account_number)s
    AND o.role = 'entry'
    AND o.first_sent_at IS NOT NULL
    AND o.execution_id <> %(execution_id)s
    AND e.state NOT IN ('queued', 'held', 'submitting', 'unknown', 'skipped', 'dead', 'discarded')
ORDER BY o.intended_at DESC
LIMIT %(limit)s

-- name: newest_try
-- The time since the intent of the account's newest entry, without intents that were certainly not sent.
SELECT clock_timestamp() - max(intended_at) AS ago
FROM broker_order
WHERE account_number = %(account_number)s
    AND role = 'entry'
    AND first_sent_at IS NOT NULL
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
