-- FLAT closes whatever is held; REVERSE closes it and opens the other side.
ALTER TYPE signal_action ADD VALUE 'FLAT';
ALTER TYPE signal_action ADD VALUE 'REVERSE';

-- An entry without a price of its own, for which the worker reads the market's.
ALTER TABLE signal ADD COLUMN price text CHECK (price = 'market');
