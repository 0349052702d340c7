"""Refuse an alert whose known keys contradict each other, or have a value that would be ignored."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from typing import Any

from pipeline.intake.webhooks import values
from pipeline.intake.webhooks.fields import is_absent
from pipeline.intake.webhooks.message import Alert, AlertAction, RefusalCode
from pipeline.intake.webhooks.vocabulary import one_of
from pipeline.model.errors import InvalidSignal

# A close may name the side of the position, the side of the order that closes it, or an action that closes.
CLOSES = dict.fromkeys(
    one_of("long bull bullish sell close_long exit_long long_exit sell_to_close"), AlertAction.CLOSE_LONG
) | dict.fromkeys(
    one_of("short bear bearish buy close_short exit_short short_exit buy_to_close buy_to_cover cover"),
    AlertAction.CLOSE_SHORT,
)


def agrees(action: AlertAction, word: str) -> bool:
    """Return whether *word* means *action*.

    If *action* closes one side, a plain close means it too, and so do the words of `CLOSES` for that side.
    """
    other = values.ACTIONS.get(word)
    closed = other is AlertAction.CLOSE and action in CLOSES.values()
    return other is action or closed or CLOSES.get(word) is action


def refuse_other_orders(alert: Alert) -> None:
    """Raise InvalidSignal when the body contains another order, in an object that is not read as the alert."""
    for inner in alert.terms.others:
        another = inner.symbol is not None and bare(inner.symbol) != bare(alert.symbol)
        if another or not agrees(alert.action, inner.word):
            message = (
                f"{inner.key[:60]}: {values.shown(inner.word)} is another order inside the alert: send one of them"
            )
            raise InvalidSignal(RefusalCode.NOT_UNDERSTOOD, message)


def bare(symbol: str) -> str:
    """Return a symbol without its exchange and its punctuation, for comparison."""
    return "".join(letter for letter in symbol.rpartition(":")[2].upper() if letter.isalnum())


def refuse_objects(body: Mapping[str, Any], names: Collection[str]) -> None:
    """Raise InvalidSignal when the value of one of *names* is an object, a list or true, as in `"close": {…}`."""
    for name in names:
        value = body.get(name)
        if value is True or isinstance(value, dict | list):
            key = values.first(body, name)[0]
            message = f"{key[:60]}: {values.shown(value)} cannot be read under this name: send a single value"
            raise InvalidSignal(RefusalCode.BAD_VALUE, message)


def refuse_two(body: Mapping[str, Any], names: Collection[str]) -> None:
    """Raise InvalidSignal when two of *names*, which mean the same, have different values."""
    found = [name for name in names if not is_absent(body.get(name))]
    for name in found[1:]:
        if not same(body[name], body[found[0]]):
            one, other = (values.first(body, each)[0] for each in (found[0], name))
            message = f"{other[:60]}: it has another value than {one[:60]}: send one of them"
            raise InvalidSignal(RefusalCode.NOT_UNDERSTOOD, message)


def refuse_lone_size(body: Mapping[str, Any], sizes: Collection[str], positions: Collection[str]) -> None:
    """Raise InvalidSignal for `positionSize` without a position's side: it may mean the size of the order."""
    if values.number(body, *sizes) and values.position(body, *positions) is None:
        key = values.first(body, *sizes)[0]
        message = f"{key}: it may be the size of the order or of your position: send quantity, or market_position too"
        raise InvalidSignal(RefusalCode.NOT_SUPPORTED, message)


def same(one: Any, other: Any) -> bool:
    """Return whether two values are the same number or the same text."""
    return bool(_comparable(one) == _comparable(other))


def _comparable(value: Any) -> Any:
    if isinstance(value, dict | list):
        return value
    text = str(value).strip().lower()
    with suppress(InvalidOperation):
        return Decimal(text)
    return text
