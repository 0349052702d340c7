-- What the keeper finds when it compares the open orders at the broker with the record, and what helps it to look for
-- orders that may exist there without our knowing.

CREATE TABLE open_order_audit (
    executor_id text PRIMARY KEY,
    read_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Open orders with an id of tradewire's that the record does not know.
    strays jsonb NOT NULL
);
-- Few executions get a second order.
CREATE INDEX execution_requeued ON execution (execution_id)
    WHERE generation > 1;
CREATE INDEX broker_order_unconfirmed ON broker_order (executor_id, asked_at)
    WHERE order_id IS NULL AND may_exist;
