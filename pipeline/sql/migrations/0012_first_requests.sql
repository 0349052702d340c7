-- take_requests as in 0003, and it no longer fails when another process learns the account's number at the same time:
-- then the row of the provisional holder was gone, and the execution became a dead letter.

-- Take up to *wanted* requests while the account's window holds fewer than *ceiling*. None granted: *wait* says when
-- there is room. *spent* is what the window holds now. Without a ceiling nothing is counted, and no row is needed.
CREATE OR REPLACE FUNCTION take_requests(
    whose text, wanted integer, ceiling integer, urgent boolean,
    OUT granted integer, OUT wait interval, OUT spent integer, OUT refusals integer, OUT closed boolean
) LANGUAGE plpgsql AS $$
DECLARE
    b request_budget;
    span integer;
    at timestamptz;
    this_second bigint;
    in_the_way integer;
BEGIN
    granted := wanted; wait := '0'; spent := 0; refusals := 0; closed := false;
    IF ceiling IS NULL AND urgent THEN
        RETURN;
    END IF;
    IF ceiling IS NULL THEN
        SELECT * INTO b FROM request_budget WHERE holder = whose;
    ELSE
        -- move_requests may delete the row before it is locked here: then it is inserted again.
        LOOP
            INSERT INTO request_budget (holder)
            SELECT whose WHERE NOT EXISTS (SELECT FROM request_budget WHERE holder = whose)
            ON CONFLICT DO NOTHING;
            SELECT * INTO b FROM request_budget WHERE holder = whose FOR NO KEY UPDATE;
            EXIT WHEN FOUND;
        END LOOP;
    END IF;
    -- The clock is read under the lock, so a later caller counts in the same second or in a later one.
    at := clock_timestamp();
    refusals := coalesce(b.refusals, 0);
    closed := coalesce(b.closed_until > at, false);
    IF closed AND NOT urgent THEN
        granted := 0; wait := b.closed_until - at;
        RETURN;
    ELSIF ceiling IS NULL THEN
        RETURN;
    END IF;

    span := cardinality(b.slots);
    this_second := floor(extract(epoch FROM at));
    spent := (SELECT sum(n) FROM unnest(b.slots) AS n);
    IF this_second >= b.second + span THEN
        b.slots := array_fill(0, ARRAY[span]); spent := 0;
    ELSIF this_second < b.second - span THEN
        -- The clock was set back: all that was counted counts from now.
        b.slots := array_fill(0, ARRAY[span]); b.slots[this_second % span + 1] := spent;
    ELSE
        this_second := greatest(this_second, b.second);
        FOR old IN b.second + 1 .. this_second LOOP
            spent := spent - b.slots[old % span + 1];
            b.slots[old % span + 1] := 0;
        END LOOP;
    END IF;

    granted := greatest(0, least(wanted, ceiling - spent));
    IF granted > 0 THEN
        b.slots[this_second % span + 1] := b.slots[this_second % span + 1] + granted;
        spent := spent + granted;
        UPDATE request_budget SET slots = b.slots, second = this_second WHERE holder = whose;
        RETURN;
    END IF;
    in_the_way := spent + 1 - ceiling;
    FOR old IN this_second - span + 1 .. this_second LOOP
        in_the_way := in_the_way - b.slots[old % span + 1];
        wait := to_timestamp(old + span) - at;
        EXIT WHEN in_the_way <= 0;
    END LOOP;
END $$;
