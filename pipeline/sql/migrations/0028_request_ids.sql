-- The broker's own id of the request (Alpaca's `X-Request-ID`), which its support asks for; NULL: no answer came.
ALTER TABLE attempt ADD COLUMN request_id text;
