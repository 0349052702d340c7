-- The largest filled quantity that the broker has reported of an order with a fill that it took back or corrected; when a
-- report goes without such a fill, its smaller quantity. NULL: there is no such fill.
ALTER TABLE broker_order ADD COLUMN report_quantity numeric;

-- The broker's ids of the orders that have replaced an order of ours one after another: their fills are its fills.
ALTER TABLE broker_order ADD COLUMN replacement_ids text[];
CREATE INDEX broker_order_replacements ON broker_order USING gin (replacement_ids) WHERE replacement_ids IS NOT NULL;

-- The fill that the broker reported in place of this one, which was not itemised until then, so that its quantity is not
-- known; NULL: it is only another id of a fill.
ALTER TABLE fill_alias ADD COLUMN corrected_by text;

-- From now on, busted_quantity is the quantity that the broker's report may still contain of fills that it took back, and
-- in which fills that it corrected differ from their corrections. 0: the report goes without them.
UPDATE broker_order AS o
SET busted_quantity = revised.quantity,
    report_quantity = o.filled_quantity + greatest(revised.quantity, 0)
FROM (
    SELECT f.execution_id, f.generation, sum(greatest(f.quantity - coalesce(n.quantity, 0), 0)) AS quantity
    FROM fill AS f
    LEFT JOIN fill AS n ON n.account_number = f.account_number AND n.fill_id = f.corrected_by
    WHERE f.voided_at IS NOT NULL
    GROUP BY f.execution_id, f.generation
) AS revised
WHERE o.execution_id = revised.execution_id
    AND o.generation = revised.generation;

-- What a report of the broker with *reported* filled contains of fills that were taken back. A broker may go on with them
-- or go without them: when its report falls, it goes without the quantity by which it falls. A report just after a fill
-- may be older than the last one, because reads lag. And the reports of an order that was replaced count its fills with
-- or without those of its replacement. Then a smaller report shows nothing, and the fills themselves decide.
CREATE FUNCTION still_reported(o broker_order, reported numeric) RETURNS numeric LANGUAGE sql STABLE AS $$
    SELECT greatest(
        o.busted_quantity - CASE
            WHEN reported >= o.filled_quantity
                AND reported < o.report_quantity
                AND o.replacement_quantity IS NULL
                AND coalesce(o.filled_at, '-infinity') < statement_timestamp() - interval '5 seconds'
                THEN o.report_quantity - reported
            ELSE 0
        END, 0
    )
$$;

-- Make an order and its fills agree, as before. But once a fill was taken back, the quantities that fills report of their
-- order are not comparable: some contain it and others do not.
CREATE OR REPLACE FUNCTION itemise_order(of_execution uuid, of_generation integer) RETURNS void LANGUAGE plpgsql AS $$
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
    reached := greatest(
        o.filled_quantity, items.quantity, CASE WHEN o.busted_quantity IS NULL THEN items.cumulative END
    );
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

-- A fill changed, so the order follows it, as before. But a corrected fill leaves in the broker's report only its
-- difference to the correction, which is recorded before it.
CREATE OR REPLACE FUNCTION fill_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    changed fill := CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
    corrected numeric;
BEGIN
    IF changed.source <> 'order' AND TG_OP = 'UPDATE' AND OLD.voided_at IS NULL AND NEW.voided_at IS NOT NULL THEN
        SELECT coalesce(sum(quantity), 0) INTO corrected
        FROM fill
        WHERE account_number = NEW.account_number AND fill_id = NEW.corrected_by;
        UPDATE broker_order
        SET filled_quantity = filled_quantity - OLD.quantity,
            busted_quantity = coalesce(busted_quantity, 0) + greatest(OLD.quantity - corrected, 0),
            report_quantity = coalesce(report_quantity, filled_quantity - corrected),
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
