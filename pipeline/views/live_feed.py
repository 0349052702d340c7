"""Follow the state changes of executions as they are recorded, for `up`, `tail` and the server-sent events.

While PostgreSQL is away, `last_change` and `changes_after` raise RecordUnavailable; the two generators wait.
"""

import threading
from collections.abc import Iterator
from typing import Any

from pipeline.model.errors import RecordUnavailable
from pipeline.model.json_values import object_json
from pipeline.model.states import UNDECIDED
from pipeline.store.record import Record
from pipeline.store.statements import sql
from pipeline.views.feed_change import FeedChange
from pipeline.views.fills import Fills

_READ_EVERY_S = 0.2
_BATCH = 500


_JSON_FIELDS = (
    "at", "signal_id", "execution_id", "executor_id", "symbol", "action", "confidence", "from_state", "to_state",
    "order_id", "reason_code", "reason", "filled_quantity", "filled_average_price",
)  # fmt: skip
_JSON_NAMES = {"from_state": "from", "to_state": "status"}


def follow_feed(database_url: str, stop: threading.Event) -> Iterator[str]:
    """Yield a line per execution that is decided or first held from now on, and per order that fills, until *stop*."""
    fills = Fills()
    with Record(database_url, connections=1, retry_for_s=1.0) as record:
        for change in follow_changes(record, stop):
            if is_news(change):
                yield line_of(change)
            filled = fills.outcome(change)
            if filled is not None:
                yield line_of(change, outcome=filled)


def last_change(record: Record) -> int:
    """Return the number of the last state change; 0 before the first one."""
    return record.one(int, sql("history", "last_change"))


def changes_after(record: Record, after: int, *, limit: int = _BATCH) -> list[FeedChange]:
    """Return the state changes after the number *after*, in order, except those of the last 50 ms.

    These wait for the next call, because a change with a smaller number may still be in an open transaction.
    """
    return record.all(FeedChange, sql("history", "changes_after"), {"after": after, "limit": limit})


def follow_changes(record: Record, stop: threading.Event, *, after: int | None = None) -> Iterator[FeedChange]:
    """Yield every state change from now on, or after the number *after*, in order, until *stop* is set.

    While PostgreSQL is away, this waits. Then it yields the changes that it missed.
    """
    while not stop.is_set():
        try:
            if after is None:
                after = last_change(record)
            changes = changes_after(record, after)
        except RecordUnavailable:
            stop.wait(1.0)
            continue
        for change in changes:
            after = change.history_id
            yield change
        if len(changes) < _BATCH:
            stop.wait(_READ_EVERY_S)


def is_decision(change: FeedChange) -> bool:
    """Return whether *change* decided the execution. A later fill of its order is not a decision."""
    undecided_before = change.from_state is None or change.from_state in UNDECIDED
    return undecided_before and change.to_state not in UNDECIDED


def is_news(change: FeedChange) -> bool:
    """Return whether a person should see *change*: a decision, or the first hold of an execution."""
    return change.first_hold or is_decision(change)


def line_of(change: FeedChange, *, outcome: str | None = None) -> str:
    """Return one line: time, signal, confidence, executor, state, *outcome* (else reason or order id), milliseconds."""
    confidence = "      " if change.confidence is None else f"{change.confidence:5.1f}%"
    took_ms = (change.at - change.created_at).total_seconds() * 1000
    outcome = outcome or change.reason or (f"order {change.order_id}" if change.order_id else "no order yet")
    return (
        f"{change.at:%H:%M:%S} {change.action.value:<4} {change.symbol:<8} {confidence} "
        f"→ {change.executor_id:<12} {change.to_state.value:<10} {outcome}  {took_ms:.0f} ms"
    )


def change_json(change: FeedChange) -> dict[str, Any]:
    """Return a state change as `tradewire tail --json` prints it and the server-sent events carry it."""
    return object_json({_JSON_NAMES.get(name, name): getattr(change, name) for name in _JSON_FIELDS})
