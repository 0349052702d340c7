-- Stop orders that protect positions.
ALTER TYPE order_role ADD VALUE 'protection';

-- Without it, finding the stop orders that a person canceled would read all orders since the position was opened.
CREATE INDEX broker_order_canceled_by_person ON broker_order (executor_id, symbol) WHERE cancel_requested_at IS NOT NULL;

-- An entry without a stop leaves the stop of what is held already: without it, no part would be protected.
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
                WHEN begins = 1
                    THEN coalesce(NEW.stop_price, CASE WHEN h.quantity * change > 0 THEN h.stop_price END)
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
