"""Record deliveries: which signal each became, which was a re-send, and which was refused and why."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from psycopg import Connection
from psycopg.rows import DictRow

from pipeline.intake.webhooks.translate import IDENTITY_TEXTS, RESEND_WITHIN, Identity, Translation
from pipeline.model.json_values import time_json
from pipeline.store.query import execute, fetch_all, fetch_maybe
from pipeline.store.record import Record
from pipeline.store.statements import sql

#: The webhook of a delivery whose name is not configured.
NO_WEBHOOK = "?"
#: The number of refused deliveries that are kept.
KEEP_REFUSED = 10_000

_LONGEST_MESSAGE = 1000
_LONGEST_ADDRESS = 64


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """What is kept of any delivery: its webhook, the sender's address, and its body without secrets."""

    webhook: str
    address: str | None
    payload: str


@dataclass(frozen=True, kw_only=True)
class DeliveryClaim:
    """A delivery that was understood, and the id under which its signal is recorded."""

    delivery_id: UUID
    source_id: str
    #: The first delivery of the same signal; None when this is the first one.
    resend_of: UUID | None


@dataclass(frozen=True, kw_only=True)
class _FirstDelivery:
    delivery_id: UUID
    source_id: str


@dataclass(frozen=True, kw_only=True)
class _SignalDelivery:
    """One delivery of a recorded signal."""

    delivery_id: UUID
    at: datetime
    dialect: str
    identity: Identity
    message: str | None
    resend_of: UUID | None


@dataclass(frozen=True, kw_only=True)
class _ListedDelivery:
    """One delivery of the list. The fields of a translation are None when it was refused before."""

    seq: int
    delivery_id: UUID
    at: datetime
    webhook: str
    times: int
    code: str | None
    message: str | None
    dialect: str | None
    identity: Identity | None
    signal_id: UUID | None
    source_id: str | None
    resend_of: UUID | None
    address: str | None
    payload: str

    @property
    def outcome(self) -> str:
        if self.code is not None:
            return "refused"
        if self.signal_id is None:
            return "not_recorded"
        return "accepted" if self.resend_of is None else "resend"


def claim(record: Record, arrival: Arrival, translation: Translation, *, digest: str) -> DeliveryClaim:
    """Record a delivery that was understood and decide whether it is a re-send, before its signal is recorded.

    A re-send takes the first delivery's id also when the signal was not recorded then, so that it is recorded now.

    Raises:
        RecordUnavailable: PostgreSQL is away; nothing was recorded.
    """
    delivery_id = uuid4()
    values = _values(arrival) | {
        "delivery_id": delivery_id,
        "message": _bounded("; ".join(translation.notes)) or None,
        "dialect": translation.dialect,
        "identity": translation.identity,
        "source_id": translation.source_id or f"body-{digest[:16]}-{delivery_id}",
        "digest": digest,
        "within": RESEND_WITHIN,
    }

    def unit(connection: Connection[DictRow]) -> DeliveryClaim:
        execute(connection, sql("webhooks", "lock_body"), values)
        first = _first(connection, values, translation.identity)
        inserted = values
        # When the unit runs again after a lost COMMIT, it finds its own delivery.
        if first is not None and first.delivery_id != delivery_id:
            inserted = values | {"source_id": first.source_id, "resend_of": first.delivery_id}
        execute(connection, sql("webhooks", "insert"), inserted)
        return DeliveryClaim(delivery_id=delivery_id, source_id=inserted["source_id"], resend_of=inserted["resend_of"])

    return record.run(unit)


def refuse_claimed(record: Record, claimed: DeliveryClaim, *, code: str, message: str) -> None:
    """Turn a delivery that was understood into a refused one.

    Raises:
        RecordUnavailable: PostgreSQL is away; the delivery is unchanged.
    """
    values = {"delivery_id": claimed.delivery_id, "code": code, "message": _bounded(message)}
    record.do(sql("webhooks", "refuse"), values)


def keep_refused(record: Record, arrival: Arrival, *, code: str, message: str) -> None:
    """Record a refused delivery of an authenticated sender.

    Raises:
        RecordUnavailable: PostgreSQL is away; nothing was recorded.
    """
    values = _values(arrival) | {"delivery_id": uuid4(), "code": code, "message": _bounded(message)}

    def unit(connection: Connection[DictRow]) -> None:
        execute(connection, sql("webhooks", "insert"), values)
        execute(connection, sql("webhooks", "forget"), {"keep": KEEP_REFUSED})

    record.run(unit)


def count_unauthenticated(record: Record, arrival: Arrival, *, code: str, message: str, times: int) -> None:
    """Add *times* to the row that counts the unauthenticated deliveries of this webhook, code and minute.

    Raises:
        RecordUnavailable: PostgreSQL is away; nothing was counted.
    """
    values = _values(arrival) | {"delivery_id": uuid4(), "code": code, "message": _bounded(message), "times": times}

    def unit(connection: Connection[DictRow]) -> None:
        execute(connection, sql("webhooks", "count_unauthenticated"), values)
        execute(connection, sql("webhooks", "forget"), {"keep": KEEP_REFUSED})

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
    """Return deliveries as JSON, newest first, and the value of *before* for the next page, None on the last one.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    values = {"refused": refused, "webhook": webhook, "since": since, "before": before, "limit": limit + 1}
    statement = sql("webhooks", "list")
    rows = record.run(lambda connection: fetch_all(connection, _ListedDelivery, statement, values, prepare=False))
    more = rows[limit - 1].seq if len(rows) > limit else None
    return [_listed_json(row) for row in rows[:limit]], more


def deliveries_of(connection: Connection[DictRow], *, source: str, source_id: str | None) -> list[dict[str, Any]]:
    """Return the deliveries of a signal as JSON, in order; each re-send names the first delivery."""
    if source_id is None:
        return []
    values = {"source": source, "source_id": source_id}
    return [
        {
            "delivery_id": str(row.delivery_id),
            "at": time_json(row.at),
            "dialect": row.dialect,
            "resend_of": _text(row.resend_of),
            "identity": row.identity,
            "identity_says": IDENTITY_TEXTS[row.identity],
            "notes": row.message,
        }
        for row in fetch_all(connection, _SignalDelivery, sql("webhooks", "of_signal"), values)
    ]


def _first(connection: Connection[DictRow], values: dict[str, Any], identity: Identity) -> _FirstDelivery | None:
    """Return the first delivery of the same signal.

    A `time` that is older than 35 s no longer counts as the time of firing, so the body is searched by its digest too.
    """
    found = None
    if identity is not Identity.GIVEN:
        found = fetch_maybe(connection, _FirstDelivery, sql("webhooks", "first_of_body"), values)
    if found is None and identity is not Identity.BODY:
        found = fetch_maybe(connection, _FirstDelivery, sql("webhooks", "first_of_signal"), values)
    return found


def _values(arrival: Arrival) -> dict[str, Any]:
    empty = ("code", "message", "dialect", "identity", "source_id", "digest", "resend_of")
    address = None if arrival.address is None else arrival.address[:_LONGEST_ADDRESS]
    return dict.fromkeys(empty) | {"webhook": arrival.webhook, "address": address, "payload": arrival.payload}


def _bounded(message: str) -> str:
    return message[:_LONGEST_MESSAGE]


def _text(value: UUID | None) -> str | None:
    return None if value is None else str(value)


def _listed_json(row: _ListedDelivery) -> dict[str, Any]:
    return {
        "delivery_id": str(row.delivery_id),
        "at": time_json(row.at),
        "webhook": row.webhook,
        "outcome": row.outcome,
        "times": row.times,
        "code": row.code,
        "message": row.message,
        "dialect": row.dialect,
        "identity": row.identity,
        "identity_says": None if row.identity is None else IDENTITY_TEXTS[row.identity],
        "signal_id": _text(row.signal_id),
        "source_id": row.source_id,
        "resend_of": _text(row.resend_of),
        "address": row.address,
        "payload": row.payload,
    }
