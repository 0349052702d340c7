"""The tracker reads each account's trade updates, and records fills and other changes of orders when they happen."""
