-- name: watched
SELECT *
FROM account_watch
WHERE holder = %(holder)s

-- name: last_close_day
-- The day of the last regular session before *today*; NULL while the calendar has not been read.
SELECT max(day) AS day
FROM market_day
WHERE day < %(today)s

-- name: begin_watch
INSERT INTO account_watch (holder, executor_id, equity, balance, read_at, day, peak_equity, settled_peak, transfers_through)
VALUES (
    %(holder)s, %(executor_id)s, %(equity)s, %(balance)s, %(at)s, %(day)s,
    greatest(%(start_equity)s::numeric, %(equity)s::numeric), greatest(%(start_equity)s::numeric, %(equity)s::numeric),
    %(as_of)s
)
ON CONFLICT (holder) DO NOTHING

-- name: begin_day
INSERT INTO account_day (holder, day, started_at, start_equity, start_balance, start_from, last_equity, as_of)
VALUES (
    %(holder)s, %(day)s, %(started_at)s, %(start_equity)s, %(start_balance)s, %(start_from)s, %(equity)s, %(as_of)s
)
ON CONFLICT (holder, day) DO NOTHING
RETURNING day

-- name: turn_day
-- Begin a new day. A breach of the daily loss ends with the day.
UPDATE account_watch
SET day = %(day)s,
    breached = array_remove(breached, 'daily_loss')
WHERE holder = %(holder)s
    AND day < %(day)s

-- name: note
-- An older reading never replaces a newer one.
WITH noted AS (
    UPDATE account_watch
    SET executor_id = %(executor_id)s,
        equity = %(equity)s,
        balance = %(balance)s,
        read_at = %(at)s,
        unreadable_since = NULL,
        peak_equity = greatest(peak_equity, %(equity)s)
    WHERE holder = %(holder)s
        AND read_at < %(at)s
    RETURNING holder, day
)
UPDATE account_day AS d
SET last_equity = %(equity)s
FROM noted
WHERE d.holder = noted.holder
    AND d.day = noted.day

-- name: account_reading
-- The newest reading of an executor's account, and whether the account has to be read often.
SELECT s.account_number AS holder,
    s.taken_at,
    clock_timestamp() - s.taken_at AS age,
    w.read_at,
    coalesce(s.positions <> '[]' OR s.unreadable <> '[]', false) OR EXISTS (
        SELECT
        FROM broker_order
        WHERE executor_id = %(executor_id)s
            AND ended_at IS NULL
            AND may_exist
    ) AS exposed,
    EXISTS (
        SELECT
        FROM execution
        WHERE executor_id = %(executor_id)s
            AND created_at > statement_timestamp() - interval '1 minute'
            AND state <> 'skipped'
    ) AS active
FROM (SELECT) AS always
LEFT JOIN account_snapshot AS s ON s.executor_id = %(executor_id)s
LEFT JOIN account_watch AS w ON w.holder = s.account_number

-- name: watched_day
SELECT w.*, d.started_at, d.as_of, clock_timestamp() AS now
FROM account_watch AS w
JOIN account_day AS d USING (holder, day)
WHERE w.holder = %(holder)s

-- name: lock
-- Make two keepers update the loss limits of an account one after the other.
SELECT holder
FROM account_watch
WHERE holder = %(holder)s
FOR UPDATE

-- name: record_unreadable
UPDATE account_watch
SET unreadable_since = coalesce(unreadable_since, clock_timestamp())
WHERE holder = %(holder)s
RETURNING unreadable_since, clock_timestamp() - unreadable_since AS unreadable_for, read_at

-- name: warn
-- Once per day and limit.
UPDATE account_day
SET warned = warned || %(limit)s::text
WHERE holder = %(holder)s
    AND day = %(day)s
    AND NOT %(limit)s = ANY(warned)
RETURNING day

-- name: record_breach
-- Keep the limits that are reached: a halt that a person has lifted is not set again for these.
UPDATE account_watch
SET breached = array_remove(breached, %(limit)s) || CASE WHEN %(reached)s THEN ARRAY[%(limit)s::text] ELSE '{}' END
WHERE holder = %(holder)s
    AND (%(limit)s = ANY(breached)) <> %(reached)s

-- name: count_transfers
-- Count transfers, unless another process has done so meanwhile. *peak_equity* may include a deposit that was not
-- counted yet, so the new peak is computed from *settled_peak*, the peak at the last count.
UPDATE account_watch
SET transfer_ids = %(known)s,
    transfers_asked_at = %(asked_at)s,
    transfers_through = %(asked_at)s,
    settled_peak = CASE
        WHEN %(amount)s = 0 THEN %(peak)s
        ELSE greatest(settled_peak + %(amount)s, equity)
    END,
    peak_equity = CASE
        WHEN %(amount)s = 0 THEN peak_equity
        ELSE greatest(settled_peak + %(amount)s, equity)
    END
WHERE holder = %(holder)s
    AND transfers_through = %(through)s
    AND transfers_asked_at IS NOT DISTINCT FROM %(asked_before)s
RETURNING day

-- name: move_day
UPDATE account_day
SET start_equity = start_equity + %(amount)s,
    start_balance = start_balance + %(amount)s
WHERE holder = %(holder)s
    AND day = %(day)s

-- name: clear_holdings
-- Clear holdings that were closed elsewhere: a reading of the account, over 10 s after their last change, lacks them.
UPDATE holding AS h
SET quantity = 0,
    entries = 0,
    opened_at = NULL,
    stop_price = NULL,
    changed_at = clock_timestamp()
FROM (
    SELECT h.symbol
    FROM holding AS h
    JOIN account_snapshot AS s USING (account_number)
    WHERE s.executor_id = %(executor_id)s
        AND h.quantity <> 0
        -- A row that could not be read may be this position.
        AND s.unreadable = '[]'
        AND NOT s.positions @> jsonb_build_array(jsonb_build_object('symbol', h.symbol))
        AND NOT EXISTS (
            SELECT
            FROM broker_order AS o
            WHERE o.executor_id = s.executor_id
                AND o.symbol = h.symbol
                AND o.ended_at IS NULL
                AND o.may_exist
        )
    GROUP BY h.symbol, s.taken_at
    HAVING sum(h.quantity) <> 0
        AND max(h.changed_at) < s.taken_at - interval '10 seconds'
) AS gone,
account_snapshot AS s
WHERE s.executor_id = %(executor_id)s
    AND h.account_number = s.account_number
    AND h.symbol = gone.symbol
    AND h.quantity <> 0
RETURNING h.symbol, h.strategy

-- name: correct_day
UPDATE account_day AS d
SET start_equity = coalesce(%(start_equity)s, d.start_equity),
    start_balance = coalesce(%(start_balance)s, d.start_balance),
    start_from = 'typed',
    as_of = clock_timestamp()
FROM account_watch AS w
WHERE w.holder = %(holder)s
    AND d.holder = w.holder
    AND d.day = w.day

-- name: correct_peak
UPDATE account_watch
SET peak_equity = %(peak)s,
    settled_peak = %(peak)s
WHERE holder = %(holder)s

-- name: record_correction
INSERT INTO baseline_correction (holder, figure, was, became, made_by, why)
VALUES (%(holder)s, %(figure)s, %(was)s, %(became)s, %(by)s, %(why)s)

-- name: ordered_since
-- The number of entries that were ordered in the account's day.
SELECT count(*) AS entries
FROM broker_order
WHERE account_number = %(account_number)s
    AND intended_at >= %(since)s
    AND role = 'entry'
    AND first_sent_at IS NOT NULL
    AND may_exist
