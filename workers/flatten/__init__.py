"""Flatten an account directly at its broker, without PostgreSQL, and import the journal of that later."""
