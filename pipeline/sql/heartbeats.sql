-- name: beat
INSERT INTO heartbeat (process_id, kind, name, host, pid, healthy, facts)
VALUES (%(process_id)s, %(kind)s, %(name)s, %(host)s, %(pid)s, %(healthy)s, %(facts)s)
ON CONFLICT (process_id) DO UPDATE
SET beat_at = clock_timestamp(),
    healthy = excluded.healthy,
    facts = excluded.facts

-- name: end
DELETE FROM heartbeat
WHERE process_id = %(process_id)s

-- name: living
SELECT *, clock_timestamp() - beat_at AS silent, clock_timestamp() - started_at AS runs_for
FROM heartbeat
WHERE beat_at > clock_timestamp() - %(within)s
ORDER BY kind, name, started_at

-- name: forget
-- Delete the rows of processes that were killed.
DELETE FROM heartbeat
WHERE beat_at < clock_timestamp() - interval '1 hour'
