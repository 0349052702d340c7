"""The checks before a process starts, and the commands with which a person allows a change that a check refused."""
