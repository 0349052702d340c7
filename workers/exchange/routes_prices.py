"""Answer the market data API's latest trades and quotes: `/v2/stocks` and `/v1beta3/crypto`."""

from typing import Any

from starlette.routing import Route

from workers.exchange.calls import Call, Reply
from workers.exchange.refusals import RequestRefused
from workers.exchange.wire import timestamp


def latest_of_share(call: Call) -> Reply:
    """`GET /v2/stocks/{symbol}/trades/latest`."""
    symbol, trade = _of_share(call, "trade")
    return Reply(json={"symbol": symbol, "trade": trade | {"x": "V", "c": ["@"], "z": "C"}})


def quote_of_share(call: Call) -> Reply:
    """`GET /v2/stocks/{symbol}/quotes/latest`."""
    symbol, latest = _of_share(call, "quote")
    return Reply(json={"symbol": symbol, "quote": latest | {"ax": "V", "bx": "V", "c": ["R"], "z": "C"}})


def latest_of_shares(call: Call) -> Reply:
    """`GET /v2/stocks/trades/latest` for *symbols*."""
    return _latest(call, "trade", crypto=False)


def latest_of_coins(call: Call) -> Reply:
    """`GET /v1beta3/crypto/us/latest/trades` for *symbols*, pairs written with a slash."""
    return _latest(call, "trade", crypto=True)


def quotes_of_coins(call: Call) -> Reply:
    """`GET /v1beta3/crypto/us/latest/quotes` for *symbols*, pairs written with a slash."""
    return _latest(call, "quote", crypto=True)


def _of_share(call: Call, what: str) -> tuple[str, dict[str, Any]]:
    symbol = call.path["symbol"]
    asset = call.venue.assets.known(symbol)
    if asset is None or asset.is_crypto:
        raise RequestRefused(400, f"invalid symbol: {symbol}")
    found = _LATEST[what](call, asset.symbol)
    if found is None:
        raise RequestRefused(404, f"no {what} found for {symbol}")
    return asset.symbol, found


def _latest(call: Call, what: str, *, crypto: bool) -> Reply:
    """Answer with the latest trades or quotes of *symbols*. A symbol without a price is left out."""
    wanted = call.query.get("symbols", "").split(",")
    latest = {}
    for symbol in wanted:
        asset = call.venue.assets.known(symbol)
        if asset is None or asset.is_crypto is not crypto or asset.symbol != symbol:
            raise RequestRefused(400, f"invalid symbol: {symbol}")
        found = _LATEST[what](call, symbol)
        if found is not None:
            latest[symbol] = found
    return Reply(json={f"{what}s": latest})


def _trade(call: Call, symbol: str) -> dict[str, Any] | None:
    """Return the latest trade. Prices are numbers in market data, whereas they are strings in the trading API."""
    price = call.venue.price(symbol)
    if price is None:
        return None
    return {"t": timestamp(call.now_ns), "p": float(price), "s": 100, "i": 1}


def _quote(call: Call, symbol: str) -> dict[str, Any] | None:
    """Return the latest quote. Every symbol has a single price here, so bid and ask are equal."""
    price = call.venue.price(symbol)
    if price is None:
        return None
    return {"t": timestamp(call.now_ns), "ap": float(price), "as": 1, "bp": float(price), "bs": 1}


_LATEST = {"trade": _trade, "quote": _quote}
ROUTES = [
    Route("/v2/stocks/trades/latest", latest_of_shares, methods=["GET"]),
    Route("/v2/stocks/{symbol}/trades/latest", latest_of_share, methods=["GET"]),
    Route("/v2/stocks/{symbol}/quotes/latest", quote_of_share, methods=["GET"]),
    Route("/v1beta3/crypto/us/latest/trades", latest_of_coins, methods=["GET"]),
    Route("/v1beta3/crypto/us/latest/quotes", quotes_of_coins, methods=["GET"]),
]
