"""Read the messages of SignalStack: symbol, action, quantity, class, limit_price, stop_loss_price."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from pipeline.intake.webhooks import values
from pipeline.intake.webhooks.message import Alert, RefusalCode, Word
from pipeline.intake.webhooks.tradingview import common, symbol_of
from pipeline.intake.webhooks.values import shown
from pipeline.model.errors import InvalidSignal

#: Keys that only this vendor has.
OWN = frozenset({"class", "quantity_type", "stop_loss_price", "take_profit_price"})

_CLASSES = frozenset({"crypto", "equity", "etf", "share", "shares", "stock", "stocks", "us_equity"})
_TO_OPTION = frozenset({"buy_to_close", "buy_to_open", "sell_to_close", "sell_to_open"})
# A leg is often written as a sum, for the sender to fill in the price: "{{close}} - 1.5".
_SUM = re.compile(r"\s*([\d.]+)\s*([+-])\s*([\d.]+)\s*")


def read(body: Mapping[str, Any], now: datetime) -> Alert:
    """Return what a message says.

    Raises:
        InvalidSignal: something is missing, cannot be read, or cannot be said by a signal.
    """
    symbol = symbol_of(body, "symbol", "ticker")
    said = (values.text(body, "action") or "").lower()
    _refuse_what_no_signal_says(body, said)
    return Alert(
        symbol=symbol,
        word=_word(said),
        price=values.number(body, "limit_price", "price", "close"),
        quantity=values.number(body, "quantity"),
        stop_price=_leg(body, "stop_loss_price"),
        target_price=_leg(body, "take_profit_price"),
        **common(body, now),
    )


def _refuse_what_no_signal_says(body: Mapping[str, Any], said: str) -> None:
    kind = values.text(body, "class")
    if (kind is not None and kind.lower() not in _CLASSES) or said in _TO_OPTION:
        message = f"class: {shown(kind or 'option')} is not traded, only shares and crypto"
        raise InvalidSignal(RefusalCode.NOT_SUPPORTED, message)
    if said == "cancel":
        message = "action: cancel is not something that a signal says; entries are canceled by their own time-out"
        raise InvalidSignal(RefusalCode.NOT_SUPPORTED, message)
    if values.number(body, "stop_price") is not None:
        message = "stop_price: a stop order waits for a price, and a signal acts now; send it when the price is there"
        raise InvalidSignal(RefusalCode.NOT_SUPPORTED, message)
    measure = values.text(body, "quantity_type")
    if measure is not None and measure.lower() not in {"fixed", "shares", "units"}:
        message = (
            f"quantity_type: {shown(measure)} is not taken; how much is bought is up to the executor (size.method)"
        )
        raise InvalidSignal(RefusalCode.NOT_SUPPORTED, message)


def _word(said: str) -> Word:
    word = values.word({"action": said}, "action")
    if word is None:
        raise InvalidSignal(RefusalCode.NOT_UNDERSTOOD, 'there is no action: add "action": "buy", "sell" or "close"')
    return word


def _leg(body: Mapping[str, Any], key: str) -> Decimal | None:
    value = body.get(key)
    if isinstance(value, str) and (match := _SUM.fullmatch(value)):
        base, distance = values.number({key: match[1]}, key), values.number({key: match[3]}, key)
        if base is not None and distance is not None:
            return base + distance if match[2] == "+" else base - distance
    return values.number(body, key)
