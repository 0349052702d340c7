"""Read the open orders at the broker once for all exits that other orders block."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.model.orders import BrokerOrder
from workers.brokers.protocol import Broker, UnreadableRow

# Blocked exits read the list again and again, some twice a second, and each reading costs a request. So the exits of a
# process share a reading for this long.
_LASTS_S = 5.0


@dataclass(frozen=True, kw_only=True)
class OpenOrderList:
    """The open orders of an account, and the rows of the list that cannot be read."""

    orders: Sequence[BrokerOrder]
    unreadable: Sequence[UnreadableRow]


class SharedOpenOrders:
    """One account's list of open orders in this process. Thread-safe."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._lock = threading.Lock()
        self._last: tuple[float, OpenOrderList] | None = None

    def read(self) -> OpenOrderList:
        """Return the list, at most five seconds old. Raises what `Broker.orders` raises."""
        with self._lock:
            began_at = time.monotonic()
            if self._last is not None and began_at - self._last[0] < _LASTS_S:
                return self._last[1]
            unreadable: list[UnreadableRow] = []
            orders = self._broker.orders(status="open", on_unreadable=unreadable.append)
            listed = OpenOrderList(orders=orders, unreadable=unreadable)
            self._last = (began_at, listed)
            return listed

    def forget(self) -> None:
        """Make the next exit read the list again, because orders are being canceled."""
        with self._lock:
            self._last = None
