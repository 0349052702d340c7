"""Ask the broker to cancel what stands in the way of an exit; the poll tells when it is done."""

from __future__ import annotations

import structlog

from pipeline.model.crash_points import reached
from pipeline.model.errors import BrokerRefusesAccount, BrokerUnavailable, BrokerUnreadable
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.brokers.protocol import Broker

log = structlog.get_logger(__name__)


def ask_to_cancel(record: Record, broker: Broker, order_id: str) -> None:
    """Ask once; again no sooner than after two seconds, since whoever asked may have died before the broker heard it.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    key = {"order_id": order_id}
    if record.run(lambda connection: connection.execute(sql("orders", "ask_cancel"), key).fetchone()) is None:
        return
    reached("worker.after_cancel_mark")
    try:
        broker.cancel(order_id)
    except (BrokerUnavailable, BrokerUnreadable, BrokerRefusesAccount) as error:
        log.warning("cancel.failed", order_id=order_id, error=str(error))
