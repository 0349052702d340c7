"""The one grammar of symbols: `AAPL`, `BRK.B`, `BTC/USD`. A symbol is made canonical where it enters tradewire."""

import re
from contextlib import suppress
from enum import StrEnum

#: The canonical forms, as messages name them.
FORMS = "AAPL, BRK.B or BTC/USD"

# The currencies that crypto is quoted in.
_QUOTES = ("USDT", "USDC", "USD", "BTC")
# A class of shares has at most two letters, and the currency of a pair at least three, so BRK/B is a share.
_STOCK = re.compile(r"^([A-Z]{1,5})(?:[./-]([A-Z]{1,2}))?$")
_PAIR = re.compile(rf"^([A-Z0-9]{{2,10}})[/-]({'|'.join(_QUOTES)})$")
# A pair without a slash is read only if it is longer than any stock symbol (five letters), so no text can be both.
_JOINED_PAIR = re.compile(r"^([A-Z0-9]{2,10})(USDT|USDC|USD)$")
_LONGEST_STOCK = 5


class AssetClass(StrEnum):
    """The asset class of a symbol, in the broker's words."""

    US_EQUITY = "us_equity"
    CRYPTO = "crypto"


def canonical(text: str) -> str:
    """Return the canonical form of a symbol.

    `BTC-USD` and `btcusd` become `BTC/USD`; `BRK-B` and `BRK/B` become `BRK.B`.

    Raises:
        ValueError: *text* is not a symbol that tradewire understands.
    """
    # Some non-ASCII letters become A to Z in upper case. The text would then name another symbol.
    symbol = text.strip().upper() if text.isascii() else ""
    if match := _PAIR.match(symbol):
        return f"{match[1]}/{match[2]}"
    if len(symbol) > _LONGEST_STOCK and (match := _JOINED_PAIR.match(symbol)):
        return f"{match[1]}/{match[2]}"
    if match := _STOCK.match(symbol):
        return f"{match[1]}.{match[2]}" if match[2] else match[1]
    raise ValueError(f"{text[:40]!r} is not a symbol: use a form like {FORMS}")


def canonical_where_known(text: str) -> str:
    """Return the canonical form of *text*, or *text* itself when it is not a symbol that tradewire understands."""
    with suppress(ValueError):
        return canonical(text)
    return text


def of_broker(symbol: str, broker_class: str | None) -> str:
    """Return the canonical form of a symbol that a broker reports: `BTCUSD` of class crypto is `BTC/USD`.

    A broker also lists what tradewire does not trade. A symbol in no form of tradewire's is returned unchanged.
    """
    if "/" in symbol:
        return symbol
    if broker_class is None:
        return canonical_where_known(symbol)
    if broker_class != AssetClass.CRYPTO:
        return symbol
    # With the class known, short pairs and pairs in BTC can be split too.
    for quote in _QUOTES:
        if symbol.endswith(quote) and symbol != quote:
            return f"{symbol.removesuffix(quote)}/{quote}"
    return symbol


def quoted_in(symbol: str) -> str | None:
    """Return the currency of a pair's price, such as BTC for ETH/BTC; None for a share."""
    return symbol.partition("/")[2] or None


def asset_class(symbol: str) -> AssetClass:
    """Return the asset class of a canonical symbol."""
    return AssetClass.CRYPTO if "/" in symbol else AssetClass.US_EQUITY
