-- name: intend
-- Reserve the request in the budget, and write the order as it will be sent. If the budget is used up, nothing is
-- written, and *wait* is the time until it has requests again. An intent that certainly never reached the broker may be
-- replaced; any other stays.
WITH paid AS MATERIALIZED (
    SELECT granted, wait, spent, closed
    FROM take_requests(%(holder)s, 1, %(ceiling)s, %(urgent)s)
), written AS (
    INSERT INTO broker_order AS o (
        execution_id, generation, executor_id, account_number, client_order_id, role, symbol, side, quantity, limit_price,
        reference_price, request, strategy, stop_price, risk, rest, dust, covers, follow_up, intended_at,
        first_sent_at, last_sent_at
    )
    SELECT
        %(execution_id)s, %(generation)s, %(executor_id)s, %(account_number)s, %(client_order_id)s, %(role)s, %(symbol)s,
        %(side)s, %(quantity)s, %(limit_price)s, %(reference_price)s, %(request)s, %(strategy)s, %(stop_price)s, %(risk)s,
        %(rest)s, %(dust)s, %(covers)s,
        -- The keeper follows up an exit when its order has ended.
        %(role)s::order_role = 'exit', now(), now(), now()
    FROM paid
    WHERE granted > 0
    ON CONFLICT (execution_id, generation) DO UPDATE
    SET account_number = excluded.account_number,
        role = excluded.role,
        side = excluded.side,
        quantity = excluded.quantity,
        limit_price = excluded.limit_price,
        reference_price = excluded.reference_price,
        request = excluded.request,
        strategy = excluded.strategy,
        stop_price = excluded.stop_price,
        risk = excluded.risk,
        rest = excluded.rest,
        dust = excluded.dust,
        covers = excluded.covers,
        follow_up = excluded.follow_up,
        intended_at = excluded.intended_at,
        may_exist = true,
        ended_at = NULL,
        first_sent_at = excluded.first_sent_at,
        last_sent_at = excluded.last_sent_at
    WHERE NOT o.may_exist
    RETURNING o.*
)
SELECT written.*, paid.*
FROM paid
LEFT JOIN written ON true

-- name: send_again
-- Reserve a request for sending the identical order again, if the account's budget allows one.
WITH paid AS MATERIALIZED (
    SELECT granted, wait, spent, closed
    FROM take_requests(%(holder)s, 1, %(ceiling)s, %(urgent)s)
), sent AS (
    UPDATE broker_order AS o
    SET last_sent_at = clock_timestamp()
    FROM paid
    WHERE paid.granted > 0
        AND o.execution_id = %(execution_id)s
        AND o.generation = %(generation)s
    RETURNING o.*
)
SELECT sent.*, paid.*
FROM paid
LEFT JOIN sent ON true

-- name: of_execution
SELECT *
FROM broker_order
WHERE execution_id = %(execution_id)s
    AND generation = %(generation)s

-- name: never_sent
-- The first send certainly did not reach the broker, so the intent has ended until it is written anew.
UPDATE broker_order
SET may_exist = false,
    ended_at = clock_timestamp(),
    follow_up = false,
    first_sent_at = NULL,
    last_sent_at = NULL
WHERE execution_id = %(execution_id)s
    AND generation = %(generation)s
    AND order_id IS NULL
    AND %(sole)s
RETURNING execution_id

-- name: never_taken
-- The broker refused the first send, so it has no order of this intent.
UPDATE broker_order
SET may_exist = false
WHERE execution_id = %(execution_id)s
    AND generation = %(generation)s
    AND order_id IS NULL
    AND %(sole)s
RETURNING execution_id

-- name: record_broker_update
-- Record the broker's report of an order. Filled figures and a final status do not go back, since reads lag. But an
-- order that we had given up and that still works at the broker is open again, so that it is followed. The report may
-- contain what the broker has taken back (`still_reported`), and then the record's own average price stays.
UPDATE broker_order AS o
SET order_id = coalesce(order_id, %(order_id)s),
    order_status = CASE
        WHEN ended_at IS NULL OR order_id IS NULL OR %(ended)s THEN %(order_status)s
        ELSE order_status
    END,
    filled_quantity = greatest(filled_quantity, %(filled_quantity)s - still_reported(o, %(filled_quantity)s)),
    busted_quantity = CASE WHEN busted_quantity IS NOT NULL THEN still_reported(o, %(filled_quantity)s) END,
    report_quantity = CASE
        WHEN still_reported(o, %(filled_quantity)s) < busted_quantity THEN %(filled_quantity)s
        WHEN busted_quantity IS NOT NULL THEN greatest(report_quantity, %(filled_quantity)s)
    END,
    replacement_quantity = coalesce(%(replacement_quantity)s, replacement_quantity),
    replacement_ids = coalesce(nullif(%(replacement_ids)s::text[], '{}'), replacement_ids),
    filled_average_price = CASE
        WHEN busted_quantity IS NULL AND %(filled_quantity)s >= filled_quantity
            THEN coalesce(%(filled_average_price)s, filled_average_price)
        ELSE coalesce(filled_average_price, %(filled_average_price)s)
    END,
    filled_at = CASE
        WHEN %(filled_quantity)s - still_reported(o, %(filled_quantity)s) > filled_quantity THEN clock_timestamp()
        ELSE filled_at
    END,
    accepted_at = coalesce(accepted_at, clock_timestamp()),
    ended_at = CASE
        WHEN %(ended)s THEN coalesce(ended_at, clock_timestamp())
        WHEN order_id IS NOT NULL THEN ended_at
    END,
    -- A fill that is reported after the end of an exit is followed up again: it may have closed the position.
    follow_up = follow_up OR (
        role = 'exit'
        AND ended_at IS NOT NULL
        AND filled_quantity < %(filled_quantity)s - still_reported(o, %(filled_quantity)s)
    ),
    may_exist = true,
    polled_at = clock_timestamp()
WHERE client_order_id = %(client_order_id)s
RETURNING *

-- name: end
-- The broker will never work this order: it was refused, or never reached the broker.
UPDATE broker_order
SET ended_at = coalesce(ended_at, clock_timestamp()),
    order_status = coalesce(%(order_status)s, order_status)
WHERE execution_id = %(execution_id)s
    AND generation = %(generation)s
RETURNING execution_id

-- name: record_attempt
INSERT INTO attempt (execution_id, fence, generation, outcome, message, took_ms, sent_at, order_id, request_id)
VALUES (
    %(execution_id)s, %(fence)s, %(generation)s, %(outcome)s, %(message)s, %(took_ms)s::float,
    clock_timestamp() - make_interval(secs => %(took_ms)s::float / 1000), %(order_id)s, %(request_id)s
)
ON CONFLICT (execution_id, fence) DO NOTHING

-- name: under_way
-- Orders of this executor and symbol that may still fill, for which an exit has to wait. An order that is being sent or
-- looked up counts, too: a later execution may have one if this one was requeued as a dead letter. Orders that were
-- given up do not count; one that is found at the broker after all is followed, and counts again. *is_limit_close*:
-- it is a person's limit close.
SELECT o.*, s.source = 'tradewire:hand' AND o.limit_price IS NOT NULL AS is_limit_close
FROM broker_order AS o
JOIN execution AS e USING (execution_id)
JOIN signal AS s USING (signal_id)
WHERE e.state NOT IN ('dead', 'skipped', 'discarded')
    AND o.executor_id = %(executor_id)s
    AND o.symbol = %(symbol)s
    AND o.ended_at IS NULL
    AND o.execution_id <> %(execution_id)s
    AND (o.order_id IS NOT NULL OR (o.may_exist AND e.state IN ('submitting', 'unknown')))

-- name: claim_blocking
-- Claim the orders in the way of an exit that may be read now: each by one worker at a time, and again after a pause.
UPDATE broker_order
SET asked_at = clock_timestamp()
WHERE client_order_id = ANY(%(client_order_ids)s)
    AND ended_at IS NULL
    AND coalesce(asked_at, '-infinity') < clock_timestamp() - %(pause)s::interval
RETURNING *

-- name: working_exits
-- Those of the given orders that are exits in our record, or protective stops of this executor: an exit cancels
-- these itself. A stop of another executor is foreign.
SELECT client_order_id
FROM broker_order
WHERE client_order_id = ANY(%(client_order_ids)s)
    AND (role = 'exit' OR (role = 'protection' AND executor_id = %(executor_id)s))

-- name: last_refusal
-- Why the broker refused the newest exit of the symbol (a `RefusalKind`), and the orders that its answer named. No row
-- is returned if the refusal has no kind, so that another order or another form of it would be refused as well.
SELECT refused, orders
FROM (
    SELECT e.reason_facts ->> 'refused' AS refused, e.reason_facts ->> 'orders' AS orders, e.state
    FROM broker_order AS o
    JOIN execution AS e USING (execution_id, generation)
    WHERE o.executor_id = %(executor_id)s
        AND o.symbol = %(symbol)s
        AND o.role = 'exit'
        AND o.intended_at > statement_timestamp() - interval '1 day'
    ORDER BY o.intended_at DESC
    LIMIT 1
) AS newest
WHERE refused IS NOT NULL
    -- A refusal of a rest that was left as dust says nothing about a later exit.
    AND NOT (refused = 'too_small' AND state = 'skipped')

-- name: origin
-- The sender of the first try of an exit.
SELECT s.source, s.by_person
FROM execution AS e
JOIN signal AS s USING (signal_id)
WHERE e.execution_id = %(execution_id)s

-- name: reserved
-- The amount that entries have reserved or spent and that the snapshot does not show yet. Entries that were given up
-- reserve nothing, even when the end of their order was never reported.
SELECT coalesce(sum(CASE
        WHEN o.ended_at IS NULL THEN coalesce(o.replacement_quantity, o.quantity)
        ELSE o.filled_quantity
    END * o.reference_price), 0) AS reserved
FROM broker_order AS o
JOIN execution AS e USING (execution_id)
WHERE o.executor_id = %(executor_id)s
    AND (o.ended_at IS NULL OR o.intended_at > %(taken_at)s - interval '1 minute')
    AND o.role = 'entry'
    AND o.may_exist
    AND o.execution_id <> %(execution_id)s
    AND coalesce(o.accepted_at, 'infinity') > %(taken_at)s
    AND e.state NOT IN ('skipped', 'discarded', 'rejected')

-- name: ask_cancel
-- One process at a time requests the cancel, and again after 2 s: the first process may have died, or the broker was
-- away. A cancel that the broker accepted and that stays pending is requested again after 2, 4, 8, 16, 16 … s.
UPDATE broker_order AS o
SET cancel_asked_at = clock_timestamp(),
    canceled_for = CASE WHEN before.is_first THEN coalesce(o.canceled_for, %(reason_code)s) ELSE o.canceled_for END
FROM (
    SELECT execution_id, generation, cancel_asked_at IS NULL AS is_first
    FROM broker_order
    WHERE order_id = %(order_id)s
    FOR UPDATE
) AS before
WHERE (o.execution_id, o.generation) = (before.execution_id, before.generation)
    AND (
        o.cancel_asked_at IS NULL
        OR o.cancel_asked_at < clock_timestamp() - interval '2 seconds' * 2 ^ least(greatest(o.cancels_accepted - 1, 0), 3)
    )
RETURNING before.is_first

-- name: cancel_accepted
UPDATE broker_order
SET cancels_accepted = cancels_accepted + 1
WHERE order_id = %(order_id)s
