"""One form of a symbol everywhere: `AAPL`, `BRK.B`, `BTC/USD`."""

from __future__ import annotations

import re
from enum import StrEnum

_STOCK = re.compile(r"^[A-Z]{1,5}(\.[A-Z]{1,2})?$")
_PAIR = re.compile(r"^([A-Z0-9]{2,10})[/-](USDT|USDC|USD|BTC)$")
# A pair without its slash is longer than any stock symbol (five letters), so nothing can be both.
_GLUED = re.compile(r"^([A-Z0-9]{2,10})(USDT|USDC|USD)$")
_LONGEST_STOCK = 5


class AssetClass(StrEnum):
    """What kind of thing a symbol names, in the broker's words."""

    US_EQUITY = "us_equity"
    CRYPTO = "crypto"


def canonical(text: str) -> str:
    """Return the one form of a symbol; `BTC-USD` and `BTCUSD` become `BTC/USD`.

    Raises:
        ValueError: *text* is not a symbol that tradewire understands.
    """
    # Letters of other alphabets can become A to Z in upper case, and mean something else.
    symbol = text.strip().upper() if text.isascii() else ""
    if match := _PAIR.match(symbol):
        return f"{match[1]}/{match[2]}"
    if len(symbol) > _LONGEST_STOCK and (match := _GLUED.match(symbol)):
        return f"{match[1]}/{match[2]}"
    if _STOCK.match(symbol):
        return symbol
    raise ValueError(f"{text[:40]!r} is not a symbol: use a form like AAPL, BRK.B or BTC/USD")


def asset_class(symbol: str) -> AssetClass:
    """Return the asset class of a canonical symbol."""
    return AssetClass.CRYPTO if "/" in symbol else AssetClass.US_EQUITY
