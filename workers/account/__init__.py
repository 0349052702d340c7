"""The state of the broker account that workers share."""
