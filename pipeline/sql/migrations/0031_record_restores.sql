-- When the record was restored from a backup: it lacks what happened since, until each account was compared.
CREATE TABLE record_restore (
    restore_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    restored_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    restored_by text NOT NULL,
    file_name text NOT NULL
);
