"""Look up the orders that an execution waits for, so that the execution goes on even if no keeper reads them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

import structlog
from psycopg import Connection
from psycopg.rows import DictRow

from pipeline.model.errors import BrokerRefusesAccount, BrokerUnavailable, BrokerUnreadable
from pipeline.model.orders import BrokerOrder
from pipeline.store.record import Record
from pipeline.store.rows import ClaimedExecution, OrderRow
from pipeline.store.statements import sql
from workers.account.runtime import ExecutorRuntime
from workers.brokers.guarded import GuardedBroker
from workers.execution.broker_orders import follow, record_broker_order
from workers.execution.replaced_orders import newest
from workers.rules.retry_policy import broker_hold

log = structlog.get_logger(__name__)

# The keeper normally reads working orders within this time, so a worker reads only for an execution that is older.
_KEEPER_READS_WITHIN = timedelta(seconds=2)


@dataclass(frozen=True, kw_only=True)
class BlockingOrders:
    """Reads the orders that are in the way of one executor's executions."""

    record: Record
    runtime: ExecutorRuntime
    worker: str

    def look_up(self, orders: Iterable[OrderRow], waiting: ClaimedExecution, *, urgent: bool) -> bool:
        """Read those of *orders* that are due, and record their new states; return whether an execution changed.

        The pause between two reads of an order grows with the age of *waiting*. An order that cannot be read now goes
        on blocking. *urgent*: *waiting* is an exit, so the reads may use the requests that are reserved for exits.
        """
        age = waiting.now - waiting.created_at
        if age < _KEEPER_READS_WITHIN:
            return False
        ids = [order.client_order_id for order in orders if order.order_id is not None]
        values = {"client_order_ids": ids, "pause": max(_KEEPER_READS_WITHIN, broker_hold(age=age))}
        broker = self.runtime.urgent if urgent else self.runtime.broker
        due = self.record.all(OrderRow, sql("orders", "claim_blocking"), values)
        return any([self._read(broker, each) for each in due])  # noqa: C419 -- all are read

    def _read(self, broker: GuardedBroker, blocking: OrderRow) -> bool:
        try:
            found = broker.order(str(blocking.order_id))
            order = None if found is None else newest(broker, found)
        except (BrokerUnavailable, BrokerUnreadable, BrokerRefusesAccount) as error:
            log.debug("poll.failed", executor_id=self.runtime.executor.id, error=str(error))
            return False
        return order is not None and self.record.run(lambda connection: self._follow(connection, blocking, order))

    def _follow(self, connection: Connection[DictRow], blocking: OrderRow, order: BrokerOrder) -> bool:
        record_broker_order(connection, order)
        return follow(connection, blocking.execution_id, blocking.generation, order, by=self.worker)
