"""Read TradingView's alerts in JSON: its placeholders under their usual names, and the fields of our signals."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pipeline.intake.webhooks import values
from pipeline.intake.webhooks.message import Alert, AlertAction, RefusalCode, SentPosition
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
#: Keys whose value names one alert. `id` and `order_id` do not: in a strategy's alerts they are "Long" every time.
SOURCE_ID = ("source_id", "signal_id", "signalId", "alert_id")
_FROM_POSITION = {
    SentPosition.LONG: AlertAction.BUY,
    SentPosition.SHORT: AlertAction.SELL,
    SentPosition.FLAT: AlertAction.CLOSE,
}
# The fields of a strategy or a bar are often sent in an object of their own.
_INNER = ("bar", "strategy", "order")


def read(sent: Mapping[str, Any], now: datetime) -> Alert:
    """Return the alert in a JSON body.

    Raises:
        InvalidSignal: a value is missing or cannot be read.
    """
    body = _flat(sent)
    symbol = symbol_of(body, *_SYMBOL)
    position = values.position(body, *_POSITION)
    action = values.action(body, *_ACTION) or (None if position is None else _FROM_POSITION[position])
    if action is None:
        message = 'there is no action: add "action": "{{strategy.order.action}}", or "buy", "sell", "close"'
        raise InvalidSignal(RefusalCode.NOT_UNDERSTOOD, message)
    return Alert(
        symbol=symbol,
        action=action,
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
    """Return the symbol, with its exchange when the body names one.

    Raises:
        InvalidSignal: there is none.
    """
    symbol = values.text(body, *keys)
    if symbol is None:
        raise InvalidSignal(RefusalCode.NOT_UNDERSTOOD, f'there is no symbol: add "{keys[0]}": "{{{{ticker}}}}"')
    exchange = values.text(body, "exchange") if isinstance(body.get("exchange"), str) else None
    return f"{exchange}:{symbol}" if exchange and ":" not in symbol else symbol


def common(body: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Return the fields of an alert that every dialect writes in the same way."""
    executors = body.get("executors")
    return {
        "confidence": values.number(body, "confidence"),
        "strategy": values.text(body, "strategy", "strategy_name"),
        "source_id": values.text(body, *SOURCE_ID),
        "fired_at": values.fired_at(body, now),
        "expires_at": values.time(body, "expires_at"),
        "executors": None if executors is None else _names(executors),
    }


def _names(sent: Any) -> tuple[str, ...]:
    names = [sent] if isinstance(sent, str) else sent
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise InvalidSignal(RefusalCode.BAD_VALUE, "executors: a list of names is expected")
    return tuple(names)


# A field of the body itself wins over the same field of an inner object.
def _flat(sent: Mapping[str, Any]) -> dict[str, Any]:
    inner = {key: value for name in _INNER if isinstance(sent.get(name), dict) for key, value in sent[name].items()}
    # The time of a bar is not the time at which the alert fired.
    inner.pop("time", None)
    return inner | {key: value for key, value in sent.items() if not (key in _INNER and isinstance(value, dict))}
