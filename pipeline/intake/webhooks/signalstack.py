"""Read the messages of SignalStack: symbol, action, quantity, class, limit_price, stop_loss_price."""

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from pipeline.intake.webhooks import values
from pipeline.intake.webhooks.message import Alert, AlertAction, RefusalCode
from pipeline.intake.webhooks.tradingview import common, symbol_of
from pipeline.intake.webhooks.values import shown
from pipeline.model.errors import InvalidSignal

#: Keys that only SignalStack uses.
OWN = frozenset({"class", "quantity_type", "stop_loss_price", "take_profit_price"})

_CLASSES = frozenset({"crypto", "equity", "etf", "share", "shares", "stock", "stocks", "us_equity"})
_TO_OPTION = frozenset({"buy_to_close", "buy_to_open", "sell_to_close", "sell_to_open"})
# A stop or target is often written as "{{close}} - 1.5": the sender fills in the price and leaves the sum.
_SUM = re.compile(r"\s*([\d.]+)\s*([+-])\s*([\d.]+)\s*")


def read(body: Mapping[str, Any], now: datetime) -> Alert:
    """Return the alert in a message.

    Raises:
        InvalidSignal: a value is missing or cannot be read, or a signal cannot express the order.
    """
    symbol = symbol_of(body, "symbol", "ticker")
    action = (values.text(body, "action") or "").lower()
    _refuse_unsupported(body, action)
    return Alert(
        symbol=symbol,
        action=_action(action),
        price=values.number(body, "limit_price", "price", "close"),
        quantity=values.number(body, "quantity"),
        stop_price=_leg(body, "stop_loss_price"),
        target_price=_leg(body, "take_profit_price"),
        **common(body, now),
    )


def _refuse_unsupported(body: Mapping[str, Any], action: str) -> None:
    kind = values.text(body, "class")
    if (kind is not None and kind.lower() not in _CLASSES) or action in _TO_OPTION:
        message = f"class: {shown(kind or 'option')} is not traded; only shares and crypto are"
        raise InvalidSignal(RefusalCode.NOT_SUPPORTED, message)
    if action == "cancel":
        message = "action: a signal cannot cancel an order; entries are canceled by their own time-out"
        raise InvalidSignal(RefusalCode.NOT_SUPPORTED, message)
    if values.number(body, "stop_price") is not None:
        message = (
            "stop_price: a stop order waits for a price, and a signal acts at once; send it when the price is reached"
        )
        raise InvalidSignal(RefusalCode.NOT_SUPPORTED, message)
    measure = values.text(body, "quantity_type")
    if measure is not None and measure.lower() not in {"fixed", "shares", "units"}:
        message = f"quantity_type: {shown(measure)} is not supported; the executor chooses the size (size.method)"
        raise InvalidSignal(RefusalCode.NOT_SUPPORTED, message)


def _action(sent: str) -> AlertAction:
    action = values.action({"action": sent}, "action")
    if action is None:
        raise InvalidSignal(RefusalCode.NOT_UNDERSTOOD, 'there is no action: add "action": "buy", "sell" or "close"')
    return action


def _leg(body: Mapping[str, Any], key: str) -> Decimal | None:
    value = body.get(key)
    if isinstance(value, str) and (match := _SUM.fullmatch(value)):
        base, distance = values.number({key: match[1]}, key), values.number({key: match[3]}, key)
        if base is not None and distance is not None:
            return base + distance if match[2] == "+" else base - distance
    return values.number(body, key)
