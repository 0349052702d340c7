-- Absence is measured between two times of this clock. The sum of planned pauses was no proof of elapsed time.
ALTER TABLE execution
    DROP COLUMN absent_for,
    -- The first of the look-ups in a row that found no order, since the last send or requeue.
    ADD COLUMN absent_since timestamptz;
