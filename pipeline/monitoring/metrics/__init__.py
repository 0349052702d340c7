"""The metrics that Prometheus reads, counted from the record."""
