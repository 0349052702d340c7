-- name: snapshot
SELECT *, clock_timestamp() AS now
FROM account_snapshot
WHERE executor_id = %(executor_id)s

-- name: save_snapshot
-- An older reading never replaces a newer one.
INSERT INTO account_snapshot AS s (executor_id, account_number, taken_at, account, positions, unreadable, clock, keys)
VALUES (
    %(executor_id)s, %(account_number)s, %(taken_at)s, %(account)s, %(positions)s, %(unreadable)s, %(clock)s,
    %(keys)s
)
ON CONFLICT (executor_id) DO UPDATE
SET account_number = excluded.account_number,
    taken_at = excluded.taken_at,
    account = excluded.account,
    positions = excluded.positions,
    unreadable = excluded.unreadable,
    keys = excluded.keys,
    -- Without a new reading of the clock the last one stays: it still shows how the broker's time differs from ours.
    clock = CASE
        WHEN (s.clock ->> 'read_at')::timestamptz > (excluded.clock ->> 'read_at')::timestamptz THEN s.clock
        ELSE coalesce(excluded.clock, s.clock)
    END
WHERE s.taken_at <= excluded.taken_at

-- name: claim_reading
-- One process reads the account, and the others wait for its reading. If that process dies, its claim ends at *until*.
INSERT INTO account_reading AS r (executor_id, until)
VALUES (%(executor_id)s, clock_timestamp() + %(at_most)s::interval)
ON CONFLICT (executor_id) DO UPDATE
SET until = excluded.until
WHERE r.until <= clock_timestamp()
RETURNING until

-- name: end_reading
UPDATE account_reading
SET until = clock_timestamp()
WHERE executor_id = %(executor_id)s
    AND until = %(until)s

-- name: save_clock
UPDATE account_snapshot
SET clock = %(clock)s
WHERE executor_id = %(executor_id)s
    AND coalesce((clock ->> 'read_at')::timestamptz <= %(read_at)s, true)

-- name: now
SELECT clock_timestamp() AS now

-- name: refusal
SELECT *, probe_at <= clock_timestamp() AS probe_due, probe_at - clock_timestamp() AS probe_in
FROM account_refusal
WHERE executor_id = %(executor_id)s

-- name: refusal_message
SELECT message
FROM account_refusal
WHERE executor_id = %(executor_id)s

-- name: claim_probe
-- Allow one probe of a refused account per *every*, by the first process that asks.
UPDATE account_refusal
SET probe_at = clock_timestamp() + %(every)s
WHERE executor_id = %(executor_id)s
    AND probe_at <= clock_timestamp()
RETURNING executor_id

-- name: refuse
INSERT INTO account_refusal AS r (executor_id, probe_at, message)
VALUES (%(executor_id)s, clock_timestamp() + %(every)s, %(message)s)
ON CONFLICT (executor_id) DO UPDATE
SET message = excluded.message,
    probe_at = greatest(r.probe_at, excluded.probe_at)
RETURNING xmax = 0 AS new

-- name: accept
DELETE FROM account_refusal
WHERE executor_id = %(executor_id)s
RETURNING executor_id

-- name: release_refused
-- The account or its entries are accepted again, so executions that were held for that are due now.
UPDATE execution
SET due_at = clock_timestamp()
WHERE executor_id = %(executor_id)s
    AND state = 'held'
    AND reason_code = %(code)s
RETURNING execution_id

-- name: entries_refused
SELECT message, probe_at - clock_timestamp() AS probe_in
FROM entries_refusal
WHERE executor_id = %(executor_id)s

-- name: refuse_entries
INSERT INTO entries_refusal AS r (executor_id, probe_at, message)
VALUES (%(executor_id)s, clock_timestamp() + %(every)s, %(message)s)
ON CONFLICT (executor_id) DO UPDATE
SET message = excluded.message,
    probe_at = greatest(r.probe_at, excluded.probe_at)
RETURNING xmax = 0 AS new

-- name: probe_entries
UPDATE entries_refusal
SET probe_at = clock_timestamp() + %(every)s
WHERE executor_id = %(executor_id)s

-- name: accept_entries
DELETE FROM entries_refusal
WHERE executor_id = %(executor_id)s

-- name: lock_executor
-- The decisions of one executor are made one after the other, so that reservations see each other.
SELECT pg_advisory_xact_lock(hashtextextended('executor:' || %(executor_id)s, 7204211))

-- name: unreadable_rows
-- The positions that the last reading of each account could not read, and the unreadable orders that the broker listed
-- in the last 10 minutes.
SELECT s.executor_id, 'position' AS kind, p.name AS row_id
FROM account_snapshot AS s, jsonb_array_elements_text(s.unreadable) AS p (name)
WHERE s.executor_id = ANY(%(executor_ids)s)
UNION ALL
SELECT executor_id, 'order', order_id
FROM unreadable_order
WHERE executor_id = ANY(%(executor_ids)s)
    AND seen_at > clock_timestamp() - interval '10 minutes'
ORDER BY 1, 2, 3
