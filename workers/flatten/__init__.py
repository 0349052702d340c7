"""Flatten an account directly at its broker, without PostgreSQL, and import its journal later."""
