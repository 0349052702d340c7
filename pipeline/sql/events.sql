-- name: lock_unpublished
-- Lock the feed, if there are events without an id: one transaction at a time gives ids.
SELECT published
FROM event_feed
WHERE EXISTS (SELECT FROM event WHERE event_id IS NULL)
FOR UPDATE

-- name: publish
-- Give the next ids to committed events. The lock has to be taken by a statement before this one, so that this one sees
-- every id that was given.
WITH waiting AS (
    SELECT entry_id
    FROM event
    WHERE event_id IS NULL
    ORDER BY entry_id
    LIMIT %(limit)s
), published AS (
    UPDATE event AS e
    SET event_id = feed.published + numbered.place
    FROM event_feed AS feed, (SELECT entry_id, row_number() OVER (ORDER BY entry_id) AS place FROM waiting) AS numbered
    WHERE e.entry_id = numbered.entry_id
    RETURNING e.event_id
)
UPDATE event_feed
SET published = newest.event_id
FROM (SELECT max(event_id) AS event_id FROM published) AS newest
WHERE newest.event_id IS NOT NULL

-- name: feed
SELECT published, delivered, problem
FROM event_feed

-- name: after
SELECT event_id, kind, at, executor_id, mode, symbol, execution_id, signal_id, data
FROM event
WHERE event_id > %(since)s
ORDER BY event_id
LIMIT %(limit)s

-- name: deliver_after
-- Set the last event that counts as delivered; NULL: the newest published event.
UPDATE event_feed
SET delivered = coalesce(%(since)s::bigint, published),
    problem = NULL
RETURNING delivered

-- name: delivered
-- The receiver took the events up to *through*. Nothing changes if a person has chosen meanwhile what it gets next.
UPDATE event_feed
SET delivered = %(through)s,
    problem = NULL
WHERE delivered = %(after)s

-- name: not_delivered
UPDATE event_feed
SET problem = %(problem)s
WHERE delivered = %(after)s
    AND problem IS DISTINCT FROM %(problem)s

-- name: undelivered
-- How far the receiver is behind. No row if it has every event, or if no receiver was set up yet.
SELECT delivered, published - delivered AS count, problem
FROM event_feed
WHERE delivered < published

-- name: lock_unreported
-- Lock the feed, if there are published events that no message about ended orders has considered.
SELECT told, published
FROM event_feed
WHERE told < published
FOR UPDATE

-- name: unreported_orders
-- Orders that ended and are in no message. Those from before *within* are left out: they ended while the messages were
-- switched off.
SELECT event_id, at, data, clock_timestamp() AS now,
    (SELECT max(made_at) FROM alert_message WHERE about = 'orders') AS last_message_at
FROM event
WHERE event_id > %(after)s
    AND event_id <= %(through)s
    AND at > statement_timestamp() - %(within)s::interval
    AND kind IN ('decision', 'order')
    AND data ->> 'state' IN ('filled', 'canceled', 'expired', 'rejected')
ORDER BY event_id
LIMIT %(limit)s

-- name: mark_reported
UPDATE event_feed
SET told = %(through)s
