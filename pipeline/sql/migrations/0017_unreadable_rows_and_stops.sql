-- Rows of the broker's lists that tradewire cannot read: they hide no other row, and a person has to know of them.

-- The names of the positions that the last reading of the account could not read. Entries wait while there is one.
ALTER TABLE account_snapshot ADD COLUMN unreadable jsonb NOT NULL DEFAULT '[]';

CREATE TABLE unreadable_order (
    executor_id text NOT NULL,
    -- The broker's id.
    order_id text NOT NULL,
    why text NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (executor_id, order_id)
);

-- A stop that was canceled so that its position can be closed. When the close is not accepted, an equal one is placed.
CREATE TABLE canceled_stop (
    executor_id text NOT NULL,
    -- The broker's id of the stop.
    order_id text NOT NULL,
    symbol text NOT NULL,
    -- The equal stop, as it is sent.
    request jsonb NOT NULL,
    asked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    settled_at timestamptz,
    -- closed, gone, kept, restored or refused.
    ending text,
    PRIMARY KEY (executor_id, order_id)
);
CREATE INDEX canceled_stop_open ON canceled_stop (executor_id) WHERE settled_at IS NULL;
