-- name: lock_order
-- The order that the broker knows by this id, or the order that it has replaced, locked until the end of the
-- transaction: its fills are recorded one by one.
SELECT execution_id, generation, executor_id, account_number, symbol, side, filled_quantity,
    order_id IS DISTINCT FROM %(order_id)s AS is_replacement,
    (
        SELECT count(*) > 0
        FROM fill_alias AS a
        WHERE a.account_number = o.account_number
            AND a.fill_id = %(fill_id)s
    ) AS is_alias,
    (
        SELECT a.corrected_by
        FROM fill_alias AS a
        WHERE a.account_number = o.account_number
            AND a.fill_id = %(fill_id)s
    ) AS corrected_by
FROM broker_order AS o
WHERE (order_id = %(order_id)s OR replacement_ids @> ARRAY[%(order_id)s])
    AND account_number = %(account_number)s
FOR UPDATE

-- name: lock_holding
-- Orders of one symbol lock its holding before its row of fill_change.
SELECT strategy
FROM holding
WHERE account_number = %(account_number)s
    AND symbol = %(symbol)s
ORDER BY strategy
FOR UPDATE

-- name: unconfirmed
-- The executor's fills that the list of activities has not shown, without those that it never will, and the orders whose
-- report may contain a fill that was taken back or new ones in its place. The result: since when to read the list, and
-- since when for those that were recorded after *known_until*, with the age of the first of these; the newest, and the
-- newest until *known_until*. No row is returned if there are none.
WITH missing AS (
    SELECT f.account_number, f.recorded_at, CASE WHEN f.source = 'order' THEN o.intended_at ELSE f.filled_at END AS since
    FROM fill AS f
    JOIN broker_order AS o USING (execution_id, generation)
    WHERE f.executor_id = %(executor_id)s
        AND f.source <> 'activity'
        AND f.voided_at IS NULL
        AND f.recorded_at > statement_timestamp() - %(within)s::interval
    UNION ALL
    SELECT f.account_number, f.voided_at, o.intended_at
    FROM fill AS f
    JOIN broker_order AS o USING (execution_id, generation)
    WHERE f.executor_id = %(executor_id)s
        AND f.voided_at > statement_timestamp() - %(within)s::interval
        AND o.busted_quantity > 0
        AND o.report_quantity <> o.filled_quantity
)
SELECT min(since) AS since, min(since) FILTER (WHERE recorded_at > %(known_until)s) AS new_since,
    array_agg(DISTINCT account_number) AS account_numbers, max(recorded_at) AS newest,
    max(recorded_at) FILTER (WHERE recorded_at <= %(known_until)s) AS newest_known,
    extract(
        epoch FROM clock_timestamp() - min(recorded_at) FILTER (WHERE recorded_at > %(known_until)s)
    )::float AS waited_s
FROM missing
HAVING count(*) > 0

-- name: has
SELECT EXISTS (
    SELECT
    FROM fill
    WHERE account_number = %(account_number)s
        AND fill_id = %(fill_id)s
)

-- name: listed
-- Those of the fills that the record has from the list of activities, or that were taken back.
SELECT fill_id
FROM fill
WHERE account_number = %(account_number)s
    AND fill_id = ANY(%(fill_ids)s)
    AND (source = 'activity' OR voided_at IS NOT NULL)

-- name: of_order
-- The fills of an order that the broker itemised, also those that it took back.
SELECT fill_id, quantity, price, cumulative_quantity, source, voided_at, corrected_by
FROM fill
WHERE execution_id = %(execution_id)s
    AND generation = %(generation)s
    AND source <> 'order'
ORDER BY filled_at, fill_id

-- name: insert
-- Triggers raise the order's filled quantity where it has to be, and shrink what is not itemised.
INSERT INTO fill (
    account_number, fill_id, execution_id, generation, executor_id, symbol, side, quantity, price, cumulative_quantity,
    filled_at, source
)
VALUES (
    %(account_number)s, %(fill_id)s, %(execution_id)s, %(generation)s, %(executor_id)s, %(symbol)s, %(side)s,
    %(quantity)s, %(price)s, %(cumulative_quantity)s, %(filled_at)s, %(source)s
)
ON CONFLICT (account_number, fill_id) DO NOTHING

-- name: make_room
-- A correction counts in addition to the fill that it corrects, until that one is voided. Without this, it would be taken for a
-- part of what is not itemised.
UPDATE broker_order
SET filled_quantity = filled_quantity + %(quantity)s,
    filled_average_price = trim_scale(
        (filled_quantity * filled_average_price + %(quantity)s * %(price)s) / (filled_quantity + %(quantity)s)
    ),
    follow_up = follow_up OR (role = 'exit' AND ended_at IS NOT NULL)
WHERE execution_id = %(execution_id)s
    AND generation = %(generation)s

-- name: keep_corrected
-- The broker corrected a fill that the record does not have. It may be a part of what is not itemised.
INSERT INTO fill_alias (account_number, fill_id, corrected_by)
VALUES (%(account_number)s, %(fill_id)s, %(corrected_by)s)
ON CONFLICT (account_number, fill_id) DO UPDATE
SET corrected_by = excluded.corrected_by

-- name: corrected_shown
-- The fill that was corrected before it was itemised is in the record now.
DELETE FROM fill_alias
WHERE account_number = %(account_number)s
    AND fill_id = %(fill_id)s

-- name: confirm
-- The list of activities shows a fill that the record has from the stream, perhaps under another id. A correction keeps the
-- time of the trade.
UPDATE fill AS f
SET fill_id = %(fill_id)s,
    quantity = %(quantity)s,
    price = %(price)s,
    cumulative_quantity = coalesce(%(cumulative_quantity)s, cumulative_quantity),
    filled_at = CASE
        WHEN EXISTS (
            SELECT
            FROM fill AS c
            WHERE c.execution_id = f.execution_id
                AND c.corrected_by = f.fill_id
        ) THEN filled_at
        ELSE %(filled_at)s
    END,
    source = 'activity'
WHERE account_number = %(account_number)s
    AND fill_id = %(known_id)s

-- name: add_alias
INSERT INTO fill_alias (account_number, fill_id, known_as)
VALUES (%(account_number)s, %(fill_id)s, %(known_as)s)
ON CONFLICT (account_number, fill_id) DO NOTHING

-- name: rename_correction
-- Corrected fills name their correction, whose id is another one now.
UPDATE fill
SET corrected_by = %(known_as)s
WHERE execution_id = %(execution_id)s
    AND generation = %(generation)s
    AND corrected_by = %(fill_id)s

-- name: drop
-- The list of activities replaces these fills of the stream. Their ids stay known, so that they do not come again.
WITH dropped AS (
    DELETE FROM fill
    WHERE account_number = %(account_number)s
        AND fill_id = ANY(%(fill_ids)s)
    RETURNING account_number, fill_id
)
INSERT INTO fill_alias (account_number, fill_id)
SELECT account_number, fill_id
FROM dropped
ON CONFLICT (account_number, fill_id) DO NOTHING

-- name: id_of
-- The fill's id in the record, or its correction's id while the fill is not itemised.
SELECT coalesce(known_as, corrected_by, fill_id) AS fill_id
FROM fill_alias
WHERE account_number = %(account_number)s
    AND fill_id = %(fill_id)s

-- name: void
-- A trigger lowers the order's filled quantity. The first correction or bust counts.
UPDATE fill
SET voided_at = clock_timestamp(),
    corrected_by = %(corrected_by)s
WHERE account_number = %(account_number)s
    AND fill_id = %(fill_id)s
    AND voided_at IS NULL
RETURNING executor_id, symbol, side, quantity, price

-- name: take_time
-- A correction comes later, and has the time of the trade that it corrects: the books go by the order of the trades.
UPDATE fill AS f
SET filled_at = c.filled_at
FROM fill AS c
WHERE c.account_number = %(account_number)s
    AND c.fill_id = %(fill_id)s
    AND f.account_number = c.account_number
    AND f.fill_id = c.corrected_by
    AND f.filled_at <> c.filled_at
