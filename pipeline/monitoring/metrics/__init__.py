"""What Prometheus reads: counted from the record."""
