-- What the rules stand on: holdings per strategy, switches, the account's days and peak, clocks, settings.
-- A *holder* is a broker account's number, or `executor:<id>` while nobody has read the number yet.

ALTER TABLE signal ADD COLUMN volatility_percent numeric CHECK (volatility_percent > 0);

-- The settings that an execution was decided under.
ALTER TABLE execution ADD COLUMN settings_hash text;
CREATE TABLE executor_settings (
    settings_hash text PRIMARY KEY,
    executor_id text NOT NULL,
    body jsonb NOT NULL,
    first_seen_at timestamptz NOT NULL DEFAULT now()
);

ALTER TABLE broker_order
    ADD COLUMN strategy text NOT NULL DEFAULT '',
    ADD COLUMN stop_price numeric,
    -- What the position risks down to the stop, in the account's currency, when it was sized.
    ADD COLUMN risk numeric NOT NULL DEFAULT 0,
    -- When we last heard of a fill.
    ADD COLUMN filled_at timestamptz,
    -- An exit that somebody still has to look at when it ends: is the position closed, and what comes next?
    ADD COLUMN follow_up boolean NOT NULL DEFAULT false;
CREATE INDEX broker_order_follow_up ON broker_order (executor_id) WHERE follow_up;
UPDATE broker_order AS o SET strategy = coalesce(s.strategy, ''), stop_price = s.stop_price,
    filled_at = CASE WHEN o.filled_quantity > 0 THEN coalesce(o.ended_at, o.polled_at) END
FROM execution AS e JOIN signal AS s USING (signal_id) WHERE e.execution_id = o.execution_id;
CREATE INDEX broker_order_idea ON broker_order (executor_id, symbol, side, intended_at) WHERE role = 'entry';

-- What each strategy's executions have filled and not closed: signed, below zero is short. Kept by trigger.
CREATE TABLE holding (
    account_number text NOT NULL,
    symbol text NOT NULL,
    strategy text NOT NULL,
    quantity numeric NOT NULL,
    -- Entries that the position is built from.
    entries integer NOT NULL DEFAULT 0,
    opened_at timestamptz,
    stop_price numeric,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (account_number, symbol, strategy)
);

CREATE FUNCTION broker_order_filled() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before numeric := CASE TG_OP WHEN 'UPDATE' THEN OLD.filled_quantity ELSE 0 END;
    change numeric := (NEW.filled_quantity - before) * CASE NEW.side WHEN 'buy' THEN 1 ELSE -1 END;
    begins integer := CASE WHEN NEW.role = 'entry' AND before = 0 THEN 1 ELSE 0 END;
BEGIN
    INSERT INTO holding AS h (account_number, symbol, strategy, quantity, entries, opened_at, stop_price)
    VALUES (NEW.account_number, NEW.symbol, NEW.strategy, change, begins, clock_timestamp(), NEW.stop_price)
    ON CONFLICT (account_number, symbol, strategy) DO UPDATE
    SET quantity = h.quantity + change,
        entries = CASE WHEN h.quantity + change = 0 THEN 0 ELSE h.entries + begins END,
        opened_at = CASE
            WHEN h.quantity + change = 0 THEN NULL
            ELSE coalesce(h.opened_at, clock_timestamp())
        END,
        stop_price = CASE
            WHEN h.quantity + change = 0 THEN NULL
            WHEN begins = 1 THEN NEW.stop_price
            ELSE h.stop_price
        END,
        changed_at = clock_timestamp();
    RETURN NULL;
END $$;
CREATE TRIGGER broker_order_filled AFTER UPDATE OF filled_quantity ON broker_order
    FOR EACH ROW WHEN (NEW.filled_quantity IS DISTINCT FROM OLD.filled_quantity)
    EXECUTE FUNCTION broker_order_filled();
CREATE TRIGGER broker_order_born_filled AFTER INSERT ON broker_order
    FOR EACH ROW WHEN (NEW.filled_quantity > 0) EXECUTE FUNCTION broker_order_filled();

INSERT INTO holding (account_number, symbol, strategy, quantity, entries, opened_at)
SELECT account_number, symbol, strategy, sum(CASE side WHEN 'buy' THEN filled_quantity ELSE -filled_quantity END),
    count(*) FILTER (WHERE role = 'entry'), min(filled_at)
FROM broker_order WHERE filled_quantity > 0 GROUP BY account_number, symbol, strategy;

-- Who stopped what, and why. Several causes may hold one switch; it is off when the last row is gone.
CREATE TABLE switch (
    switch_id uuid NOT NULL UNIQUE,
    holder text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('paused', 'reducing', 'halted')),
    -- person, daily_loss, drawdown, unreadable
    cause text NOT NULL,
    facts json NOT NULL DEFAULT '{}',
    -- Close everything, and again until flat.
    flatten boolean NOT NULL DEFAULT false,
    set_by text NOT NULL,
    why text,
    set_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (holder, kind, cause)
);
CREATE TABLE switch_history (
    history_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    holder text NOT NULL,
    kind text NOT NULL,
    cause text NOT NULL,
    turned text NOT NULL CHECK (turned IN ('on', 'changed', 'off')),
    facts json NOT NULL,
    flatten boolean NOT NULL,
    moved_by text NOT NULL,
    why text
);
CREATE INDEX switch_history_holder ON switch_history (holder, history_id);

-- The account's equity as the keeper watches it, by account number so that a renamed executor sheds nothing.
CREATE TABLE account_watch (
    holder text PRIMARY KEY,
    executor_id text NOT NULL,
    equity numeric NOT NULL,
    -- Equity without unrealised profit.
    balance numeric NOT NULL,
    read_at timestamptz NOT NULL,
    unreadable_since timestamptz,
    day date NOT NULL,
    peak_equity numeric NOT NULL,
    -- Deposits and withdrawals up to here are in the figures.
    transfers_through timestamptz NOT NULL,
    transfer_ids text[] NOT NULL DEFAULT '{}'
);
CREATE TABLE account_day (
    holder text NOT NULL,
    day date NOT NULL,
    started_at timestamptz NOT NULL,
    -- After deposits and withdrawals of the day.
    start_equity numeric NOT NULL,
    start_balance numeric NOT NULL,
    -- broker (its last_equity), typed (by a person) or watched.
    start_from text NOT NULL CHECK (start_from IN ('broker', 'typed', 'watched')),
    last_equity numeric NOT NULL,
    PRIMARY KEY (holder, day)
);

-- The broker's clock, read with the account; NULL when it could not be read.
ALTER TABLE account_snapshot ADD COLUMN clock jsonb;
-- The broker's calendar: regular sessions.
CREATE TABLE market_day (
    calendar text NOT NULL,
    day date NOT NULL,
    opens_at timestamptz NOT NULL,
    closes_at timestamptz NOT NULL,
    read_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (calendar, day)
);
CREATE INDEX broker_order_filled ON broker_order (executor_id, filled_at) WHERE filled_at IS NOT NULL;
