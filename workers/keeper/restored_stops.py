"""Find out what became of orders that were canceled for an exit, and place stops again for what remains."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

import structlog

from pipeline.model.errors import BrokerRefusesAccount, BrokerUnavailable, BrokerUnreadable
from pipeline.model.orders import BrokerOrder, OrderSide, OrderStatus
from pipeline.model.symbols import AssetClass, asset_class
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.account.runtime import ExecutorRuntime
from workers.brokers.protocol import Accepted, Duplicate, Rejected
from workers.execution.broker_orders import FINAL_STATUSES
from workers.execution.replaced_orders import in_its_place, is_replaced
from workers.keeper.protective_stops import equal_stop
from workers.rules.sizing import rounded_down

log = structlog.get_logger(__name__)

_BATCH = 20


@dataclass(frozen=True, kw_only=True)
class _CanceledOrder:
    order_id: str
    client_order_id: str
    symbol: str
    side: OrderSide
    terms: Mapping[str, Any]
    execution_id: UUID


@dataclass(frozen=True, kw_only=True)
class RestoredStops:
    """Settles one executor's canceled orders. The id of a stop that is placed again is derived: twice places one."""

    record: Record
    runtime: ExecutorRuntime

    def run_once(self) -> int:
        """Settle the orders whose exit is over, and return how many stops were placed again."""
        key = {"executor_id": self.runtime.executor.id, "limit": _BATCH}
        restored = 0
        for canceled in self.record.all(_CanceledOrder, sql("canceled_orders", "unsettled"), key):
            try:
                restored += self._settle(canceled)
            except (BrokerUnavailable, BrokerUnreadable, BrokerRefusesAccount) as error:
                log.debug("restore.failed", order_id=canceled.order_id, error=str(error))
        return restored

    def _settle(self, canceled: _CanceledOrder) -> bool:
        order = in_its_place(self.runtime.urgent, canceled.order_id)
        if order is None:
            return self._end(canceled, "vanished")
        if order.status not in FINAL_STATUSES or is_replaced(order):
            # The cancel is not done yet, or the broker has refused it, or its reads lag.
            return False
        if order.status is not OrderStatus.CANCELED or order.stop is None:
            return self._end(canceled, order.raw_status)
        quantity = self._unprotected(order)
        return self._restore(canceled, order, quantity) if quantity > 0 else self._end(canceled, "nothing_left")

    def _unprotected(self, order: BrokerOrder) -> Decimal:
        """Return how much of what *order* protected is left, and held by no other order."""
        position = self.runtime.urgent.position(order.symbol)
        if position is None or (position.quantity > 0) is not (order.side is OrderSide.SELL):
            return Decimal(0)
        left = (order.quantity or Decimal(0)) - order.filled_quantity
        unprotected = min(left, abs(position.available))
        if order.stop is None or order.stop.time_in_force == "day" or asset_class(order.symbol) is AssetClass.CRYPTO:
            return unprotected
        # The broker takes fractions of a share in day orders only. If that is all, its refusal is reported.
        return rounded_down(unprotected, Decimal(1)) or unprotected

    def _restore(self, canceled: _CanceledOrder, order: BrokerOrder, quantity: Decimal) -> bool:
        outcome = self.runtime.urgent.submit_paid(equal_stop(order, quantity))
        facts = {"executor_id": self.runtime.executor.id, "symbol": order.symbol, "order": str(order)}
        match outcome:
            case Accepted() | Duplicate():
                self._end(canceled, "restored", quantity=quantity)
                log.warning("stop.restored", quantity=str(quantity), **facts)
                return True
            case Rejected(message=message):
                self._end(canceled, "not_restored", message=message)
                log.error("stop.not_restored", says=message, **facts)
        return False

    def _end(
        self, canceled: _CanceledOrder, outcome: str, *, quantity: Decimal | None = None, message: str | None = None
    ) -> bool:
        values = {
            "order_id": canceled.order_id,
            "outcome": outcome,
            "restored_quantity": quantity,
            "message": None if message is None else message[:500],
        }
        self.record.do(sql("canceled_orders", "settle"), values)
        return False
