-- What other programs follow: decisions, states of orders, fills and switches. Triggers write each event in the transaction
-- of its fact, so an event can neither be missing nor be about something that was rolled back.
--
-- A row has no event_id at first. Transactions commit in another order than they take numbers from a sequence: a reader
-- that asks for what comes after 7 would miss 6, if 6 is committed later. So ids are given afterwards, to committed rows
-- only, by one transaction at a time: it locks the row of event_feed. Therefore a reader who sees an id has seen, or can
-- still read, every smaller one. Ids have no gaps but those that a removal of old events or a restore leaves.
CREATE TABLE event (
    -- The order of writing, in which the rows of one execution get their ids: its changes wait for each other.
    entry_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- NULL: not published yet.
    event_id bigint UNIQUE,
    -- decision, order, fill or switch; later releases add kinds.
    kind text NOT NULL,
    -- When the fact was recorded.
    at timestamptz NOT NULL,
    executor_id text,
    mode executor_mode,
    symbol text,
    execution_id uuid,
    signal_id uuid,
    -- As it was then. json, not jsonb: the figures of a reason keep their order. Numbers are texts, which keep every digit.
    data json NOT NULL
);
CREATE INDEX event_unpublished ON event (entry_id) WHERE event_id IS NULL;
CREATE INDEX event_at ON event (at);

CREATE TABLE event_feed (
    sole boolean PRIMARY KEY DEFAULT true CHECK (sole),
    -- The newest id that was given.
    published bigint NOT NULL DEFAULT 0,
    -- The newest event that the receiver took; NULL: no receiver was set up yet.
    delivered bigint,
    -- Why the receiver did not take the next events at the last try; NULL: it did, or none was made.
    problem text,
    -- The events up to here are in the messages about ended orders, or need none.
    told bigint NOT NULL DEFAULT 0
);
INSERT INTO event_feed DEFAULT VALUES;

-- The execution as it was left by the transaction, with one of its states.
CREATE FUNCTION execution_event_data(e execution, h history, status execution_state) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    o broker_order;
    -- The order was accepted and has gone further before its answer was read.
    only_accepted boolean := status = 'accepted' AND h.to_state <> 'accepted';
BEGIN
    SELECT * INTO o FROM broker_order WHERE execution_id = e.execution_id AND generation = e.generation;
    RETURN json_build_object(
        'execution_id', e.execution_id, 'signal_id', e.signal_id, 'executor_id', e.executor_id, 'mode', e.mode,
        'symbol', e.symbol, 'action', e.action, 'state', status,
        'order_id', o.order_id, 'client_order_id', o.client_order_id,
        'reason_code', h.reason_code, 'reason_facts', h.reason_facts, 'attempts', e.attempts,
        'created_at', e.created_at, 'submitted_at', o.first_sent_at,
        'ended_at', CASE WHEN NOT only_accepted THEN e.ended_at END,
        'filled_quantity', CASE WHEN only_accepted THEN '0' ELSE o.filled_quantity::text END,
        'filled_average_price', CASE WHEN NOT only_accepted THEN o.filled_average_price::text END
    );
END $$;

-- A change of an execution's state. What waits (queued, held, submitting, unknown) is no event.
CREATE FUNCTION history_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    e execution;
    at_broker CONSTANT execution_state[] := ARRAY[
        'accepted', 'partially_filled', 'filled', 'canceled', 'expired', 'rejected'
    ]::execution_state[];
    was_there boolean := coalesce(NEW.from_state = ANY (at_broker), false);
    is_there boolean := NEW.to_state = ANY (at_broker);
    -- The broker's first report already says more than that it took the order: accepted comes first all the same.
    goes_further boolean := is_there AND NOT was_there AND NEW.to_state NOT IN ('accepted', 'rejected');
BEGIN
    SELECT * INTO e FROM execution WHERE execution_id = NEW.execution_id;
    IF goes_further OR NOT (was_there AND is_there) THEN
        INSERT INTO event (kind, at, executor_id, mode, symbol, execution_id, signal_id, data)
        VALUES (
            'decision', NEW.at, e.executor_id, e.mode, e.symbol, e.execution_id, e.signal_id,
            execution_event_data(e, NEW, CASE WHEN goes_further THEN 'accepted' ELSE NEW.to_state END)
        );
    END IF;
    IF goes_further OR (was_there AND is_there) THEN
        INSERT INTO event (kind, at, executor_id, mode, symbol, execution_id, signal_id, data)
        VALUES (
            'order', NEW.at, e.executor_id, e.mode, e.symbol, e.execution_id, e.signal_id,
            execution_event_data(e, NEW, NEW.to_state)
        );
    END IF;
    RETURN NULL;
END $$;
-- Deferred to the end of the transaction: the order's id and fills may be written after the state.
CREATE CONSTRAINT TRIGGER history_event AFTER INSERT ON history DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.to_state NOT IN ('queued', 'held', 'submitting', 'unknown')) EXECUTE FUNCTION history_event();

-- The newest event of each fill id counts. What is recorded or changed adds up to the order's filled quantity.
CREATE FUNCTION fill_event_of(f fill, status text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO event (kind, at, executor_id, mode, symbol, execution_id, signal_id, data)
    SELECT 'fill', clock_timestamp(), f.executor_id, e.mode, f.symbol, f.execution_id, e.signal_id,
        json_build_object(
            'fill_id', f.fill_id, 'status', status, 'order_id', o.order_id, 'client_order_id', o.client_order_id,
            'side', f.side, 'quantity', f.quantity::text, 'price', f.price::text, 'filled_at', f.filled_at,
            'source', f.source, 'corrected_by', f.corrected_by
        )
    FROM execution AS e
    LEFT JOIN broker_order AS o ON o.execution_id = e.execution_id AND o.generation = f.generation
    WHERE e.execution_id = f.execution_id;
END $$;

CREATE FUNCTION fill_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- A fill that was taken back needs no further word.
    IF TG_OP = 'DELETE' THEN
        IF OLD.voided_at IS NULL THEN
            PERFORM fill_event_of(OLD, 'replaced');
        END IF;
    ELSIF TG_OP = 'INSERT' THEN
        PERFORM fill_event_of(NEW, 'recorded');
    ELSIF NEW.voided_at IS NOT NULL THEN
        PERFORM fill_event_of(NEW, 'taken_back');
    ELSIF NEW.fill_id <> OLD.fill_id THEN
        PERFORM fill_event_of(OLD, 'replaced');
        PERFORM fill_event_of(NEW, 'recorded');
    ELSE
        PERFORM fill_event_of(NEW, 'changed');
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER fill_event AFTER INSERT OR DELETE ON fill DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION fill_event();
CREATE CONSTRAINT TRIGGER fill_changed_event AFTER UPDATE ON fill DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN ((OLD.fill_id, OLD.quantity, OLD.price, OLD.voided_at)
        IS DISTINCT FROM (NEW.fill_id, NEW.quantity, NEW.price, NEW.voided_at))
    EXECUTE FUNCTION fill_event();

-- A switch was turned on, changed or turned off.
CREATE FUNCTION switch_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    of_executor text := CASE
        WHEN NEW.holder LIKE 'executor:%' THEN substr(NEW.holder, length('executor:') + 1)
        ELSE (
            SELECT executor_id
            FROM account_snapshot
            WHERE account_number = NEW.holder
            ORDER BY taken_at DESC
            LIMIT 1
        )
    END;
BEGIN
    INSERT INTO event (kind, at, executor_id, mode, data)
    VALUES (
        'switch', NEW.at, of_executor,
        -- The record has an executor's mode in its executions only. More than the newest are not searched: this is the
        -- transaction that stops the account.
        (
            SELECT mode
            FROM (SELECT executor_id, mode FROM execution ORDER BY created_at DESC LIMIT 100) AS newest
            WHERE executor_id = of_executor
            LIMIT 1
        ),
        json_build_object(
            'switch', NEW.kind, 'turned', NEW.turned, 'cause', NEW.cause, 'flatten', NEW.flatten, 'by', NEW.moved_by,
            'why', NEW.why
        )
    );
    RETURN NULL;
END $$;
CREATE TRIGGER switch_event AFTER INSERT ON switch_history FOR EACH ROW EXECUTE FUNCTION switch_event();

-- After a restore, the ids that were given since the backup must not be given to other events: receivers know them.
CREATE FUNCTION record_restore_event_ids() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE event_feed SET published = published + 1000000000;
    RETURN NULL;
END $$;
CREATE TRIGGER record_restore_event_ids AFTER INSERT ON record_restore
    FOR EACH ROW EXECUTE FUNCTION record_restore_event_ids();

-- Messages about ended orders are made and delivered apart from those about alerts, which never wait for them.
ALTER TABLE alert_message ADD COLUMN about text NOT NULL DEFAULT 'alerts' CHECK (about IN ('alerts', 'orders'));
