"""What a worker knows of its broker account."""
