"""What a user edits, and how it is read."""
