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
    """Ask once, and again no sooner than after two seconds: a process may die after its mark, before its request.

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
