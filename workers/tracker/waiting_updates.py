"""Keep the updates of orders whose sender has not recorded the broker's answer yet.

The broker may report an order's fill before the worker has recorded that the order was accepted. That takes the worker
some milliseconds. If it takes longer, the worker has died or the answer was lost, and a look-up finds the order.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from pipeline.model.backoff import Backoff
from workers.brokers.alpaca.stream_frames import OrderUpdate

#: After so many seconds, the updates of an order are given up, and a poll is requested.
WAITS_AT_MOST_S = 3.0
_BACKOFF = Backoff(first_s=0.005, longest_s=0.25)


@dataclass(kw_only=True)
class WaitingOrder:
    """The updates of one order, in the order in which they came."""

    since: float
    due_at: float
    updates: deque[OrderUpdate] = field(default_factory=deque)
    tries: int = 0

    def again(self, now: float) -> bool:
        """Schedule the next try; return False if the updates have waited for too long."""
        self.tries += 1
        self.due_at = now + _BACKOFF.after(self.tries)
        return now - self.since < WAITS_AT_MOST_S


class WaitingUpdates:
    """The updates that wait, by the client order id. All times are monotonic."""

    def __init__(self) -> None:
        self._orders: dict[str, WaitingOrder] = {}

    def holds(self, update: OrderUpdate) -> bool:
        """Return whether earlier updates of the same order wait, so that a new update has to wait behind them."""
        return update.order.client_order_id in self._orders

    def add(self, update: OrderUpdate, now: float) -> None:
        """Add an update behind those of its order."""
        name = update.order.client_order_id
        waiting = self._orders.setdefault(name, WaitingOrder(since=now, due_at=now + _BACKOFF.after(1)))
        waiting.updates.append(update)

    def due(self, now: float) -> Iterator[WaitingOrder]:
        """Yield the orders that are to be tried now, and forget those that have no updates left."""
        for name, waiting in list(self._orders.items()):
            if waiting.due_at <= now:
                yield waiting
            if not waiting.updates:
                del self._orders[name]

    def next_in_s(self, now: float, at_most: float) -> float:
        """Return the seconds until the next try, at most *at_most*."""
        return min([at_most, *(max(waiting.due_at - now, 0.0) for waiting in self._orders.values())])
