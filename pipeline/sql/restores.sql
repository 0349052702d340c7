-- name: note
INSERT INTO record_restore (restored_by, file_name)
VALUES (%(by)s, %(file_name)s)

-- name: not_compared
-- The last restore, and the executors whose account was not reconciled since. No row if there was no restore.
SELECT r.restored_at, r.restored_by, r.file_name,
    ARRAY(
        SELECT e.executor_id
        FROM unnest(%(executor_ids)s::text[]) AS e (executor_id)
        WHERE NOT EXISTS (
            SELECT
            FROM reconciliation AS c
            WHERE c.executor_id = e.executor_id
                AND c.read_at > r.restored_at
        )
        ORDER BY e.executor_id
    ) AS executor_ids
FROM record_restore AS r
ORDER BY r.restored_at DESC
LIMIT 1
