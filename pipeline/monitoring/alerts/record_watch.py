"""Alert that PostgreSQL is away, from a process that goes on without it. All other alerts are rows in PostgreSQL."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from config.alerts import Alerts
from pipeline.monitoring.alerts.channels import Send, send
from pipeline.monitoring.alerts.kinds import AlertKind, ConditionResult, Severity, found, raised
from pipeline.monitoring.alerts.messages import Message

log = structlog.get_logger(__name__)

#: PostgreSQL must be away for this long before an alert is sent, so that a restart raises none.
HOLDS_S = 10.0
_AGAIN_AFTER_S = 30.0


class RecordWatch:
    """Sends a message to the first channel that accepts it. Once PostgreSQL is back, the outage becomes an alert."""

    def __init__(
        self, alerts: Alerts, *, send: Send = send, holds_s: float = HOLDS_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._alerts = alerts
        self._send = send
        self._holds_s = holds_s
        self._clock = clock
        self._began: datetime | None = None
        self._began_at = 0.0
        self._told = self._logged = False
        self._next_try_at = 0.0

    def note_away(self, error: str) -> None:
        """Note that PostgreSQL did not answer, and send the message if the outage has lasted long enough."""
        now = self._clock()
        if self._began is None:
            self._began, self._began_at = datetime.now(UTC), now
            self._told = self._logged = False
            self._next_try_at = now
        if now - self._began_at < self._holds_s or self._told or now < self._next_try_at:
            return
        subject = "PostgreSQL is away: no signal is accepted, and no order is sent or followed"
        if not self._logged:
            self._logged = True
            log.error("alert.opened", kind=AlertKind.RECORD_AWAY.value, severity="critical", subject=subject)
        self._next_try_at = now + _AGAIN_AFTER_S
        body = f"Wrong now:\n- [critical] {subject} (since {self._began:%Y-%m-%d %H:%M:%S} UTC)\n{error}"
        message = Message(title=f"tradewire: {subject}", body=body, severity=Severity.CRITICAL.value)
        self._told = any(self._send(address, message) for address in self._alerts.channels.values())

    def condition(self) -> ConditionResult:
        """Return the alert about the outage that has just ended; none if it was short.

        Call `note_back` once the alert is recorded.
        """
        if self._began is None or self._clock() - self._began_at < self._holds_s:
            return found(AlertKind.RECORD_AWAY, [])
        lasted_s = round(self._clock() - self._began_at)
        subject = f"PostgreSQL was away for {lasted_s} s from {self._began:%H:%M:%S} UTC; it is back"
        return found(
            AlertKind.RECORD_AWAY,
            [raised(AlertKind.RECORD_AWAY, self._began.isoformat(), subject, Severity.WARNING, since=self._began)],
        )

    def note_back(self) -> None:
        """Note that PostgreSQL answers."""
        self._began = None
