"""Cancel a position's stop when its close is recorded, and place an equal one when the close is not accepted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import structlog
from psycopg.types.json import Jsonb

from pipeline.model.errors import BrokerRefusesAccount, BrokerUnavailable, BrokerUnreadable
from pipeline.model.orders import BrokerOrder, OrderRequest, position_intent
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.account.runtime import ExecutorRuntime
from workers.brokers.protocol import Accepted, Duplicate, Rejected
from workers.execution.broker_orders import FINAL_STATUSES
from workers.rules.orders import reduces

log = structlog.get_logger(__name__)

#: A close that the broker has not accepted by then leaves the position without a stop for too long.
ACCEPTED_WITHIN = timedelta(seconds=5)


@dataclass(frozen=True, kw_only=True)
class _CanceledStop:
    order_id: str
    symbol: str
    request: dict[str, Any]
    #: The broker accepted an exit of the symbol since.
    closed: bool
    due: bool


def protects(order: BrokerOrder, held: Mapping[str, Decimal] | None) -> bool:
    """Return whether the order is a stop of a position; *held* is None when the positions are not known."""
    if order.stop is None:
        return False
    return held is None or reduces(order.side, held.get(order.symbol, Decimal(0)))


@dataclass(frozen=True, kw_only=True)
class ProtectiveStops:
    """The stops of one account's positions, whoever placed them."""

    record: Record
    runtime: ExecutorRuntime

    def cancel(self, stops: Sequence[BrokerOrder]) -> None:
        """Record each stop, then ask for its cancel. A cancel that fails leaves the stop at the broker."""
        for order in stops:
            assert order.quantity is not None
            request = equal_stop(order, order.quantity - order.filled_quantity)
            values = self._key(order.order_id) | {"symbol": order.symbol, "request": Jsonb(request.to_json())}
            self.record.do(sql("canceled_stops", "record"), values)
            log.warning("stop.canceled", order_id=order.order_id, symbol=order.symbol)
            try:
                self.runtime.urgent.cancel(order.order_id)
            except (BrokerUnavailable, BrokerUnreadable, BrokerRefusesAccount) as error:
                log.warning("cancel.failed", order_id=order.order_id, error=str(error))

    def restore(self) -> None:
        """Place an equal stop for each position whose close was not accepted in time."""
        key = {"executor_id": self.runtime.executor.id, "within": ACCEPTED_WITHIN}
        for stop in self.record.all(_CanceledStop, sql("canceled_stops", "open"), key):
            try:
                ending = "closed" if stop.closed else self._restored(stop) if stop.due else None
            except (BrokerUnavailable, BrokerUnreadable, BrokerRefusesAccount) as error:
                log.warning("stop.waits", order_id=stop.order_id, symbol=stop.symbol, error=str(error))
                continue
            if ending is not None:
                self.record.do(sql("canceled_stops", "settle"), self._key(stop.order_id) | {"ending": ending})

    def _restored(self, stop: _CanceledStop) -> str | None:
        """Send the equal stop if the position is left without one; return the ending, None: try it again."""
        broker = self.runtime.urgent
        original = broker.order(stop.order_id)
        if original is not None and original.status not in FINAL_STATUSES:
            return None if original.raw_status == "pending_cancel" else "kept"
        request = OrderRequest.from_json(stop.request)
        position = broker.position(stop.symbol)
        if position is None or not reduces(request.side, position.quantity):
            return "gone"
        outcome = broker.submit_paid(replace(request, quantity=min(request.quantity, abs(position.quantity))))
        facts = {"order_id": stop.order_id, "symbol": stop.symbol}
        if isinstance(outcome, Accepted | Duplicate):
            log.warning("stop.restored", **facts)
            return "restored"
        if isinstance(outcome, Rejected):
            log.error("stop.not_restored", **facts, error=outcome.message)
            return "refused"
        return None

    def _key(self, order_id: str) -> dict[str, Any]:
        return {"executor_id": self.runtime.executor.id, "order_id": order_id}


def equal_stop(order: BrokerOrder, quantity: Decimal) -> OrderRequest:
    """Return an order with the terms of a stop. Its id follows from the stop's, so that it is placed once.

    It belongs to the owner of the stop, so its id does not look like one of ours.
    """
    assert order.stop is not None
    return OrderRequest(
        client_order_id=f"restored-{order.order_id}",
        symbol=order.symbol,
        side=order.side,
        quantity=quantity,
        type=order.stop.type,
        time_in_force=order.stop.time_in_force,
        limit_price=order.stop.limit_price,
        # A trailing stop reports the price that it has reached, and is sent with its distance alone.
        stop_price=None if order.stop.type == "trailing_stop" else order.stop.stop_price,
        trail_price=order.stop.trail_price,
        trail_percent=order.stop.trail_percent,
        position_intent=position_intent(order.symbol, order.side, closes=True),
    )
