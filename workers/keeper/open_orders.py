"""Cancel every order that is open at the broker, except our own exits, until none is left."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from pipeline.model.orders import BrokerOrder
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.account.runtime import ExecutorRuntime
from workers.brokers.protocol import UnreadableRow
from workers.execution.repeated_cancels import RepeatedCancels
from workers.keeper.unreadable_orders import note_unreadable

log = structlog.get_logger(__name__)


def _log_failure(order_id: str, error: Exception) -> None:
    log.warning("cancel.failed", order_id=order_id, error=str(error))


@dataclass(frozen=True, kw_only=True)
class OpenOrders:
    """Cancels one account's open orders. One that cannot be canceled, or not even read, delays no other."""

    record: Record
    runtime: ExecutorRuntime
    _cancels: RepeatedCancels = field(default_factory=lambda: RepeatedCancels(on_failure=_log_failure))

    def cancel(self) -> int:
        """Ask for the cancels that are missing; return how many orders the broker shows besides our own exits.

        Raises:
            BrokerUnavailable, BrokerRefusesAccount, BrokerUnreadable: the orders could not be listed.
        """
        broker, unreadable = self.runtime.urgent, list[UnreadableRow]()
        orders = broker.orders(status="open", on_unreadable=unreadable.append)
        note_unreadable(self.record, self.runtime.executor.id, unreadable)
        kept = self._kept(orders)
        # A `tw-` id does not make an order ours: the record may be an older one, restored from a backup.
        others = [order.order_id for order in orders if order.client_order_id not in kept]
        others += [row.row_id for row in unreadable]
        self._cancels.ask(broker, others)
        return len(others)

    def _kept(self, orders: Sequence[BrokerOrder]) -> set[str]:
        ids = [order.client_order_id for order in orders]
        return set(self.record.all(str, sql("keeper", "kept_orders"), {"client_order_ids": ids})) if ids else set()
