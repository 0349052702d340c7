-- Orders at the broker that stood in the way of an exit and that were canceled for it. One that protected the position is
-- placed again for what remains of the position.
CREATE TABLE canceled_order (
    order_id text PRIMARY KEY,
    client_order_id text NOT NULL,
    executor_id text NOT NULL,
    symbol text NOT NULL,
    side text NOT NULL CHECK (side IN ('buy', 'sell')),
    quantity numeric,
    -- Its type, prices and time in force, in the broker's words.
    terms jsonb NOT NULL,
    -- The exit for which it was canceled.
    execution_id uuid NOT NULL REFERENCES execution,
    first_asked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    asked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- What became of it; NULL: not known yet.
    outcome text,
    restored_quantity numeric,
    message text,
    settled_at timestamptz
);
CREATE INDEX canceled_order_unsettled ON canceled_order (executor_id) WHERE settled_at IS NULL;
CREATE INDEX canceled_order_recent ON canceled_order (first_asked_at);

-- What an exit had to leave out of its order: *rest* is closed by a further exit, *dust* is never taken by the broker.
ALTER TABLE broker_order ADD COLUMN rest numeric NOT NULL DEFAULT 0;
ALTER TABLE broker_order ADD COLUMN dust numeric NOT NULL DEFAULT 0;
CREATE INDEX execution_dust ON execution (ended_at) WHERE reason_code = 'dust';
