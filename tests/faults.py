"""Report all faults of a check with many cases at once."""

from __future__ import annotations

from collections.abc import Iterable


def assert_none(faults: Iterable[object]) -> None:
    """Assert that there are no faults; the message lists each on a line of its own."""
    found = [str(fault) for fault in faults]
    assert not found, "\n".join([f"{len(found)} faults:", *found])
