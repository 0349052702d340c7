"""Read the messages of TradersPost: ticker, action, sentiment, signalPrice, quantityType, takeProfit, stopLoss."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from pipeline.intake.webhooks import values
from pipeline.intake.webhooks.message import Alert, AlertAction, RefusalCode
from pipeline.intake.webhooks.tradingview import common, symbol_of
from pipeline.intake.webhooks.values import shown
from pipeline.model.errors import InvalidSignal

#: Keys that only TradersPost uses.
OWN = frozenset(
    {
        "cancel", "extendedHours", "extras", "ignoreTradingWindows", "limitPrice", "orderType", "quantityType",
        "signalPrice", "stopPrice", "timeInForce", "trailAmount", "trailPercent",
    }
)  # fmt: skip
#: Keys of options, which signals do not support.
OPTIONS = frozenset({"expiration", "intrinsicValue", "optionType", "strikeCount", "strikePrice", "strikesAway"})

_SIZES = "send a quantity of shares or units, or none: then the executor chooses the size (size.method)"


def read(body: Mapping[str, Any], now: datetime) -> Alert:
    """Return the alert in a message.

    Raises:
        InvalidSignal: a value is missing or cannot be read, or a signal cannot express the order.
    """
    _refuse_unsupported(body)
    symbol = symbol_of(body, "ticker", "symbol")
    action, opens, notes = _action(values.text(body, "action"), values.text(body, "sentiment"))
    limited = values.text(body, "orderType") == "limit"
    price = values.number(
        body, *(("limitPrice", "signalPrice", "price") if limited else ("signalPrice", "price", "limitPrice"))
    )
    return Alert(
        symbol=symbol,
        action=action,
        price=price,
        quantity=_quantity(body, action),
        stop_price=_stop(body.get("stopLoss"), price, action, body),
        target_price=_target(body.get("takeProfit"), price, action, body),
        position=values.position(body, "sentiment"),
        opens=opens,
        notes=notes,
        **common(body, now),
    )


def _refuse_unsupported(body: Mapping[str, Any]) -> None:
    if options := sorted(OPTIONS & set(body)):
        raise InvalidSignal(
            RefusalCode.NOT_SUPPORTED, f"{options[0]}: options are not traded; only shares and crypto are"
        )
    if body.get("test") not in (None, False, "false"):
        raise InvalidSignal(
            RefusalCode.NOT_SUPPORTED, "test: this message says that it is a test; nothing was recorded"
        )
    kind = values.text(body, "orderType")
    if kind not in (None, "market", "limit"):
        message = (
            f"orderType: {shown(kind)} waits for a price, and a signal acts at once; send it when the price is reached"
        )
        raise InvalidSignal(RefusalCode.NOT_SUPPORTED, message)


def _action(sent: str | None, sentiment: str | None) -> tuple[AlertAction, bool, tuple[str, ...]]:
    match sent:
        case None:
            raise InvalidSignal(RefusalCode.NOT_UNDERSTOOD, 'there is no action: add "action": "buy", "sell" or "exit"')
        case "add":
            side = AlertAction.SELL if sentiment in ("bearish", "short") else AlertAction.BUY
            return side, True, ("limits.pyramiding of the executor decides whether a position is added to",)
        case "cancel" | "reverse":
            why = {
                "cancel": "entries are canceled by their own time-out, and by an exit",
                "reverse": 'send buy or sell; with order.flip = "reverse" the executor turns the position',
            }[sent]
            raise InvalidSignal(RefusalCode.NOT_SUPPORTED, f"action: a signal cannot {sent}; {why}")
    return values.action({"action": sent}, "action") or AlertAction.BUY, False, ()


def _quantity(body: Mapping[str, Any], action: AlertAction) -> Decimal | None:
    kind = values.text(body, "quantityType")
    quantity = values.number(body, "quantity")
    if kind in (None, "fixed_quantity") or quantity is None:
        return quantity
    if kind == "percent_of_position" and action not in (AlertAction.BUY, AlertAction.SELL) and quantity == 100:  # noqa: PLR2004 -- percent
        return None
    raise InvalidSignal(RefusalCode.NOT_SUPPORTED, f"quantityType: {shown(kind)} is not supported; {_SIZES}")


def _stop(sent: Any, price: Decimal | None, action: AlertAction, body: Mapping[str, Any]) -> Decimal | None:
    if isinstance(sent, dict):
        if sent.get("type") == "trailing_stop" or {"trailAmount", "trailPercent"} & set(sent):
            raise InvalidSignal(RefusalCode.NOT_SUPPORTED, "stopLoss: a signal cannot have a trailing stop")
        return _leg(sent, "stopLoss", price, up=action is AlertAction.SELL, absolute=("stopPrice", "price"))
    return values.number(body, "stopLoss")


def _target(sent: Any, price: Decimal | None, action: AlertAction, body: Mapping[str, Any]) -> Decimal | None:
    if isinstance(sent, dict):
        return _leg(sent, "takeProfit", price, up=action is not AlertAction.SELL, absolute=("limitPrice", "price"))
    return values.number(body, "takeProfit")


def _leg(
    sent: Mapping[str, Any], name: str, price: Decimal | None, *, up: bool, absolute: tuple[str, ...]
) -> Decimal | None:
    fixed = values.number(sent, *absolute)
    if fixed is not None:
        return fixed
    percent, amount = values.number(sent, "percent"), values.number(sent, "amount")
    if percent is None and amount is None:
        return None
    if price is None:
        message = f'{name}: a distance needs the price of the entry: add "signalPrice": "{{{{close}}}}"'
        raise InvalidSignal(RefusalCode.NO_PRICE, message)
    distance = amount if amount is not None else price * (percent or 0) / 100
    return price + distance if up else price - distance
