"""Read the values of an alert: numbers, times and words. A value that cannot be read is refused by its key."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from pipeline.intake.webhooks.fields import AlertFields, is_absent
from pipeline.intake.webhooks.message import AlertAction, RefusalCode, SentPosition
from pipeline.model.errors import InvalidSignal

#: Keys of the time at which the alert fired.
FIRED = ("timenow", "fired_at", "fire_time", "alert_time", "generated_at", "timestamp")
#: Senders use `time` for the time of firing or for the time of the bar. A `time` older than this is taken as the bar's.
FRESH = timedelta(seconds=35)

_NAMES = {
    AlertAction.BUY: "buy long bull bullish enter_long entry_long open_long long_entry buy_to_open",
    AlertAction.SELL: "sell short bear bearish enter_short entry_short open_short short_entry sell_short sell_to_open",
    AlertAction.CLOSE: "close exit close_position exit_position",
    AlertAction.CLOSE_LONG: "close_long exit_long long_exit sell_to_close",
    AlertAction.CLOSE_SHORT: "close_short exit_short short_exit buy_to_close buy_to_cover cover",
    AlertAction.FLAT: "flat flatten close_all closeall exit_all",
    AlertAction.REVERSE: "reverse flip reverse_position",
}
ACTIONS = {name: action for action, names in _NAMES.items() for name in names.split()}
POSITIONS = {
    "long": SentPosition.LONG,
    "bullish": SentPosition.LONG,
    "short": SentPosition.SHORT,
    "bearish": SentPosition.SHORT,
    "flat": SentPosition.FLAT,
}
_PLACEHOLDER = re.compile(r"\{\{[^{}]*+\}\}")
# As seconds, this would be in the year 5138, so this number and larger ones count milliseconds.
_FEWEST_MILLISECONDS = 10**11
_MOST_DIGITS = 30
_NO_NUMBER = Decimal("nan")
_WITH_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:,\d{3})++\.\d+", re.ASCII)
_DIGITS_AND_MARKS = re.compile(r"[+-]?[\d.,'\s]+", re.ASCII)


def first(body: Mapping[str, Any], *keys: str) -> tuple[str, Any]:
    """Return the first of *keys* that has a value, as it was sent, and the value; else the last key and None."""
    for key in keys:
        value = body.get(key)
        if not is_absent(value):
            return body.sent(key) if isinstance(body, AlertFields) else key, value
    return keys[-1], None


def number(body: Mapping[str, Any], *keys: str) -> Decimal | None:
    """Return the number under the first of *keys* that has a value; `1,234.50` and `$5` are numbers too."""
    key, value = first(body, *keys)
    if value is None:
        return None
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        found = Decimal(value)
    else:
        found = _parsed(key, filled(key, value)) if isinstance(value, str) else _NO_NUMBER
    # Numbers with more digits would break later calculations.
    if not found.is_finite() or (found and abs(found.adjusted()) > _MOST_DIGITS):
        raise InvalidSignal(RefusalCode.BAD_VALUE, f"{key}: {shown(value)} is not a number")
    return found or Decimal(0)


def _parsed(key: str, text: str) -> Decimal:
    """Return the number in *text*. A comma stands for thousands only where a point after it shows the decimals."""
    written = text.strip().removeprefix("$").strip()
    if _WITH_THOUSANDS.fullmatch(written):
        written = written.replace(",", "")
    elif "," in written and _DIGITS_AND_MARKS.fullmatch(written):
        message = f"{key}: {shown(text)} may be thousands or decimals: write 1071.25, with a point and without commas"
        raise InvalidSignal(RefusalCode.AMBIGUOUS_NUMBER, message)
    try:
        # Decimal itself also reads 1_000, and the digits of other alphabets.
        return Decimal(written) if written.isascii() and "_" not in written else _NO_NUMBER
    except InvalidOperation:
        return _NO_NUMBER


def text(body: Mapping[str, Any], *keys: str) -> str | None:
    """Return the text, or the number as text, under the first of *keys* that has a value."""
    key, value = first(body, *keys)
    if value is None:
        return None
    if isinstance(value, bool | dict | list):
        raise InvalidSignal(RefusalCode.BAD_VALUE, f"{key}: {shown(value)} is not a text")
    return filled(key, str(value)).strip()


def action(body: Mapping[str, Any], *keys: str) -> AlertAction | None:
    """Return the action under the first of *keys* that has a value."""
    sent = text(body, *keys)
    if sent is None:
        return None
    found = ACTIONS.get(action_word(sent))
    if found is None:
        key = first(body, *keys)[0]
        message = f"{key}: {shown(sent)} is not an action; write buy, sell, close, flat or reverse"
        raise InvalidSignal(RefusalCode.NOT_UNDERSTOOD, message)
    return found


def action_word(sent: str) -> str:
    """Return a word for an action in the spelling of `ACTIONS`."""
    return re.sub(r"[\s-]+", "_", sent.strip().lower())


def position(body: Mapping[str, Any], *keys: str) -> SentPosition | None:
    """Return the position under the first of *keys* that has a value.

    Raises:
        InvalidSignal: the value is not a position, or another of *keys* has a different one.
    """
    key, _ = first(body, *keys)
    sent = text(body, *keys)
    if sent is None:
        return None
    found = POSITIONS.get(sent.lower())
    if found is None:
        message = f"{key}: {shown(sent)} is not a position; write long, short or flat"
        raise InvalidSignal(RefusalCode.NOT_UNDERSTOOD, message)
    for name in keys:
        other = body.get(name)
        if isinstance(other, str) and POSITIONS.get(other.strip().lower(), found) is not found:
            message = f"{first(body, name)[0]}: {shown(other)} is another position than {key}: send one of them"
            raise InvalidSignal(RefusalCode.NOT_UNDERSTOOD, message)
    return found


def fired_at(body: Mapping[str, Any], now: datetime) -> datetime | None:
    """Return when the alert fired, or None. `time` counts only if it is too recent to be the time of a bar."""
    fired = time(body, *FIRED)
    if fired is not None:
        return fired
    ambiguous = time(body, "time")
    return ambiguous if ambiguous is not None and now - ambiguous <= FRESH else None


def time(body: Mapping[str, Any], *keys: str) -> datetime | None:
    """Return the time under the first of *keys* that has a value: RFC 3339, or seconds or milliseconds since 1970."""
    key, value = first(body, *keys)
    if value is None:
        return None
    written = filled(key, str(value)).strip()
    try:
        if re.fullmatch(r"\d{9,14}(\.\d+)?", written):
            since = float(written)
            return datetime.fromtimestamp(since / 1000 if since >= _FEWEST_MILLISECONDS else since, UTC)
        read = datetime.fromisoformat(written)
    except (ValueError, OverflowError, OSError):
        read = None
    if read is None or read.tzinfo is None:
        message = f"{key}: {shown(value)} is not a time with a zone, like 2026-01-31T09:30:00Z; write {{{{timenow}}}}"
        raise InvalidSignal(RefusalCode.BAD_VALUE, message)
    return read


def filled(key: str, value: str) -> str:
    """Return *value* unchanged.

    Raises:
        InvalidSignal: a placeholder in it was not filled in.
    """
    if match := _PLACEHOLDER.search(value):
        message = (
            f"{key}: {shown(match[0])} was not filled in; TradingView fills in {{{{strategy.…}}}} only for alerts of a "
            "strategy, and only placeholders that are spelled as in its list"
        )
        raise InvalidSignal(RefusalCode.PLACEHOLDER, message)
    return value


def shown(value: Any) -> str:
    """Return *value* quoted and shortened for a message."""
    return repr(str(value)[:40])
