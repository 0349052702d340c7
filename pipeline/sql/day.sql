-- name: account
-- The account that an executor has, and its last reading; NULL before the first one.
SELECT clock_timestamp() AS now, a.account_number, a.taken_at, (a.account ->> 'equity')::numeric AS equity
FROM (SELECT) AS always
LEFT JOIN account_snapshot AS a ON a.executor_id = %(executor_id)s

-- name: outcomes
-- The signals of the day by what became of them at the executor. NULL: the signal has no execution there.
SELECT e.state::text AS state, e.reason_code, count(*) AS signals, count(e.decided_at) AS decided
FROM signal AS s
LEFT JOIN execution AS e ON e.signal_id = s.signal_id AND e.executor_id = %(executor_id)s
WHERE s.recorded_at >= %(start)s
    AND s.recorded_at < %(until)s
GROUP BY 1, 2
ORDER BY 1, 2

-- name: trades
SELECT count(*) AS trades, count(*) FILTER (WHERE realised > 0) AS wins,
    count(*) FILTER (WHERE realised IS NULL) AS unknown, coalesce(sum(realised), 0) AS realised,
    coalesce(sum(fees), 0) AS fees
FROM trade
WHERE account_number = %(account_number)s
    AND executor_id = %(executor_id)s
    AND closed_at >= %(start)s
    AND closed_at < %(until)s

-- name: symbols
-- What the fills of the account changed, and what they add up to.
SELECT symbol, count(*) FILTER (WHERE filled_at >= %(start)s) AS fills, max(filled_at) AS last_fill,
    coalesce(sum(CASE side WHEN 'buy' THEN quantity ELSE -quantity END) FILTER (WHERE filled_at < %(start)s), 0) AS before,
    coalesce(sum(quantity) FILTER (WHERE filled_at >= %(start)s AND side = 'buy'), 0) AS bought,
    coalesce(sum(quantity) FILTER (WHERE filled_at >= %(start)s AND side = 'sell'), 0) AS sold
FROM fill
WHERE account_number = %(account_number)s
    AND voided_at IS NULL
    AND filled_at < %(until)s
GROUP BY symbol
ORDER BY symbol

-- name: held
-- The positions of the last reading.
SELECT p ->> 'symbol' AS symbol, (p ->> 'quantity')::numeric AS quantity
FROM account_snapshot AS a, jsonb_array_elements(a.positions) AS p
WHERE a.executor_id = %(executor_id)s

-- name: limits
-- NULL: the equity was not watched on that day.
SELECT d.start_equity, d.start_from, d.last_equity, d.warned
FROM (SELECT) AS always
LEFT JOIN account_day AS d ON d.holder = %(account_number)s AND d.day = %(date)s

-- name: switches
SELECT at, kind, cause
FROM switch_history
WHERE holder = %(account_number)s
    AND turned = 'on'
    AND at >= %(start)s
    AND at < %(until)s
ORDER BY history_id

-- name: counts
SELECT (
        SELECT count(*)
        FROM broker_order
        WHERE account_number = %(account_number)s
            AND may_exist
            AND first_sent_at >= %(start)s
            AND first_sent_at < %(until)s
    ) AS orders, (
        SELECT count(*)
        FROM finding
        WHERE account_number = %(account_number)s
            AND state <> 'suspected'
            AND first_seen >= %(start)s
            AND first_seen < %(until)s
    ) AS findings, (
        SELECT count(*)
        FROM finding
        WHERE account_number = %(account_number)s
            AND state = 'open'
            AND first_seen < %(until)s
    ) AS findings_open
