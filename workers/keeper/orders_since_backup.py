"""Adopt our orders that were sent after the backup from which the record was restored."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import structlog
from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from pipeline.model.orders import BrokerOrder, OrderRequest, OrderSide, client_order_id
from pipeline.model.signals import Intent
from pipeline.model.sources import PROTECT
from pipeline.model.symbols import AssetClass
from pipeline.store.query import execute, fetch_one
from pipeline.store.record import Record
from pipeline.store.rows import Role
from pipeline.store.statements import sql
from workers.account.runtime import ExecutorRuntime
from workers.execution.broker_orders import follow, record_broker_order
from workers.keeper.order_updates import OrderUpdates

log = structlog.get_logger(__name__)

# The broker's list begins so much earlier than the oldest execution, since the clocks differ.
_EARLIER = timedelta(seconds=60)


@dataclass(frozen=True, kw_only=True)
class _Unsent:
    """An execution of the backup that the record does not show as sent."""

    execution_id: UUID
    generation: int
    symbol: str
    created_at: datetime
    source: str
    intent: Intent
    asset_class: str
    strategy: str | None
    entry_price: Decimal | None
    stop_price: Decimal | None

    @property
    def client_order_id(self) -> str:
        return client_order_id(self.execution_id, self.generation)

    def role_of(self, order: BrokerOrder) -> Role:
        """Return whether the order opens or closes, by its own position intent if it has one."""
        if self.source == PROTECT and order.stop is not None:
            return Role.PROTECTION
        opens = order.side is OrderSide.BUY and self.intent is not Intent.CLOSE
        if self.asset_class != AssetClass.CRYPTO and "position_intent" in order.terms:
            opens = str(order.terms["position_intent"]).endswith("_to_open")
        return Role.ENTRY if opens else Role.EXIT


@dataclass(frozen=True, kw_only=True)
class OrdersSinceBackup:
    """Finds the orders of one account that the broker has for executions which the backup had not sent yet.

    Without this, the position of such an order differs from the record, and its entry waits for a person who adopts it.
    The search runs until the first reconcile after a restore is complete. Running it twice changes nothing.
    """

    record: Record
    runtime: ExecutorRuntime
    updates: OrderUpdates
    who: str

    def adopt(self, account_number: str) -> int:
        """Adopt the orders, and return how many they were.

        Raises:
            BrokerUnavailable: the broker is away.
            BrokerUnreadable: the list of orders makes no sense.
            RecordUnavailable: PostgreSQL is away.
        """
        restored_at = self.record.maybe(datetime, sql("restores", "to_compare"), {"account_number": account_number})
        if restored_at is None:
            return 0
        values = {"executor_id": self.runtime.executor.id, "restored_at": restored_at}
        unsent = self.record.all(_Unsent, sql("restores", "unsent"), values)
        if not unsent:
            return 0
        orders = {order.client_order_id: order for order in self._orders_since(each.created_at for each in unsent)}
        found = [(each, orders[each.client_order_id]) for each in unsent if each.client_order_id in orders]
        return sum(self._adopt(each, order, account_number) for each, order in found)

    def _orders_since(self, times: Iterable[datetime]) -> list[BrokerOrder]:
        since = self.runtime.snapshots.broker_time(min(times)) - _EARLIER
        return list(self.runtime.broker.polling().orders(status="all", since=since))

    def _adopt(self, unsent: _Unsent, order: BrokerOrder, account_number: str) -> bool:
        if order.symbol != unsent.symbol or order.quantity is None:
            # This is not our order. The broker refuses ours under the same id, so the execution becomes a dead letter.
            return False
        current = self.updates.newest(order)
        values = self._row(unsent, order, order.quantity) | {"account_number": account_number}

        def unit(connection: Connection[DictRow]) -> bool:
            # A worker decides under this lock: either it sees this order, or this sees the worker's.
            execute(connection, sql("accounts", "lock_executor"), values)
            if not execute(connection, sql("restores", "adopt_order"), values):
                return False
            claimed = execute(connection, sql("restores", "claim_unsent"), values)
            if current is None:
                # Its replacement is not shown. The lease of this claim ends, and the order is looked up.
                return True
            if claimed:
                record_broker_order(connection, current)
                follow(connection, unsent.execution_id, unsent.generation, current, by=self.who)
            elif fetch_one(connection, bool, sql("restores", "is_submitting"), values):
                # The worker that has it may hold it now. With the order's id in the record, the next one looks it up.
                record_broker_order(connection, current)
            return True

        adopted = self.record.run(unit)
        if adopted:
            log.info("order.found", execution_id=str(unsent.execution_id), order_id=order.order_id)
            # An execution that has ended meanwhile takes the order as a late one.
            self.updates.apply([order], set())
        return adopted

    def _row(self, unsent: _Unsent, order: BrokerOrder, quantity: Decimal) -> dict[str, Any]:
        """Return the values of the order's row. The broker's report stands for the lost intent."""
        role = unsent.role_of(order)
        request = _request(order, quantity)
        price = request.stop_price or request.limit_price or order.filled_average_price or unsent.entry_price
        # Until an order without any price fills, the limits count it at the market's price.
        price = price or self.runtime.of_market(order.symbol, self.runtime.broker.price) or Decimal(0)
        stop = self._stop_of(unsent, order, price) if role is Role.ENTRY else request.stop_price
        distance = price * self._assumed_distance if stop is None else abs(price - stop)
        return {
            "execution_id": unsent.execution_id,
            "generation": unsent.generation,
            "executor_id": self.runtime.executor.id,
            "client_order_id": order.client_order_id,
            "role": role,
            "symbol": order.symbol,
            "side": order.side.value,
            "quantity": quantity,
            "limit_price": request.limit_price,
            "reference_price": price,
            "request": Jsonb(request.to_json()),
            "strategy": unsent.strategy or "",
            "stop_price": stop,
            "risk": quantity * distance if role is Role.ENTRY else Decimal(0),
            "sent_at": order.created_at,
            "who": self.who,
        }

    @property
    def _assumed_distance(self) -> Decimal:
        """The distance of an assumed stop, as a part of the price."""
        return self.runtime.executor.size.default_stop_percent / 100

    def _stop_of(self, unsent: _Unsent, order: BrokerOrder, price: Decimal) -> Decimal | None:
        """Return the price of the stop that an entry gets once it has filled; None: it gets none."""
        if unsent.stop_price is not None or self.runtime.executor.order.unprotected != "guard":
            return unsent.stop_price
        distance = price * self._assumed_distance
        return price - distance if order.side is OrderSide.BUY else price + distance


def _request(order: BrokerOrder, quantity: Decimal) -> OrderRequest:
    return OrderRequest(
        client_order_id=order.client_order_id,
        symbol=order.symbol,
        side=order.side,
        quantity=quantity,
        type=str(order.terms.get("type", "")),
        time_in_force=str(order.terms.get("time_in_force", "")),
        limit_price=Decimal(order.terms["limit_price"]) if "limit_price" in order.terms else None,
        stop_price=None if order.stop is None else order.stop.stop_price,
        extended_hours=order.terms.get("extended_hours") is True,
        position_intent=order.terms.get("position_intent"),
    )
