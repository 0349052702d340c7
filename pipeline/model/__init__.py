"""The domain model: signals, states, reasons, orders, accounts and errors. No I/O."""
