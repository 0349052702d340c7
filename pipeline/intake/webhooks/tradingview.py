"""Read TradingView's alerts in JSON: its placeholders under their usual names, and the fields of our signals."""

from collections.abc import Collection, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from pipeline.intake.webhooks import values
from pipeline.intake.webhooks.agreement import CLOSES, agrees, bare, refuse_lone_size, refuse_objects, refuse_two, same
from pipeline.intake.webhooks.fields import AlertFields, fields_of, is_absent
from pipeline.intake.webhooks.inner_terms import ACTION, SYMBOL
from pipeline.intake.webhooks.message import Alert, AlertAction, RefusalCode, SentPosition
from pipeline.intake.webhooks.order_terms import read_terms
from pipeline.intake.webhooks.vocabulary import joined, may_name_an_action
from pipeline.model.errors import InvalidSignal
from pipeline.model.signals import Intent

POSITION = ("market_position", "sentiment", "position")
PREVIOUS = ("prev_market_position", "prev_position", "previous_position")
SIZE = ("market_position_size", "position_size")
_PRICE = ("entry_price", "price", "order_price", "signal_price", "close")
STOP = ("stop_price", "stop_loss", "stop_loss_price", "sl")
TARGET = ("target_price", "take_profit", "take_profit_price", "tp")
#: Keys whose value identifies one alert. `id` and `order_id` do not: a strategy's alerts repeat theirs, such as "Long".
SOURCE_ID = ("source_id", "signal_id", "alert_id")
#: The names that are read here and in the other dialects.
COMMON = frozenset(
    {"confidence", "strategy", "strategy_name", "time", "expires_at", "executors", "exchange", "intent", "source"}
).union(SYMBOL, ACTION, POSITION, PREVIOUS, SIZE, _PRICE, STOP, TARGET, SOURCE_ID, values.FIRED)
KNOWN = {joined(name): name for name in COMMON}
_FROM_POSITION = {
    SentPosition.LONG: AlertAction.BUY,
    SentPosition.SHORT: AlertAction.SELL,
    SentPosition.FLAT: AlertAction.CLOSE,
}
# A flag such as `"long": 1` may be the plot of an indicator; it must not contradict the action.
_YES = ("1", "true", "yes")
_FLAGS = values.ACTIONS.keys() - {"close"}
_OPENING = (AlertAction.BUY, AlertAction.SELL, AlertAction.REVERSE)
_CLOSING = frozenset(word for word, action in values.ACTIONS.items() if action not in _OPENING)
# Fields that change the order. `close` is left out, since it may be the close of a bar.
_OF_ORDER = (*SYMBOL, *ACTION, *POSITION, *PREVIOUS, *SIZE, *_PRICE[:-1], *STOP, *TARGET, "intent")
# The fields of a strategy or a bar are often sent in an object of their own.
_INNER = ("bar", "strategy", "strategy_info", "order")


def read(sent: Mapping[str, Any], now: datetime, *, in_text: bool = False) -> Alert:
    """Return the alert in a JSON body or, with *in_text*, in the `key=value` pairs of a text.

    Raises:
        InvalidSignal: a value is missing or cannot be read, or a signal cannot express the order.
    """
    body = _flat(sent)
    terms = read_terms(body, COMMON, in_text=in_text)
    symbol = symbol_of(body, *SYMBOL)
    position = values.position(body, *POSITION)
    action = _action(body) or (None if position is None else _FROM_POSITION[position])
    if action is None:
        message = 'there is no action: add "action": "{{strategy.order.action}}", or "buy", "sell", "close"'
        raise InvalidSignal(RefusalCode.NOT_UNDERSTOOD, message)
    return Alert(
        symbol=symbol,
        action=action,
        price=price_of(body),
        at_market=at_market(body),
        terms=terms,
        stop_price=values.number(body, *STOP),
        target_price=values.number(body, *TARGET),
        **common(body, now),
    )


def price_of(body: Mapping[str, Any]) -> Decimal | None:
    """Return the price at the time of the alert; None if none was sent, or if the market's price is to be read."""
    return None if at_market(body) else values.number(body, *_PRICE)


def at_market(body: Mapping[str, Any]) -> bool:
    """Return whether the price was sent as the word `market`."""
    sent = values.first(body, *_PRICE)[1]
    return isinstance(sent, str) and sent.strip().lower() == "market"


def symbol_of(body: Mapping[str, Any], *keys: str) -> str:
    """Return the symbol, with its exchange when the body names one.

    Raises:
        InvalidSignal: there is no symbol, or there are two.
    """
    symbol = values.text(body, *keys)
    if symbol is None:
        raise InvalidSignal(RefusalCode.NOT_UNDERSTOOD, f'there is no symbol: add "{keys[0]}": "{{{{ticker}}}}"')
    for name in keys:
        other = body.get(name)
        if isinstance(other, str) and other and bare(other) != bare(symbol):
            message = f"{values.first(body, name)[0]}: {values.shown(other)} is another symbol than {symbol}: send one"
            raise InvalidSignal(RefusalCode.NOT_UNDERSTOOD, message)
    exchange = values.text(body, "exchange") if isinstance(body.get("exchange"), str) else None
    return f"{exchange}:{symbol}" if exchange and ":" not in symbol else symbol


def common(body: Mapping[str, Any], now: datetime, *, legs: Collection[str] = ()) -> dict[str, Any]:
    """Return the fields of an alert that are read in the same way in every dialect.

    The fields named in *legs* (a stop-loss or a take-profit) may be JSON objects; other fields may not.

    Raises:
        InvalidSignal: a field cannot be read, or contradicts another one.
    """
    refuse_objects(body, COMMON.difference(legs, ("executors",)))
    # A close uses no stop and no target, so it is not refused for two different ones.
    if not any(values.action_word(str(body.get(name))) in _CLOSING for name in ACTION):
        refuse_two(body, STOP)
        refuse_two(body, TARGET)
    for name in _PRICE:
        # TradingView may write NaN under a price key that is not used.
        if body.get(name) is not False and str(body.get(name)).strip().lower() not in ("market", "nan"):
            values.number(body, name)
    refuse_lone_size(body, SIZE, POSITION)
    executors = body.get("executors")
    return {
        "position": values.position(body, *POSITION),
        "previous": values.position(body, *PREVIOUS),
        "position_size": values.number(body, *SIZE),
        "confidence": values.number(body, "confidence"),
        "strategy": values.text(body, "strategy", "strategy_name"),
        "source_id": values.text(body, *SOURCE_ID),
        "fired_at": values.fired_at(body, now),
        "expires_at": values.time(body, "expires_at"),
        "executors": None if executors is None else _names(executors),
        "intent": _intent(body),
    }


def _intent(body: Mapping[str, Any]) -> Intent | None:
    sent = values.text(body, "intent")
    if sent is None:
        return None
    if sent.lower() not in list(Intent):
        raise InvalidSignal(RefusalCode.NOT_UNDERSTOOD, f"intent: {values.shown(sent)} is not open, close or auto")
    return Intent(sent.lower())


def _action(body: Mapping[str, Any]) -> AlertAction | None:
    action = values.action(body, *ACTION)
    return None if action is None else agreed(body, action)


def agreed(body: Mapping[str, Any], action: AlertAction) -> AlertAction:
    """Return the action on which all keys of *body* agree: a close may name its side under a second key.

    Raises:
        InvalidSignal: another key has a different action, or a word that is not an action.
    """
    # `signal` is often the name of an indicator, and `type` the sender's word for something else.
    perhaps = [name for name in body if may_name_an_action(name) and isinstance(body[name], str)]
    flags = [name for name in _FLAGS & body.keys() if str(body[name]).strip().lower() in _YES]
    for name in (*ACTION, *perhaps, *flags):
        sent = name if name in flags else values.text(body, name)
        word = "" if sent is None else values.action_word(sent)
        other = values.ACTIONS.get(word)
        if sent is None or other is action or (other is None and (name == "signal" or name in perhaps)):
            continue
        if action is AlertAction.CLOSE and word in CLOSES:
            action = CLOSES[word]
        elif action is AlertAction.SELL and other in (AlertAction.CLOSE, AlertAction.CLOSE_LONG):
            action = AlertAction.CLOSE_LONG
        elif not agrees(action, word):
            key = values.first(body, name)[0]
            message = f"{key}: {values.shown(sent)} is another action than {action}: send one of them"
            raise InvalidSignal(RefusalCode.NOT_UNDERSTOOD, message)
    return action


def _names(sent: Any) -> tuple[str, ...]:
    names = [sent] if isinstance(sent, str) else sent
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise InvalidSignal(RefusalCode.BAD_VALUE, "executors: a list of names is expected")
    return tuple(names)


# A field of the body itself wins over the same field of an inner object. If the difference would change the order, the
# alert is refused.
def _flat(sent: Mapping[str, Any]) -> AlertFields:
    top, flat = fields_of(sent, KNOWN), AlertFields()
    for name in _INNER:
        if isinstance(top.get(name), dict):
            inner = fields_of(top.pop(name), KNOWN)
            # In a bar, `time` is not the time of the alert, and `volume` is not the order's size.
            inner.pop("time", None)
            if name == "bar":
                inner.pop("volume", None)
            _refuse_others(inner, flat)
            flat.take(inner)
    _refuse_others(flat, top)
    flat.take(top)
    return flat


def _refuse_others(inside: AlertFields, outside: AlertFields) -> None:
    """Refuse a field that changes the order and has different values inside and outside of an inner object."""
    for name in _OF_ORDER:
        one, other = inside.get(name), outside.get(name)
        if is_absent(one) or is_absent(other):
            continue
        read_as = bare if name in SYMBOL else values.action_word if name in ACTION else str
        if isinstance(one, str) and isinstance(other, str):
            agree = same(read_as(one), read_as(other))
        else:
            agree = same(one, other)
        if not agree:
            both = f"{values.shown(one)} and {values.shown(other)}"
            message = f"{outside.sent(name)[:60]}: {both} differ: send one of them"
            raise InvalidSignal(RefusalCode.NOT_UNDERSTOOD, message)
