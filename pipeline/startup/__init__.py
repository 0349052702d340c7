"""What stands between a file of executors and a process that starts on it, and the words that open it."""
