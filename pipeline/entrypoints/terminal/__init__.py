"""The terminal views: decisions as they happen, and a full screen with keys for actions."""
