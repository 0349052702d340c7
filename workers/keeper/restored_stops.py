"""Check how orders that were canceled for an exit ended, and place stops again for the position that remains."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

import structlog

from pipeline.model.backoff import Backoff
from pipeline.model.errors import BrokerRefusesAccount, BrokerUnavailable, BrokerUnreadable
from pipeline.model.orders import BrokerOrder, OrderRequest, OrderStatus, position_intent
from pipeline.model.reasons import storable
from pipeline.model.symbols import AssetClass, asset_class
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.account.runtime import ExecutorRuntime
from workers.brokers.protocol import Accepted, Duplicate, Found, Rejected
from workers.execution.broker_orders import FINAL_STATUSES
from workers.execution.replaced_orders import in_its_place, is_replaced
from workers.rules.differences import RESTORED
from workers.rules.orders import reduces
from workers.rules.sizing import rounded_down

log = structlog.get_logger(__name__)

_BATCH = 20
# The pauses between two looks at a canceled order, since each look costs two requests.
_PAUSES = Backoff(first_s=1.0, longest_s=60.0)
#: A reading that shows a smaller position than the stop protected is believed only this long after the first such
#: reading, and this long after the last fill or end of one of our orders in the symbol.
_CONFIRMED_AFTER = timedelta(seconds=5)
#: After this many looks, an answer that cannot be read is reported to a person. Before, the next one may be readable.
_UNREADABLE_LOOKS = 3
#: If the broker does not even show the cancel as pending after this time, it will not carry it out.
_KEPT_AFTER = timedelta(seconds=60)


@dataclass(frozen=True, kw_only=True)
class _CanceledOrder:
    order_id: str
    client_order_id: str
    symbol: str
    asked_at: datetime
    looks: int
    #: The database's time just before this look.
    now: datetime
    #: Since when readings show a smaller quantity than the stop protected.
    short_at: datetime | None
    #: The newest fill or end of one of our orders in the symbol.
    changed_at: datetime | None

    @property
    def is_confirmed(self) -> bool:
        """Return whether a reading is now believed although it shows a smaller quantity than the stop protected."""
        if self.short_at is None:
            return False
        return self.now - max(self.short_at, self.changed_at or self.short_at) >= _CONFIRMED_AFTER


@dataclass(frozen=True, kw_only=True)
class RestoredStops:
    """Settles one executor's canceled orders. The restored stop's id is always the same, so it is placed only once."""

    record: Record
    runtime: ExecutorRuntime

    def run_once(self) -> int:
        """Settle the orders whose exit is over, or was not sent within 5 s; return how many stops were placed again."""
        key = {"executor_id": self.runtime.executor.id, "limit": _BATCH}
        restored = 0
        for canceled in self.record.all(_CanceledOrder, sql("canceled_orders", "unsettled"), key):
            try:
                restored += self._settle(canceled)
            except (BrokerUnavailable, BrokerUnreadable, BrokerRefusesAccount) as error:
                log.debug("restore.failed", order_id=canceled.order_id, error=str(error))
                self._look_again(canceled)
        return restored

    def _settle(self, canceled: _CanceledOrder) -> bool:
        try:
            order = in_its_place(self.runtime.urgent, canceled.order_id)
        except BrokerUnreadable as error:
            return self._give_up(canceled, str(error))
        if order is None:
            # One answer without the order proves nothing, since reads lag.
            return self._end(canceled, "vanished") if canceled.looks else self._look_again(canceled)
        if order.status not in FINAL_STATUSES or is_replaced(order):
            # The cancel is not done yet, or the broker has refused it, or its reads lag.
            kept = order.raw_status != "pending_cancel" and canceled.now - canceled.asked_at >= _KEPT_AFTER
            return self._end(canceled, "kept") if kept else self._look_again(canceled)
        if order.status is not OrderStatus.CANCELED or order.stop is None:
            return self._end(canceled, order.raw_status)
        return self._protect(canceled, order)

    def _protect(self, canceled: _CanceledOrder, order: BrokerOrder) -> bool:
        left, free = self._unprotected(order)
        # A position that was read just after a fill or a cancel may not show that yet.
        if (free < left or free <= 0) and not canceled.is_confirmed:
            return self._look_again(canceled, short=True)
        if free > 0:
            return self._restore(canceled, order, _taken(order, free))
        placed = self.runtime.urgent.find(equal_stop(order, Decimal(1)).client_order_id)
        if isinstance(placed, Found):
            # An earlier send got no answer, and the stop holds the position.
            return self._end(canceled, "restored", quantity=placed.order.quantity)
        return self._end(canceled, "nothing_left")

    def _unprotected(self, order: BrokerOrder) -> tuple[Decimal, Decimal]:
        """Return how much of what *order* protected is still held, and how much of that no open order reserves."""
        position = self.runtime.urgent.position(order.symbol)
        if position is None or not reduces(order.side, position.quantity):
            return Decimal(0), Decimal(0)
        protected = (order.quantity or Decimal(0)) - order.filled_quantity
        return min(protected, abs(position.quantity)), min(protected, abs(position.available))

    def _restore(self, canceled: _CanceledOrder, order: BrokerOrder, quantity: Decimal) -> bool:
        outcome = self.runtime.urgent.submit_paid(equal_stop(order, quantity))
        match outcome:
            case Accepted() | Duplicate():
                self._end(canceled, "restored", quantity=quantity)
                log.warning("stop.restored", quantity=str(quantity), **self._facts(canceled))
                return True
            case Rejected(message=message):
                return self._not_restored(canceled, message)
        return self._look_again(canceled)

    def _not_restored(self, canceled: _CanceledOrder, message: str) -> bool:
        """Try again later, and let a person know: the position is without its stop."""
        if canceled.looks == 0:
            # A first refusal may be due to a position that was read too early.
            return self._look_again(canceled)
        log.error("stop.not_restored", says=message, **self._facts(canceled))
        return self._look_again(canceled, outcome="not_restored", message=message)

    def _give_up(self, canceled: _CanceledOrder, message: str) -> bool:
        """After a few tries, tell a person that the terms of an order cannot be read, so it cannot be placed again."""
        if canceled.looks < _UNREADABLE_LOOKS:
            return self._look_again(canceled)
        log.error("stop.not_restored", says=message, **self._facts(canceled))
        return self._end(canceled, "not_restored", message=message)

    def _look_again(
        self,
        canceled: _CanceledOrder,
        *,
        short: bool = False,
        outcome: str | None = None,
        message: str | None = None,
    ) -> bool:
        values = {
            "order_id": canceled.order_id,
            "pause": timedelta(seconds=_PAUSES.after(canceled.looks + 1)),
            "short": short,
            "outcome": outcome,
            "message": _short(message),
        }
        self.record.do(sql("canceled_orders", "look_again"), values)
        return False

    def _end(
        self, canceled: _CanceledOrder, outcome: str, *, quantity: Decimal | None = None, message: str | None = None
    ) -> bool:
        values = {
            "order_id": canceled.order_id,
            "outcome": outcome,
            "restored_quantity": quantity,
            "message": _short(message),
        }
        self.record.do(sql("canceled_orders", "settle"), values)
        return False

    def _facts(self, canceled: _CanceledOrder) -> dict[str, str]:
        return {
            "executor_id": self.runtime.executor.id,
            "symbol": canceled.symbol,
            "order_id": canceled.order_id,
            "client_order_id": canceled.client_order_id,
        }


def _short(message: str | None) -> str | None:
    return None if message is None else storable(message)[:500]


def _taken(order: BrokerOrder, quantity: Decimal) -> Decimal:
    """Return the part of *quantity* that the broker accepts in a stop with the terms of *order*."""
    if order.stop is None or order.stop.time_in_force == "day" or asset_class(order.symbol) is AssetClass.CRYPTO:
        return quantity
    # The broker accepts fractions of a share in day orders only. Less than one share is sent all the same, so that the
    # broker's refusal is reported.
    return rounded_down(quantity, Decimal(1)) or quantity


def equal_stop(order: BrokerOrder, quantity: Decimal) -> OrderRequest:
    """Return an order with the terms of the stop *order*. Its id is derived from *order*, so it is placed once.

    The new order belongs to the owner of the stop, so its id does not look like one of ours.
    """
    assert order.stop is not None
    return OrderRequest(
        client_order_id=f"{RESTORED}{order.order_id}",
        symbol=order.symbol,
        side=order.side,
        quantity=quantity,
        type=order.stop.type,
        time_in_force=order.stop.time_in_force,
        limit_price=order.stop.limit_price,
        # The broker reports the price that a trailing stop has reached, but only the stop's distance is sent.
        stop_price=None if order.stop.type == "trailing_stop" else order.stop.stop_price,
        trail_price=order.stop.trail_price,
        trail_percent=order.stop.trail_percent,
        position_intent=position_intent(order.symbol, order.side, closes=True),
    )
