"""Record that a broker refuses an account, and when the account is tried again."""

from dataclasses import dataclass
from datetime import timedelta

import structlog

from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.rules.retry_policy import PROBE_EVERY

log = structlog.get_logger(__name__)

_SOONEST = timedelta(seconds=1)


@dataclass(frozen=True, kw_only=True)
class AccountRefused:
    """The broker refuses the account, or the keys belong to another account than the pinned one.

    The account is tried again after *probe_in*.
    """

    message: str
    probe_in: timedelta


@dataclass(frozen=True, kw_only=True)
class RecordedRefusal:
    """The refusal in the record."""

    message: str
    #: Whether the account should be tried now, by the process that claims the probe first.
    probe_due: bool
    probe_in: timedelta

    def as_refused(self) -> AccountRefused:
        """Return the refusal as the result of a reading."""
        return AccountRefused(message=self.message, probe_in=max(self.probe_in, _SOONEST))


class Refusals:
    """The refusal of one executor's account. All processes share it, so that one probe a minute is enough.

    Every method raises `RecordUnavailable` while PostgreSQL is away.
    """

    def __init__(self, record: Record, executor_id: str) -> None:
        self._record = record
        self._executor_id = executor_id
        self._key = {"executor_id": executor_id}

    def current(self) -> RecordedRefusal | None:
        """Return the refusal; None when the account is accepted."""
        return self._record.maybe(RecordedRefusal, sql("accounts", "refusal"), self._key)

    def claim_probe(self) -> bool:
        """Return whether this process should try the account now; only one process a minute does."""
        return self._record.do(sql("accounts", "claim_probe"), self._key | {"every": PROBE_EVERY}) > 0

    def note(self, message: str) -> AccountRefused:
        """Record that the broker refuses the account, and return the refusal."""
        message = message[:300]
        new = self._record.one(bool, sql("accounts", "refuse"), self._key | {"every": PROBE_EVERY, "message": message})
        if new:
            log.error("account.refused", executor_id=self._executor_id, says=message)
        return AccountRefused(message=message, probe_in=PROBE_EVERY)
