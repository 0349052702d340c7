"""Embedded PostgreSQL and Valkey: real servers out of wheels, run as guarded child processes."""
