-- name: lock_body
-- Record two deliveries of one body at the same time one after the other.
SELECT pg_advisory_xact_lock(hashtextextended(%(webhook)s || %(digest)s, 7204219))

-- name: first_of_body
-- The first delivery of this body, if it came within the time for re-sends.
SELECT delivery_id, source_id
FROM delivery
WHERE webhook = %(webhook)s
    AND digest = %(digest)s
    AND code IS NULL
    AND resend_of IS NULL
    AND at > clock_timestamp() - %(within)s
ORDER BY seq
LIMIT 1

-- name: first_of_signal
SELECT delivery_id, source_id
FROM delivery
WHERE webhook = %(webhook)s
    AND source_id = %(source_id)s
    AND code IS NULL
ORDER BY seq
LIMIT 1

-- name: insert
INSERT INTO delivery (
    delivery_id, webhook, code, message, dialect, identity, source_id, digest, resend_of, address, payload
)
VALUES (
    %(delivery_id)s, %(webhook)s, %(code)s, %(message)s, %(dialect)s, %(identity)s, %(source_id)s, %(digest)s,
    %(resend_of)s, %(address)s, %(payload)s
)
ON CONFLICT DO NOTHING

-- name: refuse
-- The delivery was understood, but its signal was refused, for example because its id was used for another signal.
UPDATE delivery
SET code = %(code)s,
    message = %(message)s
WHERE delivery_id = %(delivery_id)s

-- name: count_unauthenticated
INSERT INTO delivery (delivery_id, webhook, code, message, address, payload, minute, times)
VALUES (
    %(delivery_id)s, %(webhook)s, %(code)s, %(message)s, %(address)s, %(payload)s,
    date_trunc('minute', clock_timestamp()), %(times)s
)
ON CONFLICT (webhook, code, minute) WHERE minute IS NOT NULL DO UPDATE
SET times = delivery.times + excluded.times,
    at = clock_timestamp(),
    message = excluded.message,
    address = excluded.address

-- name: forget
-- Delete all refused deliveries except the newest *keep*.
DELETE FROM delivery
WHERE code IS NOT NULL
    AND seq <= (
        SELECT seq
        FROM delivery
        WHERE code IS NOT NULL
        ORDER BY seq DESC
        OFFSET %(keep)s
        LIMIT 1
    )

-- name: list
-- Newest first. A delivery without a code and without a signal was understood, but the commit of its signal failed, and
-- the sender was asked to send it again.
SELECT d.*, s.signal_id
FROM delivery AS d
LEFT JOIN signal AS s ON d.code IS NULL AND s.source = d.webhook AND s.source_id = d.source_id
WHERE (%(before)s::bigint IS NULL OR d.seq < %(before)s)
    AND (NOT %(refused)s OR d.code IS NOT NULL)
    AND (%(webhook)s::text IS NULL OR d.webhook = %(webhook)s)
    AND (%(since)s::timestamptz IS NULL OR d.at >= %(since)s)
ORDER BY d.seq DESC
LIMIT %(limit)s

-- name: of_signal
SELECT d.*, %(signal_id)s::uuid AS signal_id
FROM delivery AS d
WHERE d.webhook = %(source)s
    AND d.source_id = %(source_id)s
    AND d.code IS NULL
ORDER BY d.seq
LIMIT 20
