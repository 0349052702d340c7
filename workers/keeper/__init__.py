"""The keeper follows every execution to its end and protects each account's limits."""
