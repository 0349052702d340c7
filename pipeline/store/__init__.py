"""The record: PostgreSQL behind named statements."""
