-- A person's request to cancel an order. The keeper sends it until the order has ended.
ALTER TABLE broker_order
    ADD COLUMN cancel_requested_at timestamptz,
    ADD COLUMN cancel_requested_by text,
    ADD COLUMN cancel_requested_why text;
CREATE INDEX broker_order_cancel_requested ON broker_order (executor_id)
WHERE cancel_requested_at IS NOT NULL AND ended_at IS NULL;
