"""The state of a broker account: equity, losses, exposure, limit usage and switches."""
