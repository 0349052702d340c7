"""Apply the broker's report of an order: to the order in the record, and to its execution."""

from uuid import UUID

from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Json

from pipeline.model.orders import BrokerOrder, OrderStatus
from pipeline.model.reasons import Code, Reason
from pipeline.store.query import execute
from pipeline.store.rows import OrderRow
from pipeline.store.statements import sql
from workers.rules.retry_policy import settled_by

#: An order with one of these statuses will not trade any more.
FINAL_STATUSES = frozenset(
    {OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.EXPIRED, OrderStatus.REJECTED, OrderStatus.REPLACED}
)


def record_broker_order(connection: Connection[DictRow], order: BrokerOrder) -> None:
    """Record the broker's report of an order. The recorded filled quantity never decreases."""
    values = {
        "client_order_id": order.client_order_id,
        "order_id": order.order_id,
        "order_status": order.raw_status,
        "filled_quantity": order.filled_quantity,
        "replacement_quantity": order.replacement_quantity,
        "replacement_ids": list(order.replacement_ids),
        "filled_average_price": order.filled_average_price,
        "ended": order.status in FINAL_STATUSES,
    }
    execute(connection, sql("orders", "record_broker_update"), values)


def follow(
    connection: Connection[DictRow],
    execution_id: UUID,
    generation: int,
    order: BrokerOrder,
    *,
    by: str,
    late: bool = False,
    request_id: str | None = None,
) -> bool:
    """Set an execution to the state that belongs to its order's status, and return whether it changed.

    Nothing changes when the execution has that state already, or when the change is not allowed. *late*: the execution
    had ended before the order was found. *request_id*: the broker's own id of the look-up that found the order.
    """
    transition = settled_by(order)
    reason = transition.reason
    if late:
        reason = Reason(code=Code.LATE_ORDER, facts={"order_status": order.raw_status})
    values = {
        "execution_id": execution_id,
        "generation": generation,
        "state": transition.state,
        "reason_code": reason.code if reason else None,
        "reason_facts": Json((reason.to_json() if reason else {}) | ({"request_id": request_id} if request_id else {})),
        "moved_by": by,
    }
    return execute(connection, sql("executions", "follow"), values) > 0


def matches(intent: OrderRow, order: BrokerOrder) -> bool:
    """Return whether *order*, which has the id of *intent*, also has its symbol, side and quantity.

    The times are not compared: the clocks may differ by any amount, and no other order has this random id.
    """
    return (order.symbol, order.side, order.quantity) == (intent.symbol, intent.side, intent.quantity)
