"""Find the orders that tradewire did not place and that may be in the way of an exit."""

from decimal import Decimal

import structlog

from pipeline.model.account import Position
from pipeline.model.errors import BrokerUnreadable
from pipeline.model.orders import BrokerOrder, OrderSide, OrderStatus, is_our_order
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.account.open_orders import OpenOrderList
from workers.account.runtime import ExecutorRuntime
from workers.brokers.protocol import RefusalKind, UnreadableRow
from workers.execution.broker_orders import FINAL_STATUSES
from workers.rules.case import ExitRefusal

log = structlog.get_logger(__name__)


def foreign_orders(
    record: Record, runtime: ExecutorRuntime, position: Position, refused: ExitRefusal
) -> tuple[BrokerOrder, ...]:
    """Return the open orders of the symbol that are not our exits or stops, if one may be in the way of an exit.

    The orders are read only if orders hold a part of the position, or if the last exit was refused because of an order.
    Otherwise every exit would cost one more request.
    """
    held = abs(position.available) < abs(position.quantity)
    if not held and refused.kind not in (RefusalKind.HELD, RefusalKind.OPPOSED):
        return ()
    try:
        listed = runtime.open_orders.read()
    except BrokerUnreadable as error:
        log.warning("orders.unreadable", executor_id=runtime.executor.id, error=str(error))
        return ()
    here = [order for order in listed.orders if order.symbol == position.symbol and order.status not in FINAL_STATUSES]
    ids = [order.client_order_id for order in here if is_our_order(order.client_order_id)]
    key = {"client_order_ids": ids, "executor_id": runtime.executor.id}
    exits = record.all(str, sql("orders", "working_exits"), key)
    odd = _unreadable(listed, here, position, refused)
    return (*(order for order in here if order.client_order_id not in exits), *odd)


def _unreadable(
    listed: OpenOrderList, here: list[BrokerOrder], position: Position, refused: ExitRefusal
) -> list[BrokerOrder]:
    """Return the orders that cannot be read and may be in the way. Their ids are enough to cancel them.

    An order counts if it is in the symbol, or if the broker named it when it refused the exit. One whose symbol cannot
    be read also counts if the readable orders reserve less than the broker holds back for orders.
    """
    holder = OrderSide.SELL if position.quantity > 0 else OrderSide.BUY
    holders = [each for each in here if each.side is holder and each.quantity is not None]
    explained = sum(((each.quantity or 0) - each.filled_quantity for each in holders), Decimal(0))
    unexplained = abs(position.quantity) - abs(position.available) > explained

    def is_here(row: UnreadableRow) -> bool:
        of_symbol = row.symbol == position.symbol or (row.symbol is None and unexplained and not row.expected)
        return of_symbol or row.order_id in refused.named

    other = OrderSide.BUY if holder is OrderSide.SELL else OrderSide.SELL
    return [
        BrokerOrder(
            order_id=row.order_id,
            client_order_id="",
            symbol=position.symbol,
            side=other if refused.kind is RefusalKind.OPPOSED and row.order_id in refused.named else holder,
            quantity=None,
            filled_quantity=Decimal(0),
            filled_average_price=None,
            status=OrderStatus.UNRECOGNISED,
            raw_status="unreadable",
            created_at=None,
        )
        for row in listed.unreadable
        if row.order_id is not None and is_here(row)
    ]
