"""Write times and numbers as JSON strings: RFC 3339 in UTC, and decimals without an exponent."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal


def time_json(moment: datetime | None) -> str | None:
    """Return *moment* as RFC 3339 in UTC; None for None."""
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def number_json(number: Decimal | None) -> str | None:
    """Return *number* without an exponent; None for None."""
    return None if number is None else format(number, "f")
