"""The page for people in a browser."""
