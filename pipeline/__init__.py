"""Record signals, queue their executions, keep accounts and alerts, and run the programs that people start."""
