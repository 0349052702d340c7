"""What people watch in a terminal: moves as they happen, and a screen of everything with keys to act."""
