-- What the watch of equity keeps beyond figures: which transfers are in them, what was said, and who corrected them.

ALTER TABLE account_watch
    -- The peak when the broker was last asked for transfers: a deposit since then may be in `peak_equity` already.
    ADD COLUMN settled_peak numeric NOT NULL,
    -- NULL: never. `transfers_through` then says from when on they count.
    ADD COLUMN transfers_asked_at timestamptz,
    -- Limits that are reached and have halted the account for it: a person who resumes is not halted again at once.
    ADD COLUMN breached text[] NOT NULL DEFAULT '{}';
ALTER TABLE account_day
    -- The moment that the figures of the start are of.
    ADD COLUMN as_of timestamptz NOT NULL,
    -- Limits of which seven tenths were reached on this day.
    ADD COLUMN warned text[] NOT NULL DEFAULT '{}';

-- A person's correction of what losses are counted from.
CREATE TABLE baseline_correction (
    correction_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    holder text NOT NULL,
    figure text NOT NULL CHECK (figure IN ('day_start_equity', 'day_start_balance', 'peak_equity')),
    was numeric NOT NULL,
    became numeric NOT NULL,
    made_by text NOT NULL,
    why text NOT NULL
);
CREATE INDEX baseline_correction_holder ON baseline_correction (holder, correction_id);
