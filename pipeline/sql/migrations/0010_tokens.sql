-- Tokens for programs, beside the main one of TRADEWIRE_API_TOKEN. Only their hashes are here.
CREATE TABLE api_token (
    name text PRIMARY KEY CHECK (name ~ '^[a-z0-9][a-z0-9_-]{0,39}$'),
    sha256 text NOT NULL UNIQUE,
    scopes text[] NOT NULL CHECK (scopes <@ ARRAY['read', 'signal', 'operate'] AND cardinality(scopes) > 0),
    made_by text NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now(),
    revoked_by text,
    revoked_at timestamptz
);
