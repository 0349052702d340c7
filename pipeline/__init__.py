"""From the signal to the queue, the record, and the entry points on top."""
