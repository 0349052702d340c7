"""The checks before a process starts, and the commands by which a person allows what they refuse."""
