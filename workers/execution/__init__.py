"""Take one execution from its queue to the recorded answer of the broker."""
