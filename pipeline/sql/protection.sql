-- name: unprotected
-- Each strategy's holding with a stop whose resting stop orders do not protect exactly its quantity. Left out are:
-- symbols with an entry that may fill, since the broker refuses a stop beside it; symbols with an exit that is due,
-- working or about to be repeated, since it would cancel the stop; symbols with a stop that is being sent; and holdings
-- whose stop a person canceled after the last entry with a stop. A person's limit close may rest for hours, so what it
-- does not hold needs a stop meanwhile.
SELECT h.account_number, h.symbol, h.strategy, h.quantity, h.stop_price, h.opened_at, resting.quantity AS protected,
    resting.order_ids
FROM account_snapshot AS a
JOIN holding AS h USING (account_number)
CROSS JOIN LATERAL (
    SELECT coalesce(sum(coalesce(o.replacement_quantity, o.quantity) - o.filled_quantity), 0) AS quantity,
        coalesce(array_agg(o.order_id), '{}') AS order_ids
    FROM broker_order AS o
    JOIN execution AS e USING (execution_id)
    WHERE o.executor_id = a.executor_id
        AND o.account_number = a.account_number
        AND o.symbol = h.symbol
        AND o.strategy = h.strategy
        AND o.side = CASE WHEN h.quantity > 0 THEN 'sell' ELSE 'buy' END
        AND o.role = 'protection'
        AND o.ended_at IS NULL
        AND o.order_id IS NOT NULL
        -- The broker does not show the order of a dead letter.
        AND e.state NOT IN ('dead', 'skipped', 'discarded')
) AS resting
WHERE a.executor_id = %(executor_id)s
    AND h.quantity <> 0
    AND h.stop_price IS NOT NULL
    -- A fee was taken from bought coins, at most a hundredth of them, and the record does not know it.
    AND NOT resting.quantity BETWEEN CASE WHEN strpos(h.symbol, '/') > 0 THEN 0.99 ELSE 1 END * abs(h.quantity) AND abs(h.quantity)
    AND NOT EXISTS (
        SELECT
        FROM broker_order AS o
        JOIN execution AS e USING (execution_id)
        JOIN signal AS s USING (signal_id)
        WHERE o.executor_id = a.executor_id
            AND o.symbol = h.symbol
            AND o.role IN ('entry', 'exit')
            AND (
                (
                    -- As in `under_way`: an older order of a requeued execution has no end in the record, and an order
                    -- that is to be sent again does not work.
                    o.ended_at IS NULL
                    AND e.state NOT IN ('dead', 'skipped', 'discarded')
                    AND (o.order_id IS NOT NULL OR (o.may_exist AND e.state IN ('submitting', 'unknown')))
                    AND NOT (s.source = 'tradewire:hand' AND o.limit_price IS NOT NULL AND o.order_id IS NOT NULL)
                )
                -- For 5 s, the follow-up of an exit that has ended may record a further exit.
                OR (o.follow_up AND o.ended_at > clock_timestamp() - interval '5 seconds')
            )
    )
    AND NOT EXISTS (
        SELECT
        FROM execution AS e
        JOIN signal AS s USING (signal_id)
        WHERE e.executor_id = a.executor_id
            AND e.symbol = h.symbol
            AND (
                (
                    e.state IN ('queued', 'submitting', 'unknown')
                    -- An exit behind one that is held for longer has to wait as long.
                    AND (s.source = 'tradewire:protect' OR NOT e.waits_for_symbol)
                )
                OR (e.state = 'held' AND (s.source = 'tradewire:protect' OR e.due_at < clock_timestamp() + interval '5 seconds'))
            )
            AND (lower(e.action::text) = CASE WHEN h.quantity > 0 THEN 'sell' ELSE 'buy' END OR e.action IN ('FLAT', 'REVERSE'))
    )
    AND NOT EXISTS (
        SELECT
        FROM broker_order AS o
        WHERE o.executor_id = a.executor_id
            AND o.symbol = h.symbol
            AND o.strategy = h.strategy
            AND o.role = 'protection'
            AND o.cancel_requested_at > h.opened_at
            AND o.intended_at > h.opened_at
            AND NOT EXISTS (
                SELECT
                FROM broker_order AS later
                WHERE later.executor_id = o.executor_id
                    AND later.filled_at > o.cancel_requested_at
                    AND later.symbol = o.symbol
                    AND later.strategy = o.strategy
                    AND later.role = 'entry'
                    AND later.stop_price IS NOT NULL
            )
    )

-- name: tries
-- How many stop orders were recorded for a holding since it was opened, under a former name of the executor too, how
-- many of those of the last hour came to nothing without a cancel of ours, and how long ago the newest was decided or
-- ended. Those from before the end of an exit do not count: its order may have held the quantity. Nor do those from before
-- the end of a stop order that had rested for a minute, and those that met another order of the symbol.
SELECT count(*) AS number,
    count(*) FILTER (
        WHERE e.executor_id = %(executor_id)s
            AND e.created_at > greatest(clock_timestamp() - interval '1 hour', (
                SELECT max(before.ended_at)
                FROM broker_order AS before
                WHERE before.account_number = %(account_number)s
                    AND before.symbol = %(symbol)s
                    AND before.side = %(side)s
                    AND before.intended_at >= %(opened_at)s
                    AND before.may_exist
                    AND (before.role = 'exit' OR before.ended_at > before.accepted_at + interval '1 minute')
            ))
            AND (
                (e.state IN ('skipped', 'rejected', 'dead') AND e.reason_code NOT IN ('superseded', 'order_under_way'))
                OR (e.state IN ('canceled', 'expired') AND o.cancel_asked_at IS NULL)
            )
    ) AS failed,
    clock_timestamp() - max(coalesce(e.ended_at, e.decided_at, e.created_at)) FILTER (
        WHERE e.executor_id = %(executor_id)s
    ) AS since_last
FROM signal AS s
JOIN execution AS e USING (signal_id)
LEFT JOIN broker_order AS o USING (execution_id, generation)
WHERE s.symbol = %(symbol)s
    AND s.recorded_at >= %(opened_at)s
    AND s.source = 'tradewire:protect'
    AND coalesce(s.strategy, '') = %(strategy)s

-- name: in_the_way
-- Working entries that a stop order may not rest beside: those with a stop of which a part has been filled for *after*,
-- and those in whose symbol a holding has been without its stop order for *after*, unless a person canceled that. A holding
-- that the entry itself goes on changing counts from the entry's first fill.
SELECT o.order_id, CASE WHEN o.filled_quantity > 0 THEN 'partly_filled' ELSE 'stop_missing' END AS reason
FROM broker_order AS o
JOIN execution AS e USING (execution_id)
CROSS JOIN LATERAL (
    SELECT EXISTS (
        SELECT
        FROM fill AS f
        WHERE f.execution_id = o.execution_id
            AND f.generation = o.generation
            AND f.voided_at IS NULL
            AND f.recorded_at < clock_timestamp() - %(after)s::interval
    ) AS partly
) AS filled
WHERE o.executor_id = %(executor_id)s
    AND o.ended_at IS NULL
    AND o.role = 'entry'
    AND o.order_id IS NOT NULL
    AND e.state IN ('accepted', 'partially_filled')
    AND (
        (o.stop_price IS NOT NULL AND filled.partly)
        OR EXISTS (
            SELECT
            FROM holding AS h
            WHERE h.account_number = o.account_number
                AND h.symbol = o.symbol
                AND h.quantity <> 0
                AND h.stop_price IS NOT NULL
                AND (filled.partly OR h.changed_at < clock_timestamp() - %(after)s::interval)
                AND NOT EXISTS (
                    SELECT
                    FROM broker_order AS stop
                    JOIN execution AS stopping USING (execution_id)
                    WHERE stop.executor_id = o.executor_id
                        AND stop.symbol = h.symbol
                        AND stop.strategy = h.strategy
                        AND stop.role = 'protection'
                        AND (
                            (stop.ended_at IS NULL AND stopping.state NOT IN ('dead', 'skipped', 'discarded'))
                            OR (
                                stop.cancel_requested_at > h.opened_at
                                AND stop.intended_at > h.opened_at
                                AND NOT EXISTS (
                                    SELECT
                                    FROM broker_order AS later
                                    WHERE later.executor_id = o.executor_id
                                        AND later.filled_at > stop.cancel_requested_at
                                        AND later.symbol = h.symbol
                                        AND later.strategy = h.strategy
                                        AND later.role = 'entry'
                                        AND later.stop_price IS NOT NULL
                                )
                            )
                        )
                )
        )
    )

-- name: of_ours
-- Those of the given orders that are protecting stops in our record.
SELECT client_order_id
FROM broker_order
WHERE client_order_id = ANY(%(client_order_ids)s)
    AND role = 'protection'

-- name: outlived
-- Working stop orders whose strategy holds nothing on their side: filled, they would open a position.
SELECT o.order_id
FROM broker_order AS o
JOIN execution AS e USING (execution_id)
WHERE o.executor_id = %(executor_id)s
    AND o.ended_at IS NULL
    AND o.role = 'protection'
    AND o.order_id IS NOT NULL
    AND e.state IN ('accepted', 'partially_filled')
    AND coalesce(o.replacement_quantity, o.quantity) > o.filled_quantity
    AND NOT EXISTS (
        SELECT
        FROM holding AS h
        WHERE h.account_number = o.account_number
            AND h.symbol = o.symbol
            AND h.strategy = o.strategy
            AND CASE o.side WHEN 'sell' THEN h.quantity > 0 ELSE h.quantity < 0 END
    )

-- name: passed
-- Working stop orders in coins whose limit the price has passed, by a reading after they were placed: they would be filled
-- only if the price came back.
SELECT o.order_id
FROM broker_order AS o
JOIN execution AS e USING (execution_id)
JOIN account_snapshot AS a ON a.executor_id = o.executor_id AND a.account_number = o.account_number
CROSS JOIN LATERAL jsonb_array_elements(a.positions) AS p
WHERE o.executor_id = %(executor_id)s
    AND o.ended_at IS NULL
    AND o.role = 'protection'
    AND o.order_id IS NOT NULL
    AND o.limit_price IS NOT NULL
    AND e.state IN ('accepted', 'partially_filled')
    AND a.taken_at > o.accepted_at
    AND p ->> 'symbol' = o.symbol
    AND CASE o.side
        WHEN 'sell' THEN (p ->> 'current_price')::numeric < o.limit_price
        ELSE (p ->> 'current_price')::numeric > o.limit_price
    END

-- name: take_over
-- Stop orders that the executor placed under a former name are its own now, so that its exits cancel them. No other
-- executor trades its account.
UPDATE broker_order AS o
SET executor_id = a.executor_id
FROM account_snapshot AS a
WHERE a.executor_id = %(executor_id)s
    AND o.account_number = a.account_number
    AND o.executor_id <> a.executor_id
    AND o.ended_at IS NULL
    AND o.role = 'protection'
    AND o.order_id IS NOT NULL
