"""Write times and numbers as JSON strings: RFC 3339 in UTC, and decimals without an exponent."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID


def time_json(moment: datetime | None) -> str | None:
    """Return *moment* as RFC 3339 in UTC; None for None."""
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def number_json(number: Decimal | None) -> str | None:
    """Return *number* without an exponent; None for None."""
    return None if number is None else format(number, "f")


def object_json(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return *values*, such as the `vars` of a dataclass, with decimals, times and ids as JSON strings."""
    return {name: _value_json(value) for name, value in values.items()}


def _value_json(value: Any) -> Any:
    match value:
        case Decimal():
            return number_json(value)
        case datetime():
            return time_json(value)
        case UUID():
            return str(value)
        case _:
            return value
