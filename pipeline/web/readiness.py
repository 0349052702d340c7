"""Look at what tradewire stands on: PostgreSQL, Redis, a living worker per executor, a living keeper."""

from __future__ import annotations

from typing import Any

from pipeline.errors import TradewireError
from pipeline.heartbeats import GONE_AFTER
from pipeline.queues import check_server, connect
from pipeline.store.record import Record
from pipeline.store.statements import sql


class Readiness:
    """Asks each part once per look, with short patience."""

    def __init__(self, record: Record, *, redis_url: str, executor_ids: tuple[str, ...]) -> None:
        self._record = record
        self._redis = connect(redis_url, timeout_s=1.0)
        self._executor_ids = executor_ids

    def look(self) -> dict[str, dict[str, Any]]:
        """Return every part with `ok` and what was seen."""
        parts: dict[str, dict[str, Any]] = {}
        living: set[tuple[str, str]] = set()
        try:
            rows = self._record.run(
                lambda connection: connection.execute(sql("heartbeats", "living"), {"within": GONE_AFTER}).fetchall()
            )
            living = {(row["kind"], row["name"]) for row in rows}
            parts["postgresql"] = {"ok": True, "saw": "answers"}
        except TradewireError as error:
            parts["postgresql"] = {"ok": False, "saw": str(error)}
        try:
            check_server(self._redis)
            parts["redis"] = {"ok": True, "saw": "answers"}
        except TradewireError as error:
            parts["redis"] = {"ok": False, "saw": str(error)}
        for executor_id in self._executor_ids:
            beats = ("worker", executor_id) in living
            parts[f"worker {executor_id}"] = {"ok": beats, "saw": "beats" if beats else "no worker has been heard"}
        keeps = ("keeper", "keeper") in living
        parts["keeper"] = {"ok": keeps, "saw": "beats" if keeps else "no keeper has been heard"}
        return parts
