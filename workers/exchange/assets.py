"""The assets that can be traded: shares under any plausible ticker, and the listed pairs of coins."""

import uuid
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache
from typing import Any

from pipeline.model.symbols import AssetClass, asset_class, canonical
from workers.exchange.refusals import plain

_NAMESPACE = uuid.UUID("6d2b5c1e-2f6a-5c53-9a5e-0d6f1f5b7a11")

_SHARES = {
    "AAPL": ("Apple Inc. Common Stock", "NASDAQ"),
    "AMD": ("Advanced Micro Devices, Inc. Common Stock", "NASDAQ"),
    "AMZN": ("Amazon.com, Inc. Common Stock", "NASDAQ"),
    "DIA": ("SPDR Dow Jones Industrial Average ETF Trust", "ARCA"),
    "DIS": ("The Walt Disney Company Common Stock", "NYSE"),
    "F": ("Ford Motor Company Common Stock", "NYSE"),
    "FB": ("Facebook, Inc. Class A Common Stock", "NASDAQ"),
    "GE": ("GE Aerospace Common Stock", "NYSE"),
    "GOOG": ("Alphabet Inc. Class C Capital Stock", "NASDAQ"),
    "GOOGL": ("Alphabet Inc. Class A Common Stock", "NASDAQ"),
    "IBM": ("International Business Machines Corporation Common Stock", "NYSE"),
    "INTC": ("Intel Corporation Common Stock", "NASDAQ"),
    "IWM": ("iShares Russell 2000 ETF", "ARCA"),
    "JPM": ("JP Morgan Chase & Co. Common Stock", "NYSE"),
    "KO": ("Coca-Cola Company Common Stock", "NYSE"),
    "META": ("Meta Platforms, Inc. Class A Common Stock", "NASDAQ"),
    "MSFT": ("Microsoft Corporation Common Stock", "NASDAQ"),
    "NFLX": ("Netflix, Inc. Common Stock", "NASDAQ"),
    "NVDA": ("NVIDIA Corporation Common Stock", "NASDAQ"),
    "QQQ": ("Invesco QQQ Trust, Series 1", "NASDAQ"),
    "SPY": ("SPDR S&P 500 ETF Trust", "ARCA"),
    "T": ("AT&T Inc.", "NYSE"),
    "TSLA": ("Tesla, Inc. Common Stock", "NASDAQ"),
    "V": ("VISA Inc.", "NYSE"),
    "XOM": ("Exxon Mobil Corporation", "NYSE"),
}
_COINS = {
    "AAVE": "Aave", "AVAX": "Avalanche", "BCH": "Bitcoin Cash", "BTC": "Bitcoin", "DOGE": "Dogecoin",
    "DOT": "Polkadot", "ETH": "Ethereum", "LINK": "Chainlink", "LTC": "Litecoin", "MKR": "Maker",
    "SHIB": "Shiba Inu", "SOL": "Solana", "UNI": "Uniswap", "USDC": "USD Coin", "USDT": "USD Tether",
    "XRP": "Ripple", "XTZ": "Tezos", "YFI": "Yearn Finance",
}  # fmt: skip
_PAIRS = (*(f"{coin}/USD" for coin in _COINS), "SHIB/USDC")
_DELISTED = frozenset({"MKR/USD"})
_QUANTUM = Decimal("0.000000001")
#: The smallest order and the price step of pairs as the broker lists them. For other pairs they are not known, so these
#: have the smallest possible ones.
_SIZES = {
    "BTC/USD": (Decimal("0.000010954"), Decimal(1)),
    "USDC/USD": (Decimal("1.00050025"), _QUANTUM),
    "SHIB/USDC": (Decimal("200883.889112093"), _QUANTUM),
}


@dataclass(frozen=True, kw_only=True)
class ListedAsset:
    """One asset of the exchange."""

    symbol: str
    name: str
    asset_class: AssetClass
    exchange: str
    active: bool = True
    tradable: bool = True
    fractionable: bool = True
    shortable: bool = True
    #: Orders for fractions of a share are accepted before the open and after the close.
    fractional_eh: bool = True
    #: These are None for shares, unless an admin sets them. Quantities of shares have up to nine decimals. Prices of
    #: shares are multiples of a cent; below a dollar, of 0.01 cents.
    min_order_size: Decimal | None = None
    min_trade_increment: Decimal | None = None
    price_increment: Decimal | None = None

    @property
    def id(self) -> str:
        """Return the asset's UUID, which is the same on every exchange and in every run."""
        return asset_id(self.symbol)

    @property
    def is_crypto(self) -> bool:
        """Return whether this is a coin priced in dollars or in a stablecoin."""
        return self.asset_class is AssetClass.CRYPTO

    @property
    def coin(self) -> str:
        """Return the coin of a pair: `BTC` for `BTC/USD`."""
        return self.symbol.partition("/")[0]

    @property
    def position_symbol(self) -> str:
        """Return the symbol as positions write it: `BTCUSD` for `BTC/USD`."""
        return self.symbol.replace("/", "")


class AssetList:
    """The list of assets, with the flags that an admin has changed."""

    def __init__(self, *, listed_only: bool = False) -> None:
        """With *listed_only* only the listed tickers exist; without it, every plausible ticker exists."""
        self._listed_only = listed_only
        self._changed: dict[str, dict[str, Any]] = {}
        self._known: dict[str, ListedAsset] = {}
        self._by_id: dict[str, ListedAsset] = {}
        for symbol in (*_SHARES, *_PAIRS):
            self.find(symbol)

    def find(self, symbol: str) -> ListedAsset | None:
        """Return the asset of *symbol* (`AAPL`, `BTC/USD`, `BTCUSD`, or an asset's UUID); None if there is none."""
        known = self.known(symbol)
        if known is None:
            return None
        flags = dict(self._changed.get(known.symbol, {}))
        if not flags.pop("exists", True):
            return None
        return replace(known, **flags)

    def known(self, symbol: str) -> ListedAsset | None:
        """Return the asset of *symbol* without an admin's changes; None if there is no such asset."""
        known = self._known.get(symbol) or self._by_id.get(symbol)
        if known is None:
            known = _asset(symbol)
            if known is None or (self._listed_only and known.symbol not in _SHARES and not known.is_crypto):
                return None
            self._known[symbol] = self._known[known.symbol] = self._by_id[known.id] = known
        return known

    def change(self, symbol: str, changes: dict[str, Any] | None) -> None:
        """Override *symbol*'s flags and increments (see `AssetBody`); None removes the changes."""
        if changes is None:
            self._changed.pop(symbol, None)
        else:
            self._changed[symbol] = dict(changes)

    def listed(self) -> list[ListedAsset]:
        """Return the listed assets and every other one that was asked for so far, sorted by symbol."""
        found = (self.find(symbol) for symbol in sorted({asset.symbol for asset in self._known.values()}))
        return [asset for asset in found if asset is not None]


@cache
def asset_id(symbol: str) -> str:
    """Return the UUID of the asset with the canonical *symbol*."""
    return str(uuid.uuid5(_NAMESPACE, symbol))


def _asset(written: str) -> ListedAsset | None:
    try:
        symbol = canonical(written)
    except ValueError:
        return None
    # Of the spellings that tradewire reads, the broker accepts two: the canonical one, and a pair without its slash.
    if written not in {symbol, symbol.replace("/", "")}:
        return None
    if asset_class(symbol) is AssetClass.CRYPTO:
        return _pair(symbol) if symbol in _PAIRS else None
    name, exchange = _SHARES.get(symbol, (f"{symbol} Common Stock", "NYSE"))
    return ListedAsset(symbol=symbol, name=name, asset_class=AssetClass.US_EQUITY, exchange=exchange)


def _pair(pair: str) -> ListedAsset:
    coin, _, quote = pair.partition("/")
    live = pair not in _DELISTED
    least, step = _SIZES.get(pair, (_QUANTUM, _QUANTUM))
    return ListedAsset(
        symbol=pair, name=f"{_COINS[coin]} / {_COINS.get(quote, 'US Dollar')}", asset_class=AssetClass.CRYPTO,
        exchange="CRYPTO", active=live, tradable=live, shortable=False,
        min_order_size=least, min_trade_increment=_QUANTUM, price_increment=step,
    )  # fmt: skip


def _attributes(asset: ListedAsset) -> list[str]:
    extended = ["fractional_eh_enabled"] if asset.fractional_eh else []
    return extended if asset.is_crypto else [*extended, "has_options", "overnight_tradable"]


def asset_json(asset: ListedAsset) -> dict[str, Any]:
    """Return *asset* as `/v2/assets` writes it."""
    body: dict[str, Any] = {
        "id": asset.id,
        "class": asset.asset_class,
        "cusip": None,
        "exchange": asset.exchange,
        "symbol": asset.symbol,
        "name": asset.name,
        "status": "active" if asset.active else "inactive",
        "tradable": asset.tradable,
        "marginable": not asset.is_crypto,
        "maintenance_margin_requirement": 100 if asset.is_crypto else 30,
        "margin_requirement_long": "100" if asset.is_crypto else "30",
        "margin_requirement_short": "100" if asset.is_crypto else "30",
        "shortable": asset.shortable,
        "easy_to_borrow": asset.shortable,
        "fractionable": asset.fractionable,
        "attributes": _attributes(asset),
    }
    if not asset.is_crypto:
        body["borrow_status"] = "easy_to_borrow" if asset.shortable else "hard_to_borrow"
    for name in ("min_order_size", "min_trade_increment", "price_increment"):
        value = getattr(asset, name)
        if value is not None:
            body[name] = plain(value)
    return body


#: The minimum cost in dollars of an order for coins, and of an order for a fraction of a share.
CRYPTO_MINIMUM = Decimal(10)
FRACTION_MINIMUM = Decimal(1)
