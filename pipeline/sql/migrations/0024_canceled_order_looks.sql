-- A canceled order is looked at until it is known what became of it, and its cancel is asked for again, both with growing
-- pauses.
ALTER TABLE canceled_order
    -- How often an exit has found it open.
    ADD COLUMN seen_open integer NOT NULL DEFAULT 1,
    -- How often it was looked at since its cancel was last asked for, and the time of the next look.
    ADD COLUMN looks integer NOT NULL DEFAULT 0,
    ADD COLUMN due_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Since when readings show less to protect than the order did. One such reading may lag behind a fill or a cancel.
    ADD COLUMN short_at timestamptz;

-- A REVERSE whose position others have closed, of which only the other half is left.
CREATE INDEX execution_reverse_without_position ON execution (executor_id, ended_at)
WHERE action = 'REVERSE' AND state = 'skipped' AND reason_code = 'no_position';
