"""What the broker says of symbols, kept for an hour: increments and flags rarely change."""

from __future__ import annotations

import time

from workers.brokers.holdings import Asset
from workers.brokers.protocol import Broker

_KEPT_S = 3600.0
# A symbol that the broker does not know may be listed any day; it is asked for again soon.
_UNKNOWN_KEPT_S = 60.0


class Assets:
    """The assets of one broker, read when first needed."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._kept: dict[str, tuple[Asset | None, float]] = {}

    def get(self, symbol: str) -> Asset | None:
        """Return the asset; None when the broker does not know the symbol.

        Raises:
            BrokerUnavailable: the broker is away.
            BrokerRefusesAccount: it refuses the account.
            BrokerUnreadable: its answer makes no sense.
        """
        asset, until = self._kept.get(symbol, (None, 0.0))
        if time.monotonic() >= until:
            asset = self._broker.asset(symbol)
            self._kept[symbol] = (asset, time.monotonic() + (_KEPT_S if asset else _UNKNOWN_KEPT_S))
        return asset
