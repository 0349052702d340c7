"""Cancel every order that is open at the broker, except our own exits and orders that reduce a position."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import LiteralString

import structlog

from pipeline.model.orders import BrokerOrder
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.account.runtime import ExecutorRuntime
from workers.brokers.protocol import UnreadableRow
from workers.execution.repeated_cancels import RepeatedCancels
from workers.keeper.unreadable_orders import note_unreadable
from workers.rules.orders import reduces_position

log = structlog.get_logger(__name__)


def _log_failure(order_id: str, error: Exception) -> None:
    log.warning("cancel.failed", order_id=order_id, error=str(error))


@dataclass(frozen=True, kw_only=True)
class OtherOrders:
    """The open orders, without our open exits and without our orders whose cancel was requested in the last 2 s."""

    count: int
    #: Those of them that reduce a position, without our own stops.
    reducing: tuple[BrokerOrder, ...] = ()


@dataclass(frozen=True, kw_only=True)
class OpenOrders:
    """Cancels one account's open orders. One that cannot be canceled, or not even read, does not delay the others."""

    record: Record
    runtime: ExecutorRuntime
    _cancels: RepeatedCancels = field(default_factory=lambda: RepeatedCancels(on_failure=_log_failure))

    def cancel(self, held: Mapping[str, Decimal] | None) -> OtherOrders:
        """Ask for the cancels that are due; return the open orders that `OtherOrders` describes.

        An order that reduces one of the positions *held* is not canceled here, but when that position is closed. If
        *held* is None (not known), every stop stays, and no other order.

        Raises:
            BrokerUnavailable, BrokerRefusesAccount, BrokerUnreadable: the orders could not be listed.
        """
        broker, unreadable = self.runtime.urgent, list[UnreadableRow]()
        orders = broker.orders(status="open", on_unreadable=unreadable.append)
        note_unreadable(self.record, self.runtime.executor.id, unreadable)
        kept = self._named(orders, sql("keeper", "kept_orders"))
        # A `tw-` id alone does not keep an order: a record that was restored from a backup may not know the order.
        others = [order for order in orders if order.client_order_id not in kept]
        reducing = [order for order in others if reduces_position(order, held)]
        ids = [order.order_id for order in others if order not in reducing]
        ids += [row.order_id for row in unreadable if row.order_id is not None]
        self._cancels.ask(broker, ids, again=self.runtime.broker.canceling())
        # An exit cancels our own stops itself, and the keeper places them again.
        ours = self._named(reducing, sql("protection", "of_ours"))
        foreign = tuple(order for order in reducing if order.client_order_id not in ours)
        return OtherOrders(count=len(others) + len(unreadable), reducing=foreign)

    def _named(self, orders: Sequence[BrokerOrder], statement: LiteralString) -> set[str]:
        ids = [order.client_order_id for order in orders]
        return set(self.record.all(str, statement, {"client_order_ids": ids})) if ids else set()
