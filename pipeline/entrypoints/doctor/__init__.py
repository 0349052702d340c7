"""Check every part of the system; report what is wrong, the likely cause, and the remedy."""
