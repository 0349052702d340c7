"""Hold a fill as plain values: one part of an order that traded, as a broker reports it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

from pipeline.model.orders import OrderSide

#: A fill that the broker's list has not shown for this long is not looked for any more.
ITEMISED_WITHIN: Final = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class FillReport:
    """One trade of an order. The quantities of an order's fills add up to its filled quantity."""

    #: The broker's id of this trade, the same in the trade-update stream and in the list of activities.
    fill_id: str
    #: The broker's id of the order.
    order_id: str
    #: Canonical form: `AAPL`, `BTC/USD`.
    symbol: str
    side: OrderSide
    #: In shares or coins; above zero, whatever the side.
    quantity: Decimal
    #: Of one share or coin, in the currency of the quote.
    price: Decimal
    #: The broker's time of the trade.
    filled_at: datetime
    #: The order's filled quantity after this trade; None if the broker does not report it.
    cumulative_quantity: Decimal | None = None


class FillSource(StrEnum):
    """Where the record has a fill from."""

    #: The broker's list of activities, which is authoritative.
    ACTIVITY = "activity"
    #: The broker's stream of trade updates.
    STREAM = "stream"
    #: The broker's report of the order: the part of its filled quantity that no fill explains yet.
    ORDER = "order"
