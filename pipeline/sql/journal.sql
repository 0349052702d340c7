-- name: import_order
-- Record an order that was sent without the record, with its signal and its execution. A second import changes nothing.
-- An order that may be at the broker is unknown here, so that the keeper looks it up.
WITH new_signal AS (
    INSERT INTO signal (signal_id, source, source_id, content_hash, symbol, asset_class, action, intent, executors)
    VALUES (
        %(signal_id)s, 'tradewire:flatten', %(source_id)s, '', %(symbol)s, %(asset_class)s, %(action)s, 'close',
        ARRAY[%(executor_id)s]
    )
    ON CONFLICT DO NOTHING
    RETURNING signal_id
), new_execution AS (
    INSERT INTO execution (
        execution_id, signal_id, executor_id, mode, symbol, action, state, reason_code, reason_facts, due_at,
        unknown_since, attempts, moved_by, moved_why, created_at, decided_at, ended_at
    )
    SELECT %(execution_id)s, signal_id, %(executor_id)s, %(mode)s, %(symbol)s, %(action)s, %(state)s, %(reason_code)s,
        %(reason_facts)s, CASE WHEN %(may_exist)s THEN now() END, CASE WHEN %(may_exist)s THEN now() END, 1,
        %(by)s, %(why)s, %(sent_at)s, CASE WHEN NOT %(may_exist)s THEN now() END,
        CASE WHEN NOT %(may_exist)s THEN now() END
    FROM new_signal
    RETURNING execution_id
)
INSERT INTO broker_order (
    execution_id, generation, executor_id, account_number, client_order_id, role, symbol, side, quantity,
    reference_price, request, intended_at, may_exist, first_sent_at, last_sent_at, order_id, ended_at, covers
)
SELECT execution_id, 1, %(executor_id)s, %(account_number)s, %(client_order_id)s, 'exit', %(symbol)s, %(side)s,
    %(quantity)s, %(reference_price)s, %(request)s, %(sent_at)s, %(may_exist)s, %(sent_at)s, %(sent_at)s, %(order_id)s,
    CASE WHEN NOT %(may_exist)s THEN now() END,
    (
        -- The order closed all coins that were left. If the record holds up to a hundredth more, that was the fee.
        SELECT sum(h.quantity)
        FROM holding AS h
        WHERE h.account_number = %(account_number)s
            AND h.symbol = %(symbol)s
            AND %(asset_class)s = 'crypto'
        HAVING sum(h.quantity) * 0.99 <= %(quantity)s
            AND sum(h.quantity) > %(quantity)s
    )
FROM new_execution
RETURNING execution_id

-- name: record_import
-- Record that a file is imported. No row is returned when it was imported before.
INSERT INTO journal_import (file, executor_id, orders, imported_by)
VALUES (%(file)s, %(executor_id)s, %(orders)s, %(by)s)
ON CONFLICT DO NOTHING
RETURNING file

-- name: hand_over
-- A person closes everything at the broker, so end the exits of the keeper's flatten that were not sent yet.
UPDATE execution AS e
SET state = 'skipped',
    reason_code = 'ended_by_person',
    reason_facts = json_build_object('by', %(by)s::text, 'why', 'flattened straight at the broker'),
    due_at = NULL,
    ended_at = clock_timestamp(),
    moved_by = %(by)s,
    moved_why = 'flattened straight at the broker'
FROM signal AS s
WHERE s.signal_id = e.signal_id
    AND e.executor_id = %(executor_id)s
    AND e.state IN ('queued', 'held')
    AND s.source = 'tradewire:flatten'
    AND NOT EXISTS (
        SELECT
        FROM broker_order AS o
        WHERE o.execution_id = e.execution_id
            AND o.may_exist
    )
RETURNING e.execution_id
