-- An exit closes what is held, whoever opened it: flatten, flat by time and `close_scope = "account"` close for every
-- strategy. What the order's own strategy does not hold is taken from the others, the oldest position first; what nobody
-- holds by our record was not opened by us. So no strategy goes below nothing by an exit.

CREATE OR REPLACE FUNCTION broker_order_filled() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before numeric := CASE TG_OP WHEN 'UPDATE' THEN OLD.filled_quantity ELSE 0 END;
    change numeric := (NEW.filled_quantity - before) * CASE NEW.side WHEN 'buy' THEN 1 ELSE -1 END;
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

-- What exits took below nothing is taken from those who held it: the two never were held at once.
WITH sided AS (
    SELECT *, sign(sum(quantity) OVER symbol) AS side,
        sum(quantity) FILTER (WHERE quantity < 0) OVER symbol AS sold,
        sum(quantity) FILTER (WHERE quantity > 0) OVER symbol AS bought
    FROM holding
    WHERE quantity <> 0
    WINDOW symbol AS (PARTITION BY account_number, symbol)
), counted AS (
    SELECT *, CASE
            WHEN sign(quantity) <> side THEN 0
            ELSE side * greatest(0, abs(quantity) - greatest(
                0,
                least(abs(sold), bought) - coalesce(sum(abs(quantity)) FILTER (WHERE sign(quantity) = side) OVER older, 0)
            ))
        END AS left_over
    FROM sided
    WHERE sold < 0
        AND bought > 0
    WINDOW older AS (
        PARTITION BY account_number, symbol ORDER BY opened_at, strategy
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    )
)
UPDATE holding AS h
SET quantity = c.left_over,
    entries = CASE WHEN c.left_over = 0 THEN 0 ELSE h.entries END,
    opened_at = CASE WHEN c.left_over <> 0 THEN h.opened_at END,
    stop_price = CASE WHEN c.left_over <> 0 THEN h.stop_price END
FROM counted AS c
WHERE h.account_number = c.account_number
    AND h.symbol = c.symbol
    AND h.strategy = c.strategy;

-- Who never entered on a side does not hold anything on it.
UPDATE holding AS h
SET quantity = 0,
    entries = 0,
    opened_at = NULL,
    stop_price = NULL
WHERE quantity <> 0
    AND NOT EXISTS (
        SELECT
        FROM broker_order AS o
        WHERE o.account_number = h.account_number
            AND o.symbol = h.symbol
            AND o.strategy = h.strategy
            AND o.role = 'entry'
            AND o.filled_quantity > 0
            AND o.side = CASE WHEN h.quantity > 0 THEN 'buy' ELSE 'sell' END
    );
