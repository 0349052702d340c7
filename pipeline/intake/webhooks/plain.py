"""Read alerts in plain text: `buy 10 AAPL at 190.10 stop 185`, key=value pairs, and TradingView's default message."""

import re
from datetime import datetime
from typing import Any

from pipeline.intake.webhooks import tradingview, values
from pipeline.intake.webhooks.message import Alert, RefusalCode, SentPosition
from pipeline.intake.webhooks.values import shown
from pipeline.model.errors import InvalidSignal

# A number may contain a comma, but not end with one. Possessive repeats keep the time linear on hostile text.
_NUMBER = r"(?>\$?(?:[,.]*\d)++)"
_LINE = re.compile(
    rf"""(?P<action>(?:close|exit|enter|cover)\s+(?:long|short)|[a-z_]+)\s+
    (?:(?P<quantity>{_NUMBER})\s+(?:(?:shares?|units?|contracts?)\s+(?:of\s+)?)?)?
    (?P<symbol>[a-z][a-z0-9_]*+:[a-z0-9./!]++|(?=[0-9./!]*+[a-z])[a-z0-9./!]++)
    (?:\s*+(?:@|\bat\b)?\s*+(?P<price>{_NUMBER}|market))?
    (?:\s+(?:sl|stop|stop[ _]loss)\s*[=:]?\s*(?P<stop_price>{_NUMBER}))?
    (?:\s+(?:tp|target|take[ _]profit)\s*[=:]?\s*(?P<target_price>{_NUMBER}))?
    (?:\s+(?P<timenow>\d{{4}}-\d\d-\d\dT\S+))?""",
    re.IGNORECASE | re.VERBOSE,
)
# The default message of a strategy's alert in TradingView.
_DEFAULT = re.compile(
    rf"""(?:.*:\s)?order\s(?P<action>buy|sell)\s@\s(?P<quantity>{_NUMBER})\sfilled\son\s(?P<symbol>\S+?)\.
    \sNew\sstrategy\sposition\sis\s(?P<size>-?{_NUMBER})\.?""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
# A comma may be part of a number, so it ends a value only before the next key.
_PAIRS = re.compile(
    r"(?:[a-z_]\w*+\s*+=\s*+(?:[^\s;=,]|,(?![a-z_]\w*+\s*+=))++[\s,;]*+){2,}+", re.IGNORECASE | re.ASCII
)
_BETWEEN_PAIRS = re.compile(r"(?<![\s,;])[\s,;]++(?=[a-z_]\w*+\s*+=)", re.IGNORECASE | re.ASCII)


def read(sent: str, now: datetime) -> Alert:
    """Return the alert in a text. Every word must be understood, so that never only a part of an order is executed.

    Raises:
        InvalidSignal: the text is not an order.
    """
    text = " ".join(values.filled("the message", sent).split())
    if match := _DEFAULT.fullmatch(text):
        return tradingview.read(_default(match), now)
    if _PAIRS.fullmatch(text):
        return tradingview.read(_pairs(text), now, in_text=True)
    match = _LINE.fullmatch(text)
    # `all` and `at` also match as symbols: in `close all`, and in `buy 10 shares at 71`, which lacks its symbol.
    if match is not None and match["symbol"].lower() in ("all", "at"):
        match = None
    if match is None or match["action"].lower().replace(" ", "_") not in values.ACTIONS:
        message = (
            f"{shown(text)} is not an order: write `buy AAPL at {{{{close}}}}`, or JSON with symbol, action and price"
        )
        raise InvalidSignal(RefusalCode.NOT_UNDERSTOOD, message)
    return tradingview.read({key: value for key, value in match.groupdict().items() if value is not None}, now)


def _pairs(text: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for part in _BETWEEN_PAIRS.split(text.strip(" ,;")):
        key, _, value = (piece.strip() for piece in part.partition("="))
        if pairs.setdefault(key, value) != value:
            raise InvalidSignal(RefusalCode.NOT_UNDERSTOOD, f"{key} is given more than once")
    return pairs


def _default(match: re.Match[str]) -> dict[str, Any]:
    size = match["size"]
    side = SentPosition.SHORT if size.startswith("-") else SentPosition.LONG
    position = side if size.strip("-0.,") else SentPosition.FLAT
    order = {"action": match["action"], "symbol": match["symbol"], "quantity": match["quantity"]}
    return order | {"market_position": position.value, "market_position_size": size.lstrip("-")}
