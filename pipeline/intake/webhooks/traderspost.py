"""Read the messages of TradersPost: ticker, action, sentiment, signalPrice, quantityType, takeProfit, stopLoss."""

from __future__ import annotations

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
OWN = frozenset(
    {
        "cancel", "extendedHours", "extras", "ignoreTradingWindows", "limitPrice", "orderType", "quantityType",
        "signalPrice", "stopPrice", "timeInForce", "trailAmount", "trailPercent",
    }
)  # fmt: skip
#: Keys of options, which no signal can say.
OPTIONS = frozenset({"expiration", "intrinsicValue", "optionType", "strikeCount", "strikePrice", "strikesAway"})

_SIZE_IS_OURS = "how much is bought is the executor's affair (size.method), or a quantity of shares or units"


def read(body: Mapping[str, Any], now: datetime) -> Alert:
    """Return what a message says.

    Raises:
        InvalidSignal: something is missing, cannot be read, or cannot be said by a signal.
    """
    _refuse_what_no_signal_says(body)
    symbol = symbol_of(body, "ticker", "symbol")
    said = values.text(body, "action")
    word, opens, notes = _asked(said, values.text(body, "sentiment"))
    limited = values.text(body, "orderType") == "limit"
    price = values.number(
        body, *(("limitPrice", "signalPrice", "price") if limited else ("signalPrice", "price", "limitPrice"))
    )
    return Alert(
        symbol=symbol,
        word=word,
        price=price,
        quantity=_quantity(body, word),
        stop_price=_stop(body.get("stopLoss"), price, word, body),
        target_price=_target(body.get("takeProfit"), price, word, body),
        position=values.position(body, "sentiment"),
        opens=opens,
        notes=notes,
        **common(body, now),
    )


def _refuse_what_no_signal_says(body: Mapping[str, Any]) -> None:
    if options := sorted(OPTIONS & set(body)):
        raise InvalidSignal(RefusalCode.NOT_SUPPORTED, f"{options[0]}: options are not traded, only shares and crypto")
    if body.get("test") not in (None, False, "false"):
        raise InvalidSignal(
            RefusalCode.NOT_SUPPORTED, "test: this message says that it is a test; nothing was recorded"
        )
    kind = values.text(body, "orderType")
    if kind not in (None, "market", "limit"):
        message = f"orderType: {shown(kind)} waits for a price, and a signal acts now; send it when the price is there"
        raise InvalidSignal(RefusalCode.NOT_SUPPORTED, message)


def _asked(said: str | None, sentiment: str | None) -> tuple[Word, bool, tuple[str, ...]]:
    """Return what is asked for, whether it only opens, and what to say of it."""
    match said:
        case None:
            raise InvalidSignal(RefusalCode.NOT_UNDERSTOOD, 'there is no action: add "action": "buy", "sell" or "exit"')
        case "add":
            side = Word.SELL if sentiment in ("bearish", "short") else Word.BUY
            return side, True, ("adding to a position is up to the executor's limits.pyramiding",)
        case "cancel" | "reverse":
            why = {
                "cancel": "entries are canceled by their own time-out, and by an exit",
                "reverse": 'send buy or sell; order.flip = "reverse" has the executor turn a position',
            }[said]
            raise InvalidSignal(RefusalCode.NOT_SUPPORTED, f"action: {said} is not something that a signal says; {why}")
    return values.word({"action": said}, "action") or Word.BUY, False, ()


def _quantity(body: Mapping[str, Any], word: Word) -> Decimal | None:
    kind = values.text(body, "quantityType")
    quantity = values.number(body, "quantity")
    if kind in (None, "fixed_quantity") or quantity is None:
        return quantity
    if kind == "percent_of_position" and word not in (Word.BUY, Word.SELL) and quantity == 100:  # noqa: PLR2004 -- percent
        return None
    raise InvalidSignal(RefusalCode.NOT_SUPPORTED, f"quantityType: {shown(kind)} is not taken; {_SIZE_IS_OURS}")


def _stop(sent: Any, price: Decimal | None, word: Word, body: Mapping[str, Any]) -> Decimal | None:
    if isinstance(sent, dict):
        if sent.get("type") == "trailing_stop" or {"trailAmount", "trailPercent"} & set(sent):
            raise InvalidSignal(
                RefusalCode.NOT_SUPPORTED, "stopLoss: a trailing stop is not something that a signal says"
            )
        return _leg(sent, "stopLoss", price, up=word is Word.SELL, absolute=("stopPrice", "price"))
    return values.number(body, "stopLoss")


def _target(sent: Any, price: Decimal | None, word: Word, body: Mapping[str, Any]) -> Decimal | None:
    if isinstance(sent, dict):
        return _leg(sent, "takeProfit", price, up=word is not Word.SELL, absolute=("limitPrice", "price"))
    return values.number(body, "takeProfit")


def _leg(
    sent: Mapping[str, Any], name: str, price: Decimal | None, *, up: bool, absolute: tuple[str, ...]
) -> Decimal | None:
    """Return the price of a protective order, which may be told by its distance from the entry."""
    fixed = values.number(sent, *absolute)
    if fixed is not None:
        return fixed
    percent, amount = values.number(sent, "percent"), values.number(sent, "amount")
    if percent is None and amount is None:
        return None
    if price is None:
        message = f'{name}: a distance needs the price that it is measured from: add "signalPrice": "{{{{close}}}}"'
        raise InvalidSignal(RefusalCode.NO_PRICE, message)
    distance = amount if amount is not None else price * (percent or 0) / 100
    return price + distance if up else price - distance
