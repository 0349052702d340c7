-- The process that reads an account at its broker now, for as long as others wait for its reading.
CREATE TABLE account_reading (
    executor_id text PRIMARY KEY,
    until timestamptz NOT NULL
);
