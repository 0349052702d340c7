-- One row per fill that the broker reported. What its report of an order says is filled, and no such fill explains, is
-- one more row, with source 'order', which triggers keep. So the rows of an order that are not voided always add up to
-- its filled quantity.
CREATE TABLE fill (
    account_number text NOT NULL,
    -- The broker's id of the fill; `order:<client_order_id>` for source 'order'.
    fill_id text NOT NULL,
    execution_id uuid NOT NULL,
    generation integer NOT NULL,
    executor_id text NOT NULL,
    symbol text NOT NULL,
    side text NOT NULL CHECK (side IN ('buy', 'sell')),
    quantity numeric NOT NULL CHECK (quantity > 0),
    -- NULL: the broker reported no average price of the order.
    price numeric CHECK (price > 0 AND (price IS NOT NULL OR source = 'order')),
    -- The order's filled quantity after this fill.
    cumulative_quantity numeric,
    -- The broker's time; for source 'order' the record's.
    filled_at timestamptz NOT NULL,
    -- The broker's list of activities, its stream of trade updates, or its report of the order.
    source text NOT NULL CHECK (source IN ('activity', 'stream', 'order')),
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- When the broker took the fill back.
    voided_at timestamptz,
    -- The fill that the broker reported in its place, with another price or quantity; NULL: none, it was taken back.
    corrected_by text
);

-- Orders of earlier releases: all that is known of their fills is one quantity and one average price.
INSERT INTO fill (
    account_number, fill_id, execution_id, generation, executor_id, symbol, side, quantity, price, filled_at, source,
    recorded_at
)
SELECT account_number, 'order:' || client_order_id, execution_id, generation, executor_id, symbol, side, filled_quantity,
    CASE WHEN filled_average_price > 0 THEN filled_average_price END,
    coalesce(filled_at, ended_at, accepted_at, intended_at), 'order',
    coalesce(filled_at, ended_at, accepted_at, intended_at)
FROM broker_order
WHERE filled_quantity > 0;

-- A constraint that is added to a full table is checked at once, which is faster than row by row.
ALTER TABLE fill
    ADD PRIMARY KEY (account_number, fill_id),
    ADD FOREIGN KEY (execution_id, generation) REFERENCES broker_order;
CREATE INDEX fill_order ON fill (execution_id, generation);
CREATE INDEX fill_symbol ON fill (account_number, symbol, filled_at);
-- The fills that the broker's list of activities has not shown, the newest of which are looked for there.
CREATE INDEX fill_unconfirmed ON fill (executor_id, recorded_at) WHERE source <> 'activity' AND voided_at IS NULL;
CREATE INDEX fill_voided ON fill (voided_at) WHERE voided_at IS NOT NULL;

-- Other ids of fills: the list of activities replaced a fill of the stream, whose id must stay known. *known_as* is its
-- id in the list; NULL: which one it is there is not known.
CREATE TABLE fill_alias (
    account_number text NOT NULL,
    fill_id text NOT NULL,
    known_as text,
    PRIMARY KEY (account_number, fill_id)
);

-- Symbols whose fills changed, and the time of the earliest fill that did: what is computed from fills is computed again
-- from there. The process that does so removes the row.
CREATE TABLE fill_change (
    account_number text NOT NULL,
    symbol text NOT NULL,
    since timestamptz NOT NULL,
    PRIMARY KEY (account_number, symbol)
);
INSERT INTO fill_change (account_number, symbol, since)
SELECT account_number, symbol, min(filled_at)
FROM fill
GROUP BY account_number, symbol;

-- The quantity of the fills that the broker took back or corrected. Its report of the order may still contain them, so
-- the average price follows from the fills then. NULL: there are none.
ALTER TABLE broker_order ADD COLUMN busted_quantity numeric;

-- Make an order and its fills agree. Fills can only raise the order's filled quantity. The rest that they do not explain
-- becomes the row with source 'order': its price is such that all rows have the order's average price.
CREATE FUNCTION itemise_order(of_execution uuid, of_generation integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    o broker_order;
    items record;
    rest fill;
    reached numeric;
    unexplained numeric;
    at_rest numeric;
    at_price numeric;
BEGIN
    SELECT * INTO o FROM broker_order WHERE execution_id = of_execution AND generation = of_generation FOR UPDATE;
    SELECT coalesce(sum(quantity), 0) AS quantity, coalesce(sum(quantity * price), 0) AS value,
        sum(quantity * price) / sum(quantity) AS average, max(cumulative_quantity) AS cumulative
    INTO items
    FROM fill
    WHERE execution_id = of_execution AND generation = of_generation AND source <> 'order' AND voided_at IS NULL;
    SELECT * INTO rest FROM fill WHERE account_number = o.account_number AND fill_id = 'order:' || o.client_order_id;
    reached := greatest(o.filled_quantity, items.quantity, items.cumulative - coalesce(o.busted_quantity, 0));
    unexplained := reached - items.quantity;
    IF reached > o.filled_quantity THEN
        -- Until the broker reports an average, fills that were missed count with the average of the known ones.
        at_rest := least(coalesce(rest.quantity, 0), unexplained);
        -- The trigger of this update calls this function again.
        UPDATE broker_order
        SET filled_quantity = reached,
            filled_average_price = trim_scale((items.value + at_rest * coalesce(rest.price, items.average)
                + (unexplained - at_rest) * items.average) / reached),
            filled_at = clock_timestamp(),
            follow_up = follow_up OR (role = 'exit' AND ended_at IS NOT NULL)
        WHERE execution_id = of_execution AND generation = of_generation;
        RETURN;
    END IF;
    IF unexplained = 0 THEN
        DELETE FROM fill WHERE account_number = o.account_number AND fill_id = 'order:' || o.client_order_id;
        -- Brokers round averages, and an average that does so stays as reported. Any other one was a guess of this function.
        UPDATE broker_order
        SET filled_average_price = trim_scale(items.average)
        WHERE execution_id = of_execution AND generation = of_generation
            AND coalesce(abs(filled_average_price - items.average) >= 0.000001, true)
            AND filled_average_price IS DISTINCT FROM items.average;
        RETURN;
    END IF;
    at_price := trim_scale((o.filled_quantity * o.filled_average_price - items.value) / unexplained);
    IF at_price <= 0 THEN
        RAISE WARNING 'the fills of the order % cost more than its average price allows', o.client_order_id
            USING ERRCODE = 'TW001';
        at_price := o.filled_average_price;
    END IF;
    INSERT INTO fill AS f (
        account_number, fill_id, execution_id, generation, executor_id, symbol, side, quantity, price, filled_at, source
    )
    VALUES (
        o.account_number, 'order:' || o.client_order_id, of_execution, of_generation, o.executor_id, o.symbol, o.side,
        unexplained, CASE WHEN at_price > 0 THEN at_price END, coalesce(o.filled_at, clock_timestamp()), 'order'
    )
    ON CONFLICT (account_number, fill_id) DO UPDATE
    SET quantity = excluded.quantity,
        price = excluded.price,
        -- What is left of an older rest keeps its time.
        filled_at = CASE WHEN excluded.quantity > f.quantity THEN excluded.filled_at ELSE f.filled_at END,
        recorded_at = CASE WHEN excluded.quantity > f.quantity THEN clock_timestamp() ELSE f.recorded_at END
    WHERE (f.quantity, f.price) IS DISTINCT FROM (excluded.quantity, excluded.price);
END $$;

CREATE FUNCTION broker_order_itemised() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM itemise_order(NEW.execution_id, NEW.generation);
    RETURN NULL;
END $$;
CREATE TRIGGER broker_order_itemised AFTER UPDATE OF filled_quantity, filled_average_price ON broker_order
    FOR EACH ROW WHEN ((NEW.filled_quantity, NEW.filled_average_price)
        IS DISTINCT FROM (OLD.filled_quantity, OLD.filled_average_price))
    EXECUTE FUNCTION broker_order_itemised();
CREATE TRIGGER broker_order_born_itemised AFTER INSERT ON broker_order
    FOR EACH ROW WHEN (NEW.filled_quantity > 0) EXECUTE FUNCTION broker_order_itemised();

-- A fill changed, so the order follows it: by the quantity of a fill that was taken back, its filled quantity goes down.
-- The symbol is noted last: orders of one symbol lock its holding before its row of fill_change.
CREATE FUNCTION fill_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    changed fill := CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
BEGIN
    IF changed.source <> 'order' AND TG_OP = 'UPDATE' AND OLD.voided_at IS NULL AND NEW.voided_at IS NOT NULL THEN
        UPDATE broker_order
        SET filled_quantity = filled_quantity - OLD.quantity,
            busted_quantity = coalesce(busted_quantity, 0) + OLD.quantity,
            filled_average_price = CASE
                WHEN filled_quantity > OLD.quantity THEN trim_scale(
                    (filled_quantity * filled_average_price - OLD.quantity * OLD.price) / (filled_quantity - OLD.quantity)
                )
            END
        WHERE execution_id = OLD.execution_id AND generation = OLD.generation;
    ELSIF changed.source <> 'order' THEN
        PERFORM itemise_order(changed.execution_id, changed.generation);
    END IF;
    INSERT INTO fill_change AS c (account_number, symbol, since)
    VALUES (
        changed.account_number, changed.symbol,
        CASE TG_OP WHEN 'UPDATE' THEN least(OLD.filled_at, NEW.filled_at) ELSE changed.filled_at END
    )
    ON CONFLICT (account_number, symbol) DO UPDATE
    SET since = least(c.since, excluded.since);
    RETURN NULL;
END $$;
CREATE TRIGGER fill_changed AFTER INSERT OR UPDATE OR DELETE ON fill FOR EACH ROW EXECUTE FUNCTION fill_changed();

-- The part of each strategy's holding that an exit closed, with the holding as it was, so that a fill that is taken back
-- gives it back. *place* is the order in which the strategies were closed.
CREATE TABLE holding_closed (
    execution_id uuid NOT NULL,
    generation integer NOT NULL,
    strategy text NOT NULL,
    place integer NOT NULL,
    quantity numeric NOT NULL,
    entries integer NOT NULL,
    opened_at timestamptz NOT NULL,
    stop_price numeric
);
-- Of exits before this release it is only known whose they were. Fills are taken back within days.
INSERT INTO holding_closed (execution_id, generation, strategy, place, quantity, entries, opened_at)
SELECT execution_id, generation, strategy, 1, coalesce(round(filled_quantity * covers / quantity, 9), filled_quantity), 1,
    intended_at
FROM broker_order
WHERE role = 'exit'
    AND filled_quantity > 0
    AND filled_at > now() - interval '30 days';
ALTER TABLE holding_closed
    ADD PRIMARY KEY (execution_id, generation, strategy),
    ADD FOREIGN KEY (execution_id, generation) REFERENCES broker_order;

CREATE OR REPLACE FUNCTION broker_order_filled() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before numeric := CASE TG_OP WHEN 'UPDATE' THEN OLD.filled_quantity ELSE 0 END;
    closed_before numeric := coalesce(round(before * NEW.covers / NEW.quantity, 9), before);
    closed numeric := coalesce(round(NEW.filled_quantity * NEW.covers / NEW.quantity, 9), NEW.filled_quantity)
        - closed_before;
    change numeric := closed * CASE NEW.side WHEN 'buy' THEN 1 ELSE -1 END;
    -- The number of entries that this fill adds to the position; -1: the order's last fill was taken back.
    begins integer := CASE WHEN before = 0 THEN 1 WHEN NEW.filled_quantity = 0 THEN -1 ELSE 0 END;
    own holding;
    part numeric;
BEGIN
    IF NEW.role = 'entry' THEN
        INSERT INTO holding AS h (account_number, symbol, strategy, quantity, entries, opened_at, stop_price)
        VALUES (NEW.account_number, NEW.symbol, NEW.strategy, change, begins, clock_timestamp(), NEW.stop_price)
        ON CONFLICT (account_number, symbol, strategy) DO UPDATE
        SET quantity = h.quantity + change,
            entries = CASE WHEN h.quantity + change = 0 THEN 0 ELSE greatest(h.entries + begins, 0) END,
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
    END IF;
    IF closed < 0 THEN
        PERFORM give_back(NEW, closed_before, -closed);
        RETURN NULL;
    END IF;
    FOR own IN
        SELECT *
        FROM holding
        WHERE account_number = NEW.account_number
            AND symbol = NEW.symbol
            AND sign(quantity) = -sign(change)
        ORDER BY strategy <> NEW.strategy, opened_at, strategy
        FOR UPDATE
    LOOP
        EXIT WHEN change = 0;
        part := sign(change) * least(abs(change), abs(own.quantity));
        change := change - part;
        UPDATE holding
        SET quantity = own.quantity + part,
            entries = CASE WHEN own.quantity + part = 0 THEN 0 ELSE own.entries END,
            opened_at = CASE WHEN own.quantity + part <> 0 THEN own.opened_at END,
            stop_price = CASE WHEN own.quantity + part <> 0 THEN own.stop_price END,
            changed_at = clock_timestamp()
        WHERE account_number = own.account_number
            AND symbol = own.symbol
            AND strategy = own.strategy;
        INSERT INTO holding_closed AS c (
            execution_id, generation, strategy, place, quantity, entries, opened_at, stop_price
        )
        SELECT NEW.execution_id, NEW.generation, own.strategy, 1 + count(*), abs(part), own.entries,
            coalesce(own.opened_at, clock_timestamp()), own.stop_price
        FROM holding_closed
        WHERE execution_id = NEW.execution_id
            AND generation = NEW.generation
        ON CONFLICT (execution_id, generation, strategy) DO UPDATE
        SET quantity = c.quantity + excluded.quantity;
    END LOOP;
    RETURN NULL;
END $$;

-- An exit has closed by *less* less than *closed_before*: what it closed last is given back first. What no strategy held
-- was closed after all the rest, and is given back to no strategy.
CREATE FUNCTION give_back(o broker_order, closed_before numeric, less numeric) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    taken holding_closed;
    part numeric;
    direction integer := CASE o.side WHEN 'sell' THEN 1 ELSE -1 END;
    due numeric := less - greatest(closed_before - (
        SELECT coalesce(sum(c.quantity), 0)
        FROM holding_closed AS c
        WHERE c.execution_id = o.execution_id AND c.generation = o.generation
    ), 0);
BEGIN
    FOR taken IN
        SELECT *
        FROM holding_closed AS c
        WHERE c.execution_id = o.execution_id AND c.generation = o.generation
        ORDER BY c.place DESC
    LOOP
        EXIT WHEN due <= 0;
        part := least(due, taken.quantity);
        due := due - part;
        UPDATE holding_closed AS c
        SET quantity = c.quantity - part
        WHERE c.execution_id = o.execution_id AND c.generation = o.generation AND c.strategy = taken.strategy;
        INSERT INTO holding AS h (account_number, symbol, strategy, quantity, entries, opened_at, stop_price)
        VALUES (
            o.account_number, o.symbol, taken.strategy, direction * part, taken.entries, taken.opened_at, taken.stop_price
        )
        ON CONFLICT (account_number, symbol, strategy) DO UPDATE
        SET quantity = h.quantity + direction * part,
            entries = CASE
                WHEN h.quantity + direction * part = 0 THEN 0
                WHEN h.quantity = 0 THEN excluded.entries
                ELSE h.entries
            END,
            opened_at = CASE
                WHEN h.quantity + direction * part = 0 THEN NULL
                ELSE coalesce(h.opened_at, excluded.opened_at)
            END,
            stop_price = CASE
                WHEN h.quantity + direction * part = 0 THEN NULL
                WHEN h.quantity = 0 THEN excluded.stop_price
                ELSE h.stop_price
            END,
            changed_at = clock_timestamp();
    END LOOP;
END $$;
