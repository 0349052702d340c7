"""Read a time as people write it: RFC 3339, or a span before now."""

import re
from datetime import UTC, datetime, timedelta

_SPAN = re.compile(r"([0-9]{1,9})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def moment_of(text: str) -> datetime:
    """Return the time that *text* names, in UTC. *text* is RFC 3339, or a span before now like 90s, 15m, 2h or 3d.

    Raises:
        ValueError: *text* is neither; the message names both forms.
    """
    try:
        if match := _SPAN.fullmatch(text):
            return datetime.now(UTC) - timedelta(**{_UNITS[match[2]]: int(match[1])})
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ValueError(f"{text!r} is neither a time like 2026-01-31T09:30:00Z nor a span like 90s, 15m, 2h, 3d")
