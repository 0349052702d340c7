-- What a switch needs beyond standing: which flattening it is, when that was done, and what was done without the record.

-- When everything was closed as this switch asked; another wish to close everything begins anew.
ALTER TABLE switch ADD COLUMN flattened_at timestamptz;

-- Files of orders that were sent while the record was away, and brought into it later.
CREATE TABLE journal_import (
    file text PRIMARY KEY,
    executor_id text NOT NULL,
    orders integer NOT NULL,
    imported_by text NOT NULL,
    imported_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
