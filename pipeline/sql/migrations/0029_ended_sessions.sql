-- Sessions of the page that a person has ended. A cookie is valid by its signature, so each web process looks here too.
CREATE TABLE ended_session (
    nonce text PRIMARY KEY CHECK (length(nonce) <= 64),
    -- The cookie is over by then, and the row is deleted.
    valid_until timestamptz NOT NULL
);
