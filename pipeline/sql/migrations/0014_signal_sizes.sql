-- The other sizes that a signal may carry: an amount of money, a percentage of the equity, and a share of the position.
ALTER TABLE signal
    ADD COLUMN notional numeric CHECK (notional > 0),
    ADD COLUMN equity_percent numeric CHECK (equity_percent > 0 AND equity_percent <= 100),
    ADD COLUMN close_percent numeric CHECK (close_percent > 0 AND close_percent <= 100),
    ADD CONSTRAINT signal_one_size CHECK (num_nonnulls(quantity, notional, equity_percent, close_percent) <= 1);
