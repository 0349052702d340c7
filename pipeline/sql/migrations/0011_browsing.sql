-- What people look for among many: the signals of a symbol or a source, the executions that ended in one way.

CREATE INDEX signal_symbol ON signal (symbol, recorded_at);
CREATE INDEX signal_source ON signal (source, recorded_at);
-- Written once in an execution's life; open work has its own indexes.
CREATE INDEX execution_ended ON execution (state, created_at)
    WHERE state IN ('filled', 'canceled', 'expired', 'rejected', 'skipped', 'discarded');
