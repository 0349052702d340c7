"""The sources of signals."""
