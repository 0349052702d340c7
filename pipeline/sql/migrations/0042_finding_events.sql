-- A finding that was opened, healed or adopted is an event, too. A suspicion is none: the next comparison decides it.
CREATE FUNCTION finding_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO event (kind, at, executor_id, mode, symbol, data)
    VALUES (
        'finding', clock_timestamp(), NEW.executor_id,
        -- The record has an executor's mode in its executions only; as with a switch, the newest ones are searched.
        (
            SELECT mode
            FROM (SELECT executor_id, mode FROM execution ORDER BY created_at DESC LIMIT 100) AS newest
            WHERE executor_id = NEW.executor_id
            LIMIT 1
        ),
        NEW.symbol,
        json_build_object(
            'finding_id', NEW.finding_id, 'finding', NEW.kind, 'status', NEW.state, 'facts', NEW.facts,
            'by', NEW.closed_by, 'why', NEW.closed_why
        )
    );
    RETURN NULL;
END $$;
CREATE TRIGGER finding_event AFTER INSERT ON finding
    FOR EACH ROW WHEN (NEW.state <> 'suspected') EXECUTE FUNCTION finding_event();
CREATE TRIGGER finding_changed_event AFTER UPDATE ON finding
    FOR EACH ROW WHEN (NEW.state <> 'suspected' AND NEW.state <> OLD.state) EXECUTE FUNCTION finding_event();
