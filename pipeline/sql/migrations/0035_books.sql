-- The books are computed from the fills, by `pipeline/accounts/books`: a row of fill_change asks for that. They can be
-- deleted and computed again at any time, and therefore refer to no other table.

-- The part of one fill that is still open.
CREATE TABLE lot (
    account_number text NOT NULL,
    fill_id text NOT NULL,
    executor_id text NOT NULL,
    mode executor_mode NOT NULL,
    symbol text NOT NULL,
    strategy text NOT NULL,
    execution_id uuid NOT NULL,
    -- Signed: below zero is short.
    quantity numeric NOT NULL CHECK (quantity <> 0),
    -- NULL: the broker gave none.
    price numeric,
    opened_at timestamptz NOT NULL,
    -- Since when the strategy has held the symbol without a break.
    held_since timestamptz NOT NULL,
    PRIMARY KEY (account_number, fill_id)
);
CREATE INDEX lot_symbol ON lot (account_number, symbol);

-- The part of one entry that one exit closed.
CREATE TABLE trade (
    account_number text NOT NULL,
    -- Made from the ids of both executions, so it stays the same.
    trade_id uuid NOT NULL,
    executor_id text NOT NULL,
    mode executor_mode NOT NULL,
    symbol text NOT NULL,
    strategy text NOT NULL,
    -- The entry's. It and the next one are NULL if we do not know who opened what the exit closed.
    signal_id uuid,
    entry_execution_id uuid,
    exit_execution_id uuid NOT NULL,
    -- Signed: below zero is short.
    quantity numeric NOT NULL,
    entry_price numeric,
    exit_price numeric,
    fees numeric NOT NULL,
    -- Before fees. NULL: a price is not known.
    realised numeric,
    opened_at timestamptz,
    closed_at timestamptz NOT NULL,
    exit_reason text NOT NULL,
    PRIMARY KEY (account_number, trade_id)
);
CREATE INDEX trade_symbol ON trade (account_number, symbol, closed_at);
CREATE INDEX trade_exit ON trade (exit_execution_id);
CREATE INDEX trade_closed ON trade (closed_at, trade_id);

-- The time of the newest fill in the books of a symbol.
CREATE TABLE book (
    account_number text NOT NULL,
    symbol text NOT NULL,
    through timestamptz NOT NULL,
    PRIMARY KEY (account_number, symbol)
);
-- Times after which no lot of the symbol was open until the next fill: the books can be computed again from there.
CREATE TABLE book_flat (
    account_number text NOT NULL,
    symbol text NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (account_number, symbol, at)
);
