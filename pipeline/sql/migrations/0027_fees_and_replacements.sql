-- A broker takes the fee of a coin's purchase from the coins, so an exit that closes a whole holding sells less than the
-- record says was bought. *covers* is the quantity of the holding that the order closes, the fee included; NULL: its own.
ALTER TABLE broker_order ADD COLUMN covers numeric;

CREATE OR REPLACE FUNCTION broker_order_filled() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before numeric := CASE TG_OP WHEN 'UPDATE' THEN OLD.filled_quantity ELSE 0 END;
    closed numeric := CASE
        WHEN NEW.covers IS NULL THEN NEW.filled_quantity - before
        ELSE round(NEW.filled_quantity * NEW.covers / NEW.quantity, 9) - round(before * NEW.covers / NEW.quantity, 9)
    END;
    change numeric := closed * CASE NEW.side WHEN 'buy' THEN 1 ELSE -1 END;
    begins integer := CASE WHEN NEW.role = 'entry' AND before = 0 THEN 1 ELSE 0 END;
    own holding;
    part numeric;
BEGIN
    IF NEW.role = 'entry' THEN
        INSERT INTO holding AS h (account_number, symbol, strategy, quantity, entries, opened_at, stop_price)
        VALUES (NEW.account_number, NEW.symbol, NEW.strategy, change, begins, clock_timestamp(), NEW.stop_price)
        ON CONFLICT (account_number, symbol, strategy) DO UPDATE
        SET quantity = h.quantity + change,
            entries = CASE WHEN h.quantity + change = 0 THEN 0 ELSE h.entries + begins END,
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
    END LOOP;
    RETURN NULL;
END $$;

-- What earlier exits left of their purchases, up to a hundredth, was the fee.
UPDATE holding AS h
SET quantity = 0,
    entries = 0,
    opened_at = NULL,
    stop_price = NULL
WHERE strpos(h.symbol, '/') > 0
    AND h.quantity > 0
    AND h.quantity <= (
        SELECT sum(o.filled_quantity)
        FROM broker_order AS o
        WHERE o.account_number = h.account_number
            AND o.symbol = h.symbol
            AND o.strategy = h.strategy
            AND o.role = 'entry'
            AND o.filled_at >= h.opened_at - interval '1 second'
    ) / 100;

-- The quantity of the order that has replaced this one at the broker, with what was filled before; NULL: none has.
ALTER TABLE broker_order ADD COLUMN replacement_quantity numeric;
