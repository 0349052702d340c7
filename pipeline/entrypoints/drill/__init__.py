"""The drill: send signals, break everything on a seeded schedule, and audit what is left."""
