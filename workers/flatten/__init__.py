"""Flatten an account by hand: watch the keeper do it, or do it without PostgreSQL and tell the record later."""
