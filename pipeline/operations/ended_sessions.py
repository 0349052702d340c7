"""The sessions of the page that were ended: a copy of the cookie opens nothing after the logout."""

from dataclasses import dataclass

from pipeline.store.record import Record
from pipeline.store.statements import sql


@dataclass(frozen=True, kw_only=True)
class _Ended:
    nonce: str


def end_session(record: Record, nonce: str, *, lasts_s: int) -> None:
    """End a session whose cookie would be valid for *lasts_s* more at most. Raises RecordUnavailable."""
    record.do(sql("sessions", "forget"))
    record.do(sql("sessions", "end"), {"nonce": nonce, "lasts_s": lasts_s})


def has_ended(record: Record, nonce: str) -> bool:
    """Return whether the session was ended. Raises RecordUnavailable."""
    return record.maybe(_Ended, sql("sessions", "has_ended"), {"nonce": nonce}) is not None
