-- What a reconcile found between the record and an account at its broker. It takes the place of the audit of open orders.

CREATE TABLE finding (
    finding_id uuid PRIMARY KEY,
    account_number text NOT NULL,
    executor_id text NOT NULL,
    kind text NOT NULL,
    symbol text NOT NULL,
    -- The broker's id; empty for a position.
    order_id text NOT NULL DEFAULT '',
    state text NOT NULL CHECK (state IN ('suspected', 'open', 'healed', 'adopted')),
    facts json NOT NULL,
    -- When the account was read that showed it first and last.
    first_seen timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_seen timestamptz NOT NULL DEFAULT clock_timestamp(),
    closed_at timestamptz,
    closed_by text,
    closed_why text,
    CHECK ((state IN ('healed', 'adopted')) = (closed_at IS NOT NULL))
);
CREATE UNIQUE INDEX finding_current ON finding (account_number, symbol, kind, order_id) WHERE closed_at IS NULL;
CREATE INDEX finding_adopted ON finding (account_number, symbol) WHERE state = 'adopted';
CREATE INDEX finding_closed ON finding (closed_at) WHERE closed_at IS NOT NULL;

-- The last completed reconcile of each account.
CREATE TABLE reconciliation (
    account_number text PRIMARY KEY,
    executor_id text NOT NULL,
    -- Taken before the broker was read.
    read_at timestamptz NOT NULL,
    -- The symbols in which an order of ours could not be read; the others were compared.
    unread_symbols text[] NOT NULL DEFAULT '{}',
    completed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

DROP TABLE open_order_audit;
-- No process looks for stray orders any more, so none would end these alerts. Findings take their place.
UPDATE alert
SET over_at = clock_timestamp(),
    over_in = opened_in
WHERE kind = 'stray_order'
    AND over_at IS NULL;
