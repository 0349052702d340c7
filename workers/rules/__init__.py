"""What may be traded, how much and when: pure functions over plain values, no clock and no I/O."""
