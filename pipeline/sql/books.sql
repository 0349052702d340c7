-- name: changed
-- The symbols whose fills changed after their books were computed.
SELECT account_number, symbol
FROM fill_change
ORDER BY account_number, symbol
LIMIT %(limit)s

-- name: lock
-- One process at a time computes the books of a symbol. Fills are recorded meanwhile.
SELECT pg_try_advisory_xact_lock(hashtextextended('books:' || %(account_number)s || ':' || %(symbol)s, 7204211)) AS locked

-- name: allow_pauses
-- Computing takes seconds if a symbol has many fills, and until its end locks nothing that a fill waits for. But other
-- processes that compute these books wait, so a frozen process must not keep them for ever.
SELECT set_config('idle_in_transaction_session_timeout', '60s', true) AS value

-- name: allow_no_pauses
-- From now on, others may wait for what this transaction has locked: a frozen process must not keep it locked.
SELECT set_config('idle_in_transaction_session_timeout', '5s', true) AS value

-- name: change
-- Each further change writes a new version of the row.
SELECT since, xmin::text AS version
FROM fill_change
WHERE account_number = %(account_number)s
    AND symbol = %(symbol)s

-- name: change_done
-- Zero rows: a fill changed meanwhile, and the books are computed again.
DELETE FROM fill_change
WHERE account_number = %(account_number)s
    AND symbol = %(symbol)s
    AND xmin::text = %(version)s

-- name: start
-- The time from which the books have to be computed. If all fills in the books are older than the change, the lots are
-- those of this time (*with_lots*); otherwise no lot was open then. NULL: before the first fill.
SELECT CASE WHEN b.through < %(since)s THEN b.through ELSE flat.at END AS after,
    coalesce(b.through < %(since)s, false) AS with_lots
FROM (
    SELECT max(at) AS at
    FROM book_flat
    WHERE account_number = %(account_number)s
        AND symbol = %(symbol)s
        AND at < %(since)s
) AS flat
LEFT JOIN book AS b ON b.account_number = %(account_number)s
    AND b.symbol = %(symbol)s

-- name: earlier_part
-- The first fill of the exits that closed a part before *after* and another part later, because the trades of one exit
-- are computed together. NULL: there are no such exits.
SELECT min(f.filled_at) AS filled_at
FROM fill AS f
WHERE f.filled_at <= %(after)s
    AND f.execution_id IN (
        SELECT n.execution_id
        FROM fill AS n
        JOIN trade AS t ON t.exit_execution_id = n.execution_id
        WHERE n.account_number = %(account_number)s
            AND n.symbol = %(symbol)s
            AND n.filled_at > %(after)s
    )

-- name: fills
-- The fills of a symbol from a time on, in their order. An exit that the keeper tried again has the reason of its first
-- try. *closes* is the part of the holding that the fill closes: above the quantity if the broker took a fee in coins.
SELECT f.fill_id, f.execution_id, e.signal_id, f.executor_id, e.mode, o.role, o.strategy, f.side, f.quantity, f.price,
    f.filled_at, coalesce(first.source, s.source) AS source, coalesce(first.action, s.action) AS action,
    coalesce(first.by_person, s.by_person) AS by_person,
    CASE WHEN s.source = 'tradewire:flatten' THEN coalesce(
        (
            SELECT h.cause <> 'person'
            FROM switch_history AS h
            WHERE h.holder = f.account_number
                AND h.flatten
                AND h.at <= s.recorded_at
            ORDER BY h.history_id DESC
            LIMIT 1
        ), false
    ) ELSE false END AS by_limit,
    CASE
        WHEN o.covers IS NULL THEN f.quantity
        ELSE round((before.quantity + f.quantity) * o.covers / o.quantity, 9)
            - round(before.quantity * o.covers / o.quantity, 9)
    END AS closes
FROM fill AS f
JOIN broker_order AS o USING (execution_id, generation)
JOIN execution AS e USING (execution_id)
JOIN signal AS s USING (signal_id)
LEFT JOIN execution AS tried ON tried.execution_id = CASE
    WHEN s.source IN ('tradewire:exit', 'tradewire:protect_exit') THEN split_part(s.source_id, ':', 1)::uuid
END
LEFT JOIN signal AS first ON first.signal_id = tried.signal_id
LEFT JOIN LATERAL (
    SELECT coalesce(sum(b.quantity), 0) AS quantity
    FROM fill AS b
    WHERE b.execution_id = f.execution_id
        AND b.generation = f.generation
        AND b.voided_at IS NULL
        AND (b.filled_at, b.fill_id) < (f.filled_at, f.fill_id)
) AS before ON o.covers IS NOT NULL
WHERE f.account_number = %(account_number)s
    AND f.symbol = %(symbol)s
    AND f.voided_at IS NULL
    AND f.filled_at > coalesce(%(after)s::timestamptz, '-infinity')
    AND (%(fill_ids)s::text[] IS NULL OR f.fill_id = ANY(%(fill_ids)s))
-- At the same time, entries come first.
ORDER BY f.filled_at, o.role, f.fill_id

-- name: lots
SELECT fill_id, quantity, price, held_since
FROM lot
WHERE account_number = %(account_number)s
    AND symbol = %(symbol)s
ORDER BY opened_at, fill_id

-- name: delete_after
-- Delete what is computed again: the trades and the times without a lot.
WITH trades AS (
    DELETE FROM trade
    WHERE account_number = %(account_number)s
        AND symbol = %(symbol)s
        AND closed_at > coalesce(%(after)s::timestamptz, '-infinity')
)
DELETE FROM book_flat
WHERE account_number = %(account_number)s
    AND symbol = %(symbol)s
    AND at > coalesce(%(after)s::timestamptz, '-infinity')

-- name: insert_trade
INSERT INTO trade (
    account_number, trade_id, executor_id, mode, symbol, strategy, signal_id, entry_execution_id, exit_execution_id,
    quantity, entry_price, exit_price, fees, realised, opened_at, closed_at, exit_reason
)
VALUES (
    %(account_number)s, %(trade_id)s, %(executor_id)s, %(mode)s, %(symbol)s, %(strategy)s, %(signal_id)s,
    %(entry_execution_id)s, %(exit_execution_id)s, %(quantity)s, %(entry_price)s, %(exit_price)s, %(fees)s, %(realised)s,
    %(opened_at)s, %(closed_at)s, %(exit_reason)s
)

-- name: insert_flat
INSERT INTO book_flat (account_number, symbol, at)
VALUES (%(account_number)s, %(symbol)s, %(at)s)

-- name: delete_lots
DELETE FROM lot
WHERE account_number = %(account_number)s
    AND fill_id = ANY(%(fill_ids)s)

-- name: save_lot
INSERT INTO lot (
    account_number, fill_id, executor_id, mode, symbol, strategy, execution_id, quantity, price, opened_at, held_since
)
VALUES (
    %(account_number)s, %(fill_id)s, %(executor_id)s, %(mode)s, %(symbol)s, %(strategy)s, %(execution_id)s,
    %(quantity)s, %(price)s, %(filled_at)s, %(held_since)s
)

-- name: save_book
INSERT INTO book (account_number, symbol, through)
VALUES (%(account_number)s, %(symbol)s, %(through)s)
ON CONFLICT (account_number, symbol) DO UPDATE
SET through = excluded.through

-- name: delete_book
DELETE FROM book
WHERE account_number = %(account_number)s
    AND symbol = %(symbol)s

-- name: holdings
-- Each strategy's holding by its fills, the nearest stop and target of its entries, and the quantity that stop orders
-- protect. *cost* is NULL if a price is not known. `manual` has the part of the holdings that is in no lot, because a
-- person has adopted it.
WITH bought AS (
    SELECT l.account_number, l.symbol, nullif(l.strategy, '') AS strategy, sum(l.quantity) AS quantity,
        CASE WHEN bool_and(l.price IS NOT NULL) THEN sum(l.price * l.quantity) END AS cost, max(l.opened_at) AS opened_at,
        CASE WHEN sum(l.quantity) > 0 THEN max(s.stop_price) ELSE min(s.stop_price) END AS stop_price,
        CASE WHEN sum(l.quantity) > 0 THEN min(s.target_price) ELSE max(s.target_price) END AS target_price,
        min(l.opened_at) AS first_at
    FROM lot AS l
    JOIN execution AS e USING (execution_id)
    JOIN signal AS s USING (signal_id)
    WHERE l.account_number = ANY(%(account_numbers)s)
    GROUP BY l.account_number, l.symbol, l.strategy
), adopted AS (
    SELECT h.account_number, h.symbol, sum(h.quantity) - coalesce((
            SELECT sum(l.quantity)
            FROM lot AS l
            WHERE l.account_number = h.account_number
                AND l.symbol = h.symbol
        ), 0) AS quantity, max(h.changed_at) AS opened_at
    FROM holding AS h
    WHERE h.account_number = ANY(%(account_numbers)s)
        AND EXISTS (
            SELECT
            FROM finding AS f
            WHERE f.account_number = h.account_number
                AND f.symbol = h.symbol
                AND f.state = 'adopted'
                AND f.order_id = ''
        )
    GROUP BY h.account_number, h.symbol
)
SELECT *, (
        SELECT coalesce(sum(coalesce(o.replacement_quantity, o.quantity) - o.filled_quantity), 0)
        FROM broker_order AS o
        JOIN execution AS e USING (execution_id)
        WHERE o.account_number = bought.account_number
            AND o.symbol = bought.symbol
            AND o.strategy = coalesce(bought.strategy, '')
            AND o.role = 'protection'
            AND o.ended_at IS NULL
            AND o.order_id IS NOT NULL
            AND e.state NOT IN ('dead', 'skipped', 'discarded')
    ) AS protected
FROM bought
UNION ALL
SELECT account_number, symbol, 'manual', quantity, NULL, opened_at, NULL, NULL, opened_at, 0
FROM adopted
WHERE quantity <> 0
ORDER BY symbol, first_at, strategy

-- name: trades
-- One page, the newest first.
SELECT *
FROM trade
WHERE (%(executor_id)s::text IS NULL OR executor_id = %(executor_id)s)
    AND (%(symbol)s::text IS NULL OR symbol = %(symbol)s)
    AND (%(since)s::timestamptz IS NULL OR closed_at >= %(since)s)
    AND (%(before)s::timestamptz IS NULL OR (closed_at, trade_id) < (%(before)s, %(before_id)s::uuid))
ORDER BY closed_at DESC, trade_id DESC
LIMIT %(limit)s

-- name: realised
-- The profit of the trades by executor and key: the executor, the strategy or the symbol.
SELECT executor_id, mode, CASE %(by)s::text
        WHEN 'strategy' THEN nullif(strategy, '')
        WHEN 'symbol' THEN symbol
        ELSE executor_id
    END AS key, sum(realised) AS realised, sum(fees) AS fees, count(*) AS trades,
    count(*) FILTER (WHERE realised > 0) AS wins, count(*) FILTER (WHERE realised IS NULL) AS unknown
FROM trade
WHERE (%(executor_id)s::text IS NULL OR executor_id = %(executor_id)s)
    AND (%(since)s::timestamptz IS NULL OR closed_at >= %(since)s)
GROUP BY 1, 2, 3

-- name: unrealised
-- The profit of closing all lots at the prices that were last read, in the same groups. NULL: a price is not known.
WITH price AS (
    SELECT DISTINCT ON (a.account_number, p ->> 'symbol') a.account_number, p ->> 'symbol' AS symbol,
        (p ->> 'current_price')::numeric AS price
    FROM account_snapshot AS a, jsonb_array_elements(a.positions) AS p
    ORDER BY a.account_number, p ->> 'symbol', a.taken_at DESC
)
SELECT l.executor_id, l.mode, CASE %(by)s::text
        WHEN 'strategy' THEN nullif(l.strategy, '')
        WHEN 'symbol' THEN l.symbol
        ELSE l.executor_id
    END AS key,
    CASE WHEN bool_and(price.price IS NOT NULL AND l.price IS NOT NULL)
        THEN sum((price.price - l.price) * l.quantity)
    END AS unrealised
FROM lot AS l
LEFT JOIN price USING (account_number, symbol)
WHERE %(executor_id)s::text IS NULL OR l.executor_id = %(executor_id)s
GROUP BY 1, 2, 3

-- name: trading_span
-- Between which times each executor has closed trades.
SELECT executor_id, min(closed_at) AS first, max(closed_at) AS last
FROM trade
WHERE (%(executor_id)s::text IS NULL OR executor_id = %(executor_id)s)
    AND (%(since)s::timestamptz IS NULL OR closed_at >= %(since)s)
GROUP BY executor_id

-- name: realised_by_day
-- The profit of one executor's trades by the number of the day in *starts*, the beginnings of its days.
SELECT mode, width_bucket(closed_at, %(starts)s::timestamptz[]) AS day, sum(realised) AS realised, sum(fees) AS fees,
    count(*) AS trades, count(*) FILTER (WHERE realised > 0) AS wins,
    count(*) FILTER (WHERE realised IS NULL) AS unknown
FROM trade
WHERE executor_id = %(executor_id)s
    AND (%(since)s::timestamptz IS NULL OR closed_at >= %(since)s)
GROUP BY 1, 2
