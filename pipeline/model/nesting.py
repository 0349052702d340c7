"""Limit how deep JSON from outside may be nested."""

from typing import Any

#: Arrays and objects within each other. Signals, alerts and answers of brokers have a few; code that descends into a
#: value would otherwise reach Python's limit.
DEEPEST = 64


def is_too_deep(value: Any) -> bool:
    """Return whether *value*, a parsed JSON value, has more than `DEEPEST` levels."""
    level, depth = [value], 0
    while level := [each for each in level if isinstance(each, dict | list)]:
        depth += 1
        if depth > DEEPEST:
            return True
        level = [inner for each in level for inner in (each.values() if isinstance(each, dict) else each)]
    return False
