"""The record of deliveries: which signal each became, which was a re-send, and which was refused and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from psycopg import Connection
from psycopg.rows import DictRow

from pipeline.intake.webhooks.translate import RESEND_WITHIN, SAYS, Identity, Translation
from pipeline.model.json_values import time_json
from pipeline.store.record import Record
from pipeline.store.statements import sql

#: The webhook of what was delivered where there is none.
NOBODY = "?"
#: So many refused deliveries are kept.
KEEP_REFUSED = 10_000

_LONGEST_MESSAGE = 1000


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """What is kept of any delivery: where it came in and from, and its body without secrets."""

    webhook: str
    address: str | None
    payload: str


@dataclass(frozen=True, kw_only=True)
class DeliveryClaim:
    """A delivery that was understood, and the id under which its signal is recorded."""

    delivery_id: UUID
    source_id: str
    #: The first delivery of the same signal; None: this is it.
    resend_of: UUID | None


def claim(record: Record, arrival: Arrival, translation: Translation, *, digest: str) -> DeliveryClaim:
    """Keep a delivery that was understood, and decide whether it is a re-send, before its signal is recorded.

    A re-send finds it also when the signal was not recorded then: it becomes the same signal, now.

    Raises:
        RecordUnavailable: PostgreSQL is away; nothing was kept.
    """
    delivery_id = uuid4()
    row = _row(arrival) | {
        "delivery_id": delivery_id,
        "message": _bounded("; ".join(translation.notes)) or None,
        "dialect": translation.dialect,
        "identity": translation.identity,
        "source_id": translation.source_id or f"body-{digest[:16]}-{delivery_id}",
        "digest": digest,
        "within": RESEND_WITHIN,
    }

    def unit(connection: Connection[DictRow]) -> DeliveryClaim:
        connection.execute(sql("webhooks", "lock_body"), row)
        first = _first(connection, row, translation.identity)
        # Run again after a lost COMMIT, the first one is this one.
        if first is not None and first["delivery_id"] != delivery_id:
            again = row | {"source_id": first["source_id"], "resend_of": first["delivery_id"]}
        else:
            again = row
        connection.execute(sql("webhooks", "insert"), again)
        return DeliveryClaim(delivery_id=delivery_id, source_id=again["source_id"], resend_of=again["resend_of"])

    return record.run(unit)


def refuse_claimed(record: Record, claimed: DeliveryClaim, *, code: str, message: str) -> None:
    """Turn a delivery that was understood into a refused one.

    Raises:
        RecordUnavailable: PostgreSQL is away; it stays as it was.
    """
    row = {"delivery_id": claimed.delivery_id, "code": code, "message": _bounded(message)}
    record.run(lambda connection: connection.execute(sql("webhooks", "refuse"), row))


def keep_refused(record: Record, arrival: Arrival, *, code: str, message: str) -> None:
    """Keep what a known sender delivered and what was refused.

    Raises:
        RecordUnavailable: PostgreSQL is away; nothing was kept.
    """
    row = _row(arrival) | {"delivery_id": uuid4(), "code": code, "message": _bounded(message)}

    def unit(connection: Connection[DictRow]) -> None:
        connection.execute(sql("webhooks", "insert"), row)
        connection.execute(sql("webhooks", "forget"), {"keep": KEEP_REFUSED})

    record.run(unit)


def count_strangers(record: Record, arrival: Arrival, *, code: str, message: str, times: int) -> None:
    """Count what strangers delivered, in one row per webhook, reason and minute.

    Raises:
        RecordUnavailable: PostgreSQL is away; nothing was counted.
    """
    row = _row(arrival) | {"delivery_id": uuid4(), "code": code, "message": _bounded(message), "times": times}

    def unit(connection: Connection[DictRow]) -> None:
        connection.execute(sql("webhooks", "count_stranger"), row)
        connection.execute(sql("webhooks", "forget"), {"keep": KEEP_REFUSED})

    record.run(unit)


def deliveries(
    record: Record,
    *,
    refused: bool = False,
    webhook: str | None = None,
    since: datetime | None = None,
    before: int | None = None,
    limit: int = 50,
) -> tuple[list[dict[str, Any]], int | None]:
    """Return deliveries, newest first, and what *before* must be for the next page; None: there is none.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    key = {"refused": refused, "webhook": webhook, "since": since, "before": before, "limit": limit + 1}
    rows = record.run(lambda connection: connection.execute(sql("webhooks", "list"), key, prepare=False).fetchall())
    more = rows[limit - 1]["seq"] if len(rows) > limit else None
    return [_shown(row) for row in rows[:limit]], more


def deliveries_of(connection: Connection[DictRow], *, source: str, source_id: str | None) -> list[dict[str, Any]]:
    """Return how a signal was delivered, in order: each re-send, and what made it one."""
    if source_id is None:
        return []
    key = {"source": source, "source_id": source_id}
    return [
        {
            "delivery_id": str(row["delivery_id"]),
            "at": time_json(row["at"]),
            "dialect": row["dialect"],
            "resend_of": None if row["resend_of"] is None else str(row["resend_of"]),
            "identity": row["identity"],
            "identity_says": SAYS[Identity(row["identity"])],
            "notes": row["message"],
        }
        for row in connection.execute(sql("webhooks", "of_signal"), key)
    ]


def _first(connection: Connection[DictRow], row: dict[str, Any], identity: Identity) -> DictRow | None:
    """Return the first delivery of the same signal. A body that lost its freshness meanwhile is still the same."""
    found = None
    if identity is not Identity.GIVEN:
        found = connection.execute(sql("webhooks", "first_of_body"), row).fetchone()
    if found is None and identity is not Identity.BODY:
        found = connection.execute(sql("webhooks", "first_of_signal"), row).fetchone()
    return found


def _row(arrival: Arrival) -> dict[str, Any]:
    empty: Iterable[str] = ("code", "message", "dialect", "identity", "source_id", "digest", "resend_of")
    address = None if arrival.address is None else arrival.address[:64]
    return dict.fromkeys(empty) | {"webhook": arrival.webhook, "address": address, "payload": arrival.payload}


def _bounded(message: str) -> str:
    return message[:_LONGEST_MESSAGE]


def _shown(row: DictRow) -> dict[str, Any]:
    return {
        "delivery_id": str(row["delivery_id"]),
        "at": time_json(row["at"]),
        "webhook": row["webhook"],
        "outcome": _outcome(row),
        "times": row["times"],
        "code": row["code"],
        "message": row["message"],
        "dialect": row["dialect"],
        "identity": row["identity"],
        "identity_says": None if row["identity"] is None else SAYS[Identity(row["identity"])],
        "signal_id": None if row["signal_id"] is None else str(row["signal_id"]),
        "source_id": row["source_id"],
        "resend_of": None if row["resend_of"] is None else str(row["resend_of"]),
        "address": row["address"],
        "payload": row["payload"],
    }


def _outcome(row: DictRow) -> str:
    if row["code"] is not None:
        return "refused"
    if row["signal_id"] is None:
        return "not_recorded"
    return "accepted" if row["resend_of"] is None else "resend"
