-- name: take
SELECT granted, wait, spent, refusals, closed
FROM take_requests(%(holder)s, %(wanted)s, %(ceiling)s, %(urgent)s)

-- name: close
-- The broker has refused a request because of the account's rate. Hold the requests for 1, 2, 4 … 60 s, or for as long
-- as the broker asks. A refusal during a hold (the request was on its way) lengthens it only if the broker asks.
INSERT INTO request_budget AS b (holder, closed_until, refusals)
VALUES (%(holder)s, clock_timestamp() + coalesce(%(asked)s::interval, interval '1 second'), 1)
ON CONFLICT (holder) DO UPDATE
SET closed_until = CASE
        WHEN b.closed_until > clock_timestamp() THEN greatest(b.closed_until, clock_timestamp() + %(asked)s::interval)
        ELSE clock_timestamp()
            + coalesce(%(asked)s::interval, least(interval '1 second' * 2 ^ least(b.refusals, 6), interval '60 seconds'))
    END,
    refusals = b.refusals + CASE WHEN b.closed_until > clock_timestamp() THEN 0 ELSE 1 END
RETURNING refusals, closed_until - clock_timestamp() AS wait

-- name: reopen
-- The broker answers again, after the hold.
UPDATE request_budget
SET closed_until = NULL,
    refusals = 0
WHERE holder = %(holder)s
    AND refusals > 0
    AND closed_until <= clock_timestamp()
RETURNING holder

-- name: move
SELECT move_requests(%(old)s, %(new)s)

-- name: asset
-- The reading of an asset if it is younger than *kept*; for a symbol that the broker did not know, younger than
-- *unknown_kept*, since the symbol may be listed on any day.
SELECT body, read_at + CASE WHEN body IS NULL THEN %(unknown_kept)s::interval ELSE %(kept)s::interval END
    - clock_timestamp() AS kept_for
FROM asset
WHERE broker = %(broker)s
    AND symbol = %(symbol)s
    AND read_at > clock_timestamp() - CASE WHEN body IS NULL THEN %(unknown_kept)s::interval ELSE %(kept)s::interval END

-- name: save_asset
INSERT INTO asset AS a (broker, symbol, body, read_at)
VALUES (%(broker)s, %(symbol)s, %(body)s, clock_timestamp())
ON CONFLICT (broker, symbol) DO UPDATE
SET body = excluded.body,
    read_at = excluded.read_at
