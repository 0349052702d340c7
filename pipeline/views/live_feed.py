"""Follow the record live: what was decided, as it is decided, for `up` and `tail`."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

from psycopg.rows import DictRow

from pipeline.model.errors import RecordUnavailable
from pipeline.model.json_values import number_json, time_json
from pipeline.model.reasons import sentence
from pipeline.model.states import UNDECIDED, State
from pipeline.store.record import Record
from pipeline.store.statements import sql

_LOOK_EVERY_S = 0.2
_BATCH = 500


def follow_feed(database_url: str, stop: threading.Event) -> Iterator[str]:
    """Yield a line per execution that is decided from now on, until *stop*."""
    with Record(database_url, connections=1, retry_for_s=1.0) as record:
        for row in follow_news(record, stop):
            if is_decision(row):
                yield line_of(row)


def last_news(record: Record) -> int:
    """Return the number of the last move.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    row = record.run(lambda connection: connection.execute(sql("history", "last_news")).fetchone())
    return int(row["last"]) if row else 0


def news(record: Record, after: int, *, limit: int = _BATCH) -> list[DictRow]:
    """Return the moves after the one of that number, in order; the youngest are left to the next look.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    key = {"after": after, "limit": limit}
    return record.run(lambda connection: connection.execute(sql("history", "news"), key).fetchall())


def follow_news(record: Record, stop: threading.Event, *, after: int | None = None) -> Iterator[DictRow]:
    """Yield every move from now on, or after a number, in order, through every absence of PostgreSQL, until *stop*."""
    while not stop.is_set():
        try:
            if after is None:
                after = last_news(record)
            rows = news(record, after)
        except RecordUnavailable:
            stop.wait(1.0)
            continue
        for row in rows:
            after = row["history_id"]
            yield row
        if len(rows) < _BATCH:
            stop.wait(_LOOK_EVERY_S)


def is_decision(row: DictRow) -> bool:
    """Say whether this move decided the execution: later fills are not said again."""
    was = row["from_state"]
    return State(row["to_state"]) not in UNDECIDED and (was is None or State(was) in UNDECIDED)


def line_of(row: DictRow) -> str:
    """Return one line: time, signal, executor, confidence, order id or reason, milliseconds."""
    confidence = "      " if row["confidence"] is None else f"{row['confidence']:5.1f}%"
    took_ms = (row["at"] - row["created_at"]).total_seconds() * 1000
    state = State(row["to_state"])
    what = sentence(row["reason_code"], row["reason_facts"]) if row["reason_code"] else f"order {row['order_id']}"
    return (
        f"{row['at']:%H:%M:%S} {row['action'].value:<4} {row['symbol']:<8} {confidence} "
        f"→ {row['executor_id']:<12} {state.value:<10} {what}  {took_ms:.0f} ms"
    )


def news_json(row: DictRow) -> dict[str, Any]:
    """Return one move for programs."""
    return {
        "at": time_json(row["at"]),
        "signal_id": str(row["signal_id"]),
        "execution_id": str(row["execution_id"]),
        "executor_id": row["executor_id"],
        "symbol": row["symbol"],
        "action": row["action"].value,
        "confidence": number_json(row["confidence"]),
        "from": None if row["from_state"] is None else row["from_state"].value,
        "status": row["to_state"].value,
        "order_id": row["order_id"],
        "reason_code": row["reason_code"],
        "reason": sentence(row["reason_code"], row["reason_facts"]) if row["reason_code"] else None,
        "filled_quantity": number_json(row["filled_quantity"]),
        "filled_average_price": number_json(row["filled_average_price"]),
    }
