-- name: memory_for_counts
-- Enough memory, in this transaction, to join a hundred thousand rows without the disk.
SELECT set_config('work_mem', '32MB', true)

-- name: outcomes
-- One pass over the executions of a window: counts by outcome, by slot of time and by the time to the order id.
-- *step* is the number of *bounds* (in milliseconds) that the time from recording to the order id exceeds.
SELECT date_bin(%(slot)s, e.created_at, %(since)s) AS slot, e.executor_id, e.mode, e.state, e.reason_code,
    width_bucket(
        (extract(epoch FROM o.accepted_at - e.created_at) * 1000)::double precision,
        %(bounds)s::double precision[]
    ) AS step,
    count(*) AS count, count(o.order_id) AS with_order
FROM execution AS e
LEFT JOIN broker_order AS o ON o.execution_id = e.execution_id AND o.generation = e.generation
WHERE e.created_at >= %(since)s
GROUP BY 1, 2, 3, 4, 5, 6
