"""Count the record's recent hours: signals, reasons, and what each executor has open."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from psycopg import Connection
from psycopg.rows import DictRow

from pipeline.model.json_values import number_json, time_json
from pipeline.model.reason_catalogue import CATALOGUE
from pipeline.model.reasons import Code
from pipeline.model.states import UNDECIDED
from pipeline.monitoring.heartbeats import GONE_AFTER
from pipeline.store.record import Record
from pipeline.store.statements import sql

_HUNDREDTH = Decimal("0.01")


def signal_counts(record: Record, *, since: datetime) -> dict[str, Any]:
    """Return how many signals came since then, from whom, and how many are not over.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    key = {"since": since}

    def unit(connection: Connection[DictRow]) -> tuple[list[DictRow], int, int]:
        groups = connection.execute(sql("lists", "signal_groups"), key).fetchall()
        open_ = connection.execute(sql("lists", "open_signals"), key).fetchone()
        refused = connection.execute(sql("lists", "refused"), key).fetchone()
        assert open_ is not None
        assert refused is not None
        return groups, open_["count"], refused["count"]

    groups, active, refused = record.run(unit)
    total, sure = sum(row["count"] for row in groups), sum(row["sure"] for row in groups)
    average = sum((row["confidence"] for row in groups if row["sure"]), Decimal(0)) / sure if sure else None
    return {
        "since": time_json(since),
        "total_signals": total,
        "active_signals": active,
        "closed_signals": max(total - active, 0),
        "refused": refused,
        "average_confidence": None if average is None else number_json(average.quantize(_HUNDREDTH)),
        "by_action": _sums(groups, "action"),
        "by_source": _sums(groups, "source"),
        "first_recorded_at": time_json(min((row["first"] for row in groups), default=None)),
        "last_recorded_at": time_json(max((row["last"] for row in groups), default=None)),
    }


def reason_counts(record: Record, *, since: datetime) -> dict[str, Any]:
    """Return why executions since then came to nothing: counts by code, and by executor with what to do.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    rows = record.run(lambda connection: connection.execute(sql("lists", "reasons"), {"since": since}).fetchall())
    return {
        "since": time_json(since),
        "timestamp": time_json(datetime.now(UTC)),
        "reasons": _sums(rows, "reason_code"),
        "items": [_reason_json(row) for row in rows],
    }


def open_counts(record: Record) -> dict[str, dict[str, Any]]:
    """Return for every executor with open work, dead letters or a living worker: how much of each.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """

    def unit(connection: Connection[DictRow]) -> tuple[list[DictRow], list[DictRow], list[DictRow]]:
        work = connection.execute(sql("lists", "open_work")).fetchall()
        letters = connection.execute(sql("lists", "open_letters")).fetchall()
        return work, letters, connection.execute(sql("heartbeats", "living"), {"within": GONE_AFTER}).fetchall()

    work, letters, living = record.run(unit)
    workers = [row["name"] for row in living if row["kind"] == "worker"]
    counts = {name: nothing_open() for name in {*workers, *(row["executor_id"] for row in (*work, *letters))}}
    for row in work:
        one = counts[row["executor_id"]]
        one["open"][row["state"].value] = row["count"]
        one["oldest_unfinished_s"] = max(one["oldest_unfinished_s"] or 0.0, round(float(row["oldest_s"]), 3))
    for row in letters:
        counts[row["executor_id"]]["dead_letters"] = row["count"]
    for name in workers:
        counts[name]["workers"] += 1
    return counts


def nothing_open() -> dict[str, Any]:
    """Return the counts of an executor that has nothing open and no worker."""
    return {
        "workers": 0,
        "open": {state.value: 0 for state in sorted(UNDECIDED)},
        "oldest_unfinished_s": None,
        "dead_letters": 0,
    }


def _sums(rows: list[DictRow], column: str) -> dict[str, int]:
    """Return the counts by *column*, the most frequent first."""
    sums: dict[str, int] = {}
    for row in rows:
        sums[str(row[column])] = sums.get(str(row[column]), 0) + row["count"]
    return dict(sorted(sums.items(), key=lambda each: (-each[1], each[0])))


def _reason_json(row: Mapping[str, Any]) -> dict[str, Any]:
    meaning = CATALOGUE[Code(row["reason_code"])] if row["reason_code"] in set(Code) else None
    return {
        "reason_code": row["reason_code"],
        "executor_id": row["executor_id"],
        "mode": row["mode"].value,
        "status": row["state"].value,
        "count": row["count"],
        "meaning": None if meaning is None else meaning.says,
        "remedy": None if meaning is None else meaning.remedy,
    }
