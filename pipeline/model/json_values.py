"""Times and numbers as JSON strings: RFC 3339 in UTC, and plain decimals."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal


def time_json(moment: datetime | None) -> str | None:
    """Return RFC 3339 in UTC, or None."""
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def number_json(number: Decimal | None) -> str | None:
    """Return the plain decimal form, or None."""
    return None if number is None else format(number, "f")
