-- Settings that a person accepted for real money, and executors that a person let go.

-- What a live executor was allowed, the newest last; by account number, so that a new name loosens nothing.
CREATE TABLE accepted_settings (
    acceptance_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_number text NOT NULL,
    executor_id text NOT NULL,
    settings_hash text NOT NULL,
    body jsonb NOT NULL,
    accepted_by text NOT NULL,
    accepted_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX accepted_settings_newest ON accepted_settings (account_number, acceptance_id DESC);

-- An executor that left the file with open work or positions, and the word of the person who let it go.
CREATE TABLE forgotten_executor (
    executor_id text NOT NULL,
    forgotten_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    forgotten_by text NOT NULL,
    why text NOT NULL,
    -- What was not closed: it is the person's from then on.
    left_over json NOT NULL,
    -- It came back into the file: what it leaves from then on counts anew.
    back_at timestamptz,
    PRIMARY KEY (executor_id, forgotten_at)
);
