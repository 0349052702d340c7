"""Receive, validate and record signals."""
