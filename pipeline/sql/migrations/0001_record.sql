-- The record: signals, executions, orders, history, refusals, dead letters and who is alive.

CREATE TYPE execution_state AS ENUM (
    'queued', 'held', 'submitting', 'unknown', 'accepted', 'partially_filled', 'filled', 'canceled', 'expired',
    'rejected', 'skipped', 'dead', 'discarded'
);
CREATE TYPE signal_action AS ENUM ('BUY', 'SELL');
CREATE TYPE signal_intent AS ENUM ('open', 'close', 'auto');
CREATE TYPE executor_mode AS ENUM ('exchange', 'paper', 'live');
CREATE TYPE order_role AS ENUM ('entry', 'exit');

-- One row per signal. Never updated.
CREATE TABLE signal (
    signal_id uuid PRIMARY KEY,
    source text NOT NULL CHECK (length(source) BETWEEN 1 AND 100),
    source_id text CHECK (length(source_id) BETWEEN 1 AND 200),
    content_hash text NOT NULL,
    symbol text NOT NULL,
    asset_class text NOT NULL,
    action signal_action NOT NULL,
    intent signal_intent NOT NULL,
    confidence numeric CHECK (confidence BETWEEN 0 AND 100),
    entry_price numeric CHECK (entry_price > 0),
    target_price numeric CHECK (target_price > 0),
    stop_price numeric CHECK (stop_price > 0),
    quantity numeric CHECK (quantity > 0),
    strategy text,
    regime text,
    executors text[],
    generated_at timestamptz,
    expires_at timestamptz,
    recorded_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX signal_source_key ON signal (source, source_id) WHERE source_id IS NOT NULL;
CREATE INDEX signal_recorded_at ON signal (recorded_at);

-- One row per signal and configured executor: the row that must end.
CREATE TABLE execution (
    execution_id uuid PRIMARY KEY,
    seq bigint GENERATED ALWAYS AS IDENTITY,
    signal_id uuid NOT NULL REFERENCES signal,
    executor_id text NOT NULL,
    mode executor_mode NOT NULL,
    symbol text NOT NULL,
    action signal_action NOT NULL,
    state execution_state NOT NULL,
    reason_code text,
    -- json, not jsonb: people read the figures in the order in which they were given.
    reason_facts json NOT NULL DEFAULT '{}',
    -- Raised by every take: whoever writes with an older fence changes nothing.
    fence integer NOT NULL DEFAULT 0,
    lease_until timestamptz,
    -- One take's own mark, so that a take whose COMMIT answer was lost can be run again.
    lease_token uuid,
    leased_by text,
    -- queued: when the keeper enqueues it (again); held: when it is released; unknown: the next look-up.
    due_at timestamptz,
    job_id text,
    enqueues integer NOT NULL DEFAULT 0,
    -- A worker came for it while an earlier execution of its symbol was undecided.
    waits_for_symbol boolean NOT NULL DEFAULT false,
    generation integer NOT NULL DEFAULT 1 CHECK (generation >= 1),
    attempts integer NOT NULL DEFAULT 0,
    unknown_since timestamptz,
    -- How long the broker has answered while this one was unknown; its clock stands still while it is away.
    unknown_answered interval NOT NULL DEFAULT '0',
    lookups integer NOT NULL DEFAULT 0,
    absences integer NOT NULL DEFAULT 0,
    -- For how long every answer has been a clean "no such order".
    absent_for interval NOT NULL DEFAULT '0',
    accept_age boolean NOT NULL DEFAULT false,
    moved_by text NOT NULL,
    moved_why text,
    created_at timestamptz NOT NULL DEFAULT now(),
    decided_at timestamptz,
    ended_at timestamptz,
    UNIQUE (signal_id, executor_id),
    CHECK ((state = 'submitting') = (lease_until IS NOT NULL)),
    CHECK (state NOT IN ('held', 'unknown') OR due_at IS NOT NULL),
    CHECK (state NOT IN ('skipped', 'dead', 'rejected', 'held', 'discarded') OR reason_code IS NOT NULL),
    CHECK ((state IN ('filled', 'canceled', 'expired', 'rejected', 'skipped', 'discarded')) = (ended_at IS NOT NULL))
);
-- Partial, so that open work stays cheap among millions of ended rows.
CREATE INDEX execution_undecided ON execution (executor_id, symbol, seq)
    WHERE state IN ('queued', 'held', 'submitting', 'unknown');
CREATE INDEX execution_due ON execution (state, due_at) WHERE state IN ('queued', 'held', 'unknown');
CREATE INDEX execution_leased ON execution (lease_until) WHERE state = 'submitting';
CREATE INDEX execution_working ON execution (executor_id, seq) WHERE state IN ('accepted', 'partially_filled');
CREATE INDEX execution_dead ON execution (executor_id, seq) WHERE state = 'dead';
CREATE INDEX execution_created_at ON execution (created_at);

-- An order as it will be sent, written before it is sent, and what the broker says of it. 0..n per execution.
CREATE TABLE broker_order (
    execution_id uuid NOT NULL REFERENCES execution,
    generation integer NOT NULL,
    executor_id text NOT NULL,
    account_number text NOT NULL,
    client_order_id text NOT NULL UNIQUE,
    role order_role NOT NULL,
    symbol text NOT NULL,
    side text NOT NULL CHECK (side IN ('buy', 'sell')),
    quantity numeric NOT NULL CHECK (quantity > 0),
    limit_price numeric,
    -- What one unit was taken to cost when it was sized.
    reference_price numeric NOT NULL,
    request jsonb NOT NULL,
    intended_at timestamptz NOT NULL DEFAULT now(),
    -- False only while it is certain that the broker never took a send of this intent.
    may_exist boolean NOT NULL DEFAULT true,
    first_sent_at timestamptz,
    last_sent_at timestamptz,
    order_id text,
    -- The broker's own word.
    order_status text,
    filled_quantity numeric NOT NULL DEFAULT 0,
    filled_average_price numeric,
    accepted_at timestamptz,
    ended_at timestamptz,
    cancel_asked_at timestamptz,
    polled_at timestamptz,
    PRIMARY KEY (execution_id, generation)
);
CREATE INDEX broker_order_open ON broker_order (executor_id, symbol) WHERE ended_at IS NULL;
CREATE INDEX broker_order_recent ON broker_order (executor_id, intended_at);
CREATE INDEX broker_order_id ON broker_order (order_id) WHERE order_id IS NOT NULL;

-- One row per answered (or failed) try at sending an intent.
CREATE TABLE attempt (
    execution_id uuid NOT NULL REFERENCES execution,
    fence integer NOT NULL,
    generation integer NOT NULL,
    outcome text NOT NULL,
    message text,
    took_ms numeric,
    sent_at timestamptz,
    answered_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    order_id text,
    PRIMARY KEY (execution_id, fence)
);

-- Every move of every execution, written by a trigger so that no caller can forget it.
CREATE TABLE history (
    history_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    execution_id uuid NOT NULL REFERENCES execution,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    from_state execution_state,
    to_state execution_state NOT NULL,
    fence integer NOT NULL,
    reason_code text,
    reason_facts json NOT NULL DEFAULT '{}',
    moved_by text NOT NULL,
    moved_why text
);
CREATE INDEX history_execution ON history (execution_id, history_id);

-- The states' table of moves, mirrored from pipeline/states.py; a test compares the two.
CREATE TABLE allowed_move (
    from_state execution_state NOT NULL,
    to_state execution_state NOT NULL,
    PRIMARY KEY (from_state, to_state)
);
INSERT INTO allowed_move (from_state, to_state) VALUES
    ('queued', 'submitting'), ('queued', 'skipped'),
    ('held', 'submitting'), ('held', 'skipped'),
    ('submitting', 'accepted'), ('submitting', 'partially_filled'), ('submitting', 'filled'),
    ('submitting', 'canceled'), ('submitting', 'expired'), ('submitting', 'rejected'), ('submitting', 'unknown'),
    ('submitting', 'held'), ('submitting', 'skipped'), ('submitting', 'queued'), ('submitting', 'dead'),
    ('unknown', 'accepted'), ('unknown', 'partially_filled'), ('unknown', 'filled'), ('unknown', 'canceled'),
    ('unknown', 'expired'), ('unknown', 'rejected'), ('unknown', 'held'), ('unknown', 'skipped'), ('unknown', 'dead'),
    ('accepted', 'partially_filled'), ('accepted', 'filled'), ('accepted', 'canceled'), ('accepted', 'expired'),
    ('accepted', 'rejected'), ('accepted', 'dead'),
    ('partially_filled', 'filled'), ('partially_filled', 'canceled'), ('partially_filled', 'expired'),
    ('canceled', 'partially_filled'), ('canceled', 'filled'),
    ('expired', 'partially_filled'), ('expired', 'filled'),
    ('rejected', 'accepted'), ('rejected', 'partially_filled'), ('rejected', 'filled'),
    ('skipped', 'accepted'), ('skipped', 'partially_filled'), ('skipped', 'filled'), ('skipped', 'canceled'),
    ('skipped', 'expired'), ('skipped', 'rejected'),
    ('dead', 'accepted'), ('dead', 'partially_filled'), ('dead', 'filled'), ('dead', 'canceled'),
    ('dead', 'expired'), ('dead', 'rejected'), ('dead', 'queued'), ('dead', 'discarded'),
    ('discarded', 'accepted'), ('discarded', 'partially_filled'), ('discarded', 'filled'),
    ('discarded', 'canceled'), ('discarded', 'expired'), ('discarded', 'rejected');

CREATE FUNCTION execution_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM allowed_move WHERE from_state = OLD.state AND to_state = NEW.state) THEN
        RAISE EXCEPTION 'execution % may not move from % to %', OLD.execution_id, OLD.state, NEW.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'execution_allowed_move';
    END IF;
    IF NEW.decided_at IS NULL AND NEW.state NOT IN ('queued', 'held', 'submitting', 'unknown') THEN
        NEW.decided_at := clock_timestamp();
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER execution_guard BEFORE UPDATE OF state ON execution
    FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION execution_guard();

CREATE FUNCTION execution_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO history (execution_id, from_state, to_state, fence, reason_code, reason_facts, moved_by, moved_why)
    VALUES (NEW.execution_id, CASE TG_OP WHEN 'UPDATE' THEN OLD.state END, NEW.state, NEW.fence, NEW.reason_code,
            NEW.reason_facts, NEW.moved_by, NEW.moved_why);
    RETURN NULL;
END $$;
CREATE TRIGGER execution_born AFTER INSERT ON execution FOR EACH ROW EXECUTE FUNCTION execution_history();
CREATE TRIGGER execution_moved AFTER UPDATE ON execution
    FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION execution_history();

CREATE FUNCTION broker_order_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.may_exist AND (NEW.request, NEW.account_number, NEW.client_order_id)
        IS DISTINCT FROM (OLD.request, OLD.account_number, OLD.client_order_id) THEN
        RAISE EXCEPTION 'the intent % may have been sent and is immutable', OLD.client_order_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'broker_order_immutable';
    END IF;
    IF OLD.order_id IS NOT NULL AND NEW.order_id IS DISTINCT FROM OLD.order_id THEN
        RAISE EXCEPTION 'the order id of % is recorded and is immutable', OLD.client_order_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'broker_order_immutable';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER broker_order_guard BEFORE UPDATE ON broker_order
    FOR EACH ROW EXECUTE FUNCTION broker_order_guard();

-- Input that is not a signal: kept with its reason, the payload masked and bounded.
CREATE TABLE refusal (
    refusal_id uuid PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    source text NOT NULL,
    source_id text,
    code text NOT NULL,
    message text NOT NULL,
    payload text NOT NULL CHECK (length(payload) <= 4096)
);
CREATE INDEX refusal_at ON refusal (at);

-- One row per time that an execution became a dead letter.
CREATE TABLE dead_letter (
    execution_id uuid NOT NULL REFERENCES execution,
    number integer NOT NULL,
    executor_id text NOT NULL,
    reason_code text NOT NULL,
    reason_facts json NOT NULL,
    opened_at timestamptz NOT NULL DEFAULT now(),
    closed_at timestamptz,
    closed_by text,
    closed_why text,
    -- requeued, discarded or late_order
    ending text,
    PRIMARY KEY (execution_id, number)
);
CREATE INDEX dead_letter_open ON dead_letter (executor_id, opened_at) WHERE closed_at IS NULL;

CREATE FUNCTION dead_letter_follow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state = 'dead' THEN
        INSERT INTO dead_letter (execution_id, number, executor_id, reason_code, reason_facts)
        SELECT NEW.execution_id, 1 + count(*), NEW.executor_id, NEW.reason_code, NEW.reason_facts
        FROM dead_letter WHERE execution_id = NEW.execution_id;
    ELSE
        UPDATE dead_letter SET closed_at = now(), closed_by = NEW.moved_by, closed_why = NEW.moved_why,
            ending = CASE NEW.state WHEN 'queued' THEN 'requeued' WHEN 'discarded' THEN 'discarded' ELSE 'late_order' END
        WHERE execution_id = NEW.execution_id AND closed_at IS NULL;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER execution_dead AFTER UPDATE OF state ON execution
    FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state AND (OLD.state = 'dead' OR NEW.state = 'dead'))
    EXECUTE FUNCTION dead_letter_follow();

-- Who is alive. A process writes its row every second.
CREATE TABLE heartbeat (
    process_id uuid PRIMARY KEY,
    kind text NOT NULL,
    name text NOT NULL,
    host text NOT NULL,
    pid integer NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    beat_at timestamptz NOT NULL DEFAULT now(),
    healthy boolean NOT NULL DEFAULT true,
    facts jsonb NOT NULL DEFAULT '{}'
) WITH (fillfactor = 50);
CREATE INDEX heartbeat_kind ON heartbeat (kind, name);

-- Leadership is a leased row: a leader that stops is replaced when its lease runs out.
CREATE TABLE leadership (
    role text PRIMARY KEY,
    holder uuid NOT NULL,
    lease_until timestamptz NOT NULL
);

-- The account as last read, shared by all workers of an executor.
CREATE TABLE account_snapshot (
    executor_id text PRIMARY KEY,
    account_number text NOT NULL,
    taken_at timestamptz NOT NULL,
    account jsonb NOT NULL,
    positions jsonb NOT NULL
);

-- The broker refuses the account itself: entries are held, one probe a minute.
CREATE TABLE account_refusal (
    executor_id text PRIMARY KEY,
    since timestamptz NOT NULL DEFAULT now(),
    probe_at timestamptz NOT NULL,
    message text NOT NULL
);
