"""Record deliveries: which signal each became, which was a re-send, and which was refused and why.

Every function raises RecordUnavailable when PostgreSQL is away; then perhaps nothing was recorded.
"""

from dataclasses import dataclass
from typing import Any, LiteralString
from uuid import UUID, uuid4

from psycopg import Connection
from psycopg.rows import DictRow

from config.logs import without_secrets
from pipeline.intake.webhooks.translate import RESEND_WITHIN, Identity, Translation
from pipeline.model.reasons import storable
from pipeline.store.query import execute, fetch_maybe
from pipeline.store.record import Record
from pipeline.store.statements import sql

#: Recorded as the webhook of a delivery to a name that is not configured.
NO_WEBHOOK = "?"
#: The number of refused deliveries that are kept.
KEEP_REFUSED = 10_000

_LONGEST_MESSAGE = 1000
_LONGEST_ADDRESS = 64


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """The stored parts of a delivery: its webhook, the sender's address, and its body without secrets."""

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


def claim(record: Record, arrival: Arrival, translation: Translation, *, digest: str) -> DeliveryClaim:
    """Record a delivery that was understood and decide whether it is a re-send, before its signal is recorded.

    A re-send takes the id of the first delivery. If the signal was not recorded then, it is recorded now under this id.
    """
    delivery_id = uuid4()
    values = _values(arrival) | {
        "delivery_id": delivery_id,
        "message": _message("; ".join(translation.notes)) or None,
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
        # If the answer to COMMIT is lost, the unit runs again and finds its own delivery.
        if first is not None and first.delivery_id != delivery_id:
            inserted = values | {"source_id": first.source_id, "resend_of": first.delivery_id}
        execute(connection, sql("webhooks", "insert"), inserted)
        return DeliveryClaim(delivery_id=delivery_id, source_id=inserted["source_id"], resend_of=inserted["resend_of"])

    return record.run(unit)


def refuse_claimed(record: Record, claimed: DeliveryClaim, *, code: str, message: str) -> None:
    """Turn a delivery that was understood into a refused one."""
    values = {"delivery_id": claimed.delivery_id, "code": code, "message": _message(message)}
    record.do(sql("webhooks", "refuse"), values)


def keep_refused(record: Record, arrival: Arrival, *, code: str, message: str) -> None:
    """Record a refused delivery of an authenticated sender."""
    _keep(record, sql("webhooks", "insert"), _refusal(arrival, code, message))


def count_unauthenticated(record: Record, arrival: Arrival, *, code: str, message: str, times: int) -> None:
    """Add *times* to the row that counts the unauthenticated deliveries of this webhook, code and minute."""
    _keep(record, sql("webhooks", "count_unauthenticated"), _refusal(arrival, code, message) | {"times": times})


def _keep(record: Record, statement: LiteralString, values: dict[str, Any]) -> None:
    def unit(connection: Connection[DictRow]) -> None:
        execute(connection, statement, values)
        # Anybody can send deliveries that are refused, so these must not fill the disk.
        execute(connection, sql("webhooks", "forget"), {"keep": KEEP_REFUSED})

    record.run(unit)


# When an alert is sent again, its `time` may be older than 35 s. It then no longer counts as the time of firing, so the
# id that is made from it differs. The digest of the body is the same, and finds the first delivery.
def _first(connection: Connection[DictRow], values: dict[str, Any], identity: Identity) -> _FirstDelivery | None:
    found = None
    if identity is not Identity.GIVEN:
        found = fetch_maybe(connection, _FirstDelivery, sql("webhooks", "first_of_body"), values)
    if found is None and identity is not Identity.BODY:
        found = fetch_maybe(connection, _FirstDelivery, sql("webhooks", "first_of_signal"), values)
    return found


def _refusal(arrival: Arrival, code: str, message: str) -> dict[str, Any]:
    return _values(arrival) | {"delivery_id": uuid4(), "code": code, "message": _message(message)}


def _values(arrival: Arrival) -> dict[str, Any]:
    empty = ("code", "message", "dialect", "identity", "source_id", "digest", "resend_of")
    address = None if arrival.address is None else arrival.address[:_LONGEST_ADDRESS]
    return dict.fromkeys(empty) | {"webhook": arrival.webhook, "address": address, "payload": arrival.payload}


# The message may contain keys of the body, and PostgreSQL cannot store every character that JSON allows.
def _message(text: str) -> str:
    return storable(without_secrets(text))[:_LONGEST_MESSAGE]
