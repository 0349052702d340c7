"""Say in plain words why PostgreSQL did not do what was asked of it."""

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
    """Return a failure that passes as ours: it tells a full disk and a server that answers from one that is away."""
    # A connection that is refused for this reason comes without a code.
    if isinstance(error, DiskFull) or _NO_SPACE in str(error):
        return RecordFull(f"the disk of PostgreSQL is full: {first_line(error)}")
    return RecordUnavailable(f"PostgreSQL cannot be reached: {first_line(error)}")


def log_refusal(error: RecordFull | MissingRights) -> None:
    """Log once a minute that PostgreSQL answers and refuses. It is no outage, because other statements succeed."""
    now = time.monotonic()
    if now - _logged_at.get(type(error), float("-inf")) >= _LOG_EVERY_S:
        _logged_at[type(error)] = now
        log.error("record.refuses", error=str(error))
