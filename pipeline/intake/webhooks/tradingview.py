"""Read TradingView's alerts as JSON: its placeholders under the names that people give them, and our own fields."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pipeline.intake.webhooks import values
from pipeline.intake.webhooks.message import Alert, RefusalCode, SentPosition, Word
from pipeline.model.errors import InvalidSignal

_SYMBOL = ("symbol", "ticker", "pair", "instrument")
_ACTION = ("action", "order_action", "side", "direction", "signal")
_POSITION = ("market_position", "marketPosition", "sentiment", "position")
_PREVIOUS = ("prev_market_position", "prevMarketPosition", "prev_position", "previous_position")
_SIZE = ("market_position_size", "marketPositionSize", "position_size")
_PRICE = ("entry_price", "price", "order_price", "signalPrice", "limit_price", "limitPrice", "close")
_QUANTITY = ("quantity", "contracts", "order_contracts", "qty")
_STOP = ("stop_price", "stop_loss", "stopLoss", "stop_loss_price", "sl")
_TARGET = ("target_price", "take_profit", "takeProfit", "take_profit_price", "tp")
#: What names one alert and nothing else. Not `id` or `order_id`: in a strategy's alert that is "Long" every time.
SOURCE_ID = ("source_id", "signal_id", "signalId", "alert_id")
_FROM_POSITION = {SentPosition.LONG: Word.BUY, SentPosition.SHORT: Word.SELL, SentPosition.FLAT: Word.CLOSE}
# A strategy's fields are often put in an object of their own, as the bar's.
_INNER = ("bar", "strategy", "order")


def read(sent: Mapping[str, Any], now: datetime) -> Alert:
    """Return what a JSON body says.

    Raises:
        InvalidSignal: something is missing or cannot be read.
    """
    body = _flat(sent)
    symbol = symbol_of(body, *_SYMBOL)
    position = values.position(body, *_POSITION)
    word = values.word(body, *_ACTION) or (None if position is None else _FROM_POSITION[position])
    if word is None:
        message = 'there is no action: add "action": "{{strategy.order.action}}", or "buy", "sell", "close"'
        raise InvalidSignal(RefusalCode.NOT_UNDERSTOOD, message)
    return Alert(
        symbol=symbol,
        word=word,
        price=values.number(body, *_PRICE),
        quantity=values.number(body, *_QUANTITY),
        stop_price=values.number(body, *_STOP),
        target_price=values.number(body, *_TARGET),
        position=position,
        previous=values.position(body, *_PREVIOUS),
        position_size=values.number(body, *_SIZE),
        closes=body.get("intent") == "close",
        opens=body.get("intent") == "open",
        **common(body, now),
    )


def symbol_of(body: Mapping[str, Any], *keys: str) -> str:
    """Return the symbol with its exchange, when that is told.

    Raises:
        InvalidSignal: there is none.
    """
    symbol = values.text(body, *keys)
    if symbol is None:
        raise InvalidSignal(RefusalCode.NOT_UNDERSTOOD, f'there is no symbol: add "{keys[0]}": "{{{{ticker}}}}"')
    exchange = values.text(body, "exchange") if isinstance(body.get("exchange"), str) else None
    return f"{exchange}:{symbol}" if exchange and ":" not in symbol else symbol


def common(body: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Return what every dialect says in the same way: who, when, how sure, and for whom."""
    executors = body.get("executors")
    return {
        "confidence": values.number(body, "confidence"),
        "strategy": values.text(body, "strategy", "strategy_name"),
        "source_id": values.text(body, *SOURCE_ID),
        "fired_at": values.fired_at(body, now),
        "expires_at": values.moment(body, "expires_at"),
        "executors": None if executors is None else _names(executors),
    }


def _names(sent: Any) -> tuple[str, ...]:
    names = [sent] if isinstance(sent, str) else sent
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise InvalidSignal(RefusalCode.BAD_VALUE, "executors: a list of names is expected")
    return tuple(names)


def _flat(sent: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body with the objects in it that hold parts of it spread out; the outer words count first."""
    inner = {key: value for name in _INNER if isinstance(sent.get(name), dict) for key, value in sent[name].items()}
    # The bar's time is no time of firing.
    inner.pop("time", None)
    return inner | {key: value for key, value in sent.items() if not (key in _INNER and isinstance(value, dict))}
