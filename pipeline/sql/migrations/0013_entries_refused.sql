-- The broker refuses every order that would open a position, and accepts the account otherwise. One entry a minute is
-- sent as a probe.
CREATE TABLE entries_refusal (
    executor_id text PRIMARY KEY,
    since timestamptz NOT NULL DEFAULT now(),
    probe_at timestamptz NOT NULL,
    message text NOT NULL
);

-- How often the broker accepted a request to cancel the order, which then stayed open. The pauses between them grow.
ALTER TABLE broker_order ADD COLUMN cancels_accepted integer NOT NULL DEFAULT 0;
