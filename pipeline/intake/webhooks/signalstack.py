"""Read the messages of SignalStack: symbol, action, quantity, class, limit_price, stop_loss_price."""

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from pipeline.intake.webhooks import tradingview, values
from pipeline.intake.webhooks.fields import fields_of
from pipeline.intake.webhooks.message import Alert, AlertAction, RefusalCode
from pipeline.intake.webhooks.order_terms import read_terms
from pipeline.intake.webhooks.values import shown
from pipeline.model.errors import InvalidSignal

#: Keys that only SignalStack uses.
OWN = frozenset({"class", "quantity_type", "stop_loss_price", "take_profit_price"})

_TO_OPTION = frozenset({"buy_to_close", "buy_to_open", "sell_to_close", "sell_to_open"})
# A stop or target is often written as "{{close}} - 1.5": the sender fills in the price, and does not compute the sum.
_SUM = re.compile(r"\s*([\d.]+)\s*([+-])\s*([\d.]+)\s*")


def read(sent: Mapping[str, Any], now: datetime) -> Alert:
    """Return the alert in a message.

    Raises:
        InvalidSignal: a value is missing or cannot be read, or a signal cannot express the order.
    """
    # In SignalStack, `stop_price` is the trigger price of a stop order, and not the stop of the position.
    body = fields_of(sent, tradingview.KNOWN, stop_price="trigger_price")
    action = (values.text(body, "action") or "").lower()
    _refuse_unsupported(action)
    terms = read_terms(body, tradingview.COMMON)
    return Alert(
        symbol=tradingview.symbol_of(body, "symbol", "ticker"),
        action=tradingview.agreed(body, _action(action)),
        price=tradingview.price_of(body),
        at_market=tradingview.at_market(body),
        terms=terms,
        stop_price=_leg(body, *tradingview.STOP),
        target_price=_leg(body, *tradingview.TARGET),
        **tradingview.common(body, now),
    )


def _refuse_unsupported(action: str) -> None:
    if action in _TO_OPTION:
        message = f"action: {shown(action)} is the action of an option; only shares and crypto are traded"
        raise InvalidSignal(RefusalCode.NOT_SUPPORTED, message)
    if action == "cancel":
        message = "action: a signal cannot cancel an order; entries are canceled by their own time-out"
        raise InvalidSignal(RefusalCode.NOT_SUPPORTED, message)


def _action(sent: str) -> AlertAction:
    action = values.action({"action": sent}, "action")
    if action is None:
        raise InvalidSignal(RefusalCode.NOT_UNDERSTOOD, 'there is no action: add "action": "buy", "sell" or "close"')
    return action


def _leg(body: Mapping[str, Any], *keys: str) -> Decimal | None:
    key, value = values.first(body, *keys)
    if isinstance(value, str) and (match := _SUM.fullmatch(value)):
        base, distance = values.number({key: match[1]}, key), values.number({key: match[3]}, key)
        if base is not None and distance is not None:
            return base + distance if match[2] == "+" else base - distance
    return values.number(body, *keys)
