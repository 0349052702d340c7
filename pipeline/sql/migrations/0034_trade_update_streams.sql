-- The stream of trade updates of each executor's account. The tracker writes the row; the keeper polls less often while
-- the stream is open, and at once when it is asked to.
CREATE TABLE stream (
    executor_id text PRIMARY KEY,
    -- listening; down: the tracker tries to connect; off: the tracker was stopped.
    state text NOT NULL CHECK (state IN ('listening', 'down', 'off')),
    state_since timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- When the present or the last connection began to receive updates.
    connected_at timestamptz,
    -- When the last frame, or the last answer to a ping, came.
    last_heard_at timestamptz,
    -- The keeper polls the orders after each new value.
    poll_requested_at timestamptz,
    poll_reason text,
    -- The last failure, kept after the stream is open again.
    problem text,
    problem_at timestamptz
);

-- Frames about orders of ours, or about unknown ones, that are not as the broker documents them. The newest are kept.
CREATE TABLE stream_oddity (
    oddity_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    executor_id text NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    why text NOT NULL,
    -- Masked, and cut to 4,096 characters.
    frame text NOT NULL
);
CREATE INDEX stream_oddity_newest ON stream_oddity (executor_id, oddity_id);
