-- The requests that an account's processes may still make, and what the broker said of symbols.

-- One row per holder (see 0002). Requests are counted in slots of one second: a slot counts until 62 s after its second
-- is over, since a request goes out at most two seconds after it was paid for. So no 60 s ever see more than the limit.
CREATE TABLE request_budget (
    holder text PRIMARY KEY,
    -- The slot of second s is s % 63 + 1.
    slots integer[] NOT NULL DEFAULT array_fill(0, ARRAY[63]),
    -- The youngest second that has a slot.
    second bigint NOT NULL DEFAULT 0,
    -- The broker has refused for its rate: what is not urgent waits until then.
    closed_until timestamptz,
    -- How often it did so in a row; the hold grows with it.
    refusals integer NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

-- Take up to *wanted* requests while the account's window holds fewer than *ceiling*. None granted: *wait* says when
-- there is room. *spent* is what the window holds now. Without a ceiling nothing is counted, and no row is needed.
CREATE FUNCTION take_requests(
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
        INSERT INTO request_budget (holder)
        SELECT whose WHERE NOT EXISTS (SELECT FROM request_budget WHERE holder = whose)
        ON CONFLICT DO NOTHING;
        SELECT * INTO b FROM request_budget WHERE holder = whose FOR NO KEY UPDATE;
    END IF;
    -- The clock is read under the lock: whoever comes later counts in the same second or a later one.
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

-- The account's number is known now: what was spent under the provisional name counts for it.
CREATE FUNCTION move_requests(old_holder text, new_holder text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    b request_budget;
BEGIN
    DELETE FROM request_budget WHERE holder = old_holder RETURNING * INTO b;
    IF b IS NULL OR b.holder IS NULL THEN
        RETURN;
    END IF;
    INSERT INTO request_budget (holder, slots, second, closed_until, refusals)
    VALUES (new_holder, b.slots, b.second, b.closed_until, b.refusals)
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        PERFORM take_requests(new_holder, (SELECT sum(n) FROM unnest(b.slots) AS n)::integer, 2147483647, true);
    END IF;
END $$;

-- What a broker said of a symbol, for all processes; no body: it does not know the symbol.
CREATE TABLE asset (
    broker text NOT NULL,
    symbol text NOT NULL,
    body jsonb,
    read_at timestamptz NOT NULL,
    PRIMARY KEY (broker, symbol)
);

-- When we last asked for this one order alone.
ALTER TABLE broker_order ADD COLUMN asked_at timestamptz;
-- Orders that the broker may have without our knowing: few, among millions that ended.
CREATE INDEX broker_order_unheard ON broker_order (executor_id, intended_at) WHERE order_id IS NULL AND may_exist;
