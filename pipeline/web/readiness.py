"""Look at what tradewire stands on, as `doctor` does: PostgreSQL, Redis, a living worker per executor, a keeper."""

from __future__ import annotations

from pipeline.doctor import Finding, Status, look_at_postgres, look_at_processes, look_at_redis
from pipeline.errors import RecordUnavailable
from pipeline.store.record import Record


class Readiness:
    """Asks each part once per look, with short patience."""

    def __init__(self, record: Record, *, redis_url: str, executor_ids: tuple[str, ...]) -> None:
        self._record = record
        self._redis_url = redis_url
        self._executor_ids = executor_ids

    def look(self) -> list[Finding]:
        """Return a finding per part."""
        postgres = look_at_postgres(self._record)
        findings = [postgres, look_at_redis(self._redis_url)]
        if postgres.status is Status.OK:
            try:
                findings += look_at_processes(self._record, self._executor_ids)
            except RecordUnavailable as error:
                findings[0] = Finding(name=postgres.name, status=Status.CRITICAL, saw=str(error))
        return findings
