"""Write trade updates as the broker's stream does."""

import uuid
from datetime import datetime
from decimal import Decimal
from typing import Any

from workers.exchange.accounts import Fill
from workers.exchange.orders import ExchangeOrder
from workers.exchange.refusals import plain
from workers.exchange.trading_days import NEW_YORK, settlement_day, trading_day
from workers.exchange.wire import optional_timestamp, timestamp

_NANO = 1_000_000_000
_ULID_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
#: Fields of an order that the trading API sends and the stream does not.
_NOT_STREAMED = frozenset({"ratio_qty", "source", "subtag"})


def event_json(event: str, order: ExchangeOrder, written: dict[str, Any], now_ns: int, *, fill: Fill | None,
               position_qty: Decimal) -> dict[str, Any]:  # fmt: skip
    """Return the trade update about *event* of *order*; *written* is the order's JSON from `order_json`."""
    shown = {name: value for name, value in written.items() if name not in _NOT_STREAMED}
    found: dict[str, Any] = {
        "at": timestamp(now_ns),
        "event_id": _ulid(now_ns),
        "event": event,
        "timestamp": timestamp(now_ns),
        "order": shown | {"cancel_requested_at": optional_timestamp(order.cancel_requested_ns)},
        "execution_id": None if event == "pending_new" else fill.id if fill else str(uuid.uuid4()),
    }
    if fill is not None:
        found |= {
            "price": plain(fill.price),
            "qty": plain(fill.qty),
            "position_qty": plain(position_qty),
            "swap_rate": "1",
            "settle_date": _settles(order, now_ns),
        }
    return {"stream": "trade_updates", "data": found}


def _settles(order: ExchangeOrder, now_ns: int) -> str:
    """Return the day on which a fill settles; a fill of coins settles on its own day."""
    day = datetime.fromtimestamp(now_ns / _NANO, NEW_YORK).date()
    session = None if order.is_crypto else trading_day(day)
    return (settlement_day(session) if session is not None else day).isoformat()


def _ulid(now_ns: int) -> str:
    """Return a new id that sorts by time: 48 bits of milliseconds and 80 random bits."""
    value = now_ns // 1_000_000 << 80 | uuid.uuid4().int >> 48
    return "".join(_ULID_LETTERS[value >> shift & 31] for shift in range(125, -1, -5))
