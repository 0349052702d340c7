-- Stop orders that protect positions.
ALTER TYPE order_role ADD VALUE 'protection';

-- Without it, finding the stop orders that a person canceled would read all orders since the position was opened.
CREATE INDEX broker_order_canceled_by_person ON broker_order (executor_id, symbol) WHERE cancel_requested_at IS NOT NULL;
