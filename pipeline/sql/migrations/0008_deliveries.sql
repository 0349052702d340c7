-- What was delivered to webhooks. The signal of one that was accepted is (webhook, source_id) = (source, source_id).
CREATE TABLE delivery (
    delivery_id uuid PRIMARY KEY,
    seq bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- '?' when there is none of the name that was asked for.
    webhook text NOT NULL CHECK (length(webhook) BETWEEN 1 AND 40),
    -- Of refused ones: why.
    code text CHECK (length(code) <= 100),
    message text CHECK (length(message) <= 1000),
    dialect text CHECK (length(dialect) <= 40),
    identity text CHECK (length(identity) <= 40),
    source_id text CHECK (length(source_id) BETWEEN 1 AND 200),
    -- The same body has the same digest; secrets are not part of it.
    digest text CHECK (length(digest) = 64),
    resend_of uuid,
    address text CHECK (length(address) <= 64),
    payload text NOT NULL CHECK (length(payload) <= 4096),
    -- Of strangers, one row counts all that the webhook refused for one reason in one minute.
    minute timestamptz,
    times integer NOT NULL DEFAULT 1,
    CHECK (code IS NOT NULL OR source_id IS NOT NULL)
);
CREATE INDEX delivery_of_body ON delivery (webhook, digest, seq) WHERE code IS NULL;
CREATE INDEX delivery_of_signal ON delivery (webhook, source_id, seq) WHERE code IS NULL;
CREATE INDEX delivery_refused ON delivery (seq) WHERE code IS NOT NULL;
CREATE UNIQUE INDEX delivery_stranger ON delivery (webhook, code, minute) WHERE minute IS NOT NULL;
