"""Brokers, each behind the same protocol."""
