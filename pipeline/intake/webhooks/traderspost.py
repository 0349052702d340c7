"""Read the messages of TradersPost: ticker, action, sentiment, signalPrice, quantityType, takeProfit, stopLoss."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from pipeline.intake.webhooks import tradingview, values
from pipeline.intake.webhooks.fields import fields_of, is_absent
from pipeline.intake.webhooks.message import Alert, AlertAction, RefusalCode
from pipeline.intake.webhooks.order_terms import read_terms
from pipeline.intake.webhooks.values import shown
from pipeline.model.errors import InvalidSignal
from pipeline.model.signals import Intent

#: Keys that only TradersPost uses.
OWN = frozenset(
    {
        "cancel", "extendedHours", "extras", "ignoreTradingWindows", "limitPrice", "orderType", "quantityType",
        "signalPrice", "stopPrice", "timeInForce", "trailAmount", "trailPercent",
    }
)  # fmt: skip
#: Keys of options, which signals do not support.
OPTIONS = frozenset({"expiration", "intrinsicValue", "optionType", "strikeCount", "strikePrice", "strikesAway"})

# By TradersPost's own rules, `extras` is stored and has no effect on the order.
_READ = tradingview.COMMON | {"extras"}


def read(sent: Mapping[str, Any], now: datetime) -> Alert:
    """Return the alert in a message.

    Raises:
        InvalidSignal: a value is missing or cannot be read, or a signal cannot express the order.
    """
    # In TradersPost, `stopPrice` is the trigger price of a stop order, and not the stop of the position.
    body = fields_of(sent, tradingview.KNOWN, stop_price="trigger_price")
    terms = read_terms(body, _READ)
    symbol = tradingview.symbol_of(body, "ticker", "symbol")
    action, opens, notes = _action(values.text(body, "action"), values.text(body, "sentiment"))
    # `add` is not an action of the other dialects, so it is not compared with the other keys.
    told = {key: value for key, value in body.items() if key != "action"} if opens else body
    action = tradingview.agreed(told, action)
    price = tradingview.price_of(body)
    return Alert(
        symbol=symbol,
        action=action,
        price=price,
        at_market=tradingview.at_market(body),
        terms=terms,
        stop_price=_stop(price, action, body),
        target_price=_target(price, action, body),
        notes=notes,
        **tradingview.common(body, now, legs=("stop_loss", "take_profit")) | ({"intent": Intent.OPEN} if opens else {}),
    )


def _action(sent: str | None, sentiment: str | None) -> tuple[AlertAction, bool, tuple[str, ...]]:
    match sent:
        case None:
            raise InvalidSignal(RefusalCode.NOT_UNDERSTOOD, 'there is no action: add "action": "buy", "sell" or "exit"')
        case "add":
            side = AlertAction.SELL if sentiment in ("bearish", "short") else AlertAction.BUY
            return side, True, ("limits.pyramiding of the executor decides whether a position is added to",)
        case "cancel":
            message = "action: a signal cannot cancel; entries are canceled by their own time-out, and by an exit"
            raise InvalidSignal(RefusalCode.NOT_SUPPORTED, message)
    return values.action({"action": sent}, "action") or AlertAction.BUY, False, ()


def _stop(price: Decimal | None, action: AlertAction, body: Mapping[str, Any]) -> Decimal | None:
    sent = body.get("stop_loss")
    if isinstance(sent, dict):
        if sent.get("type") not in (None, "stop") or {"trailAmount", "trailPercent"} & set(sent):
            message = f"stopLoss: {shown(sent.get('type') or 'trailing_stop')} is not carried out; only a stop is"
            raise InvalidSignal(RefusalCode.NOT_SUPPORTED, message)
        return _leg(sent, "stopLoss", price, up=action is AlertAction.SELL, absolute=("stopPrice", "price"))
    return values.number(body, *tradingview.STOP)


def _target(price: Decimal | None, action: AlertAction, body: Mapping[str, Any]) -> Decimal | None:
    sent = body.get("take_profit")
    if isinstance(sent, dict):
        return _leg(sent, "takeProfit", price, up=action is not AlertAction.SELL, absolute=("limitPrice", "price"))
    return values.number(body, *tradingview.TARGET)


def _leg(
    sent: Mapping[str, Any], name: str, price: Decimal | None, *, up: bool, absolute: tuple[str, ...]
) -> Decimal | None:
    found = [key for key, value in sent.items() if not is_absent(value) and key != "type"]
    others = [key for key in found if key not in (*absolute, "percent", "amount")]
    if others or len(found) > 1:
        message = (
            f"{name}: {shown((others or found)[-1])} is not read there: send one of {absolute[0]}, percent or amount"
        )
        raise InvalidSignal(RefusalCode.NOT_SUPPORTED, message)
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
