"""Ask the broker to cancel an order that an exit waits for. The poll of the orders shows when it is canceled."""

import structlog

from pipeline.model.crash_points import reached
from pipeline.model.errors import BrokerRefusesAccount, BrokerUnavailable, BrokerUnreadable
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.brokers.protocol import Broker
from workers.execution.replaced_orders import cancel_newest

log = structlog.get_logger(__name__)


def ask_to_cancel(record: Record, broker: Broker, order_id: str) -> None:
    """Ask once, and again after some seconds: a process may die after it marked the order, and before it asked.

    The pauses grow while the broker accepts the request and the order stays open. Cancels must not use up the account's
    requests, since exits need them.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    if record.do(sql("orders", "ask_cancel"), {"order_id": order_id}) == 0:
        return
    reached("worker.after_cancel_mark")
    try:
        cancel_newest(broker, order_id)
    except (BrokerUnavailable, BrokerUnreadable, BrokerRefusesAccount) as error:
        log.warning("cancel.failed", order_id=order_id, error=str(error))
        return
    record.do(sql("orders", "cancel_accepted"), {"order_id": order_id})
