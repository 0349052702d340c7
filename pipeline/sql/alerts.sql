-- name: open_keys
SELECT key
FROM alert
WHERE over_at IS NULL
    AND kind = ANY(%(kinds)s)

-- name: raise
-- An open alert stays the same row; its time and text are refreshed at most every 2 s.
INSERT INTO alert AS a (key, kind, severity, subject, facts)
SELECT r.key, r.kind, r.severity, r.subject, r.facts
FROM jsonb_to_recordset(%(raised)s::jsonb) AS r (key text, kind text, severity text, subject text, facts jsonb)
ON CONFLICT (key) WHERE over_at IS NULL DO UPDATE
SET seen_at = clock_timestamp(),
    subject = excluded.subject,
    facts = excluded.facts
WHERE a.seen_at < clock_timestamp() - interval '2 seconds'
RETURNING a.key, a.kind, a.severity, a.subject, a.xmax = 0 AS new

-- name: over
-- End the alerts that were not found for a while. For the kinds in *quiet*, no message reports the end.
UPDATE alert
SET over_at = clock_timestamp(),
    over_in = CASE WHEN kind = ANY(%(quiet)s) THEN opened_in END
WHERE over_at IS NULL
    AND kind = ANY(%(kinds)s)
    AND NOT key = ANY(%(keys)s)
    AND seen_at < clock_timestamp() - %(calm)s::interval
RETURNING key, kind, severity, subject, false AS new

-- name: looked
-- Note this check; return how long ago the last one was, and how many executions were recorded since, without skipped
-- ones. No row is returned at the first check.
WITH before AS (
    SELECT looked_at
    FROM alert_look
    WHERE watcher = %(watcher)s
), now AS (
    INSERT INTO alert_look (watcher, looked_at)
    VALUES (%(watcher)s, clock_timestamp())
    ON CONFLICT (watcher) DO UPDATE
    SET looked_at = excluded.looked_at
)
SELECT looked_at, clock_timestamp() - looked_at AS gap,
    (SELECT count(*) FROM execution WHERE created_at > before.looked_at AND state <> 'skipped') AS executions
FROM before

-- name: lock
-- Only one process makes a message at a time.
SELECT pg_advisory_xact_lock(hashtext('tradewire alerts'))

-- name: unreported
-- Alerts whose beginning or end is in no message yet, the oldest first. An alert that was never reported and ended more
-- than an hour ago is left out: a channel that is set up later does not report it.
SELECT *, clock_timestamp() AS now, (SELECT max(made_at) FROM alert_message WHERE about = 'alerts') AS last_message_at
FROM alert
WHERE (opened_in IS NULL OR over_in IS NULL)
    AND (
        (opened_in IS NULL AND (over_at IS NULL OR over_at > clock_timestamp() - interval '1 hour'))
        OR (opened_in IS NOT NULL AND over_at IS NOT NULL AND over_in IS NULL)
    )
ORDER BY alert_id
LIMIT %(limit)s

-- name: insert_message
INSERT INTO alert_message (message_id, title, body, severity, about)
VALUES (%(message_id)s, %(title)s, %(body)s, %(severity)s, %(about)s)

-- name: mark_reported
UPDATE alert
SET opened_in = coalesce(opened_in, %(message_id)s),
    over_in = CASE WHEN over_at IS NOT NULL THEN %(message_id)s END
WHERE alert_id = ANY(%(alert_ids)s)

-- name: deliver_by
-- Deliver the message by this channel.
INSERT INTO alert_delivery (message_id, channel, due_at)
VALUES (%(message_id)s, %(channel)s, clock_timestamp())
ON CONFLICT (message_id, channel) DO NOTHING

-- name: claim
-- Claim one delivery that is due, the oldest message first. The time of the next try is set before the present try,
-- so that another process tries again if this process dies.
UPDATE alert_delivery AS d
SET due_at = clock_timestamp() + %(claim)s::interval,
    tries = d.tries + 1
FROM (
    SELECT w.message_id, w.channel
    FROM alert_delivery AS w
    JOIN alert_message AS m USING (message_id)
    WHERE w.due_at <= clock_timestamp()
        AND w.channel = ANY(%(channels)s)
        AND m.about = %(about)s
    ORDER BY m.made_at
    LIMIT 1
    FOR UPDATE OF w SKIP LOCKED
) AS due
JOIN alert_message AS m USING (message_id)
WHERE d.message_id = due.message_id
    AND d.channel = due.channel
RETURNING d.message_id, d.channel, d.tries, m.title, m.body, m.severity,
    m.made_at < clock_timestamp() - interval '1 day' AS old

-- name: attempted
INSERT INTO alert_attempt (message_id, channel, took_ms, delivered)
VALUES (%(message_id)s, %(channel)s, %(took_ms)s, %(delivered)s)

-- name: delivered
UPDATE alert_delivery
SET delivered_at = clock_timestamp(),
    due_at = NULL
WHERE message_id = %(message_id)s
    AND channel = %(channel)s
    AND delivered_at IS NULL

-- name: again
UPDATE alert_delivery
SET due_at = CASE WHEN %(gap)s::interval IS NOT NULL THEN clock_timestamp() + %(gap)s END,
    given_up_at = CASE WHEN %(gap)s IS NULL THEN clock_timestamp() END
WHERE message_id = %(message_id)s
    AND channel = %(channel)s
    AND delivered_at IS NULL

-- name: tested
INSERT INTO alert_channel AS c (channel, fingerprint, tested_by)
VALUES (%(channel)s, %(fingerprint)s, %(by)s)
ON CONFLICT (channel) DO UPDATE
SET fingerprint = excluded.fingerprint,
    tested_at = clock_timestamp(),
    tested_by = excluded.tested_by

-- name: tests
SELECT channel, fingerprint, tested_at, tested_by
FROM alert_channel

-- name: list
-- The newest first; with *all* also those that are over.
SELECT a.*, (
    SELECT array_agg(DISTINCT d.channel)
    FROM alert_delivery AS d
    WHERE d.message_id = a.opened_in
        AND d.delivered_at IS NOT NULL
) AS told_by
FROM alert AS a
WHERE a.over_at IS NULL
    OR %(all)s
ORDER BY a.alert_id DESC
LIMIT %(limit)s

-- name: open_by_kind
-- How many alerts of each kind are open, the most frequent kind last; and how many of them no person works on.
SELECT kind, count(*) AS open, count(*) FILTER (WHERE acked_at IS NULL) AS waiting
FROM alert
WHERE over_at IS NULL
GROUP BY kind
ORDER BY count(*), kind

-- name: ack
UPDATE alert
SET acked_at = clock_timestamp(),
    acked_by = %(by)s,
    acked_why = %(why)s
WHERE over_at IS NULL
    AND acked_at IS NULL
    AND (%(alert_id)s::bigint IS NULL OR alert_id = %(alert_id)s)
RETURNING alert_id, subject

-- name: rates
SELECT e.executor_id, e.mode, count(*) AS decided, count(o.order_id) AS ordered
FROM execution AS e
LEFT JOIN broker_order AS o ON o.execution_id = e.execution_id AND o.generation = e.generation
WHERE e.created_at > statement_timestamp() - %(window)s::interval
    AND e.state NOT IN ('queued', 'held', 'submitting', 'unknown', 'skipped')
GROUP BY e.executor_id, e.mode

-- name: dead_letters
SELECT d.execution_id, d.number, d.executor_id, d.reason_code, d.reason_facts, e.action, e.symbol
FROM dead_letter AS d
JOIN execution AS e USING (execution_id)
WHERE d.closed_at IS NULL
ORDER BY d.opened_at
LIMIT %(limit)s

-- name: not_reconciled
-- Entries may be skipped as too old before they have waited for 5 minutes, so the age of the last comparison counts too.
SELECT e.executor_id, count(*) AS entries
FROM execution AS e
LEFT JOIN account_snapshot AS s USING (executor_id)
LEFT JOIN reconciliation AS r ON r.account_number = s.account_number
WHERE e.executor_id = ANY(%(executor_ids)s)
    AND e.state = 'held'
    AND e.reason_code = 'not_reconciled'
    AND (
        e.created_at < clock_timestamp() - interval '5 minutes'
        OR r.completed_at < clock_timestamp() - interval '10 minutes'
    )
GROUP BY e.executor_id

-- name: unknowns
SELECT execution_id, executor_id, action, symbol,
    extract(epoch FROM clock_timestamp() - unknown_since)::float AS age_s
FROM execution
WHERE state = 'unknown'
    AND unknown_since < statement_timestamp() - %(age)s::interval
ORDER BY unknown_since
LIMIT %(limit)s

-- name: exits_tried
-- Exits that are tried again. The first two parts use a partial index each.
SELECT e.executor_id, e.symbol, s.source_id
FROM execution AS e
JOIN signal AS s USING (signal_id)
WHERE e.state IN ('queued', 'held', 'submitting', 'unknown')
    AND s.source = ANY(%(sources)s)
    AND NOT starts_with(s.source_id, %(first)s)
UNION ALL
SELECT e.executor_id, e.symbol, s.source_id
FROM execution AS e
JOIN signal AS s USING (signal_id)
WHERE e.state IN ('accepted', 'partially_filled')
    AND s.source = ANY(%(sources)s)
    AND NOT starts_with(s.source_id, %(first)s)
UNION ALL
-- Exits that were sent several times and that the broker did not have. Each send counts as a try.
SELECT e.executor_id, e.symbol, concat(e.execution_id, ':', e.attempts)
FROM execution AS e
JOIN broker_order AS o USING (execution_id, generation)
WHERE e.state IN ('queued', 'held', 'submitting', 'unknown')
    AND o.role = 'exit'
    AND e.attempts > 1

-- name: refused_exits
SELECT refusal_id, source, code, message
FROM refusal
WHERE reads_as_exit
    AND at > statement_timestamp() - interval '1 hour'
ORDER BY at DESC
LIMIT %(limit)s

-- name: late_orders
-- Orders of executions that had ended, and old orders of requeued executions that were found after a new one was sent.
SELECT execution_id, executor_id, action, symbol, order_id
FROM (
    SELECT h.execution_id, e.executor_id, e.action, e.symbol, o.order_id, h.at
    FROM history AS h
    JOIN execution AS e USING (execution_id)
    LEFT JOIN broker_order AS o ON o.execution_id = e.execution_id AND o.generation = e.generation
    WHERE h.reason_code = 'late_order'
        AND h.at > statement_timestamp() - interval '1 hour'
    UNION ALL
    SELECT o.execution_id, e.executor_id, e.action, e.symbol, o.order_id, o.accepted_at
    FROM execution AS e
    JOIN broker_order AS n ON n.execution_id = e.execution_id AND n.generation = e.generation
    JOIN broker_order AS o ON o.execution_id = e.execution_id AND o.generation < e.generation
    WHERE e.generation > 1
        AND o.accepted_at > n.intended_at
        AND o.accepted_at > statement_timestamp() - interval '1 hour'
) AS late
ORDER BY at
LIMIT %(limit)s

-- name: blocked_exits
SELECT execution_id, executor_id, symbol, reason_facts
FROM execution
WHERE state = 'held'
    AND reason_code = 'quantity_held'
ORDER BY due_at
LIMIT %(limit)s

-- name: dust
SELECT execution_id, executor_id, symbol, reason_facts
FROM execution
WHERE reason_code = 'dust'
    AND ended_at > statement_timestamp() - interval '1 hour'
ORDER BY ended_at
LIMIT %(limit)s

-- name: busted_fills
-- Fills that the broker took back. Corrected ones are not among them.
SELECT f.account_number, f.fill_id, f.execution_id, f.executor_id, f.symbol, f.side, f.quantity, f.price, o.order_id
FROM fill AS f
JOIN broker_order AS o USING (execution_id, generation)
WHERE f.voided_at > statement_timestamp() - interval '1 hour'
    AND f.corrected_by IS NULL
ORDER BY f.voided_at
LIMIT %(limit)s

-- name: canceled_orders
SELECT order_id, client_order_id, executor_id, symbol, execution_id, outcome, message
FROM canceled_order
WHERE first_asked_at > statement_timestamp() - interval '1 hour'
    -- The position is without its stop.
    OR (settled_at IS NULL AND outcome = 'not_restored')
ORDER BY first_asked_at
LIMIT %(limit)s

-- name: switches
SELECT ours.executor_id, s.kind, s.cause, s.set_by, s.why, s.flatten
FROM unnest(%(executor_ids)s::text[]) AS ours (executor_id)
LEFT JOIN account_snapshot AS a USING (executor_id)
JOIN switch AS s ON s.holder IN (a.account_number, 'executor:' || ours.executor_id)

-- name: refusals
SELECT executor_id, message, false AS entries_only
FROM account_refusal
WHERE executor_id = ANY(%(executor_ids)s)
UNION ALL
SELECT executor_id, message, true
FROM entries_refusal
WHERE executor_id = ANY(%(executor_ids)s)
    AND NOT EXISTS (
        SELECT
        FROM account_refusal AS a
        WHERE a.executor_id = entries_refusal.executor_id
    )

-- name: keepers
-- Return the number of leading keepers: none or one.
SELECT count(*) AS count
FROM leadership
WHERE role = 'keeper'
    AND lease_until > clock_timestamp()

-- name: unprotected_positions
-- Holdings with a stop that no stop order covers in full, while no exit works other than a person's limit close, which may
-- rest for hours. Those whose stop a person canceled after the last entry with a stop are left out.
SELECT a.executor_id, h.symbol, h.strategy, h.quantity, h.stop_price, resting.quantity AS protected
FROM account_snapshot AS a
JOIN holding AS h USING (account_number)
CROSS JOIN LATERAL (
    SELECT coalesce(sum(coalesce(o.replacement_quantity, o.quantity) - o.filled_quantity), 0) AS quantity
    FROM broker_order AS o
    JOIN execution AS e USING (execution_id)
    WHERE o.executor_id = a.executor_id
        AND o.account_number = a.account_number
        AND o.symbol = h.symbol
        AND o.strategy = h.strategy
        AND o.role = 'protection'
        AND o.ended_at IS NULL
        AND o.order_id IS NOT NULL
        AND e.state NOT IN ('dead', 'skipped', 'discarded')
) AS resting
WHERE a.executor_id = ANY(%(executor_ids)s)
    AND h.quantity <> 0
    AND h.stop_price IS NOT NULL
    AND resting.quantity < CASE WHEN strpos(h.symbol, '/') > 0 THEN 0.99 ELSE 1 END * abs(h.quantity)
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
    AND NOT EXISTS (
        SELECT
        FROM broker_order AS o
        JOIN execution AS e USING (execution_id)
        JOIN signal AS s USING (signal_id)
        WHERE o.executor_id = a.executor_id
            AND o.symbol = h.symbol
            AND o.role = 'exit'
            AND o.ended_at IS NULL
            AND e.state IN ('accepted', 'partially_filled')
            AND NOT (s.source = 'tradewire:hand' AND o.limit_price IS NOT NULL)
    )
ORDER BY h.opened_at
LIMIT %(limit)s
