-- name: claim
-- Claim an execution by compare-and-set. Zero rows: another process has it, it has ended, it is not due, or an earlier
-- execution of its symbol is undecided. The same token finds a claim again whose answer to COMMIT was lost.
UPDATE execution AS e
SET state = 'submitting',
    fence = CASE WHEN e.lease_token = %(token)s THEN e.fence ELSE e.fence + 1 END,
    lease_until = clock_timestamp() + %(lease)s,
    lease_token = %(token)s,
    leased_by = %(worker)s,
    due_at = NULL,
    waits_for_symbol = false,
    settings_hash = %(settings_hash)s,
    reason_code = NULL,
    reason_facts = '{}',
    moved_by = %(worker)s,
    moved_why = NULL
FROM (
    SELECT execution_id, state AS from_state
    FROM execution
    WHERE execution_id = %(execution_id)s
    FOR UPDATE
) AS old
WHERE e.execution_id = old.execution_id
    AND (
        e.state = 'queued'
        OR (e.state = 'held' AND e.due_at <= clock_timestamp())
        OR (e.state = 'submitting' AND e.lease_token = %(token)s)
    )
    AND NOT EXISTS (
        SELECT
        FROM execution AS earlier
        WHERE earlier.executor_id = e.executor_id
            AND earlier.symbol = e.symbol
            AND earlier.seq < e.seq
            AND earlier.state IN ('queued', 'held', 'submitting', 'unknown')
            -- A stop order does not wait for an earlier execution that is held for more than another second, or that waits
            -- behind one; nor for an entry that no worker has: behind entries of other symbols, that may wait for a minute.
            AND NOT (
                earlier.state IN ('queued', 'held')
                AND (
                    (earlier.state = 'held' AND earlier.due_at > clock_timestamp() + interval '1 second')
                    OR earlier.waits_for_symbol
                    OR (earlier.action IN ('BUY', 'SELL') AND earlier.action <> e.action)
                )
                AND EXISTS (SELECT FROM signal AS s WHERE s.signal_id = e.signal_id AND s.source = 'tradewire:protect')
            )
            -- A person's close of a part, or at a limit, does not wait for an exit that waits for the firm's minimum hold. One
            -- of the whole position at the market ends that exit.
            AND NOT (
                earlier.state = 'held'
                AND earlier.reason_code = 'minimum_hold'
                AND EXISTS (
                    SELECT
                    FROM signal AS s
                    WHERE s.signal_id = e.signal_id
                        AND s.source = 'tradewire:hand'
                        AND (s.entry_price IS NOT NULL OR s.quantity IS NOT NULL OR s.close_percent < 100)
                )
            )
    )
RETURNING e.*, old.from_state, clock_timestamp() AS now

-- name: wait_for_symbol
-- Mark the execution, so that the process that decides the earlier one starts it next. Zero rows: no earlier one is
-- undecided any more, so claim again.
UPDATE execution AS e
SET waits_for_symbol = true
WHERE e.execution_id = %(execution_id)s
    AND (e.state = 'queued' OR (e.state = 'held' AND e.due_at <= clock_timestamp()))
    AND EXISTS (
        SELECT
        FROM execution AS earlier
        WHERE earlier.executor_id = e.executor_id
            AND earlier.symbol = e.symbol
            AND earlier.seq < e.seq
            AND earlier.state IN ('queued', 'held', 'submitting', 'unknown')
            -- A stop order does not wait for an earlier execution that is held for more than another second, or that waits
            -- behind one; nor for an entry that no worker has: behind entries of other symbols, that may wait for a minute.
            AND NOT (
                earlier.state IN ('queued', 'held')
                AND (
                    (earlier.state = 'held' AND earlier.due_at > clock_timestamp() + interval '1 second')
                    OR earlier.waits_for_symbol
                    OR (earlier.action IN ('BUY', 'SELL') AND earlier.action <> e.action)
                )
                AND EXISTS (SELECT FROM signal AS s WHERE s.signal_id = e.signal_id AND s.source = 'tradewire:protect')
            )
            -- A person's close of a part, or at a limit, does not wait for an exit that waits for the firm's minimum hold. One
            -- of the whole position at the market ends that exit.
            AND NOT (
                earlier.state = 'held'
                AND earlier.reason_code = 'minimum_hold'
                AND EXISTS (
                    SELECT
                    FROM signal AS s
                    WHERE s.signal_id = e.signal_id
                        AND s.source = 'tradewire:hand'
                        AND (s.entry_price IS NOT NULL OR s.quantity IS NOT NULL OR s.close_percent < 100)
                )
            )
    )
RETURNING e.execution_id

-- name: claimable
-- The execution, if only an earlier one of its symbol can prevent a claim now.
SELECT e.execution_id, e.executor_id, e.symbol, e.seq, e.action, s.intent, s.source, s.strategy,
    s.source = 'tradewire:hand' AND s.entry_price IS NOT NULL AS is_limit_close,
    coalesce(s.quantity, s.notional, s.equity_percent) IS NULL AND coalesce(s.close_percent, 100) = 100
        AND NOT (s.source = 'tradewire:hand' AND s.entry_price IS NOT NULL) AS is_whole
FROM execution AS e
JOIN signal AS s USING (signal_id)
WHERE e.execution_id = %(execution_id)s
    AND (e.state = 'queued' OR (e.state = 'held' AND e.due_at <= clock_timestamp()))

-- name: has_to_close
-- Whether an exit has something to close: a position, or entries at the broker that may still fill. *signs* are the
-- signs of a position that it may close. With *strategy*, only the part of that strategy counts. A holding that changed
-- after the positions were read counts even if they do not show it.
SELECT EXISTS (
    SELECT
    FROM account_snapshot AS a
    LEFT JOIN holding AS h ON h.account_number = a.account_number
        AND h.symbol = %(symbol)s
        AND sign(h.quantity) = ANY(%(signs)s::numeric[])
        AND (%(strategy)s::text IS NULL OR h.strategy = %(strategy)s)
    WHERE a.executor_id = %(executor_id)s
        AND (
            h.changed_at > a.taken_at
            OR (%(strategy)s::text IS NULL OR h.strategy IS NOT NULL) AND EXISTS (
                SELECT
                FROM jsonb_array_elements(a.positions) AS p
                WHERE p ->> 'symbol' = %(symbol)s
                    AND sign((p ->> 'quantity')::numeric) = ANY(%(signs)s::numeric[])
            )
        )
) OR EXISTS (
    SELECT
    FROM broker_order AS o
    JOIN execution AS e USING (execution_id)
    WHERE o.executor_id = %(executor_id)s
        AND o.symbol = %(symbol)s
        AND o.role = 'entry'
        AND o.side = ANY(%(opened_by)s)
        AND (%(strategy)s::text IS NULL OR o.strategy = %(strategy)s)
        AND o.ended_at IS NULL
        AND e.state NOT IN ('dead', 'skipped', 'discarded')
        AND (o.order_id IS NOT NULL OR (o.may_exist AND e.state IN ('submitting', 'unknown')))
) AS has_to_close

-- name: waiting_exits
-- Exits that no worker took for some time, the oldest first: executions that can only close and, if shorting is
-- allowed, those whose symbol has a position or an open order. Exits behind a submitting or unknown execution are left
-- out. Only the first of each symbol and action is listed, since the others wait for it: otherwise the exits of one
-- symbol could keep other symbols off the list. A stop order may overtake it, so the first of these is listed, too.
-- *behind* is an earlier execution that is due and that the exit cannot end, since the broker may have its order.
SELECT execution_id, symbol, action, intent, source, strategy, only_closes, behind
FROM (
    SELECT DISTINCT ON (e.symbol, e.action, s.source = 'tradewire:protect') e.execution_id, e.seq, e.symbol, e.action,
        s.intent, s.source, s.strategy,
        s.intent = 'close' OR e.action = 'REVERSE' OR (e.action = 'SELL' AND NOT %(may_short)s) AS only_closes,
        (
            SELECT earlier.execution_id
            FROM execution AS earlier
            WHERE earlier.executor_id = e.executor_id
                AND earlier.symbol = e.symbol
                AND earlier.seq < e.seq
                AND (earlier.state = 'queued' OR (earlier.state = 'held' AND earlier.due_at <= statement_timestamp()))
                AND EXISTS (
                    SELECT
                    FROM broker_order AS o
                    WHERE o.execution_id = earlier.execution_id
                        AND o.may_exist
                )
            ORDER BY earlier.seq
            LIMIT 1
        ) AS behind
    FROM execution AS e
    JOIN signal AS s USING (signal_id)
    WHERE e.executor_id = %(executor_id)s
        AND e.state IN ('queued', 'held')
        AND CASE WHEN e.state = 'queued' THEN e.created_at ELSE e.due_at END <= statement_timestamp() - %(waited)s::interval
        AND (
            s.intent = 'close'
            OR e.action = 'REVERSE'
            OR (s.intent = 'auto' AND e.action = 'SELL' AND NOT %(may_short)s)
            OR (s.intent = 'auto' AND %(may_short)s AND (
                EXISTS (
                    SELECT
                    FROM account_snapshot AS a, jsonb_array_elements(a.positions) AS p
                    WHERE a.executor_id = e.executor_id
                        AND p ->> 'symbol' = e.symbol
                )
                OR EXISTS (
                    SELECT
                    FROM account_snapshot AS a
                    JOIN holding AS h USING (account_number)
                    WHERE a.executor_id = e.executor_id
                        AND h.symbol = e.symbol
                        AND h.quantity <> 0
                )
                OR EXISTS (
                    SELECT
                    FROM broker_order AS o
                    WHERE o.executor_id = e.executor_id
                        AND o.symbol = e.symbol
                        AND o.ended_at IS NULL
                )
            ))
        )
        AND NOT EXISTS (
            SELECT
            FROM execution AS earlier
            WHERE earlier.executor_id = e.executor_id
                AND earlier.symbol = e.symbol
                AND earlier.seq < e.seq
                AND earlier.state IN ('submitting', 'unknown')
        )
    ORDER BY e.symbol, e.action, s.source = 'tradewire:protect', e.seq
) AS first
ORDER BY seq
LIMIT %(limit)s

-- name: supersede_other_side
-- An exit that has something to close ends the earlier entries on the other side that the broker does not have: those
-- of other strategies too, since the exit would otherwise wait until each of them is decided. It does not end a
-- REVERSE, which is an exit too; and a REVERSE does not end the entry on the other side of an earlier REVERSE. A FLAT
-- ends every execution that opens a position which the FLAT would close: of the strategy *closes_of*, or of all. A
-- close of a strategy's whole position, while the strategy holds nothing yet, ends the strategy's own waiting entries
-- (*ends_own*). A person's close of the whole position also ends the exits that wait for the firm's minimum hold, for
-- which it does not wait. A stop order that was not sent is ended too, since the keeper places one for what is left; but not by a
-- person's limit close (*is_limit_close*), which would hold the quantity for hours. An entry that was
-- sent is held only after the broker has answered that it has no such order. If the order is found after all, it is a
-- late order.
WITH held AS (
    SELECT h.strategy, sign(h.quantity) AS side
    FROM account_snapshot AS a
    JOIN holding AS h USING (account_number)
    WHERE a.executor_id = %(executor_id)s
        AND h.symbol = %(symbol)s
        AND h.quantity <> 0
    UNION ALL
    SELECT NULL, sign((p ->> 'quantity')::numeric)
    FROM account_snapshot AS a, jsonb_array_elements(a.positions) AS p
    WHERE a.executor_id = %(executor_id)s
        AND p ->> 'symbol' = %(symbol)s
), superseded AS (
    UPDATE execution AS e
    SET state = 'skipped',
        reason_code = 'superseded',
        reason_facts = json_build_object('by', %(execution_id)s::text),
        settings_hash = %(settings_hash)s,
        due_at = NULL,
        ended_at = clock_timestamp(),
        moved_by = %(worker)s,
        moved_why = NULL
    FROM signal AS s
    WHERE s.signal_id = e.signal_id
        AND e.executor_id = %(executor_id)s
        AND e.symbol = %(symbol)s
        AND e.seq < %(seq)s
        AND e.state IN ('queued', 'held')
        AND (
            (e.action <> %(action)s AND s.intent <> 'close')
            OR (s.source = 'tradewire:protect' AND NOT %(is_limit_close)s)
            OR (e.reason_code = 'minimum_hold' AND %(source)s = 'tradewire:hand' AND %(is_whole)s)
        )
        AND (
            (%(has_to_close)s AND s.source = 'tradewire:protect')
            OR (%(has_to_close)s AND e.action <> 'REVERSE' AND (%(action)s <> 'REVERSE' OR s.source <> 'tradewire:flip'))
            OR (
                %(ends_own)s
                AND (e.state = 'held' OR e.waits_for_symbol)
                AND e.action <> 'REVERSE'
                AND coalesce(s.strategy, '') = coalesce(%(strategy)s::text, '')
            )
            OR (%(action)s = 'FLAT' AND coalesce(s.strategy, '') = coalesce(%(closes_of)s::text, s.strategy, ''))
        )
        -- An execution that closes another strategy's part is an exit. It stays: this exit does not close that part. And
        -- an exit that may leave a part of the position ends nothing that may close it.
        AND (s.source = 'tradewire:protect' OR NOT EXISTS (
            SELECT
            FROM held
            WHERE (
                    NOT %(is_whole)s
                    OR (
                        held.strategy = coalesce(s.strategy, '')
                        AND held.strategy <> coalesce(%(closes_of)s::text, held.strategy)
                    )
                )
                AND (e.action = 'REVERSE' OR held.side = CASE e.action WHEN 'SELL' THEN 1 ELSE -1 END)
        ))
        AND NOT EXISTS (
            SELECT
            FROM broker_order AS o
            WHERE o.execution_id = e.execution_id
                AND o.may_exist
                AND (e.state = 'queued' OR o.order_id IS NOT NULL OR o.role = 'exit')
        )
    RETURNING e.execution_id
), ended AS (
    UPDATE broker_order AS o
    SET ended_at = clock_timestamp()
    FROM superseded
    WHERE o.execution_id = superseded.execution_id
        AND o.ended_at IS NULL
)
SELECT execution_id
FROM superseded

-- name: supersede_limit_close
-- An exit that has something to close ends a person's limit close that waits, for orders of others or for another try
-- after the broker's refusal. The exit would take the place of its order, too.
UPDATE execution AS e
SET state = 'skipped',
    reason_code = 'superseded',
    reason_facts = json_build_object('by', %(execution_id)s::text),
    settings_hash = %(settings_hash)s,
    due_at = NULL,
    ended_at = clock_timestamp(),
    moved_by = %(worker)s,
    moved_why = NULL
FROM signal AS s
WHERE s.signal_id = e.signal_id
    AND e.executor_id = %(executor_id)s
    AND e.symbol = %(symbol)s
    AND e.seq < %(seq)s
    AND e.state = 'held'
    AND e.reason_code IN ('exit_not_done', 'quantity_held')
    AND s.source = 'tradewire:hand'
    AND s.entry_price IS NOT NULL
    AND NOT EXISTS (
        SELECT
        FROM broker_order AS o
        WHERE o.execution_id = e.execution_id
            AND o.may_exist
    )
RETURNING e.execution_id

-- name: next_of_symbol
-- The next waiting execution of the symbol, which may be claimed now that the one before it is decided.
SELECT execution_id
FROM execution
WHERE executor_id = %(executor_id)s
    AND symbol = %(symbol)s
    AND state IN ('queued', 'held')
    AND seq > %(seq)s
    AND waits_for_symbol
ORDER BY seq
LIMIT 1

-- name: renew
-- Zero rows: the lease was lost.
UPDATE execution
SET lease_until = clock_timestamp() + %(lease)s
WHERE execution_id = %(execution_id)s
    AND fence = %(fence)s
    AND state = 'submitting'
    AND lease_until > clock_timestamp()
RETURNING lease_until

-- name: settle
-- Change the state of an execution whose lease we hold. Zero rows: another process has changed its state first.
UPDATE execution
SET state = %(state)s,
    reason_code = %(reason_code)s,
    reason_facts = %(reason_facts)s,
    lease_until = NULL,
    due_at = CASE WHEN %(due_in)s::interval IS NULL THEN NULL ELSE clock_timestamp() + %(due_in)s::interval END,
    attempts = attempts + %(attempts)s,
    unknown_since = CASE WHEN %(state)s::execution_state = 'unknown' THEN coalesce(unknown_since, clock_timestamp()) END,
    lookups = 0,
    absences = 0,
    -- Look-ups before this send that found no order do not count for it.
    absent_since = NULL,
    moved_by = %(moved_by)s,
    ended_at = CASE
        WHEN %(state)s::execution_state IN ('filled', 'canceled', 'expired', 'rejected', 'skipped') THEN clock_timestamp()
    END
WHERE execution_id = %(execution_id)s
    AND fence = %(fence)s
    AND state = 'submitting'
RETURNING execution_id

-- name: follow
-- Set an execution to the state of its order, from any state that allows this change. A late answer that the order is
-- working does not undo a final status that was recorded meanwhile. If an exit left dust, the reason goes on naming it. If
-- tradewire asked for a cancel, the reason is why it asked; if a person requested it, the person is named too.
UPDATE execution
SET state = %(state)s,
    reason_code = CASE
        WHEN %(reason_code)s = 'canceled_at_broker' THEN coalesce(left_out.canceled_for, %(reason_code)s)
        ELSE coalesce(%(reason_code)s, CASE WHEN left_out.dust > 0 THEN 'dust' END)
    END,
    reason_facts = CASE
        WHEN left_out.canceled_for = 'canceled_by_person' AND %(reason_code)s = 'canceled_at_broker'
            THEN (%(reason_facts)s::jsonb || jsonb_strip_nulls(jsonb_build_object(
                'by', left_out.requested_by,
                'dust', CASE WHEN left_out.dust > 0 THEN trim_scale(left_out.dust)::text END
            )))::json
        WHEN left_out.dust > 0
            THEN (%(reason_facts)s::jsonb || jsonb_build_object('dust', trim_scale(left_out.dust)::text))::json
        ELSE %(reason_facts)s::json
    END,
    fence = fence + CASE WHEN state = 'submitting' THEN 1 ELSE 0 END,
    lease_until = NULL,
    due_at = NULL,
    unknown_since = NULL,
    moved_by = %(moved_by)s,
    moved_why = CASE
        WHEN left_out.canceled_for = 'canceled_by_person' AND %(reason_code)s = 'canceled_at_broker'
            THEN left_out.requested_why
    END,
    ended_at = CASE
        WHEN %(state)s::execution_state IN ('filled', 'canceled', 'expired', 'rejected') THEN clock_timestamp()
    END
FROM (
    SELECT coalesce(max(dust), 0) AS dust, max(canceled_for) AS canceled_for,
        max(cancel_requested_by) AS requested_by, max(cancel_requested_why) AS requested_why
    FROM broker_order
    WHERE execution_id = %(execution_id)s
        AND generation = %(generation)s
) AS left_out
WHERE execution_id = %(execution_id)s
    AND generation = %(generation)s
    AND state <> %(state)s
    AND EXISTS (
        SELECT
        FROM allowed_move
        WHERE from_state = execution.state
            AND to_state = %(state)s
    )
    AND NOT (
        %(state)s::execution_state IN ('accepted', 'partially_filled')
        AND EXISTS (
            SELECT
            FROM broker_order AS o
            WHERE o.execution_id = execution.execution_id
                AND o.generation = execution.generation
                AND o.ended_at IS NOT NULL
        )
    )
RETURNING execution_id, seq, executor_id, symbol

-- name: state_of
SELECT state
FROM execution
WHERE execution_id = %(execution_id)s

-- name: of_signal
-- The executions of some signals in the order of their recording, each with its newest order.
SELECT e.*, s.confidence, o.order_id, o.client_order_id, o.first_sent_at AS submitted_at, o.filled_quantity,
    o.filled_average_price
FROM execution AS e
JOIN signal AS s USING (signal_id)
LEFT JOIN broker_order AS o ON o.execution_id = e.execution_id AND o.generation = e.generation
WHERE e.signal_id = ANY(%(signal_ids)s)
ORDER BY e.seq

-- name: list
SELECT e.*, s.confidence, o.order_id, o.client_order_id, o.first_sent_at AS submitted_at, o.filled_quantity,
    o.filled_average_price
FROM execution AS e
JOIN signal AS s USING (signal_id)
LEFT JOIN broker_order AS o ON o.execution_id = e.execution_id AND o.generation = e.generation
WHERE (%(signal_id)s::uuid IS NULL OR e.signal_id = %(signal_id)s)
    AND (%(state)s::execution_state IS NULL OR e.state = %(state)s)
    AND (%(executor_id)s::text IS NULL OR e.executor_id = %(executor_id)s)
    AND (%(since)s::timestamptz IS NULL OR e.created_at >= %(since)s)
ORDER BY e.created_at DESC, e.seq DESC
LIMIT %(limit)s

-- name: overdue
-- Executions that no worker took for some time and whose symbol is free, the oldest first. The keeper enqueues again
-- only after it has seen that the last job is gone; one job may end while an earlier execution is undecided.
SELECT e.execution_id, e.state = 'queued' AND e.fence = 0 AND e.enqueues > 2 AS jobs_lost
FROM execution AS e
WHERE e.executor_id = %(executor_id)s
    AND e.state IN ('queued', 'held')
    AND CASE WHEN e.state = 'queued' THEN e.created_at ELSE e.due_at END <= statement_timestamp() - %(waited)s::interval
    AND NOT EXISTS (
        SELECT
        FROM execution AS earlier
        WHERE earlier.executor_id = e.executor_id
            AND earlier.symbol = e.symbol
            AND earlier.seq < e.seq
            AND earlier.state IN ('queued', 'held', 'submitting', 'unknown')
    )
ORDER BY e.seq
LIMIT %(limit)s

-- name: undecided
-- How many executions of each executor may have a job in its queue.
SELECT executor_id, count(*)::int AS count
FROM execution
WHERE state IN ('queued', 'held', 'submitting')
GROUP BY executor_id
