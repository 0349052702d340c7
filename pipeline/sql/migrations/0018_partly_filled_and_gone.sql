-- A partly filled order that the broker does not know any more becomes a dead letter, as one without a fill does.
-- Before, no move allowed it, and its symbol was blocked for ever.
INSERT INTO allowed_move (from_state, to_state) VALUES ('partially_filled', 'dead');
