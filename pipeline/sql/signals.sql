-- name: lock_symbol
-- Record the signals of one symbol one after the other, so that they become visible in the order of `seq`.
SELECT pg_advisory_xact_lock(hashtextextended(%(symbol)s, 7204211))

-- name: insert
-- Nothing happens when the signal is recorded already, by its id or by (source, source_id). If *waited* is
-- given, a signal that does not say when it was generated gets the time of its receipt, by this clock. The clock's time
-- is returned, so that the caller can refuse a signal from the future.
INSERT INTO signal (
    signal_id, source, source_id, content_hash, symbol, asset_class, action, intent, confidence, entry_price, price,
    target_price, stop_price, quantity, notional, equity_percent, close_percent, strategy, regime,
    volatility_percent, executors,
    generated_at, expires_at, by_person
)
VALUES (
    %(signal_id)s, %(source)s, %(source_id)s, %(content_hash)s, %(symbol)s, %(asset_class)s, %(action)s, %(intent)s,
    %(confidence)s, %(entry_price)s, %(price)s, %(target_price)s, %(stop_price)s, %(quantity)s,
    %(notional)s, %(equity_percent)s, %(close_percent)s, %(strategy)s, %(regime)s, %(volatility_percent)s, %(executors)s,
    coalesce(%(generated_at)s, clock_timestamp() - %(waited)s::interval), %(expires_at)s, %(by_person)s
)
ON CONFLICT DO NOTHING
RETURNING clock_timestamp() AS now

-- name: same
-- The first record of a signal that was sent again.
SELECT signal_id, content_hash
FROM signal
WHERE signal_id = %(signal_id)s
    OR (source = %(source)s AND source_id = %(source_id)s)

-- name: get
SELECT *
FROM signal
WHERE signal_id = %(signal_id)s

-- name: insert_execution
-- A skipped execution ends at once. The process that records a queued one enqueues it; if it dies, the keeper does.
INSERT INTO execution (
    execution_id, signal_id, executor_id, mode, symbol, action, state, reason_code, reason_facts, due_at, moved_by,
    moved_why, decided_at, ended_at, job_id, settings_hash, enqueues
)
VALUES (
    %(execution_id)s, %(signal_id)s, %(executor_id)s, %(mode)s, %(symbol)s, %(action)s, %(state)s, %(reason_code)s,
    %(reason_facts)s,
    now() + %(due_in)s,
    %(moved_by)s,
    %(moved_why)s,
    CASE WHEN %(state)s::execution_state = 'skipped' THEN now() END,
    CASE WHEN %(state)s::execution_state = 'skipped' THEN now() END,
    %(job_id)s, %(settings_hash)s, 1
)

-- name: seen_short
-- Was the account short in the symbol when it was last read?
SELECT s.executor_id
FROM account_snapshot AS s, jsonb_array_elements(s.positions) AS p
WHERE s.executor_id = %(executor_id)s
    AND p ->> 'symbol' = %(symbol)s
    AND (p ->> 'quantity')::numeric < 0

-- name: insert_refusal
INSERT INTO refusal (refusal_id, source, source_id, code, message, payload, reads_as_exit)
VALUES (%(refusal_id)s, %(source)s, %(source_id)s, %(code)s, %(message)s, %(payload)s, %(reads_as_exit)s)
ON CONFLICT DO NOTHING
