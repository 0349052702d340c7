-- name: turn_on
-- The first turn keeps its figures, its name and its time. A person may say why anew. The wish to close everything
-- changes it: a person's each time, a limit's once per halt.
WITH held AS (
    INSERT INTO switch AS s (switch_id, holder, kind, cause, facts, flatten, set_by, why)
    VALUES (%(switch_id)s, %(holder)s, %(kind)s, %(cause)s, %(facts)s, %(flatten)s, %(by)s, %(why)s)
    ON CONFLICT (holder, kind, cause) DO UPDATE
    SET switch_id = CASE WHEN excluded.flatten AND NOT s.flatten THEN excluded.switch_id ELSE s.switch_id END,
        flattened_at = CASE WHEN NOT excluded.flatten THEN s.flattened_at END,
        flatten = s.flatten OR excluded.flatten,
        why = coalesce(excluded.why, s.why)
    WHERE (excluded.flatten AND NOT s.flatten AND (s.flattened_at IS NULL OR s.cause = 'person'))
        OR (s.cause = 'person' AND excluded.why <> coalesce(s.why, ''))
    RETURNING s.*, xmax = 0 AS new
)
INSERT INTO switch_history (holder, kind, cause, turned, facts, flatten, moved_by, why)
SELECT holder, kind, cause, CASE WHEN new THEN 'on' ELSE 'changed' END, facts, flatten, %(by)s, %(why)s
FROM held
RETURNING turned

-- name: turn_off
WITH gone AS (
    DELETE FROM switch
    WHERE holder = ANY(%(holders)s)
        AND (%(kinds)s::text[] IS NULL OR kind = ANY(%(kinds)s))
        AND (%(causes)s::text[] IS NULL OR cause = ANY(%(causes)s))
    RETURNING *
), told AS (
    INSERT INTO switch_history (holder, kind, cause, turned, facts, flatten, moved_by, why)
    SELECT holder, kind, cause, 'off', facts, flatten, %(by)s, %(why)s
    FROM gone
)
SELECT kind, cause, facts, flatten, set_by, why, set_at
FROM gone
ORDER BY set_at

-- name: adopt
-- The number of an executor's account is known: what was turned under its name before is the account's.
WITH moved AS (
    DELETE FROM switch
    WHERE holder = %(provisional)s
    RETURNING *
), told AS (
    UPDATE switch_history
    SET holder = %(account_number)s
    WHERE holder = %(provisional)s
)
INSERT INTO switch AS s (switch_id, holder, kind, cause, facts, flatten, set_by, why, set_at, flattened_at)
SELECT switch_id, %(account_number)s, kind, cause, facts, flatten, set_by, why, set_at, flattened_at
FROM moved
ON CONFLICT (holder, kind, cause) DO UPDATE
SET flatten = s.flatten OR excluded.flatten

-- name: release_paused
-- Nobody pauses any more, or somebody stops for good: what was held for the pause is judged anew at once.
UPDATE execution
SET due_at = clock_timestamp()
WHERE executor_id = %(executor_id)s
    AND state = 'held'
    AND reason_code = ANY(%(reason_codes)s)
RETURNING execution_id
