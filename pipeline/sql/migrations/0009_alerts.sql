-- What a person should know: alerts, the messages that tell of them, and each try to deliver one.

CREATE TABLE alert (
    alert_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- What is wrong, so that the same is one alert for as long as it lasts.
    key text NOT NULL,
    kind text NOT NULL,
    severity text NOT NULL CHECK (severity IN ('warning', 'critical')),
    subject text NOT NULL,
    facts jsonb NOT NULL DEFAULT '{}',
    opened_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- When somebody last saw that it still is so.
    seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    over_at timestamptz,
    -- The messages that told of its beginning and of its end.
    opened_in uuid,
    over_in uuid,
    acked_at timestamptz,
    acked_by text,
    acked_why text
);
CREATE UNIQUE INDEX alert_open ON alert (key) WHERE over_at IS NULL;
CREATE INDEX alert_untold ON alert (opened_at) WHERE opened_in IS NULL OR over_in IS NULL;

CREATE TABLE alert_message (
    message_id uuid PRIMARY KEY,
    made_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    title text NOT NULL,
    body text NOT NULL,
    -- warning, critical or over: the worst of what it tells.
    severity text NOT NULL CHECK (severity IN ('warning', 'critical', 'over'))
);
CREATE INDEX alert_message_made_at ON alert_message (made_at);
ALTER TABLE alert
    ADD FOREIGN KEY (opened_in) REFERENCES alert_message,
    ADD FOREIGN KEY (over_in) REFERENCES alert_message;

-- A message that a channel has yet to take, or has taken. A channel is the name of the variable with its address.
CREATE TABLE alert_delivery (
    message_id uuid NOT NULL REFERENCES alert_message,
    channel text NOT NULL,
    -- The next try; whoever tries moves it on first, so that two do not.
    due_at timestamptz,
    tries integer NOT NULL DEFAULT 0,
    delivered_at timestamptz,
    given_up_at timestamptz,
    PRIMARY KEY (message_id, channel)
);
CREATE INDEX alert_delivery_due ON alert_delivery (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE alert_attempt (
    attempt_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id uuid NOT NULL REFERENCES alert_message,
    channel text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    took_ms numeric NOT NULL,
    delivered boolean NOT NULL
);
CREATE INDEX alert_attempt_message ON alert_attempt (message_id);

-- A channel that took a test, with what tells its address from another one.
CREATE TABLE alert_channel (
    channel text PRIMARY KEY,
    fingerprint text NOT NULL,
    tested_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    tested_by text NOT NULL
);

-- When somebody last looked for what is wrong.
CREATE TABLE alert_look (
    watcher text PRIMARY KEY,
    looked_at timestamptz NOT NULL
);

-- Late orders are few among many moves.
CREATE INDEX history_late ON history (at) WHERE reason_code = 'late_order';
