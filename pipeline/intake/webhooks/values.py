"""Read the values of an alert: figures, times and words; what cannot be read is refused by its key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from pipeline.intake.webhooks.message import RefusalCode, SentPosition, Word
from pipeline.model.errors import InvalidSignal

#: Keys that say when the alert fired.
FIRED = ("timenow", "fired_at", "fire_time", "alert_time", "generated_at", "timestamp")
#: `time` is the time of firing or of the bar, by the sender's taste; a bar's is no use, and is older than this.
FRESH = timedelta(seconds=35)

_WORDS = {
    Word.BUY: "buy long bull bullish enter_long entry_long open_long long_entry buy_to_open",
    Word.SELL: "sell short bear bearish enter_short entry_short open_short short_entry sell_short sell_to_open",
    Word.CLOSE: "close exit flat flatten close_position exit_position",
    Word.CLOSE_LONG: "close_long exit_long long_exit sell_to_close",
    Word.CLOSE_SHORT: "close_short exit_short short_exit buy_to_close buy_to_cover cover",
}
WORDS = {said: word for word, spoken in _WORDS.items() for said in spoken.split()}
_POSITIONS = {
    "long": SentPosition.LONG,
    "bullish": SentPosition.LONG,
    "short": SentPosition.SHORT,
    "bearish": SentPosition.SHORT,
    "flat": SentPosition.FLAT,
}
_PLACEHOLDER = re.compile(r"\{\{[^}]*\}\}")
_FEWEST_MILLISECONDS = 10**11
_MOST_DIGITS = 30


def first(body: Mapping[str, Any], *keys: str) -> tuple[str, Any]:
    """Return the first of *keys* that says something, and what; the last key and None when none does."""
    for key in keys:
        value = body.get(key)
        if value is not None and value != "":
            return key, value
    return keys[-1], None


def number(body: Mapping[str, Any], *keys: str) -> Decimal | None:
    """Return the figure under the first of *keys* that says one; `1,234.50` and `$5` are figures too."""
    key, value = first(body, *keys)
    if value is None:
        return None
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        figure = Decimal(value)
    else:
        figure = _written(filled(key, value) if isinstance(value, str) else "")
    # Beyond these nothing can be reckoned with.
    if not figure.is_finite() or (figure and abs(figure.adjusted()) > _MOST_DIGITS):
        raise InvalidSignal(RefusalCode.BAD_VALUE, f"{key}: {shown(value)} is not a number")
    return figure or Decimal(0)


def _written(said: str) -> Decimal:
    try:
        return Decimal(said.replace(",", "").removeprefix("$").strip())
    except InvalidOperation:
        return Decimal("nan")


def text(body: Mapping[str, Any], *keys: str) -> str | None:
    """Return the text, or the figure as text, under the first of *keys* that says one."""
    key, value = first(body, *keys)
    if value is None:
        return None
    if isinstance(value, bool | dict | list):
        raise InvalidSignal(RefusalCode.BAD_VALUE, f"{key}: {shown(value)} is not a text")
    return filled(key, str(value)).strip()


def word(body: Mapping[str, Any], *keys: str) -> Word | None:
    """Return what is asked for under the first of *keys* that says it."""
    said = text(body, *keys)
    if said is None:
        return None
    found = WORDS.get(re.sub(r"[\s-]+", "_", said.lower()))
    if found is None:
        key = first(body, *keys)[0]
        message = f"{key}: {shown(said)} is not understood; there is buy, sell, close, close_long, close_short"
        raise InvalidSignal(RefusalCode.NOT_UNDERSTOOD, message)
    return found


def position(body: Mapping[str, Any], *keys: str) -> SentPosition | None:
    """Return the position under the first of *keys* that says one."""
    said = text(body, *keys)
    if said is None:
        return None
    if said.lower() not in _POSITIONS:
        message = f"{first(body, *keys)[0]}: {shown(said)} is not understood; there is long, short, flat"
        raise InvalidSignal(RefusalCode.NOT_UNDERSTOOD, message)
    return _POSITIONS[said.lower()]


def fired_at(body: Mapping[str, Any], now: datetime) -> datetime | None:
    """Return when the alert fired, if it says; `time` counts only as long as it cannot be a bar's."""
    sure = moment(body, *FIRED)
    if sure is not None:
        return sure
    perhaps = moment(body, "time")
    return perhaps if perhaps is not None and now - perhaps <= FRESH else None


def moment(body: Mapping[str, Any], *keys: str) -> datetime | None:
    """Return the time under the first of *keys* that says one: RFC 3339, or seconds or milliseconds since 1970."""
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
        message = f"{key}: {shown(value)} is not a time with its zone, like 2026-01-31T09:30:00Z; send {{{{timenow}}}}"
        raise InvalidSignal(RefusalCode.BAD_VALUE, message)
    return read


def filled(key: str, value: str) -> str:
    """Return *value*, refused when it still holds a placeholder."""
    if match := _PLACEHOLDER.search(value):
        message = (
            f"{key}: {shown(match[0])} came unfilled; {{{{strategy.…}}}} is filled only in alerts of a strategy, and "
            "any placeholder only when it is spelled as TradingView does"
        )
        raise InvalidSignal(RefusalCode.PLACEHOLDER, message)
    return value


def shown(value: Any) -> str:
    """Return *value* as a message may repeat it."""
    return repr(str(value)[:40])
