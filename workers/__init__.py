"""The worker and keeper processes, the broker adapters and the paper exchange."""
