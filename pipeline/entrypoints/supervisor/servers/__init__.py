"""Embedded PostgreSQL and Valkey: real servers from Python wheels, run as guarded child processes."""
