"""Record the sessions of the page that have ended, so that a copy of the cookie is refused after the logout."""

from dataclasses import dataclass

from pipeline.store.record import Record
from pipeline.store.statements import sql


@dataclass(frozen=True, kw_only=True)
class _Ended:
    nonce: str


def end_session(record: Record, nonce: str, *, lasts_s: int) -> None:
    """End a session whose cookie is valid for at most *lasts_s* more seconds. Raises RecordUnavailable."""
    record.do(sql("sessions", "forget"))
    record.do(sql("sessions", "end"), {"nonce": nonce, "lasts_s": lasts_s})


def has_ended(record: Record, nonce: str) -> bool:
    """Return whether the session was ended. Raises RecordUnavailable."""
    return record.maybe(_Ended, sql("sessions", "has_ended"), {"nonce": nonce}) is not None
