"""Alerts: found in the record, kept as rows, and sent to people through channels."""
