"""Follow accepted orders to their end by polling the broker, and keep the account's snapshot fresh."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog

from pipeline.model.crash_points import reached
from pipeline.model.errors import BrokerRefusesAccount, BrokerUnavailable, BrokerUnreadable, BudgetUsedUp
from pipeline.model.orders import BrokerOrder
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.account.runtime import ExecutorRuntime
from workers.brokers.protocol import Broker, More, UnreadableRow
from workers.brokers.rate_budget import Purpose
from workers.keeper.order_updates import OrderUpdates, UnlistedOrder
from workers.keeper.poll_interval import NO_STREAM, PollInterval, StreamReading
from workers.keeper.unreadable_orders import note_unreadable

log = structlog.get_logger(__name__)

# An order is young for this long. Most orders end within this time, so a list of young orders is short.
_YOUNG = timedelta(seconds=60)
# Up to this many orders are asked for one by one. For more, a page of the closed orders is cheaper.
_SINGLY = 3
# The broker's clock and ours differ, so a list that has to include an intent starts this much before it.
_CLOCK_TOLERANCE = timedelta(seconds=10)
# A tracker notes every 5 s that the broker answers its ping. A stream without a message for so long does not count.
_STREAM_SILENT = timedelta(seconds=15)
# Workers accept a snapshot that is up to `account_age_s` old (by default 5 s). The keeper reads a new one earlier.
_SNAPSHOT_AGE = timedelta(seconds=3)


@dataclass(frozen=True, kw_only=True)
class _OpenOrders:
    """The times of the oldest orders without a final status; None when there are no such orders."""

    #: Of the young orders.
    young: datetime | None
    #: Of the older orders that the broker has, and their number.
    old: datetime | None
    old_count: int
    #: Of the older orders that the broker may have without our knowing.
    unconfirmed: datetime | None
    #: Whether a cancel of one of them was requested in the last minute, so that an exit may wait for it.
    canceling: bool
    #: Whether one of them is an exit, whose end leads to a next step, or should not trade any more.
    pressing: bool


@dataclass(frozen=True, kw_only=True)
class OrderPolling:
    """Reads one executor's orders at the broker and updates their executions. Running it twice changes nothing.

    A run normally costs one request: the list of open orders if an order is older than a minute, else the list of young
    ones. Orders that this list does not show cost further requests.
    """

    record: Record
    runtime: ExecutorRuntime
    who: str
    interval: PollInterval = field(default_factory=PollInterval)

    def run_once(self) -> int:
        """Poll if that is due and an order has no final status; return how many executions changed their state.

        Also read the account if it is active, and no equity monitor reads it.
        """
        moved = 0
        try:
            # Read before the orders, so that a request that comes meanwhile leads to another poll.
            stream = self.stream()
            orders = self._open_orders(set())
            if self.runtime.snapshots.refusal() is not None:
                return 0
            # A stream may lose the end of such an order, so it does not slow these polls.
            if orders.canceling or self.interval.is_due(NO_STREAM if orders.pressing else stream):
                moved = self._poll(orders, stream)
            # The equity monitor reads such an account often enough, and a second reader would double the cost.
            if not self.runtime.executor.limits_equity and self._is_active():
                self.runtime.snapshots.fresh(within=_SNAPSHOT_AGE)
        except BrokerRefusesAccount as error:
            self.runtime.snapshots.refused(str(error))
        except BudgetUsedUp as error:
            self.interval.refused(error)
            self._log_failure(error)
        except (BrokerUnavailable, BrokerUnreadable) as error:
            self._log_failure(error)
        return moved

    def stream(self) -> StreamReading:
        """Return what the tracker has recorded about the account's stream."""
        values = {"executor_id": self.runtime.executor.id, "silent": _STREAM_SILENT}
        return self.record.maybe(StreamReading, sql("streams", "poll_needs"), values) or NO_STREAM

    def _poll(self, orders: _OpenOrders, stream: StreamReading) -> int:
        """Read lists and then single orders: each further request is for orders that the ones before did not show."""
        if not (orders.young or orders.old or orders.unconfirmed):
            return 0
        # An exit that waits for a cancel makes the poll as urgent as the exit.
        broker = self.runtime.urgent if orders.canceling else self.runtime.broker
        updates = OrderUpdates(record=self.record, broker=broker, who=self.who)
        moved, seen = 0, set[str]()
        if orders.old or orders.unconfirmed:
            moved += updates.apply(self._list(broker, "open"), seen)
            orders = self._open_orders(seen)
        since = self._list_since(orders)
        if since is not None:
            moved += updates.apply(self._list(broker, "all", since=since), seen)
        if orders.old_count > _SINGLY:
            moved += updates.apply(self._list(broker, "closed", since=orders.old, more=lambda: False), seen)
        moved += self._read_singly(broker, updates, seen)
        self.interval.polled(left=self.runtime.budget.left(Purpose.POLL), stream=stream)
        return moved

    def _list_since(self, orders: _OpenOrders) -> datetime | None:
        """Return since when to list all orders: the oldest young one or, every 30 s, the oldest unconfirmed one."""
        if orders.unconfirmed and self.interval.sweep_is_due():
            return orders.unconfirmed
        return orders.young

    def _read_singly(self, broker: Broker, updates: OrderUpdates, seen: set[str]) -> int:
        """Read a few of the orders that no list showed."""
        values = self._key(seen) | {"limit": _SINGLY}
        moved = 0
        for unlisted in self.record.all(UnlistedOrder, sql("keeper", "claim_unlisted"), values):
            order = broker.order(unlisted.order_id)
            if order is not None:
                moved += updates.apply([order], seen)
            if order is None or order.client_order_id not in seen:
                updates.vanished(unlisted)
        return moved

    def _open_orders(self, seen: set[str]) -> _OpenOrders:
        return self.record.one(_OpenOrders, sql("keeper", "open_orders"), self._key(seen))

    def _key(self, seen: set[str]) -> dict[str, Any]:
        return {"executor_id": self.runtime.executor.id, "seen": list(seen), "young": _YOUNG}

    def _list(
        self, broker: Broker, status: str, *, since: datetime | None = None, more: More | None = None
    ) -> Sequence[BrokerOrder]:
        unreadable: list[UnreadableRow] = []
        start = None if since is None else self.runtime.snapshots.broker_time(since) - _CLOCK_TOLERANCE
        orders = broker.orders(status=status, since=start, more=more, on_unreadable=unreadable.append)
        reached("keeper.after_poll")
        note_unreadable(self.record, self.runtime.executor.id, unreadable)
        return orders

    def _is_active(self) -> bool:
        return self.runtime.executor.id in self.record.all(str, sql("keeper", "active_executors"))

    def _log_failure(self, error: Exception) -> None:
        log.debug("poll.failed", executor_id=self.runtime.executor.id, error=str(error))
