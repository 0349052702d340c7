"""Actions that a person takes on executions, dead letters and tokens."""
