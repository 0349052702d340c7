"""Ask again and again for the cancels of many orders. One request that fails does not delay the others."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pipeline.model.errors import BrokerUnavailable, BrokerUnreadable
from workers.brokers.protocol import Broker

# A cancel takes the broker a moment, and asking again costs a request of the account's budget.
_AGAIN_AFTER_S = 5.0
# A request that is not answered takes some seconds. So after this many failures in a row, the other cancels are left to
# the next call of `ask`, in which they come first.
_MOST_FAILURES = 3


@dataclass(kw_only=True)
class RepeatedCancels:
    """The cancels of one account's orders."""

    #: Called with the order's id and the error of each cancel that could not be requested.
    on_failure: Callable[[str, Exception], None]
    _asked_at: dict[str, float] = field(default_factory=dict)
    _failed: set[str] = field(default_factory=set)
    #: The orders that are still open although the broker has answered their cancel.
    _answered: set[str] = field(default_factory=set)

    def ask(self, broker: Broker, order_ids: Sequence[str], *, again: Broker | None = None) -> None:
        """Ask for the cancels of the open orders *order_ids*, except those that the broker answered in the last 5 s.

        A cancel that the broker has answered is repeated through *again*, which must not use the requests that exits
        need; None: through *broker*.

        Raises:
            BrokerRefusesAccount: the broker refuses the account, and so every cancel.
        """
        self._asked_at = {each: at for each, at in self._asked_at.items() if each in order_ids}
        self._failed.intersection_update(order_ids)
        self._answered.intersection_update(order_ids)
        failures = 0
        for order_id in sorted(order_ids, key=lambda each: each in self._failed):
            if failures < _MOST_FAILURES and self._is_due(order_id):
                by = again if again is not None and order_id in self._answered else broker
                failures = 0 if self._is_requested(by, order_id) else failures + 1

    def _is_due(self, order_id: str) -> bool:
        asked_at = self._asked_at.get(order_id)
        return asked_at is None or order_id in self._failed or time.monotonic() - asked_at >= _AGAIN_AFTER_S

    def _is_requested(self, broker: Broker, order_id: str) -> bool:
        self._asked_at[order_id] = time.monotonic()
        try:
            broker.cancel(order_id)
        except (BrokerUnavailable, BrokerUnreadable) as error:
            self._failed.add(order_id)
            self.on_failure(order_id, error)
            return False
        self._failed.discard(order_id)
        self._answered.add(order_id)
        return True
