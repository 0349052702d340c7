"""Turn PostgreSQL's failures into our errors, with the reason in plain words."""

import time

import structlog
from psycopg.errors import DiskFull

from pipeline.model.errors import MissingRights, RecordFull, RecordUnavailable

log = structlog.get_logger(__name__)

_NO_SPACE = "No space left on device"
_LOG_EVERY_S = 60.0
_logged_at: dict[type[RecordUnavailable], float] = {}


def first_line(error: Exception) -> str:
    """Return the error's own first line."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def failure_of(error: Exception) -> RecordUnavailable:
    """Return our error for a failure that passes by itself: RecordFull for a full disk, else RecordUnavailable."""
    # When a full disk makes PostgreSQL refuse a connection, the error has no code.
    if isinstance(error, DiskFull) or _NO_SPACE in str(error):
        return RecordFull(f"the disk of PostgreSQL is full: {first_line(error)}")
    return RecordUnavailable(f"PostgreSQL cannot be reached: {first_line(error)}")


def log_refusal(error: RecordFull | MissingRights) -> None:
    """Log, at most once a minute, that PostgreSQL refuses a statement. It is no outage: other statements succeed."""
    now = time.monotonic()
    if now - _logged_at.get(type(error), float("-inf")) >= _LOG_EVERY_S:
        _logged_at[type(error)] = now
        log.error("record.refuses", error=str(error))
