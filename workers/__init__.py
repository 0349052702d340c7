"""From the queue to the broker."""
