"""Heartbeats, alerts and metrics."""
