-- FLAT closes whatever is held; REVERSE closes it and opens the other side.
ALTER TYPE signal_action ADD VALUE 'FLAT';
ALTER TYPE signal_action ADD VALUE 'REVERSE';
